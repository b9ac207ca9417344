"""Every objective's rule again, one sequence and one position at a time, from the papers and not from the code.

Only the uniform numbers are shared: each draw's counter is written here as a number.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

import torch
from torch import Tensor

from dlmsample.objectives.fca import FCA
from dlmsample.objectives.proseco import SelfCorrection
from dlmsample.objectives.random_t2t import RandomT2T
from dlmsample.objectives.scope import SCOPE
from dlmsample.objectives.self_generated_t2t import SelfGeneratedT2T
from dlmsample.rng import fold, gumbel, uniform
from tests.objectives.common import IDS

Model = Callable[[list[int]], list[list[float]]]


class Row(NamedTuple):
    """One sequence: ids, which are editable, canvas of each position, key."""

    clean: list[int]
    editable: list[bool]
    canvas: list[int]
    key: Tensor

    def u(self, *counters: int) -> float:
        return float(uniform(fold(self.key, *counters)))

    def at(self, members: list[int], canvas: int) -> list[int]:
        return [i for i in members if self.canvas[i] == canvas]

    @property
    def answer(self) -> list[int]:
        return [i for i, e in enumerate(self.editable) if e]


class Result(NamedTuple):
    tokens: list[int]
    weights: list[float]
    sets: dict[str, list[int]]
    apart: tuple[list[int], list[float]] | None = None
    """Tokens and weights of a second input."""


def between(bounds: tuple[float, float], u: float) -> float:
    return bounds[0] + (bounds[1] - bounds[0]) * u


def random_token(row: Row, i: int) -> int:
    allowed = [v for v in range(IDS.end) if v != IDS.mask and v not in IDS.special and v != row.clean[i]]
    return allowed[(int(fold(row.key, 12, i)) & (2**63 - 1)) % len(allowed)]


def candidate(row: Row, logits: list[list[float]], i: int, temperature: float) -> tuple[int, float]:
    """The token drawn at i and its untempered probability; the mask id is no candidate."""
    scores = [-math.inf if v == IDS.mask else x for v, x in enumerate(logits[i])]
    if temperature:
        noise = gumbel(fold(fold(row.key, 13), 0, i, torch.arange(len(scores)))).tolist()
        token = max(range(len(scores)), key=lambda v: scores[v] / temperature + noise[v])
    else:
        token = max(range(len(scores)), key=lambda v: (scores[v], -v))
    total = math.fsum(math.exp(x - scores[token]) for x in scores)
    return token, 1 / total


def mean_weights(row: Row, terms: list[tuple[list[int], float]]) -> list[float]:
    out = [0.0] * len(row.clean)
    for members, weight in terms:
        for i in members:
            out[i] = weight / len(members)
    return out


def three_terms(rule: RandomT2T | SelfGeneratedT2T, row: Row, tokens: list[int]) -> Result:
    sets: dict[str, list[int]] = {"masked": [], "wrong": [], "right": []}
    for i in row.answer:
        kind = "masked" if tokens[i] == IDS.mask else "right" if tokens[i] == row.clean[i] else "wrong"
        sets[kind].append(i)
    scale = (rule.masked_weight, rule.wrong_weight, rule.right_weight)
    if rule.normalise == "tokens":
        terms = list(zip(sets.values(), scale, strict=True))
        supervised = sum(len(members) for members, weight in terms if weight > 0)
        weights = [0.0] * len(tokens)
        for members, weight in terms:
            for i in members:
                weights[i] = weight / supervised if weight > 0 else 0.0
        return Result(tokens, weights, sets)
    return Result(tokens, mean_weights(row, list(zip(sets.values(), scale, strict=True))), sets)


def random_t2t(rule: RandomT2T, row: Row, model: Model) -> Result:
    tokens = list(row.clean)
    for i in row.answer:
        if row.u(2, i) < between(rule.mask_ratio, row.u(1, row.canvas[i])):
            tokens[i] = IDS.mask
        elif row.u(8, i) < between(rule.random_share, row.u(7, row.canvas[i])):
            tokens[i] = random_token(row, i)
    return three_terms(rule, row, tokens)


def self_generated_t2t(rule: SelfGeneratedT2T, row: Row, model: Model) -> Result:
    masked = [i for i in row.answer if row.u(2, i) < between(rule.mask_ratio, row.u(1, row.canvas[i]))]
    logits = model([IDS.mask if i in masked else x for i, x in enumerate(row.clean)])
    tokens = list(row.clean)
    for i in row.answer:
        if i not in masked:
            if row.u(8, i) < between(rule.edit_ratio, row.u(7, row.canvas[i])):
                tokens[i] = random_token(row, i)
        elif row.u(10, i) < between(rule.draft_remask, row.u(9, row.canvas[i])):
            tokens[i] = IDS.mask
        elif row.u(11, i) < rule.random_probability:
            tokens[i] = random_token(row, i)
        else:
            tokens[i] = candidate(row, logits, i, 0)[0]
    return three_terms(rule, row, tokens)


def scope(rule: SCOPE, row: Row, model: Model) -> Result:
    plain = row.u(3) < rule.mdm_share
    masked = []
    for i in row.answer:
        median = sorted(row.u(4, row.canvas[i], j) for j in range(3))[1]
        rate = 0.999 * row.u(1, row.canvas[i]) + 0.001 if plain else min(max(median, 0.05), 0.95)
        if rule.mask_ratio is not None:
            rate = between(rule.mask_ratio, row.u(1, row.canvas[i]))
        if row.u(2, i) < rate:
            masked.append(i)
    tokens = [IDS.mask if i in masked else x for i, x in enumerate(row.clean)]
    committed: list[int] = []
    if not plain:
        logits = model(list(tokens))
        drawn = {i: candidate(row, logits, i, rule.temperature) for i in masked}
        for canvas in set(row.canvas):
            here = row.at(masked, canvas)
            low, high = (Fraction(str(bound)) for bound in rule.commit_rate)
            rho = low + round((high - low) * Fraction(row.u(5)) * 10**6) * Fraction(1, 10**6)
            if rule.random_commit:
                here.sort(key=lambda i: int(fold(row.key, 6, i)))
            else:
                here.sort(key=lambda i: (-drawn[i][1], i))
            committed += here[: math.floor(rho * len(here))]
        for i in committed:
            tokens[i] = drawn[i][0]
    sets = {
        "masked": [i for i in masked if i not in committed],
        "wrong_commit": sorted(i for i in committed if tokens[i] != row.clean[i]),
        "right_commit": sorted(i for i in committed if tokens[i] == row.clean[i]),
    }
    supervised = row.answer if rule.supervise == "all" and not plain else masked
    return Result(tokens, mean_weights(row, [(supervised, 1.0)]), sets)


def fca(rule: FCA, row: Row, model: Model) -> Result:
    first, later, chosen, rate = [], [], [], {}
    for canvas in set(row.canvas):
        here = row.at(row.answer, canvas)
        if not here:
            continue
        n = max(1, Fraction(len(here), 2)) if rule.steps is None else Fraction(rule.steps)
        dt = float(1 / n)
        t = (1 - dt) * row.u(1, canvas)
        ahead = dt if rule.artefacts == "prism" else dt + (1 - t - dt) * row.u(14, canvas)
        rate[canvas] = t
        x_t = [i for i in here if row.u(2, i) < t]
        new = [i for i in here if i not in x_t and row.u(15, i) < ahead / (1 - t)]
        among = {"self": x_t + new, "uniform": [i for i in here if i not in x_t], "prism": new}[rule.artefacts]
        among.sort(key=lambda i: int(fold(row.key, 6, i)))
        chosen += among[: max(1, math.floor(len(here) / n))]
        first += x_t
        later += x_t + new
    if rule.artefacts == "uniform":
        written = {i: random_token(row, i) for i in chosen}
    else:
        logits = model([IDS.mask if i in later else x for i, x in enumerate(row.clean)])
        written = {i: candidate(row, logits, i, 1.0)[0] for i in chosen}
    tokens = [written.get(i, IDS.mask if i in first else x) for i, x in enumerate(row.clean)]
    masked = sorted(i for i in first if i not in chosen)
    visible = [i for i in row.answer if i not in masked]
    wrong = [i for i in visible if tokens[i] != row.clean[i]]
    weights = mean_weights(row, [(visible, 1.0 if rule.gamma is None else rule.gamma)])
    right = [i for i in visible if i not in wrong]
    sets = {"masked": masked, "visible": visible, "wrong": wrong, "right": right, "artefact": sorted(chosen)}
    if rule.gamma is None:
        return Result(tokens, weights, sets)
    demask = [0.0] * len(tokens)
    for i in first:
        demask[i] = 1 / max(rate[row.canvas[i]], 1e-3) / len(row.answer)
    x_t = [IDS.mask if i in first else x for i, x in enumerate(row.clean)]
    return Result(tokens, weights, {**sets, "demasked": sorted(first)}, (x_t, demask))


def proseco(rule: SelfCorrection, row: Row, model: Model) -> Result:
    rate = {c: (1 - rule.eps) * row.u(1, c) + rule.eps for c in set(row.canvas)}
    masked = [i for i in row.answer if row.u(2, i) < rate[row.canvas[i]]]
    z_t = [IDS.mask if i in masked else x for i, x in enumerate(row.clean)]
    logits = model(z_t)
    guessed = row.answer if rule.drafts == "all" else masked
    tokens = [candidate(row, logits, i, 0)[0] if i in guessed else x for i, x in enumerate(row.clean)]
    own, demask = [0.0] * len(tokens), [0.0] * len(tokens)
    for i in row.answer:
        weight = 1 / rate[row.canvas[i]] / len(row.answer)
        own[i] = rule.corrector_weight * (weight if rule.weighted else 1 / len(row.answer))
        demask[i] = weight if i in masked else 0.0
    wrong = [i for i in row.answer if tokens[i] != row.clean[i]]
    sets = {"demasked": masked, "wrong": wrong, "right": [i for i in row.answer if i not in wrong]}
    return Result(tokens, own, sets, (z_t, demask))


LOOPS = {
    **{"random_t2t": random_t2t, "self_generated_t2t": self_generated_t2t, "scope": scope, "fca": fca},
    "proseco": proseco,
}
