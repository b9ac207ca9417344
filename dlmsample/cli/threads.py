"""``--threads``: how many threads torch computes with on a CPU, chosen by what the machine has free.

A thread more than there are free cores makes every one of them wait for the slowest, so the default is never more than
the cores that this process may use (its affinity and its control group's quota) less those that others are using now.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated

import typer

from dlmsample.cli import screen
from dlmsample.support import cores

#: Set by a user or a launcher, this environment variable is obeyed where ``--threads`` is not given.
VARIABLE = "OMP_NUM_THREADS"


@dataclass(frozen=True, kw_only=True)
class ThreadOptions:
    """How many threads a command computes with."""

    threads: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="CPU threads of torch.  [default: OMP_NUM_THREADS, or as many cores as are free]"
        ),
    ] = None


def use(threads: int | None) -> None:
    """Make torch compute with so many threads, here and in processes that are started from here.

    Args:
        threads: from ``--threads``, at most as many as there are cores; None: as the environment says, else those
            that are free. What was chosen is said once where it is not every core.
    """
    allowed, all_cores = cores.usable(), os.cpu_count() or 1
    if threads is None and os.environ.get(VARIABLE):
        return
    chosen = min(threads or cores.free(), allowed)
    if threads is None and chosen < all_cores:
        screen.note(f"threads: {chosen} of {all_cores} cores, those that are free now; --threads N asks for others")
    if threads is not None and chosen < threads:
        screen.note(f"threads: {chosen}, as this process may use no more cores")
    os.environ[VARIABLE] = str(chosen)
    import torch

    torch.set_num_threads(chosen)
