"""How many cores this process may use, and how many of them are free now."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from pathlib import Path

_PROC, _CGROUP = Path("/proc"), Path("/sys/fs/cgroup")


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
