"""Decoders to measure against each other, on the same body, weights and prompts: ours, and loops as others write them.

Each takes a checkpoint, prompts of one length and a policy, and gives back tokens and how many forwards it made.
Opened once for a job and run as often as one likes: ours keeps what it captured from one run to the next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks.peers import llada, llada2, ours, pipeline
from benchmarks.peers.rule import Answer, Job, Opened, Unfit


@dataclass(frozen=True)
class Peer:
    """A decoder and what it is."""

    open: Callable[[Job], Opened]
    summary: str
    ours: bool = False  #: its first run prepares the ones that follow
    approximate: str = ""  #: the approximate cache that it reads: other tokens come out


def _each_time(decode: Callable[[Job], Answer]) -> Callable[[Job], Opened]:
    """What keeps nothing between runs."""
    return lambda job: Opened(job.model, partial(decode, job))


PEERS: dict[str, Peer] = {
    "ours": Peer(ours.open_sampler, "dlmsample's Sampler as it comes", ours=True),
    "ours_fused": Peer(ours.open_fused, "the same, compiled: load(..., compile=True)", ours=True),
    "ours_plain": Peer(ours.open_plain, "the same without captured graphs", ours=True),
    "ours_prefix": Peer(partial(ours.open_approximate, "prefix"), 'Sampler(cache="prefix")', True, "prefix"),
    "ours_dual": Peer(partial(ours.open_approximate, "dual"), 'Sampler(cache="dual")', True, "dual"),
    "ours_prefix_fused": Peer(
        partial(ours.open_approximate, "prefix", compiled=True), 'Sampler(cache="prefix"), compiled', True, "prefix"
    ),
    "ours_dual_fused": Peer(
        partial(ours.open_approximate, "dual", compiled=True), 'Sampler(cache="dual"), compiled', True, "dual"
    ),
    "ours_dual_plain": Peer(
        partial(ours.open_approximate, "dual", graphs=False),
        'Sampler(cache="dual") without captured graphs',
        True,
        "dual",
    ),
    "diffusers": Peer(_each_time(pipeline.decode), "diffusers' LLaDA2Pipeline"),
    "llada2": Peer(
        _each_time(llada2.decode),
        "a plain loop as LLaDA2 states it: the prefix at every step",
    ),
    "llada": Peer(_each_time(llada.decode), "a plain loop as LLaDA states it: the whole canvas at every step"),
}
"""By the name that the command line takes."""

__all__ = ["PEERS", "Answer", "Job", "Opened", "Peer", "Unfit"]
