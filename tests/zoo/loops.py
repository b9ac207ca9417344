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
                score[i] = -self.eta * math.log1p(odds) if self.eta else 0.0
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


ZOO = {"rcr": RCR, "p2": P2, "remdm": ReMDM, "tolerator": Tolerator, "wino": WINO}
oracle.POLICIES.update(ZOO)  # type: ignore[arg-type]
