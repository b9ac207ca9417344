"""What of a run goes to the model's forward where forwards are captured as graphs, and no module is called.

Every captured forward is a function that makes it once more. Captured again up to the logits, it gives a graph of the
forward alone; played by itself, that one's time is the forward's share of the whole graph.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple

import torch

from benchmarks.roofline import synchronize
from dlmsample.decoding.captured import pool
from dlmsample.decoding.captured.capture import Capture

_SECONDS = 0.05
"""How long a graph is played for one of the three times whose median is taken."""


class Played(NamedTuple):
    """Captured forwards that were played, all together."""

    forwards: int  #: of active blocks
    forward: float  #: seconds of these alone: masks, body and LM head
    whole: float  #: seconds of all that is captured with them, the policy's update too
    bodies: float  #: seconds of captures that call no LM head: prompts; blocks and canvases of approximate caches


@dataclass
class _Kind:
    """Forwards of one number of rows and one reach."""

    work: Callable[[], Any]
    replay: Callable[[], None]
    played: int = 0

    def play(self) -> None:
        self.played += 1
        self.replay()


class _Reached(Exception):
    """The logits are there."""


class Captures:
    """Remembers what is captured while it is open, and counts how often that is played, later too."""

    def __init__(self) -> None:
        self._kinds: list[_Kind] = []
        self._usual = pool.cuda_graphs

    def __enter__(self) -> Captures:
        self._usual, pool.cuda_graphs = pool.cuda_graphs, self._remembering
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pool.cuda_graphs = self._usual

    def __len__(self) -> int:
        return len(self._kinds)

    @property
    def played(self) -> int:
        """Captured forwards played since the count began."""
        return sum(kind.played for kind in self._kinds)

    def begin(self) -> None:
        """Count anew."""
        for kind in self._kinds:
            kind.played = 0

    def times(self, head: Any, device: torch.device) -> Played | None:
        """What was played since the count began, each kind timed by itself.

        Call it when the run is over, and before another one with other rows: a forward is made with those of the
        latest. What the rows hold is spoilt.

        Returns:
            None where nothing was played, or the LM head is not called.
        """
        record, found = self._usual(), Played(0, 0.0, 0.0, 0.0)
        for kind in self._kinds:
            if kind.played:
                alone, whole = _alone(kind.work, head, record), kind.played * _seconds(kind.replay, device)
                if alone is None:
                    found = found._replace(bodies=found.bodies + whole)
                else:
                    forward = kind.played * _seconds(alone, device)
                    found = Played(
                        found.forwards + kind.played, found.forward + forward, found.whole + whole, found.bodies
                    )
        return found if found.forwards else None

    def _remembering(self) -> Capture:
        record = self._usual()

        def remember(work: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
            replay, out = record(work)
            self._kinds.append(_Kind(work, replay))
            return self._kinds[-1].play, out

        return remember


@torch.no_grad()
def _alone(work: Callable[[], Any], head: Any, record: Capture) -> Callable[[], None] | None:
    """What plays the work up to the end of the LM head; None where that is not called."""
    reached = []

    def stop(*_: Any) -> None:
        raise _Reached

    def forward() -> None:
        hook = head.register_forward_hook(stop)
        try:
            work()
        except _Reached:
            reached.append(True)
        finally:
            hook.remove()

    replay, _ = record(forward)
    return replay if reached else None


@torch.no_grad()
def _seconds(replay: Callable[[], None], device: torch.device) -> float:
    """Of one play."""
    replay()
    one = _timed(replay, device, 1)
    count = min(max(int(_SECONDS / one), 2), 50)
    return statistics.median(_timed(replay, device, count) for _ in range(3))


def _timed(replay: Callable[[], None], device: torch.device, count: int) -> float:
    synchronize(device)
    begun = time.perf_counter()
    for _ in range(count):
        replay()
    synchronize(device)
    return (time.perf_counter() - begun) / count
