"""DAEDAL as a loop over lists: one row, one position at a time, written from the paper's rule and its code's values.

Of the package it uses the model's forward and, through :mod:`tests.oracle`, the randomness.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import torch

import dlmsample as ds
from dlmsample.rng import fold
from tests import oracle
from tests.models.checkpoints import logits


class Told(NamedTuple):
    tokens: list[int]  #: before the first EOS
    nfe: int
    steps: int
    fills: int
    length: int  #: positions of the answer at the end
    happened: Counter[str]


def loop(
    model: ds.Denoiser,
    prompt: list[int],
    most: int,
    option: ds.Daedal,
    fill: dict[str, Any],
    *,
    key: int = 0,
    width: int | None = None,
    tail: tuple[int, ...] = (),
    absolute: bool = False,
    temperature: float = 0.0,
) -> Told:
    """One answer; ``width`` None: all of it is one block."""
    mask, eos, row = model.mask_id, set(model.eos_ids), torch.tensor(key, dtype=torch.int64)
    answer, happened = [mask] * min(option.initial_length, most), Counter[str]()
    nfe = steps = fills = 0

    def read(noise: torch.Tensor, start: int) -> tuple[torch.Tensor, float]:
        """The logits of a canvas, and its EOS confidence."""
        canvas = [*prompt, *answer, *tail]
        given = logits(model, torch.tensor(canvas))
        chances: list[float] = []
        for place in reversed(range(len(prompt), len(prompt) + len(answer))):
            told = oracle.read_position(given[place], mask, 0, noise, mask, (), 0.0, 1.0, None)
            if told.token in eos and len(chances) < option.eos_window:
                chances.append(told.prob)
        return given, sum(chances) / option.eos_window

    asked = len(answer) < most
    while len(answer) < most:
        _, sure = read(row, 0)
        nfe += 1
        if sure >= option.eos_confidence:
            happened["settled"] += 1
            break
        answer += [mask] * min(option.factor, most - len(answer))
        happened["appended"] += 1
    if asked:
        answer += [model.eos_ids[0]] * min(option.eos_window // 2, most - len(answer))

    first = len(prompt) // width * width if absolute and width else len(prompt)
    start, step = first, 0
    while True:
        end = start + (width or len(answer))
        inside = range(max(start - len(prompt), 0), min(end - len(prompt), len(answer)))
        number = 0 if width is None else (start - first) // width
        own = fold(row, number, step)
        given, sure = read(own, start)
        offsets = [len(prompt) + i - start for i in inside]
        seen = [mask if i not in offsets else answer[start + i - len(prompt)] for i in range(max(offsets) + 1)]
        told = [
            oracle.read_position(given[start + i], seen[i], i, own, mask, (), temperature, 1.0, None)
            for i in range(len(seen))
        ]
        stop = inside[-1] + 1
        block = oracle.Block(offsets, mask, tuple(eos), inside[0], stop, len(answer), len(seen), None)
        after = oracle.Unmask(block, **fill).update(step, own, seen, told)
        for i in offsets:
            fills += answer[start + i - len(prompt)] != after[i]
            answer[start + i - len(prompt)] = after[i]
        nfe, steps, step = nfe + 1, steps + 1, step + 1
        left = [i for i in offsets if after[i] == mask and told[i].prob < oracle.f32(option.low_confidence)]
        if left and sure < option.expand_eos_confidence and len(answer) < most:
            at = min(left, key=lambda i: (told[i].prob, i)) + start - len(prompt)
            longer = answer[:at] + [mask] * option.factor + answer[at + 1 :]
            happened["inserted"] += 1
            happened["cut off"] += len(longer) > most
            happened["moved tokens"] += any(token != mask for token in answer[at + 1 :])
            answer = longer[:most]
        before = start
        while all(token != mask for token in part(answer, start, width, len(prompt))):
            if any(token in eos for token in part(answer, start, width, len(prompt))) or is_last(
                answer, start, width, len(prompt)
            ):
                kept = next((i for i, token in enumerate(answer) if token in eos), len(answer))
                return Told(answer[:kept], nfe, steps, fills, len(answer), happened)
            happened["passed a full block"] += start > before
            assert width is not None
            start, step = start + width, 0


def part(answer: list[int], start: int, width: int | None, prompt: int) -> list[int]:
    """The answer's tokens in a block."""
    return answer if width is None else answer[max(start - prompt, 0) : start + width - prompt]


def is_last(answer: list[int], start: int, width: int | None, prompt: int) -> bool:
    return width is None or start + width - prompt >= len(answer)
