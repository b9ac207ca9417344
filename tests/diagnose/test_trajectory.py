"""Edits and returns against a loop over the events, and on traces that are known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dlmsample as ds
from dlmsample.diagnose import Move, trajectory
from dlmsample.types import Event

MASK = 9


def write(position: int, step: int, old: int, new: int) -> Event:
    kind = "fill" if old == MASK else "remask" if new == MASK else "replace"
    return Event(kind, step, 0, position, old, new, 0.5, None, None)


def by_loop(traces: list[list[Event]]) -> list[Move]:
    found = []
    for answer, trace in enumerate(traces):
        held: dict[int, list[int]] = {}
        for event in trace:
            if event.kind == "remask":
                continue
            had = held.setdefault(event.position, [])
            if had:
                found.append(Move(answer, event.position, event.step, had[-1], event.new, event.new in had))
            had.append(event.new)
    return found


@st.composite
def walks(draw: st.DrawFn) -> list[list[Event]]:
    """Answers whose few positions take tokens or masks, step by step."""
    traces = []
    for _ in range(draw(st.integers(0, 3))):
        now, trace = [MASK] * 3, []
        for step, after in enumerate(draw(st.lists(st.tuples(*[st.sampled_from([0, 1, 2, MASK])] * 3), max_size=8))):
            trace += [write(at, step, now[at], new) for at, new in enumerate(after) if new != now[at]]
            now = list(after)
        traces.append(trace)
    return traces


@given(walks())
def test_moves_and_shares_equal_a_loop(traces: list[list[Event]]) -> None:
    found, want = trajectory(traces), by_loop(traces)
    assert list(found.moves) == want
    assert (found.returns.count, found.returns.total) == (sum(move.returns for move in want), len(want))
    edited = {(move.answer, move.position) for move in want}
    looping = {(move.answer, move.position) for move in want if move.returns}
    assert (found.positions.count, found.positions.total) == (len(looping), len(edited))


def test_two_tokens_in_turn_return_at_every_edit_but_the_first() -> None:
    swaps = [write(0, 0, MASK, 1), *(write(0, step, 2 - step % 2, 1 + step % 2) for step in range(1, 6))]
    found = trajectory([swaps, [write(0, 0, MASK, 1), write(0, 1, 1, MASK), write(0, 2, MASK, 1)]])
    assert [move.returns for move in found.moves] == [False, True, True, True, True, True]
    assert found.moves[-1] == Move(1, 0, 2, 1, 1, True)  # the same token after a remask
    assert found.returns.low is not None


def test_nothing_recorded_is_nothing_to_share() -> None:
    for traces in ([], [[]], [[write(0, 0, MASK, 1)]]):
        found = trajectory(traces)
        assert (found.moves, found.returns.value, found.positions.total) == ((), None, 0)


@pytest.mark.parametrize(
    "policy", [ds.T2T(fill_threshold=0.3), ds.T2M(fill_threshold=0.3), ds.Unmask(tokens_per_step=4)]
)
def test_recorded_decoding_counts_its_own_edits(policy: ds.Policy) -> None:
    prompts = [example.prompt for example in ds.tasks.load("wordproblems", "valid", 2)]
    out = ds.Sampler(ds.load("nano"), policy).generate(prompts, max_new_tokens=64, record=True)
    assert out.trace is not None
    found = trajectory(out.trace)
    assert list(found.moves) == by_loop(out.trace)
    if isinstance(policy, ds.Unmask):
        assert not found.moves
    else:
        assert found.moves
