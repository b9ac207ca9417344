"""The test oracle: every decoding rule, one row at a time, one position at a time, without a cache.

Written from the method specification alone, to be compared with the package. Slow and obvious on purpose: the
only torch arithmetic is the model's forward and the softmax numbers of one position (:func:`read_position`);
selection, thresholds, quotas, caps and buffers are plain Python over lists. Of the package it uses
``dlmsample.rng`` only.

A policy is one class here, made afresh for each block, with three questions to answer:

* ``wants_forward(z)``: before each forward, is another one needed? ``False`` ends the block.
* ``excluded(step)``: ids whose logits are -inf in this step, beside the mask id.
* ``update(step, key, z, numbers)``: the block's tokens after this step.

``z`` is the block's list of tokens, ``editable`` the offsets in it that are neither prompt nor padding.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dlmsample.rng import fold, gumbel, uniform

SAMPLING, RANDOM_FILL, RANDOM_ERROR = 0, 1, 2  # the first counter folded into a step key, by purpose
Head = Callable[[Tensor, list[int]], list[float]]


@dataclass
class OracleStep:
    """One policy update; ``block`` counts from the row's first active block, ``step`` within the block."""

    block: int
    step: int
    before: list[int]
    after: list[int]


@dataclass
class OracleRun:
    tokens: list[int]
    canvas: list[int]
    steps: list[OracleStep]
    nfe_cached: int
    forced: bool
    finish_reason: str


@dataclass
class Numbers:
    """What one forward says about one position (Notation); ``current_*`` only where a token stands there."""

    token: int  # x̂
    odds: float  # against x̂
    prob: float  # c
    current_odds: float | None
    current_prob: float | None  # q
    margin: float
    entropy: float
    row: Tensor | None = None  # the float32 logits, -inf where excluded


@dataclass
class Block:
    """What a rule may know about the block it works on."""

    editable: list[int]  # offsets inside the block
    mask_id: int
    eos_ids: tuple[int, ...]
    a: int  # the block covers answer positions [a, b) of total
    b: int
    total: int
    nominal_length: int  # the sampler's block length ("all": max_new_tokens)
    head: Head | None

    @property
    def n(self) -> int:
        return len(self.editable)

    def masked(self, z: list[int]) -> list[int]:
        return [i for i in self.editable if z[i] == self.mask_id]

    def visible(self, z: list[int]) -> list[int]:
        return [i for i in self.editable if z[i] != self.mask_id]


# ---------------------------------------------------------------------------------------------------- numbers


def f32(x: float) -> float:
    """The float32 nearest to x: thresholds meet float32 probabilities as float32."""
    return torch.tensor(x, dtype=torch.float32).item()


def odds_against(row: Tensor, token: int) -> Tensor:
    """``Σ_{j≠x} exp(l_j − l_x)`` in float32; infinite when x itself is excluded."""
    if row[token] == -math.inf:
        return torch.tensor(math.inf)
    others = torch.exp(row - row[token])
    others[token] = 0.0
    return others.sum()


def choose_candidate(
    row: Tensor, position: int, key: Tensor, temperature: float, top_p: float, top_k: int | None
) -> int:
    """x̂: the argmax, or a Gumbel-max sample of the tempered, top-k then top-p filtered logits."""
    if temperature == 0.0:
        return lowest_argmax(row.tolist())
    row = row / temperature
    if top_k is not None and top_k < len(row):
        kth = sorted(row.tolist(), reverse=True)[top_k - 1]
        row = torch.where(row < kth, -math.inf, row)
    if top_p < 1.0:
        probs = torch.softmax(row, dim=0).tolist()
        order = sorted(range(len(probs)), key=lambda v: (-probs[v], v))
        before = 0.0
        for rank, v in enumerate(order):
            if rank > 0 and not before < top_p:
                row[v] = -math.inf
            before += probs[v]
    noise = gumbel(fold(key, SAMPLING, position, torch.arange(len(row))))
    return lowest_argmax((row + noise).tolist())


def lowest_argmax(values: list[float]) -> int:
    best = 0
    for v, value in enumerate(values):
        if value > values[best]:
            best = v
    return best


def read_position(
    logits: Tensor,
    standing: int,
    position: int,
    key: Tensor,
    mask_id: int,
    excluded: tuple[int, ...],
    temperature: float,
    top_p: float,
    top_k: int | None,
) -> Numbers:
    row = logits.to(torch.float32).clone()
    for v in (mask_id, *excluded):
        row[v] = -math.inf
    token = choose_candidate(row, position, key, temperature, top_p, top_k)
    odds = odds_against(row, token)
    current_odds = None if standing == mask_id else odds_against(row, standing)
    p, log_p = torch.softmax(row, dim=0), torch.log_softmax(row, dim=0)
    best, second = torch.sort(torch.softmax(row.double(), dim=0), descending=True).values[:2]
    entropy = -(p * log_p)[p > 0].sum()
    return Numbers(
        token=token,
        odds=odds.item(),
        prob=(1.0 / (1.0 + odds)).item(),
        current_odds=None if current_odds is None else current_odds.item(),
        current_prob=None if current_odds is None else (1.0 / (1.0 + current_odds)).item(),
        margin=(best - second).item(),
        entropy=entropy.item(),
        row=row,
    )


def quota(n: int, steps: int, step: int) -> int:
    """``n_s``: n split evenly over the steps, the remainder on the earliest."""
    return n // steps + (1 if step < n % steps else 0)


def share_of_steps(steps: int, a: int, b: int, total: int) -> int:
    """What the block covering answer positions [a, b) gets of a budget for the whole answer."""
    return max(1, steps * b // total - steps * a // total)


def rank_by_confidence(positions: list[int], numbers: list[Numbers]) -> list[int]:
    """Most confident first: odds against the candidate ascending, ties to the lower position."""
    return sorted(positions, key=lambda i: (numbers[i].odds, i))


def threshold_fill(masked: list[int], numbers: list[Numbers], ranked: list[int], tau: float, least: int) -> list[int]:
    """Every masked position with c > τ; if fewer than ``least``, the first ``least`` ranked instead."""
    chosen = [i for i in masked if numbers[i].prob > f32(tau)]
    return chosen if len(chosen) >= least else ranked[:least]


def rank_by_score(score: str, masked: list[int], key: Tensor, numbers: list[Numbers]) -> list[int]:
    """First to be filled first, by one of the fill scores."""
    if score == "confidence":
        return rank_by_confidence(masked, numbers)
    if score == "margin":
        return sorted(masked, key=lambda i: (-numbers[i].margin, i))
    if score == "entropy":
        return sorted(masked, key=lambda i: (numbers[i].entropy, i))
    return sorted(masked, key=lambda i: (uniform(fold(key, RANDOM_FILL, i)).item(), i))


def eos_last(ranked: list[int], numbers: list[Numbers], eos_ids: tuple[int, ...]) -> list[int]:
    """The EOS rule of rankings: confidence -inf where the candidate is EOS, so after all others, lower positions first.

    A step that fills every mask fills these too, so the rule needs no final step of its own.
    """
    ends = [i for i in ranked if numbers[i].token in eos_ids]
    return [i for i in ranked if i not in ends] + sorted(ends)


def without_early_eos(masked: list[int], numbers: list[Numbers], eos_ids: tuple[int, ...]) -> list[int]:
    """The EOS rule of thresholds [ours]: an EOS cannot qualify while a masked position has another candidate."""
    others = [i for i in masked if numbers[i].token not in eos_ids]
    return others if others else masked


def eos_ids_of(rule: str, block: Block) -> tuple[int, ...]:
    """The ids that the EOS rule holds back."""
    assert rule in ("none", "confidence")
    return block.eos_ids if rule == "confidence" else ()


def accept_by_entropy(ranked: list[int], numbers: list[Numbers], bound: float) -> list[int]:
    """In order while the sum of the *previous* entropies is <= bound."""
    chosen, total = [], 0.0
    for i in ranked:
        if total > f32(bound):
            break
        chosen.append(i)
        total += numbers[i].entropy
    return chosen


# --------------------------------------------------------------------------------------------------- policies


class Unmask:
    def __init__(
        self,
        block: Block,
        *,
        tokens_per_step: int | None = None,
        steps: int | None = None,
        threshold: float | None = None,
        entropy_bound: float | None = None,
        min_commit: int = 1,
        score: str = "confidence",
        eos: str = "none",
    ):
        given = [x for x in (tokens_per_step, steps, threshold, entropy_bound) if x is not None]
        assert len(given) <= 1, "one of tokens_per_step, steps, threshold, entropy_bound"
        assert score in ("confidence", "margin", "entropy", "random")
        self.block = block
        self.tokens_per_step = 1 if not given else tokens_per_step
        self.steps, self.threshold, self.entropy_bound = steps, threshold, entropy_bound
        self.min_commit, self.score = min_commit, score
        self.eos_ids = eos_ids_of(eos, block)
        self.longest = block.n

    def wants_forward(self, z: list[int]) -> bool:
        return len(self.block.masked(z)) > 0

    def excluded(self, step: int) -> tuple[int, ...]:
        return ()

    def update(self, step: int, key: Tensor, z: list[int], numbers: list[Numbers]) -> list[int]:
        masked = self.block.masked(z)
        ranked = eos_last(rank_by_score(self.score, masked, key, numbers), numbers, self.eos_ids)
        allowed = without_early_eos(masked, numbers, self.eos_ids)
        if self.entropy_bound is not None:
            ordered = rank_by_score("entropy", allowed, key, numbers)
            chosen = accept_by_entropy(ordered, numbers, self.entropy_bound)
        elif self.threshold is not None:
            chosen = threshold_fill(allowed, numbers, ranked, self.threshold, self.min_commit)
        elif self.steps is not None:
            block = self.block
            block_steps = share_of_steps(self.steps, block.a, block.b, block.total)
            chosen = ranked[: quota(block.n, block_steps, step)]
        else:
            chosen = ranked[: self.tokens_per_step]
        after = list(z)
        for i in chosen:
            after[i] = numbers[i].token
        return after


class PostSteps:
    """The Done rule that T2T and T2M share."""

    def __init__(self, block: Block, editing: bool, max_post_steps: int):
        self.block, self.editing, self.max_post_steps = block, editing, max_post_steps
        self.made = 0
        self.done = False

    def wants_forward(self, z: list[int]) -> bool:
        if self.done:
            return False
        if self.block.masked(z):
            return True
        if not self.editing or self.made >= self.max_post_steps:
            return False
        self.made += 1  # the forward that follows sees the block free of masks
        return True

    def after_step(self, before: list[int], edited: bool) -> None:
        self.done = not self.block.masked(before) and not edited


class T2T:
    def __init__(
        self,
        block: Block,
        *,
        fill_threshold: float = 0.7,
        edit_threshold: float | None = 0.5,
        max_post_steps: int = 16,
        max_edits: int | None = None,
        eos: str = "none",
    ):
        self.block, self.fill_threshold, self.edit_threshold = block, fill_threshold, edit_threshold
        self.post = PostSteps(block, edit_threshold is not None and max_edits != 0, max_post_steps)
        self.max_edits = math.inf if max_edits is None else max_edits
        self.edits: dict[int, int] = dict.fromkeys(block.editable, 0)
        self.eos_ids = eos_ids_of(eos, block)
        self.wants_forward = self.post.wants_forward
        self.longest = block.n + max_post_steps

    def excluded(self, step: int) -> tuple[int, ...]:
        return ()

    def update(self, step: int, key: Tensor, z: list[int], numbers: list[Numbers]) -> list[int]:
        after = list(z)
        masked = self.block.masked(z)
        ranked = eos_last(rank_by_confidence(masked, numbers), numbers, self.eos_ids)
        allowed = without_early_eos(masked, numbers, self.eos_ids)
        for i in threshold_fill(allowed, numbers, ranked, self.fill_threshold, 1):
            after[i] = numbers[i].token
        edited = False
        if self.edit_threshold is not None:
            for i in self.block.visible(z):
                differs = numbers[i].prob > f32(self.edit_threshold) and numbers[i].token != z[i]
                if differs and self.edits[i] < self.max_edits:
                    after[i] = numbers[i].token
                    self.edits[i] += 1
                    edited = True
        self.post.after_step(z, edited)
        return after


class T2M:
    def __init__(
        self,
        block: Block,
        *,
        detector: str = "low_prob",
        threshold: float | None = None,
        max_remasks: int = 1,
        max_ratio: float = 0.25,
        min_per_step: int = 1,
        fill_threshold: float = 0.7,
        max_post_steps: int = 16,
        eos: str = "none",
    ):
        defaults = {"low_prob": 0.3, "t2t_remask": 0.9, "logit_diff": 0.3}
        self.block, self.detector = block, detector
        self.threshold = f32(defaults[detector] if threshold is None else threshold)
        self.max_remasks, self.max_ratio, self.min_per_step = max_remasks, max_ratio, min_per_step
        self.fill_threshold = fill_threshold
        self.eos_ids = eos_ids_of(eos, block)
        self.post = PostSteps(block, max_remasks > 0, max_post_steps)
        self.wants_forward = self.post.wants_forward
        self.remasks: dict[int, int] = dict.fromkeys(block.editable, 0)
        self.prev: dict[int, float | None] = dict.fromkeys(block.editable)  # p(standing token), None: masked
        self.longest = block.n * (1 + max_remasks) + max_post_steps

    def excluded(self, step: int) -> tuple[int, ...]:
        return ()

    def update(self, step: int, key: Tensor, z: list[int], numbers: list[Numbers]) -> list[int]:
        after = list(z)
        masked, visible = self.block.masked(z), self.block.visible(z)
        ranked = eos_last(rank_by_confidence(masked, numbers), numbers, self.eos_ids)
        allowed = without_early_eos(masked, numbers, self.eos_ids)
        for i in threshold_fill(allowed, numbers, ranked, self.fill_threshold, 1):
            after[i] = numbers[i].token

        flagged = []  # (badness: smallest is remasked first, position)
        for i in visible:
            if self.remasks[i] < self.max_remasks:
                badness = self.badness(i, z[i], numbers[i])
                if badness is not None:
                    flagged.append((badness, i))
        cap = max(self.min_per_step, math.floor(self.max_ratio * len(visible)))
        remasked = [i for _, i in sorted(flagged)[:cap]]
        for i in remasked:
            after[i] = self.block.mask_id
            self.remasks[i] += 1

        for i in self.block.editable:
            if after[i] == self.block.mask_id:
                self.prev[i] = None
            elif i in masked:
                self.prev[i] = numbers[i].prob  # placed now
            else:
                self.prev[i] = numbers[i].current_prob
        self.post.after_step(z, bool(remasked))
        return after

    def badness(self, i: int, standing: int, number: Numbers) -> float | None:
        """None: not flagged. Otherwise the sort key of Safety caps."""
        if self.detector == "low_prob":
            return -number.current_odds if number.current_prob < self.threshold else None
        if self.detector == "t2t_remask":
            return number.odds if number.prob > self.threshold and number.token != standing else None
        prev = self.prev[i]
        if prev is None:
            return None
        drop = f32(prev - number.current_prob)
        return -drop if drop > self.threshold else None


class D3IM:
    def __init__(self, block: Block, *, steps: int = 64, t2t: bool = True, t2m: bool = True, eos: str = "confidence"):
        assert eos in ("none", "confidence", "logit_nonfinal", "logit_all")
        self.block, self.t2t, self.t2m, self.eos = block, t2t, t2m, eos
        self.steps = share_of_steps(steps, block.a, block.b, block.total)
        self.made = 0
        self.longest = self.steps

    def wants_forward(self, z: list[int]) -> bool:
        if not self.t2t and not self.t2m and not self.block.masked(z):
            return False  # nothing can change any more
        return self.made < self.steps

    def is_final(self, step: int) -> bool:
        return step == self.steps - 1

    def excluded(self, step: int) -> tuple[int, ...]:
        if self.eos == "logit_all" or (self.eos == "logit_nonfinal" and not self.is_final(step)):
            return self.block.eos_ids
        return ()

    def update(self, step: int, key: Tensor, z: list[int], numbers: list[Numbers]) -> list[int]:
        self.made += 1
        masked, visible = self.block.masked(z), self.block.visible(z)
        keep_total = sum(quota(self.block.n, self.steps, s) for s in range(step + 1))

        candidate, order = {}, {}
        for i in self.block.editable:
            if not self.t2t and z[i] != self.block.mask_id:
                candidate[i], odds = z[i], numbers[i].current_odds
            else:
                candidate[i], odds = numbers[i].token, numbers[i].odds
            last = self.eos == "confidence" and not self.is_final(step) and candidate[i] in self.block.eos_ids
            order[i] = (1, 0.0, i) if last else (0, odds, i)

        if self.t2m:
            kept = sorted(self.block.editable, key=order.__getitem__)[:keep_total]
        else:
            free = max(0, keep_total - len(visible))
            kept = visible + sorted(masked, key=order.__getitem__)[:free]
        after = list(z)
        for i in self.block.editable:
            after[i] = candidate[i] if i in kept else self.block.mask_id
        return after


class DSC:
    def __init__(
        self,
        block: Block,
        *,
        tokens_per_step: int = 2,
        stride: int = 2,
        max_remasks: int = 2,
        threshold: float = 0.5,
        buffer: int | None = None,
        scorer: str = "head",
        eos: str = "none",
    ):
        assert scorer in ("head", "random")
        self.block, self.tokens_per_step, self.stride = block, tokens_per_step, stride
        self.max_remasks, self.threshold, self.scorer = max_remasks, f32(threshold), scorer
        self.capacity = block.nominal_length // 2 if buffer is None else buffer
        self.eos_ids = eos_ids_of(eos, block)
        self.recent: deque[int] = deque()  # the FIFO buffer H, oldest on the left
        self.remasks_left = 4 * block.n
        # the printed ceil(5n/k) + 1 forgets steps that fill fewer than k because fewer are masked
        self.longest = 4 * block.n + math.ceil(block.n / tokens_per_step)

    def wants_forward(self, z: list[int]) -> bool:
        return len(self.block.masked(z)) > 0

    def excluded(self, step: int) -> tuple[int, ...]:
        return ()

    def update(self, step: int, key: Tensor, z: list[int], numbers: list[Numbers]) -> list[int]:
        after = list(z)
        ranked = eos_last(rank_by_confidence(self.block.masked(z), numbers), numbers, self.eos_ids)
        for i in ranked[: self.tokens_per_step]:
            after[i] = numbers[i].token
        if step % self.stride == self.stride - 1:
            for i in self.choose_remasks(key, z):
                after[i] = self.block.mask_id
        return after

    def choose_remasks(self, key: Tensor, z: list[int]) -> list[int]:
        """From the canvas this forward saw, in order of falling P_error."""
        errors = self.errors(key, z)
        top = sorted(self.block.visible(z), key=lambda i: (-errors[i], i))[: self.max_remasks]
        chosen = [i for i in top if errors[i] > self.threshold and i not in self.recent]
        chosen = chosen[: self.remasks_left]
        self.remasks_left -= len(chosen)
        for i in chosen:
            self.recent.append(i)
            if len(self.recent) > self.capacity:
                self.recent.popleft()
        return chosen

    def errors(self, key: Tensor, z: list[int]) -> list[float]:
        if self.scorer == "random":
            return [uniform(fold(key, RANDOM_ERROR, i)).item() for i in range(len(z))]
        assert self.block.head is not None, "scorer 'head' needs the head argument"
        errors = [f32(e) for e in self.block.head(key, list(z))]
        assert len(errors) == len(z)
        return errors


class ChainFill:
    """The fill rule of a chain: the positions to fill in this step."""

    def __init__(self, block: Block, rule: str, options: dict):
        self.block, self.rule, self.options = block, rule, dict(options)
        self.eos_ids = eos_ids_of(self.options.pop("eos", "none"), block)
        self.score = self.options.pop("score", "entropy" if rule == "entropy_bound" else "confidence")

    def choose(self, step: int, key: Tensor, z: list[int], numbers: list[Numbers]) -> list[int]:
        block, options = self.block, self.options
        masked = block.masked(z)
        ranked = eos_last(rank_by_score(self.score, masked, key, numbers), numbers, self.eos_ids)
        allowed = without_early_eos(masked, numbers, self.eos_ids)
        if self.rule == "quota":
            return ranked[: options.get("tokens_per_step", 1)]
        if self.rule == "steps":
            # after this step as many positions are filled as the even split has come to, at least one more than before
            of_block = share_of_steps(options["steps"], block.a, block.b, block.total)
            due = sum(quota(block.n, of_block, s) for s in range(step + 1))
            return ranked[: max(1, due - len(block.visible(z)))]
        if self.rule == "threshold":
            return threshold_fill(allowed, numbers, ranked, options.get("threshold", 0.7), options.get("min_commit", 1))
        assert self.rule == "entropy_bound"
        return accept_by_entropy(rank_by_score(self.score, allowed, key, numbers), numbers, options["bound"])


class ChainDetector:
    """A detector: the suspicious positions of the canvas that the forward saw, the worst first."""

    def __init__(self, block: Block, rule: str, threshold: float):
        self.block, self.rule, self.threshold = block, rule, f32(threshold)
        self.prev: dict[int, float | None] = dict.fromkeys(block.editable)

    def suspects(self, key: Tensor, z: list[int], numbers: list[Numbers]) -> list[int]:
        found = []
        for i in self.block.visible(z):
            badness = self.badness(i, key, z, numbers[i])
            if badness is not None:
                found.append((badness, i))
        return [i for _, i in sorted(found)]

    def badness(self, i: int, key: Tensor, z: list[int], number: Numbers) -> float | None:
        if self.rule == "low_prob":
            return -number.current_odds if number.current_prob < self.threshold else None
        if self.rule == "t2t_remask":
            return number.odds if number.prob > self.threshold and number.token != z[i] else None
        if self.rule == "logit_diff":
            before = self.prev[i]
            drop = -1.0 if before is None else f32(before - number.current_prob)
            return -drop if drop > self.threshold else None
        if self.rule == "random":
            error = uniform(fold(key, RANDOM_ERROR, i)).item()
        else:
            assert self.rule == "head"
            assert self.block.head is not None, "the detector 'head' needs the head argument"
            error = f32(self.block.head(key, list(z))[i])
        return -error if error > self.threshold else None

    def remember(self, before: list[int], after: list[int], numbers: list[Numbers]) -> None:
        """Keep the probability of every token that stands after the step."""
        for i in self.block.editable:
            placed = before[i] == self.block.mask_id
            standing = numbers[i].prob if placed else numbers[i].current_prob
            self.prev[i] = None if after[i] == self.block.mask_id else standing


class ChainEdit:
    """The edit rule of a chain: the tokens that visible positions become in this step."""

    def __init__(self, block: Block, rule: str, options: dict):
        defaults = {
            "keep": {},
            "replace": {"threshold": 0.5, "max_edits": None, "max_post_steps": 16},
            "remask": {"max_per_position": 1, "max_share": 0.25, "min_per_step": 1, "max_post_steps": 16},
            "buffered_remask": {"stride": 2, "max_per_step": 2, "buffer": None},
        }
        self.block, self.rule, self.o = block, rule, {**defaults[rule], **options}
        detector = self.o.pop("detector", None)
        self.detector = None if detector is None else ChainDetector(block, **detector)
        self.times: dict[int, int] = dict.fromkeys(block.editable, 0)
        self.recent: list[int] = []
        self.remasks_left = 4 * block.n
        limit = self.o.get("max_edits" if rule == "replace" else "max_per_position")
        self.post = PostSteps(block, rule in ("replace", "remask") and limit != 0, self.o.get("max_post_steps", 0))

    def changes(self, step: int, key: Tensor, z: list[int], numbers: list[Numbers]) -> dict[int, int]:
        if self.rule == "keep":
            return {}
        if self.rule == "replace":
            return self.replace(z, numbers)
        assert self.detector is not None
        suspects = self.detector.suspects(key, z, numbers)
        chosen = self.capped(suspects, z) if self.rule == "remask" else self.buffered(suspects, step)
        return dict.fromkeys(chosen, self.block.mask_id)

    def replace(self, z: list[int], numbers: list[Numbers]) -> dict[int, int]:
        most = math.inf if self.o["max_edits"] is None else self.o["max_edits"]
        changed = {}
        for i in self.block.visible(z):
            sure = numbers[i].prob > f32(self.o["threshold"])
            if sure and numbers[i].token != z[i] and self.times[i] < most:
                changed[i] = numbers[i].token
                self.times[i] += 1
        return changed

    def capped(self, suspects: list[int], z: list[int]) -> list[int]:
        cap = max(self.o["min_per_step"], math.floor(self.o["max_share"] * len(self.block.visible(z))))
        chosen = [i for i in suspects if self.times[i] < self.o["max_per_position"]][:cap]
        for i in chosen:
            self.times[i] += 1
        return chosen

    def buffered(self, suspects: list[int], step: int) -> list[int]:
        if step % self.o["stride"] != self.o["stride"] - 1:
            return []
        capacity = self.block.nominal_length // 2 if self.o["buffer"] is None else self.o["buffer"]
        lately = self.recent[len(self.recent) - capacity :] if capacity < len(self.recent) else self.recent
        looked_at = suspects[: self.o["max_per_step"]]
        chosen = [i for i in looked_at if i not in lately][: self.remasks_left]
        self.remasks_left -= len(chosen)
        self.recent += chosen
        return chosen


class Chain:
    """Any fill rule with any edit rule: both act on the canvas that the forward saw."""

    def __init__(self, block: Block, *, fill: dict, edit: dict):
        fill, edit = dict(fill), dict(edit)
        self.block = block
        self.fill = ChainFill(block, fill.pop("rule"), fill)
        self.edit = ChainEdit(block, edit.pop("rule"), edit)
        self.longest = 20 * block.n + 100
        self.wants_forward = self.edit.post.wants_forward

    def excluded(self, step: int) -> tuple[int, ...]:
        return ()

    def update(self, step: int, key: Tensor, z: list[int], numbers: list[Numbers]) -> list[int]:
        after = list(z)
        for i in self.fill.choose(step, key, z, numbers) if self.block.masked(z) else []:
            after[i] = numbers[i].token
        changed = self.edit.changes(step, key, z, numbers)
        for i, token in changed.items():
            after[i] = token
        if self.edit.detector is not None:
            self.edit.detector.remember(z, after, numbers)
        self.edit.post.after_step(z, bool(changed))
        return after


POLICIES = {"unmask": Unmask, "t2t": T2T, "t2m": T2M, "d3im": D3IM, "dsc": DSC, "chain": Chain}


# ----------------------------------------------------------------------------------------------------- canvas


def layout(
    prompt_length: int, max_new_tokens: int, alignment: str, block_length: int | str
) -> tuple[list[tuple[int, int]], list[int]]:
    """The active blocks as [start, end) on the canvas, and the attention block of every canvas position."""
    total = prompt_length + max_new_tokens
    if block_length == "all":
        alignment, block_length = "prompt", max(1, max_new_tokens)
    assert isinstance(block_length, int)
    assert block_length >= 1
    if alignment == "absolute":
        block_of = [i // block_length for i in range(total)]
    else:
        assert alignment == "prompt"
        block_of = [0 if i < prompt_length else 1 + (i - prompt_length) // block_length for i in range(total)]
    blocks = []
    for b in sorted({block_of[i] for i in range(prompt_length, total)}):
        members = [i for i in range(total) if block_of[i] == b]
        blocks.append((members[0], members[-1] + 1))
    return blocks, block_of


def attention_mask(attention: str, block_of: list[int]) -> Tensor:
    """[1, 1, query, key]: True where the query may look."""
    if attention == "block_causal":
        rows = [[key <= query for key in block_of] for query in block_of]
    else:
        assert attention == "bidirectional"
        rows = [[True for _ in block_of] for _ in block_of]
    return torch.tensor(rows, dtype=torch.bool)[None, None]


def forward(model, canvas: list[int], mask: Tensor) -> Tensor:
    """Logits [position, vocabulary] of the whole canvas."""
    with torch.no_grad():
        out = model.module(
            input_ids=torch.tensor([canvas]),
            position_ids=torch.arange(len(canvas))[None],
            attention_mask=mask,
        )
    return out.logits[0]


def told(rule, model, canvas: list[int], mask: Tensor, start: int, excluded: tuple[int, ...]) -> Tensor:
    """Logits of the canvas, for a rule that looks at more than them or has some divided by a number."""
    if hasattr(rule, "sees"):
        rule.sees(model, list(canvas), mask, start, excluded)
    logits = forward(model, canvas, mask)
    if hasattr(rule, "eos_divisor") and rule.block.eos_ids:
        logits = logits.float().clone()
        logits[:, list(rule.block.eos_ids)] /= rule.eos_divisor()
    return logits


def decode(
    model,
    prompt_ids: list[int],
    policy: str,
    options: dict,
    *,
    block_length: int | str | None,
    max_new_tokens: int,
    temperature: float = 0.0,
    top_p: float = 1.0,
    top_k: int | None = None,
    row_key: int = 0,
    head: Head | None = None,
) -> OracleRun:
    """Decode one prompt. ``nfe_cached`` counts what an exact block cache would cost: steps + writes."""
    prompt_ids = list(prompt_ids)
    mask_id, eos_ids = model.mask_id, tuple(model.eos_ids)
    assert mask_id not in prompt_ids, "a mask id in a prompt"
    asked = model.block_length if block_length is None else block_length
    blocks, block_of = layout(len(prompt_ids), max_new_tokens, model.block_alignment, asked)
    mask = attention_mask(model.attention, block_of)
    canvas = prompt_ids + [mask_id] * max_new_tokens
    row = torch.tensor(row_key, dtype=torch.int64)
    steps: list[OracleStep] = []
    writes = 0
    finish_reason = "length"

    for index, (start, end) in enumerate(blocks):
        first = max(start, len(prompt_ids))
        block = Block(
            editable=list(range(first - start, end - start)),
            mask_id=mask_id,
            eos_ids=eos_ids,
            a=first - len(prompt_ids),
            b=end - len(prompt_ids),
            total=max_new_tokens,
            nominal_length=max_new_tokens if asked == "all" else asked,
            head=head,
        )
        rule = POLICIES[policy](block, **options)
        step = 0
        seen = None
        while rule.wants_forward(canvas[start:end]):
            assert step < max(10 * block.n + 100, rule.longest), f"{policy} does not end"
            seen = canvas[start:end]
            logits = told(rule, model, canvas, mask, start, rule.excluded(step))[start:end]
            key = fold(row, index, step)
            numbers = [
                read_position(logits[i], seen[i], i, key, mask_id, rule.excluded(step), temperature, top_p, top_k)
                for i in range(end - start)
            ]
            after = rule.update(step, key, seen, numbers)
            assert len(after) == len(seen)
            assert after[: first - start] == seen[: first - start]
            steps.append(OracleStep(block=index, step=step, before=seen, after=list(after)))
            canvas[start:end] = after
            step += 1

        final = canvas[start:end]
        assert mask_id not in final
        if any(token in eos_ids for token in canvas[first:end]):
            finish_reason = "eos"
            break
        if index < len(blocks) - 1 and seen != final:
            writes += 1

    tokens = []
    for token in canvas[len(prompt_ids) :]:
        if token in eos_ids or token == mask_id:  # masks only after an EOS stop
            break
        tokens.append(token)
    return OracleRun(
        tokens=tokens,
        canvas=canvas,
        steps=steps,
        nfe_cached=len(steps) + writes,
        forced=False,
        finish_reason=finish_reason,
    )


# ------------------------------------------------------------------------------------------------------- fill


@dataclass
class FillRun:
    """``steps`` as in :class:`OracleRun`; ``block`` counts every block from the first active one, decoded or not."""

    tokens: list[int]  # placed at the masks, in order
    canvas: list[int]
    steps: list[OracleStep]
    starts: list[int]  # of each step's block, on the canvas
    nfe_cached: int


def fill(
    model,
    ids: list[int],
    policy: str,
    options: dict,
    *,
    block_length: int | str | None,
    special_ids: tuple[int, ...],
    temperature: float = 0.0,
    top_p: float = 1.0,
    top_k: int | None = None,
    row_key: int = 0,
) -> FillRun:
    """Decode the masks of one text: they are the only editable positions, all else is given and stays.

    No EOS rule: EOS and every other special id are excluded from the candidates, so EOS options of a policy find
    nothing. Budgets and the answer's positions count masks. What stands before the first mask is the prompt.
    """
    mask_id = model.mask_id
    masks = [i for i, token in enumerate(ids) if token == mask_id]
    canvas = list(ids)
    steps: list[OracleStep] = []
    starts: list[int] = []
    writes = 0
    if not masks:
        return FillRun([], canvas, steps, starts, 0)
    asked = "all" if block_length is None else block_length
    blocks, block_of = layout(masks[0], len(ids) - masks[0], model.block_alignment, asked)
    mask = attention_mask(model.attention, block_of)
    row = torch.tensor(row_key, dtype=torch.int64)

    for index, (start, end) in enumerate(blocks):
        editable = [i - start for i in masks if start <= i < end]
        if not editable:
            if any(i >= end for i in masks):
                writes += 1  # a later block must see it in the cache
            continue
        before = len([i for i in masks if i < start])
        block = Block(
            editable=editable,
            mask_id=mask_id,
            eos_ids=(),
            a=before,
            b=before + len(editable),
            total=len(masks),
            nominal_length=len(masks) if asked == "all" else asked,
            head=lambda key, z, start=start, end=end: head_errors(model, canvas, mask, start, end),
        )
        rule = POLICIES[policy](block, **options)
        step, seen = 0, None
        while rule.wants_forward(canvas[start:end]):
            assert step < max(10 * block.n + 100, rule.longest), f"{policy} does not end"
            seen = canvas[start:end]
            logits = told(rule, model, canvas, mask, start, special_ids)[start:end]
            key = fold(row, index, step)
            numbers = [
                read_position(logits[i], seen[i], i, key, mask_id, special_ids, temperature, top_p, top_k)
                if i in editable
                else None
                for i in range(end - start)
            ]
            after = rule.update(step, key, seen, numbers)
            assert all(after[i] == seen[i] for i in range(end - start) if i not in editable)
            steps.append(OracleStep(block=index, step=step, before=seen, after=list(after)))
            starts.append(start)
            canvas[start:end] = after
            step += 1
        if any(i >= end for i in masks) and seen != canvas[start:end]:
            writes += 1
    assert mask_id not in canvas
    return FillRun([canvas[i] for i in masks], canvas, steps, starts, len(steps) + writes)


def head_errors(model, canvas: list[int], mask: Tensor, start: int, end: int) -> list[float]:
    """P_error of a block from the model's own head: it reads the block's hidden states, or (bidirectional) all."""
    with torch.no_grad():
        out = model.module(
            input_ids=torch.tensor([canvas]),
            position_ids=torch.arange(len(canvas))[None],
            attention_mask=mask,
            output_hidden_states=True,
        )
        hidden, positions = out.hidden_states[model.head.layer], torch.arange(len(canvas))[None]
        if model.attention == "block_causal":
            hidden, positions = hidden[:, start:end], positions[:, start:end]
        valid = torch.ones_like(positions, dtype=torch.bool)
        error = torch.sigmoid(model.head(hidden, positions, valid).float())[0].tolist()
    return error if model.attention == "block_causal" else error[start:end]
