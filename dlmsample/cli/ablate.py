"""``dlmsample ablate``: check the grid, then estimate it or run it."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlmsample.cli import interrupt, screen
from dlmsample.cli.text import one_line

if TYPE_CHECKING:
    from dlmsample.ablate.estimate import Estimate
    from dlmsample.ablate.run import Summary


@dataclass(frozen=True)
class Request:
    """The options of ``ablate`` as typed; see its help."""

    grid: str
    out: str | None = None
    resume: bool = True
    retry: bool = False
    engine: str = "local"
    address: str | None = None
    device: str | None = None
    limit: int | None = None
    batch_size: int | None = None
    data_dir: str | None = None
    allow_code_execution: bool = False
    accept_versions: bool = False
    dry_run: bool = False
    as_json: bool = False


def ablate(request: Request) -> int:
    """Do what was asked; the exit code: 0: all cells are done, 1: some failed, 130: interrupted.

    Raises:
        ValueError: anything the user can put right.
    """
    if request.out is None and not request.dry_run:
        raise ValueError("give --out DIR: results and the report go there (or --dry-run for an estimate alone)")
    if request.address is not None and request.engine != "ray":
        raise ValueError("--address is that of a Ray cluster: add --engine ray")
    from dlmsample.ablate.spec.grid import read

    read(request.grid)  # mistakes in the file are told before anything heavy is imported
    _import()
    try:
        with interrupt.raising():
            return _estimate(request) if request.dry_run else _run(request)
    except KeyboardInterrupt:
        more = "" if request.dry_run else "; the same command goes on"
        sys.stderr.write(f"dlmsample: interrupted{more}\n")
        return 130


def _import() -> None:
    """Import all that is needed now: an interrupted import would not end in one line."""
    screen.silence()
    import dlmsample.ablate.estimate
    import dlmsample.ablate.run
    import dlmsample.decoding.sampler  # noqa: F401


def _changes(request: Request) -> dict[str, Any]:
    """What the options change in the grid, and in which of the stored results count."""
    given = {"data_dir": request.data_dir, "allow_code_execution": request.allow_code_execution}
    options = {key: value for key, value in given.items() if value}
    return {
        "task_options": options,
        "limit": request.limit,
        "batch_size": request.batch_size,
        "accept_versions": request.accept_versions,
    }


def _command(request: Request) -> str:
    """The command that gives these results, from anywhere in their history."""
    words = ["dlmsample", "ablate", request.grid]
    for name in ("out", "engine", "address", "device", "limit", "batch_size", "data_dir"):
        value = getattr(request, name)
        if value != getattr(Request, name):
            words += [f"--{name.replace('_', '-')}", str(value)]
    flags = [
        f"--{name.replace('_', '-')}" for name in ("allow_code_execution", "accept_versions") if getattr(request, name)
    ]
    return shlex.join([*words, *flags])


def _estimate(request: Request) -> int:
    from dlmsample.ablate.estimate import estimate

    found = estimate(request.grid, request.out, device=request.device, **_changes(request))
    if request.as_json:
        sys.stdout.write(json.dumps(found.asdict()) + "\n")
    else:
        screen.say(screen.console(sys.stdout), "\n".join(_estimate_lines(found)))
    return 0


def _estimate_lines(found: Estimate) -> list[str]:
    left = found.examples - found.stored
    stored = f", {found.stored} stored already" if found.stored else ""
    lines = [
        f"grid      {found.name}: {found.cells} cells, {found.examples} examples{stored}",
    ]
    if found.warning is not None:
        lines.append(f"warning   {found.warning}")
    if found.forwards is not None:
        lines.append(
            f"forwards  about {found.forwards:,} for the {left} examples to run; {found.bound:,} steps at most"
        )
    if found.seconds is not None:
        lines.append(f"time      about {duration(found.seconds)}, from {found.sampled} examples run now")
    return lines + [f"failed    {where}: {one_line(error)}" for where, error in found.errors.items()]


def _run(request: Request) -> int:
    from dlmsample.ablate.run import run

    found = run(
        request.grid,
        Path(request.out or ""),
        engine=request.engine,
        device=request.device,
        address=request.address,
        fresh=not request.resume,
        retry=request.retry,
        progress=True,
        command=_command(request),
        isolate=True,
        **_changes(request),
    )
    if request.as_json:
        sys.stdout.write(json.dumps(found.asdict()) + "\n")
    else:
        screen.say(screen.console(sys.stdout), "\n".join(_run_lines(found)))
    return 0 if found.done == found.cells else 1


def _run_lines(found: Summary) -> list[str]:
    failed = f", {found.failed} failed" if found.failed else ""
    lines = [
        f"grid    {found.name}: {found.done}/{found.cells} cells done{failed}; {found.examples} examples, "
        f"{found.ran} run now in {duration(found.seconds)}"
    ]
    if found.apart:
        lines.append(
            f"apart   {found.apart} answers of other versions or devices are kept (--accept-versions counts them)"
        )
    lines += [f"failed  {cell}: {one_line(error)}" for cell, error in found.errors.items()]
    if found.errors:
        lines.append("again   the same command with --retry runs failed cells again")
    return lines + [f"report  {path}" for path in found.report]


def duration(seconds: float) -> str:
    """Seconds for people.

    Example:
        >>> duration(7.4), duration(95), duration(7260)
        ('7 s', '1 min 35 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
