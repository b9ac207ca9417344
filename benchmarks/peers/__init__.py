"""Decoders to measure against each other, on the same body, weights and prompts: ours, and loops as others write them.

Each takes a checkpoint, prompts of one length and a policy, and gives back tokens and how many forwards it made.
Opened once for a job and run as often as one likes: ours keeps what it captured from one run to the next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks.peers import llada, llada2, ours, pipeline
from benchmarks.peers.rule import Answer, Job, Unfit


@dataclass(frozen=True)
class Peer:
    """A decoder and what it is."""

    open: Callable[[Job], Callable[[], Answer]]
    summary: str


def _each_time(decode: Callable[[Job], Answer]) -> Callable[[Job], Callable[[], Answer]]:
    """What keeps nothing between runs."""
    return lambda job: partial(decode, job)


PEERS: dict[str, Peer] = {
    "ours": Peer(ours.open_sampler, "dlmsample's Sampler as it comes"),
    "ours_fused": Peer(ours.open_fused, "the same with norms and MLPs compiled, load(..., compile=True)"),
    "ours_plain": Peer(ours.open_plain, "the same without captured graphs"),
    "diffusers": Peer(_each_time(pipeline.decode), "diffusers' LLaDA2Pipeline"),
    "llada2": Peer(
        _each_time(llada2.decode),
        "a plain loop as LLaDA2 states it: the prefix at every step",
    ),
    "llada": Peer(_each_time(llada.decode), "a plain loop as LLaDA states it: the whole canvas at every step"),
}
"""By the name that the command line takes."""

__all__ = ["PEERS", "Answer", "Job", "Peer", "Unfit"]
