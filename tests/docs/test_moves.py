"""What benchmarks/moves.py counts."""

from __future__ import annotations

import dlmsample as ds
from benchmarks.moves import recorded


def test_what_other_libraries_do_is_not_counted() -> None:
    with recorded() as way:
        sorted([3, 1, 2], key=lambda x: -x)
    assert not way.calls
    assert not way.moves


def test_a_way_returns_as_often_as_it_goes(nano: ds.Denoiser) -> None:
    sampler = ds.Sampler(nano, ds.Unmask())
    prompt = "Ann had 3 pens and bought 2 more."
    ways = []
    for new in (1, 1, 2):
        with recorded() as way:
            sampler.generate([prompt], max_new_tokens=new)
        ways.append(way)
    assert all(way.moves[there, here] == count for way in ways for (here, there), count in way.moves.items())
    assert all(here != there for way in ways for here, there in way.moves)
    assert 0 < ways[2].minus(ways[1]).moves.total() < ways[2].moves.total()
