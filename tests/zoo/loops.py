"""The sampler zoo's rules as loops over positions, from the papers: oracles like those of :mod:`tests.oracle`."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from dlmsample.rng import fold, uniform
from tests import oracle
from tests.oracle import Block, Numbers, f32

MOVE = 3  # the counter of a policy's own draw


def draw(key: Tensor, i: int) -> float:
    """Uniform in (0, 1), of the step and the position."""
    return uniform(fold(key, MOVE, i)).item()


class Rule:
    """A rule that makes the forwards it says it makes."""

    def __init__(self, block: Block, steps: int):
        self.block, self.done = block, False
        self.steps = oracle.share_of_steps(steps, block.a, block.b, block.total)
        self.longest = self.steps

    def wants_forward(self, z: list[int]) -> bool:
        return not self.done

    def excluded(self, step: int) -> tuple[int, ...]:
        return ()

    def is_full(self, z: list[int]) -> bool:
        return not self.block.masked(z)


class RCR(Rule):
    """Predict all masks; of all positions the least sure, by what they had when last predicted, are masked again."""

    def __init__(self, block: Block, *, steps: int = 64, eos: str = "none"):
        super().__init__(block, steps)
        self.running: dict[int, float] = {}
        self.eos_ids = oracle.eos_ids_of(eos, block)

    def update(self, step: int, key: Tensor, z: list[int], numbers: list[Numbers]) -> list[int]:
        after = list(z)
        for i in self.block.masked(z):
            after[i] = numbers[i].token
            self.running[i] = math.inf if numbers[i].token in self.eos_ids else min(numbers[i].odds, 3e38)
        masks = math.floor(self.block.n * (self.steps - step - 1) / self.steps + 1e-9)
        surest = sorted(self.block.editable, key=lambda i: (self.running.get(i, 0.0), i))
        for i in surest[self.block.n - masks :]:
            after[i] = self.block.mask_id
        self.done = masks == 0
        return after


class P2(Rule):
    """Of all positions those with the lowest log-probability, visible ones times eta, are masked."""

    def __init__(
        self, block: Block, *, steps: int = 64, eta: float = 1.0, planner: str = "standing", eos: str = "none"
    ):
        super().__init__(block, steps)
        self.eta, self.planner, self.eos_ids = eta, planner, oracle.eos_ids_of(eos, block)

    def update(self, step: int, key: Tensor, z: list[int], numbers: list[Numbers]) -> list[int]:
        score: dict[int, float] = {}
        for i in self.block.editable:
            number = numbers[i]
            if z[i] == self.block.mask_id:
                ends = number.token in self.eos_ids
                score[i] = -math.inf if ends else -math.log1p(min(number.odds, torch.finfo(torch.float32).max))
            else:
                odds = number.current_odds if self.planner == "standing" else number.odds
                assert odds is not None
                score[i] = -self.eta * math.log1p(odds) if self.eta else 1.0  # before any candidate
        masks = math.floor(self.block.n * (1 - (step + 1) / self.steps) + 1e-9)
        best = sorted(self.block.editable, key=lambda i: (-score[i], i))
        after = list(z)
        for i in best[: self.block.n - masks]:
            if z[i] == self.block.mask_id:
                after[i] = numbers[i].token
        for i in best[self.block.n - masks :]:
            after[i] = self.block.mask_id
        self.done = masks == 0
        return after


class ReMDM(Rule):
    """Unmask and remask at random, position by position."""

    def __init__(
        self,
        block: Block,
        *,
        steps: int = 64,
        sigma: str = "cap",
        eta: float | None = None,
        when: str = "always",
        t_on: float = 0.55,
        t_off: float = 0.05,
        alpha_on: float = 0.9,
    ):
        super().__init__(block, steps)
        self.sigma, self.when, self.t_on, self.t_off, self.alpha_on = sigma, when, t_on, t_off, alpha_on
        published = 0.02 if when == "loop" else {"cap": 0.008, "rescale": 0.015, "conf": 1.0}[sigma]
        self.eta = published if eta is None else eta
        self.sure: dict[int, float] = {}

    def alphas(self, step: int) -> tuple[float, float]:
        t, s = 1 - step / self.steps, 1 - (step + 1) / self.steps
        if self.when != "loop":
            return 1 - t, 1 - s
        if self.before(t):
            return (1 - t) * self.alpha_on / (1 - self.t_on), (1 - s) * self.alpha_on / (1 - self.t_on)
        if self.behind(t):
            return 1 - t * (1 - self.alpha_on) / self.t_off, 1 - s * (1 - self.alpha_on) / self.t_off
        return self.alpha_on, self.alpha_on

    def before(self, t: float) -> bool:
        return t > self.t_on + 1e-12

    def behind(self, t: float) -> bool:
        return t <= self.t_off + 1e-12

    def strength(self, step: int, z: list[int]) -> dict[int, float]:
        """sigma of every position."""
        t = 1 - step / self.steps
        quiet = (self.when != "always" and self.before(t)) or (self.when == "loop" and self.behind(t))
        if quiet or step == self.steps - 1:
            return dict.fromkeys(self.block.editable, 0.0)
        alpha, alpha_next = self.alphas(step)
        most = 1.0 if alpha == 0 else min(1.0, (1 - alpha_next) / alpha)
        if self.sigma == "cap":
            return dict.fromkeys(self.block.editable, min(self.eta, most))
        if self.sigma == "rescale":
            return dict.fromkeys(self.block.editable, self.eta * most)
        visible = self.block.visible(z)
        total = sum(math.exp(-self.sure[i]) for i in visible)
        shares = {i: math.exp(-self.sure[i]) / total for i in visible}
        return {i: self.eta * most * shares.get(i, 0.0) for i in self.block.editable}

    def update(self, step: int, key: Tensor, z: list[int], numbers: list[Numbers]) -> list[int]:
        alpha, alpha_next = self.alphas(step)
        sigma, after = self.strength(step, z), list(z)
        for i in self.block.editable:
            if z[i] != self.block.mask_id:
                if draw(key, i) < sigma[i]:
                    after[i] = self.block.mask_id
            elif step == self.steps - 1 or draw(key, i) < (alpha_next - (1 - sigma[i]) * alpha) / (1 - alpha):
                after[i] = numbers[i].token
                self.sure[i] = numbers[i].prob
        upcoming = 1 - (step + 1) / self.steps
        later = step + 2 < self.steps and self.eta > 0 and not (self.when == "loop" and self.behind(upcoming))
        self.done = step == self.steps - 1 or (self.is_full(after) and not later)
        return after


class Tolerator(Rule):
    """Fill up by confidence; then in rounds mask a random share and predict all of it at once."""

    def __init__(
        self,
        block: Block,
        *,
        steps: int = 32,
        rounds: int = 32,
        start_share: float = 0.8,
        end_share: float = 0.4,
        decay: str = "cosine",
        lock_after: int | None = 10,
        eos_penalty: float = 1.2,
    ):
        super().__init__(block, steps)
        self.rounds, self.start, self.end, self.decay = rounds, start_share, end_share, decay
        self.lock_after = math.inf if lock_after is None else lock_after
        self.eos_penalty, self.made = eos_penalty, 0
        self.filling = True
        self.latest: dict[int, list[int]] = {i: [] for i in block.editable}  # equal predictions in a row
        self.longest += rounds

    def eos_divisor(self) -> float:
        return self.eos_penalty if self.filling else 1.0

    def share(self, number: int) -> float:
        way = 1.0 if self.rounds == 1 else (number - 1) / (self.rounds - 1)
        if self.decay == "cosine":
            return self.end + (self.start - self.end) * (1 + math.cos(math.pi * way)) / 2
        return self.start * (self.end / self.start) ** way

    def update(self, step: int, key: Tensor, z: list[int], numbers: list[Numbers]) -> list[int]:
        after, masked = list(z), self.block.masked(z)
        if self.filling:
            ranked = oracle.rank_by_confidence(masked, numbers)
            masked = ranked[: oracle.quota(self.block.n, self.steps, step)]
        for i in masked:
            after[i] = numbers[i].token
            if not self.filling:
                same = self.latest[i][-1:] == [after[i]]
                self.latest[i] = [*self.latest[i], after[i]] if same else [after[i]]
        if not self.is_full(after):
            return after
        self.filling = False
        self.made += 1
        free = [i for i in self.block.editable if len(self.latest[i]) < self.lock_after]
        if self.made > self.rounds or not free:
            self.done = True
            return after
        count = max(1, math.ceil(len(free) * self.share(self.made) - 1e-9))
        for i in sorted(free, key=lambda i: (draw(key, i), i))[:count]:
            after[i] = self.block.mask_id
        return after


class ProSeCo(Rule):
    """As the Sampler runs it: each forward of a loop is a step of its own. :func:`decode_proseco` nests them."""

    def __init__(self, block: Block, *, steps: int = 64, every: int = 2, max_corrections: int = 4, eos: str = "none"):
        super().__init__(block, steps)
        self.every, self.budget, self.eos_ids = every, max_corrections, oracle.eos_ids_of(eos, block)
        self.unmasked, self.corrections = 0, 0  # steps that unmasked, forwards of the loop under way
        self.beneath: list[int] | None = None  # the text under a draft
        self.longest = min(self.steps, block.n) * (1 + max_corrections)

    def unmask(self, z: list[int], numbers: list[Numbers]) -> list[int]:
        """The share of the step: what should stand by now under an even split, less what does."""
        masked, step = self.block.masked(z), self.unmasked
        goal = sum(oracle.quota(self.block.n, self.steps, s) for s in range(min(step + 1, self.steps)))
        ranked = oracle.eos_last(oracle.rank_by_confidence(masked, numbers), numbers, self.eos_ids)
        after = list(z)
        for i in ranked[: max(1, goal - (self.block.n - len(masked)))]:
            after[i] = numbers[i].token
        self.unmasked += 1
        return after

    def due(self) -> bool:
        return self.budget > 0 and (self.unmasked + 1) % self.every == 0

    def corrected(self, beneath: list[int], draft: list[int]) -> list[int]:
        """The text with the draft's tokens where it shows any."""
        masked = self.block.masked(beneath)
        return [z if i in masked else token for i, (z, token) in enumerate(zip(beneath, draft, strict=True))]

    def update(self, step: int, key: Tensor, z: list[int], numbers: list[Numbers]) -> list[int]:
        if self.beneath is None:
            if self.due():
                self.beneath, self.corrections = list(z), 0
                masked = self.block.masked(z)
                return [numbers[i].token if i in masked else token for i, token in enumerate(z)]
            after = self.unmask(z, numbers)
        else:
            self.corrections += 1
            better = [numbers[i].token if i in self.block.editable else token for i, token in enumerate(z)]
            if better != z and self.corrections < self.budget:
                return better
            after = self.unmask(self.corrected(self.beneath, better), numbers)
            self.beneath = None
        self.done = self.is_full(after)
        return after

    def wants_forward(self, z: list[int]) -> bool:
        return self.beneath is not None or not self.done


def decode_proseco(model: Any, prompt: list[int], options: dict[str, Any], new: int) -> tuple[list[int], int]:
    """Algorithms 2 and 3 as they are printed, greedy and in one block: the loop lies within its step.

    Returns:
        the answer, and the number of forwards.
    """
    steps, every, budget = options["steps"], options.get("every", 2), options.get("max_corrections", 4)
    text, forwards = prompt + [model.mask_id] * new, 0
    mask = oracle.attention_mask(model.attention, [0] * len(prompt) + [1] * new)

    def candidates(canvas: list[int]) -> tuple[list[int], list[float]]:
        """What the model would have at each position, and its probability."""
        logits = oracle.forward(model, canvas, mask).double()
        logits[:, model.mask_id] = -math.inf
        best = torch.softmax(logits, -1).max(-1)
        return best.indices.tolist(), best.values.tolist()

    for step in range(steps):
        masked = [i for i, token in enumerate(text) if token == model.mask_id]
        if not masked:
            break
        tokens, sure = candidates(text)
        forwards += 1
        if budget and (step + 1) % every == 0:
            draft = [tokens[i] if i in masked else token for i, token in enumerate(text)]
            for _ in range(budget):
                tokens, sure = candidates(draft)
                forwards += 1
                better = prompt + tokens[len(prompt) :]
                same, draft = better == draft, better
                if same:
                    break
            text = [model.mask_id if i in masked else draft[i] for i in range(len(text))]
        for i in sorted(masked, key=lambda i: (-sure[i], i))[: oracle.quota(new, steps, step)]:
            text[i] = tokens[i]
    return text[len(prompt) :], forwards


class WINO(Rule):
    """Draft wide, verify each visible token by a forward of its own that does not see it, revoke what fails."""

    def __init__(
        self,
        block: Block,
        *,
        draft_threshold: float = 0.6,
        verify_threshold: float = 0.9,
        max_draft: int | None = None,
        eos: str = "none",
    ):
        super().__init__(block, 1)
        self.draft, self.verify, self.max_draft = draft_threshold, f32(verify_threshold), max_draft
        self.eos_ids = oracle.eos_ids_of(eos, block)
        self.before = block.n
        self.longest = block.n

    def sees(self, model: Any, canvas: list[int], mask: Tensor, start: int, excluded: tuple[int, ...]) -> None:
        """What the model says of each visible token of the block, unseen."""
        self.unseen = {}
        for i in self.block.visible(canvas[start:]):
            row = unseen(model, canvas, mask, start + i).float().clone()
            for v in (self.block.mask_id, *excluded):
                row[v] = -math.inf
            self.unseen[i] = (1.0 / (1.0 + oracle.odds_against(row, canvas[start + i]))).item()

    def update(self, step: int, key: Tensor, z: list[int], numbers: list[Numbers]) -> list[int]:
        masked, after = self.block.masked(z), list(z)
        ranked = oracle.eos_last(oracle.rank_by_confidence(masked, numbers), numbers, self.eos_ids)
        allowed = oracle.without_early_eos(masked, numbers, self.eos_ids)
        drafted = oracle.threshold_fill(allowed, numbers, ranked, self.draft, 1)
        if self.max_draft is not None:
            drafted = [i for i in ranked if i in drafted][: self.max_draft]
        for i in drafted:
            after[i] = numbers[i].token
        failed = sorted((q, i) for i, q in self.unseen.items() if q < self.verify)
        for _, i in failed[: self.before - 1] if len(drafted) > 1 else []:
            after[i] = self.block.mask_id
        self.before = len(drafted)
        self.done = self.is_full(after)
        return after


def unseen(model: Any, canvas: list[int], mask: Tensor, position: int) -> Tensor:
    """Logits of one position without its token: a forward with one shadow or, where there are none, a masked copy."""
    source = getattr(model, "source", model)
    if source.interface.kind != "decoder" or source.facts.logit_shift:
        hidden = [*canvas[:position], model.mask_id, *canvas[position + 1 :]]
        return oracle.forward(model, hidden, mask)[position]
    size = len(canvas)
    wide = torch.zeros(1, 1, size + 1, size + 1, dtype=torch.bool)
    wide[..., :size, :size] = mask
    wide[..., size, :size] = mask[..., position, :]
    wide[..., size, position] = False
    wide[..., size, size] = True
    with torch.no_grad():
        out = source.module(
            input_ids=torch.tensor([[*canvas, model.mask_id]]),
            position_ids=torch.tensor([[*range(size), position]]),
            attention_mask=wide,
        )
    return out.logits[0, -1]


ZOO = {"rcr": RCR, "p2": P2, "remdm": ReMDM, "tolerator": Tolerator, "wino": WINO, "proseco": ProSeCo}
oracle.POLICIES.update(ZOO)  # type: ignore[arg-type]
