"""``--threads``: how many threads torch computes with on a CPU, chosen by what the machine has free.

A thread more than there are free cores makes every one of them wait for the slowest, so the default is never more than
the cores that this process may use (its affinity and its control group's quota) less those that others are using now.
"""

from __future__ import annotations

import math
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from dlmsample.cli import screen

#: Set by a user or a launcher, this environment variable is obeyed where ``--threads`` is not given.
VARIABLE = "OMP_NUM_THREADS"
_PROC, _CGROUP = Path("/proc"), Path("/sys/fs/cgroup")


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
    cores, all_cores = usable(), os.cpu_count() or 1
    if threads is None and os.environ.get(VARIABLE):
        return
    chosen = min(threads or free(), cores)
    if threads is None and chosen < all_cores:
        screen.note(f"threads: {chosen} of {all_cores} cores, those that are free now; --threads N asks for others")
    if threads is not None and chosen < threads:
        screen.note(f"threads: {chosen}, as this process may use no more cores")
    os.environ[VARIABLE] = str(chosen)
    import torch

    torch.set_num_threads(chosen)


def free() -> int:
    """Cores that this process may use and that nobody else is using, at least one."""
    return max(1, min(usable(), math.floor((os.cpu_count() or 1) - busy() + 0.5)))


def usable() -> int:
    """Cores that this process may use: those of its affinity, or fewer by the quota of its control group."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.floor(min(cores, quota())))


def quota() -> float:
    """Cores that the control group grants (version 2: cpu.max, version 1: cpu.cfs_quota_us); infinite without one."""
    limits = [math.inf]
    for folder in _groups():
        with suppress(OSError, ValueError, IndexError):
            limit, period = (folder / "cpu.max").read_text().split()
            limits.append(math.inf if limit == "max" else int(limit) / int(period))
        with suppress(OSError, ValueError):
            limit, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
            limits.append(math.inf if int(limit) <= 0 else int(limit) / int(period))
    return min(limits)


def _groups() -> list[Path]:
    """Folders of the control groups that this process is in, up to their roots."""
    folders: list[Path] = []
    with suppress(OSError):
        for line in (_PROC / "self" / "cgroup").read_text().split("\n"):
            _, _, rest = line.partition(":")
            controllers, _, path = rest.partition(":")
            if controllers and "cpu" not in controllers.split(","):
                continue
            root = _CGROUP / "cpu" if controllers else _CGROUP
            inside = root / path.strip("/")
            folders += [place for place in (inside, *inside.parents) if place == root or root in place.parents]
    return folders


def busy() -> float:
    """Cores that are in use now: the load average of a minute, but no more than what runs at this moment.

    The average alone remembers a program that has just ended, this one's last run for example.
    """
    with suppress(OSError, ValueError, IndexError):
        average, _, _, running, *_ = (_PROC / "loadavg").read_text().split()
        return min(float(average), max(0, int(running.partition("/")[0]) - 1))
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
