"""The oracle's rules of PC-Sampler, Prophet, KLASS, CreditDecoding, Saber and CoRe, one position at a time.

Written from the papers and, for the numbers that they do not print, from what their published code does; see
:mod:`tests.oracle` for how a rule is asked. Importing this module makes them known to it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tests.oracle import (
    POLICIES,
    Block,
    Numbers,
    attention_mask,
    eos_ids_of,
    eos_last,
    f32,
    forward,
    layout,
    quota,
    rank_by_confidence,
    rank_by_score,
    share_of_steps,
    without_early_eos,
)


def probabilities(number: Numbers) -> list[float]:
    """The softmax of a position's logits, in float64."""
    assert number.row is not None
    return torch.softmax(number.row.double(), 0).tolist()


class Filling:
    """What all rules here share: a block is done when it is full, no ids are excluded."""

    def __init__(self, block: Block, eos: str = "none"):
        self.block, self.eos_ids = block, eos_ids_of(eos, block)
        self.longest = 10 * block.n + 100

    def wants_forward(self, z: list[int]) -> bool:
        return len(self.block.masked(z)) > 0

    def excluded(self, step: int) -> tuple[int, ...]:
        return ()

    def place(self, i: int) -> int:
        """A position's number among the editable ones of its block."""
        return self.block.editable.index(i)

    def due(self, steps: int, step: int, z: list[int]) -> int:
        """What an even split of the block's share of the budget asks for, at least one."""
        of_block = share_of_steps(steps, self.block.a, self.block.b, self.block.total)
        total = sum(quota(self.block.n, of_block, s) for s in range(step + 1))
        return max(1, total - len(self.block.visible(z)))

    def filled(self, z: list[int], chosen: list[int], numbers: list[Numbers]) -> list[int]:
        after = list(z)
        for i in chosen:
            after[i] = numbers[i].token
        return after


class PCSampler(Filling):
    def __init__(
        self,
        block: Block,
        *,
        tokens_per_step: int | None = None,
        steps: int | None = None,
        position_weight: float = 0.25,
        clip: float = 10.0,
        frequencies: dict[int, float] | None = None,
        eos: str = "none",
    ):
        super().__init__(block, eos)
        self.tokens_per_step, self.steps, self.weight, self.clip = tokens_per_step, steps, position_weight, clip
        self.frequencies = frequencies

    def update(self, step: int, key: Tensor, z: list[int], numbers: list[Numbers]) -> list[int]:
        scores = {}
        for i in self.block.masked(z):
            salience = numbers[i].prob
            if self.frequencies is not None:
                salience = min(-salience * math.log(self.frequencies[numbers[i].token] + 1e-9), self.clip)
            scores[i] = math.exp(-self.weight * self.place(i)) * salience
        ranked = eos_last(sorted(scores, key=lambda i: (-scores[i], i)), numbers, self.eos_ids)
        count = (self.tokens_per_step or 1) if self.steps is None else self.due(self.steps, step, z)
        return self.filled(z, ranked[:count], numbers)


class Prophet(Filling):
    def __init__(
        self,
        block: Block,
        *,
        steps: int = 64,
        early: float = 7.5,
        mid: float = 5.0,
        late: float = 2.5,
        answer_start: int | None = None,
        answer_length: int = 5,
        score: str = "confidence",
        eos: str = "none",
    ):
        super().__init__(block, eos)
        self.steps, self.thresholds, self.score = steps, (early, mid, late), score
        self.region = None if answer_start is None else range(answer_start, answer_start + answer_length)

    def update(self, step: int, key: Tensor, z: list[int], numbers: list[Numbers]) -> list[int]:
        gaps = []
        for i in self.block.editable:
            if self.region is None or self.block.a + self.place(i) in self.region:
                row = numbers[i].row
                assert row is not None
                first, second = sorted(row.tolist(), reverse=True)[:2]
                gaps.append(first - second)
        made = self.steps * self.block.a // self.block.total + step + 1
        progress = made / self.steps
        asked = self.thresholds[0 if progress < 0.33 else 1 if progress < 0.67 else 2]
        masked = self.block.masked(z)
        if gaps and sum(gaps) / len(gaps) >= asked:
            return self.filled(z, masked, numbers)
        ranked = eos_last(rank_by_score(self.score, masked, key, numbers), numbers, self.eos_ids)
        return self.filled(z, ranked[: self.due(self.steps, step, z)], numbers)


class KLASS(Filling):
    def __init__(
        self,
        block: Block,
        *,
        threshold: float = 0.9,
        kl: float = 0.01,
        history: int = 2,
        tokens_per_step: int = 1,
        eos: str = "none",
    ):
        super().__init__(block, eos)
        self.threshold, self.kl, self.history, self.tokens_per_step = threshold, kl, history, tokens_per_step
        self.before: dict[int, list[float]] = {}
        self.values: dict[int, list[float]] = {i: [] for i in block.editable}

    def update(self, step: int, key: Tensor, z: list[int], numbers: list[Numbers]) -> list[int]:
        for i in self.block.editable:
            now = probabilities(numbers[i])
            before = self.before.get(i)
            moved = math.inf
            if before is not None:
                moved = sum(p * (math.log(p) - math.log(q)) for p, q in zip(now, before, strict=True) if p > 0)
            self.values[i].append(moved)
            self.before[i] = now
        masked = self.block.masked(z)
        ready = []
        for i in without_early_eos(masked, numbers, self.eos_ids):
            lately = self.values[i][-self.history :]
            stable = len(lately) == self.history and all(value < self.kl for value in lately)
            if stable and numbers[i].prob > f32(self.threshold):
                ready.append(i)
        if not ready:
            ranked = eos_last(rank_by_confidence(masked, numbers), numbers, self.eos_ids)
            ready = ranked[: self.tokens_per_step]
        return self.filled(z, ready, numbers)


class CreditDecoding(Filling):
    def __init__(
        self,
        block: Block,
        *,
        threshold: float = 0.9,
        fusion: float = 0.7,
        decay: float = 0.8,
        boost: float = 0.2,
        min_commit: int = 1,
        eos: str = "none",
    ):
        super().__init__(block, eos)
        self.threshold, self.fusion, self.decay, self.boost = threshold, fusion, decay, boost
        self.min_commit = min_commit
        self.credit: dict[int, dict[int, float]] = {i: {} for i in block.editable}
        self.greedy = True  # every candidate so far was the most probable token

    def update(self, step: int, key: Tensor, z: list[int], numbers: list[Numbers]) -> list[int]:
        raised: list[Numbers] = list(numbers)
        for i in self.block.masked(z):
            number, credit = numbers[i], self.credit[i]
            assert number.row is not None
            self.greedy &= number.row[number.token].item() == number.row.max().item()
            for token in credit:
                credit[token] *= self.decay
            credit[number.token] = credit.get(number.token, 0.0) + number.prob**self.boost
            row = number.row.double().clone()
            for token, value in credit.items():
                row[token] += self.fusion * math.log(1 + value)
            token = max((t for t in sorted(credit) if credit[t] > 0), key=lambda t: row[t].item())
            if self.greedy:
                assert row[token].item() == row.max().item()
            others = torch.exp(row - row[token])
            others[token] = 0
            odds = others.sum().item()
            raised[i] = Numbers(token, odds, 1 / (1 + odds), None, None, 0.0, 0.0)
        masked = self.block.masked(z)
        allowed = without_early_eos(masked, raised, self.eos_ids)
        chosen = [i for i in allowed if raised[i].prob > f32(self.threshold)]
        if len(chosen) < self.min_commit:
            chosen = eos_last(rank_by_confidence(masked, raised), raised, self.eos_ids)[: self.min_commit]
        return self.filled(z, chosen, raised)


class Saber(Filling):
    def __init__(self, block: Block, *, tokens_per_step: int = 2, per_remask: int = 8, eos: str = "none"):
        super().__init__(block, eos)
        self.n, self.mu = tokens_per_step, per_remask
        self.placed: dict[int, float] = {}
        self.last: dict[int, float] = dict.fromkeys(block.editable, 0.0)

    def update(self, step: int, key: Tensor, z: list[int], numbers: list[Numbers]) -> list[int]:
        masked = self.block.masked(z)
        level = sum(self.placed.values()) / len(self.placed) if self.placed else 1.0
        chosen = [i for i in without_early_eos(masked, numbers, self.eos_ids) if numbers[i].prob > f32(level)]
        if len(chosen) < self.n:
            chosen = eos_last(rank_by_confidence(masked, numbers), numbers, self.eos_ids)[: self.n]
        after = self.filled(z, chosen, numbers)
        for i in chosen:
            self.placed[i] = numbers[i].prob
        change = {i: f32(numbers[i].prob - self.last[i]) for i in self.block.editable}
        self.last = {i: numbers[i].prob for i in self.block.editable}
        if self.block.masked(after):
            fresh = max(self.n, len(chosen))
            back = min(max(self.n // 2, math.ceil(fresh / self.mu)), fresh - 1)
            for i in sorted(self.block.visible(after), key=lambda i: (change[i], i))[:back]:
                after[i] = self.block.mask_id
        return after


class CoRe(Filling):
    """As the Sampler runs it: a look is a step of its own. :func:`decode_core` makes it within a step."""

    def __init__(
        self,
        block: Block,
        *,
        steps: int = 64,
        every: int = 8,
        candidates: int = 32,
        max_revisions: int = 1,
        start: float = 0.25,
        stop: float = 0.75,
        protect: int = 16,
        min_prob: float = 0.3,
        score: str = "confidence",
        eos: str = "none",
    ):
        super().__init__(block, eos)
        self.steps, self.every, self.candidates, self.max_revisions = steps, every, candidates, max_revisions
        of_block = share_of_steps(steps, block.a, block.b, block.total)
        self.of_block, self.window = of_block, range(math.floor(start * of_block), math.floor(stop * of_block))
        self.protect, self.min_prob, self.score = protect, min_prob, score
        self.made = 0
        self.look: tuple[list[int], list[int]] | None = None  # what is hidden, and the block that returns

    def wants_forward(self, z: list[int]) -> bool:
        return self.look is not None or super().wants_forward(z)

    def hidden(self, z: list[int], numbers: list[Numbers]) -> list[int]:
        """The tokens to look behind at the step that is due."""
        if self.made % self.every or self.made not in self.window or self.max_revisions == 0:
            return []
        free = self.block.editable[: max(0, self.block.n - self.protect)]
        among = [i for i in self.block.visible(z) if i in free]
        return sorted(among, key=lambda i: (numbers[i].margin, i))[: self.candidates]

    def fill(self, key: Tensor, z: list[int], numbers: list[Numbers]) -> list[int]:
        ranked = eos_last(rank_by_score(self.score, self.block.masked(z), key, numbers), numbers, self.eos_ids)
        return self.filled(z, ranked[: self.due(self.steps, self.made, z)], numbers)

    def revised(self, hidden: list[int], z: list[int], numbers: list[Numbers]) -> list[int]:
        """``z`` with the most unstable of the hidden tokens replaced, given a forward without them."""
        unstable = []
        for i in hidden:
            row = numbers[i].row
            assert row is not None
            if numbers[i].token != z[i] and numbers[i].prob >= f32(self.min_prob):
                unstable.append((torch.log_softmax(row, 0)[z[i]].item(), i))
        count = min(self.max_revisions, max(1, quota(self.block.n, self.of_block, self.made)))
        return self.filled(z, [i for _, i in sorted(unstable)[:count]], numbers)

    def update(self, step: int, key: Tensor, z: list[int], numbers: list[Numbers]) -> list[int]:
        if self.look is not None:
            hidden, returning = self.look
            self.look = None
            after = self.revised(hidden, returning, numbers)
            self.made += 1
            return after
        after, hidden = self.fill(key, z, numbers), self.hidden(z, numbers)
        if hidden:
            self.look = hidden, after
            return [self.block.mask_id if i in hidden else token for i, token in enumerate(z)]
        self.made += 1
        return after


def decode_core(model, prompt: list[int], options: dict, *, block_length: int | str, new: int) -> tuple[list, int]:
    """CoRe as its algorithm is printed, greedy: the further forward lies within a step.

    Returns:
        the canvas after every step, and the number of forwards.
    """
    blocks, block_of = layout(len(prompt), new, model.block_alignment, block_length)
    mask = attention_mask(model.attention, block_of)
    canvas, forwards, seen = prompt + [model.mask_id] * new, 0, []

    def numbers_of(text: list[int], start: int, end: int) -> list[Numbers]:
        found = []
        for logits in forward(model, text, mask)[start:end]:
            row = logits.float().clone()
            row[model.mask_id] = -math.inf
            p = torch.softmax(row.double(), 0)
            order = sorted(range(len(p)), key=lambda v: (-p[v].item(), v))
            best, second = p[order[0]].item(), p[order[1]].item()
            odds = torch.exp(row.double() - row.double()[order[0]]).sum().item() - 1
            found.append(Numbers(order[0], odds, best, None, None, best - second, 0.0, row))
        return found

    for start, end in blocks:
        first = max(start, len(prompt))
        block = Block(
            editable=list(range(first - start, end - start)),
            mask_id=model.mask_id,
            eos_ids=(),
            a=first - len(prompt),
            b=end - len(prompt),
            total=new,
            nominal_length=end - start,
            head=None,
        )
        rule = CoRe(block, **options)
        while block.masked(canvas[start:end]):
            z = canvas[start:end]
            numbers = numbers_of(canvas, start, end)
            forwards += 1
            after, hidden = rule.fill(torch.tensor(0), z, numbers), rule.hidden(z, numbers)
            if hidden:
                without = [model.mask_id if i in hidden else token for i, token in enumerate(z)]
                numbers = numbers_of(canvas[:start] + without + canvas[end:], start, end)
                forwards += 1
                after = rule.revised(hidden, after, numbers)
            rule.made += 1
            canvas[start:end] = after
            seen.append(list(canvas))
    return seen, forwards


POLICIES.update(pc_sampler=PCSampler, prophet=Prophet, klass=KLASS, credit=CreditDecoding, saber=Saber, core=CoRe)
