"""The diagnostics again, one example, block and position at a time, from the papers' rules and not from the code.

Only the uniform numbers, the head and one forward of the stock module are shared; each draw's counter is written here
as a number.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

import dlmsample as ds
from dlmsample.objectives.fca import FCA
from dlmsample.rng import fold, sequence_key, uniform
from tests.objectives import loops
from tests.toys import MASK

Pair = tuple[list[int], list[int]]


class Window(NamedTuple):
    """What a model fills in of one example, and where its canvases begin and end (positions of the sequence)."""

    prompt: list[int]
    answer: list[int]
    start: int
    spans: list[tuple[int, int]]
    key: Tensor

    @property
    def ids(self) -> list[int]:
        return [*self.prompt, *self.answer]

    @property
    def editable(self) -> list[int]:
        return list(range(len(self.prompt), len(self.ids)))

    def u(self, kind: int, position: int) -> float:
        return float(uniform(fold(self.key, kind, position - self.start)))


def window(model: ds.Denoiser, pair: Pair, number: int, seed: int) -> Window:
    prompt, answer = pair
    width, end, start = model.block_length, len(prompt) + len(answer), len(prompt)
    if model.attention == "block_causal" and model.block_alignment == "absolute":
        start -= start % width
    step = width if model.attention == "block_causal" else end
    spans = [(a, min(a + step, end)) for a in range(start, end, step)]
    return Window(prompt, answer, start, spans, torch.tensor(sequence_key(seed, (), number)))


def forward(model: ds.Denoiser, w: Window, tokens: list[int]) -> tuple[dict[int, list[float]], dict[int, float]]:
    """Logits (float64 lists) and error logits of the window's positions; the ids are of the whole sequence."""
    logits, error = {}, {}
    for first, last in w.spans:
        if model.attention == "bidirectional":
            ids, sees = tokens, lambda q, k: True
        else:
            ids = [*w.ids[:first], *tokens[first:last]]
            origin = 0 if model.block_alignment == "absolute" else len(w.prompt)
            index = [(i - origin) // model.block_length for i in range(last)]
            if origin:
                index = [max(i, -1) for i in index]
            sees = lambda q, k, index=index: index[q] >= index[k]  # noqa: E731
        mask = torch.tensor([[sees(q, k) for k in range(len(ids))] for q in range(len(ids))])
        out: Any = model.module(
            input_ids=torch.tensor([ids]),
            position_ids=torch.arange(len(ids))[None],
            attention_mask=mask[None, None],
            use_cache=False,
            output_hidden_states=True,
        )
        whole = model.attention == "bidirectional"
        at = list(range(len(ids))) if whole else list(range(first, last))
        for i in range(first, last):
            logits[i] = out.logits[0, i].double().tolist()
        if model.head is not None:
            hidden = out.hidden_states[model.head.layer][:, at]
            scores = model.head(hidden, torch.tensor([at]), torch.ones(1, len(at), dtype=torch.bool))[0]
            error |= {i: float(scores[n]) for n, i in enumerate(at) if i >= w.start}
    return logits, error


def odds(logits: list[float], token: int) -> float:
    return math.fsum(math.exp(x - logits[token]) for v, x in enumerate(logits) if v not in (token, MASK))


def best(logits: list[float]) -> int:
    return max((v for v in range(len(logits)) if v != MASK), key=lambda v: (logits[v], -v))


def masked(w: Window, rate: float) -> list[int]:
    return [i for i in w.editable if w.u(2, i) < rate]


def cover(w: Window, hidden: list[int]) -> list[int]:
    return [MASK if i in hidden else x for i, x in enumerate(w.ids)]


def stress(model: ds.Denoiser, w: Window, epsilon: float, threshold: float) -> dict[str, int]:
    hidden = masked(w, 0.5)
    tokens = cover(w, hidden)
    logits, _ = forward(model, w, tokens)
    committed: list[int] = []
    for first, last in w.spans:
        here = [i for i in hidden if first <= i < last]
        here.sort(key=lambda i: (odds(logits[i], best(logits[i])), i))
        committed += here[: len(here) // 2]
    for i in committed:
        tokens[i] = best(logits[i])
    after, _ = forward(model, w, tokens)
    count = dict.fromkeys(
        ("masked", "committed", "wrong", "right", "preserved", "recovered", "kept", "visible", "stuck", "stuck_wrong"),
        0,
    )
    count["masked"] = len(hidden)
    for i in w.editable:
        if tokens[i] == MASK:
            continue
        now, gold = best(after[i]), w.ids[i]
        stuck = 1 / (1 + odds(after[i], tokens[i])) < epsilon and 1 / (1 + odds(after[i], now)) < threshold
        count["visible"] += 1
        count["stuck"] += stuck
        if i not in committed:
            continue
        count["committed"] += 1
        if tokens[i] == gold:
            count["right"] += 1
            count["kept"] += now == tokens[i]
        else:
            count["wrong"] += 1
            count["preserved"] += now == tokens[i]
            count["recovered"] += now == gold
            count["stuck_wrong"] += stuck
    return count


def confidences(model: ds.Denoiser, w: Window, rate: float) -> list[tuple[float, bool]]:
    hidden = masked(w, rate)
    logits, _ = forward(model, w, cover(w, hidden))
    return [(1 / (1 + odds(logits[i], best(logits[i]))), best(logits[i]) == w.ids[i]) for i in hidden]


def ece(found: list[tuple[float, bool]]) -> float:
    total = 0.0
    for b in range(15):
        here = [(c, r) for c, r in found if b / 15 < c <= (b + 1) / 15 or (b == 0 and c == 0)]
        if here:
            accuracy, confidence = sum(r for _, r in here) / len(here), math.fsum(c for c, _ in here) / len(here)
            total += len(here) / len(found) * abs(accuracy - confidence)
    return total


def detection(model: ds.Denoiser, w: Window) -> list[tuple[float, bool]]:
    """Error logit and truth of each visible answer position after FCA's corruption."""
    canvas = [0] * (len(w.ids) - w.start)
    for number, (first, last) in enumerate(w.spans):
        for i in range(first, last):
            canvas[i - w.start] = number + 1 if model.attention == "block_causal" else 0
    editable = [i >= len(w.prompt) for i in range(w.start, len(w.ids))]
    row = loops.Row(w.ids[w.start :], editable, canvas, w.key)

    def draft(tokens: list[int]) -> list[list[float]]:
        logits, _ = forward(model, w, [*w.ids[: w.start], *tokens])
        return [logits[i] for i in range(w.start, len(w.ids))]

    made = loops.fca(FCA(), row, draft)
    _, error = forward(model, w, [*w.ids[: w.start], *made.tokens])
    return [(error[i + w.start], i in made.sets["wrong"]) for i in made.sets["visible"]]


def interval(part: list[int], total: list[int], key: int) -> tuple[float, float]:
    """2.5 % and 97.5 % of 1000 replicates, linear between neighbours."""
    n, values = len(part), []
    for replicate in range(1000):
        drawn = (fold(torch.tensor(key), replicate, torch.arange(n)) & (2**63 - 1)).tolist()
        whole = sum(total[d % n] for d in drawn)
        if whole:
            values.append(sum(part[d % n] for d in drawn) / whole)
    values.sort()

    def quantile(q: float) -> float:
        at = q * (len(values) - 1)
        low = math.floor(at)
        high = min(low + 1, len(values) - 1)
        return values[low] + (at - low) * (values[high] - values[low])

    return quantile(0.025), quantile(0.975)
