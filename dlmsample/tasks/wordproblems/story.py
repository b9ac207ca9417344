"""The arithmetic of a word problem, before any wording: a start value and events of one or two steps each.

A plan's *key* is its equations without their results, e.g. ``57 + 23;80 / 4``; a hash of the key alone says
which split the plan belongs to. So no plan of one split occurs in another, in whatever wording, seed or
difficulty.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import NamedTuple

LARGEST = 999
"""Every value in a plan lies between 1 and this."""

SPLITS = ("train", "valid", "test")

# How often each kind is proposed; proposals that do not fit the current value are drawn again.
_WEIGHTS = {
    "gain": 8, "lose": 8, "multiply": 6, "divide": 16,
    "gain_groups": 7, "lose_groups": 9, "more": 3, "fewer": 3, "times": 3,
}  # fmt: skip
_KINDS = tuple(kind for kind, weight in _WEIGHTS.items() for _ in range(weight))
_TWO_STEPS = frozenset({"gain_groups", "lose_groups", "more", "fewer", "times"})


class StoryEvent(NamedTuple):
    """One thing that happens: ``kind``, its numbers ``x`` and ``y`` (0 if unused), and its ``equations``.

    Kinds: opening (x groups of y to start with), gain x, lose x, multiply by x, divide by x, gain_groups and
    lose_groups (x groups of y), more / fewer / times (somebody else has x more, x fewer, x times as many, and
    all is put together), money (each is worth x).
    """

    kind: str
    x: int
    y: int
    equations: tuple[str, ...]


class Story(NamedTuple):
    """A start value (the number the story opens with), the events in order, and the final value."""

    start: int
    events: tuple[StoryEvent, ...]
    result: int

    @property
    def equations(self) -> tuple[str, ...]:
        """All steps in order, each ``a op b = c``."""
        return tuple(equation for event in self.events for equation in event.equations)


def plan_key(equations: tuple[str, ...]) -> str:
    """The identity of a plan: the left-hand sides of its equations.

    Example:
        >>> plan_key(("57 + 23 = 80", "80 / 4 = 20"))
        '57 + 23;80 / 4'
    """
    return ";".join([equation.partition(" = ")[0] for equation in equations])


def split_of(equations: tuple[str, ...]) -> str:
    """The split a plan belongs to: of 16 hash buckets of its key, 0 is valid, 1 is test, the rest train.

    Example:
        >>> split_of(("57 + 23 = 80", "80 / 4 = 20")) in SPLITS
        True
    """
    bucket = hashlib.blake2b(plan_key(equations).encode(), digest_size=1).digest()[0] & 15
    return "valid" if bucket == 0 else "test" if bucket == 1 else "train"


def draw_plan(random: Callable[[], float], steps: int) -> Story:
    """A random plan of exactly ``steps`` (at least 2) arithmetic steps; ``random`` gives floats in [0, 1).

    Example:
        >>> from random import Random
        >>> plan = draw_plan(Random(0).random, 6)
        >>> len(plan.equations), plan.equations[-1].endswith(f"= {plan.result}")
        (6, True)
    """
    events: list[StoryEvent] = []
    if random() < 0.2:
        start = 3 + int(random() * 17)
        y = 3 + int(random() * 27)
        value = start * y
        events.append(StoryEvent("opening", start, y, (f"{start} * {y} = {value}",)))
        left = steps - 1
    else:
        start = value = 12 + int(random() * (88 if random() < 0.5 else 388))
        left = steps
    money = random() < 0.25
    while left:
        if money and left == 1 and value <= LARGEST // 2:
            x = 2 + int(random() * min(24, LARGEST // value - 1))
            events.append(StoryEvent("money", x, 0, (f"{value} * {x} = {value * x}",)))
            value *= x
            break
        kind = _KINDS[int(random() * len(_KINDS))]
        if left == 1 and kind in _TWO_STEPS:
            continue
        drawn = _draw_event(random, kind, value)
        if drawn is not None:
            event, value = drawn
            events.append(event)
            left -= len(event.equations)
    return Story(start, tuple(events), value)


def draw_in_split(random: Callable[[], float], steps: int, split: str) -> Story:
    """:func:`draw_plan`, again and again until a plan falls into ``split``."""
    while True:
        plan = draw_plan(random, steps)
        if split_of(plan.equations) == split:
            return plan


def _draw_event(random: Callable[[], float], kind: str, value: int) -> tuple[StoryEvent, int] | None:
    """An event of this kind with random numbers, and the value after it; None if they do not fit."""
    if kind in ("gain", "lose"):
        x = 11 + int(random() * (89 if random() < 0.4 else 189))
        after = value + x if kind == "gain" else value - x
        if not 1 < after <= LARGEST:
            return None
        return StoryEvent(kind, x, 0, (f"{value} {'+' if kind == 'gain' else '-'} {x} = {after}",)), after
    if kind == "multiply":
        x = 2 + int(random() * 5)
        after = value * x
        return (StoryEvent(kind, x, 0, (f"{value} * {x} = {after}",)), after) if after <= LARGEST else None
    if kind == "divide":
        x = 2 + int(random() * 8)
        after = value // x
        return None if value % x or after < 6 else (StoryEvent(kind, x, 0, (f"{value} / {x} = {after}",)), after)
    if kind in ("gain_groups", "lose_groups"):
        x = 3 + int(random() * 17)
        y = 3 + int(random() * 27)
        product = x * y
        after = value + product if kind == "gain_groups" else value - product
        if not 1 < after <= LARGEST:
            return None
        sign = "+" if kind == "gain_groups" else "-"
        return StoryEvent(kind, x, y, (f"{x} * {y} = {product}", f"{value} {sign} {product} = {after}")), after
    if kind == "times":
        x = 2 + int(random() * 4)
        other, step = value * x, f"{value} * {x}"
    else:
        x = 11 + int(random() * 139)
        other, step = (value + x, f"{value} + {x}") if kind == "more" else (value - x, f"{value} - {x}")
    after = value + other
    if other < 2 or after > LARGEST:
        return None
    return StoryEvent(kind, x, 0, (f"{step} = {other}", f"{value} + {other} = {after}")), after
