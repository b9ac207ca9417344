"""What a run tells: metrics as JSON lines and to trackers, samples, and progress on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dlmsample.support.trackers import Trackers

_OVER = {"positive_rate": "visible"}
"""Metrics over a position set that their names do not tell."""


class MetricSums:
    """Metrics of a run as sums and counts, kept on the device: nothing is read back until they are asked for.

    A mean over a position set (``ce/wrong``) is added up over the set's positions, a mean over rows (``loss``) over
    the rows, and divided once at the end. So a metric is the same however a batch is cut into micro-batches or spread
    over processes, and however wide the padding is. ``share/<set>`` is the set's part of all editable positions.
    """

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}

    def add(self, parts: Iterable[tuple[Mapping[str, Tensor], Tensor]], whole: Mapping[str, Tensor]) -> None:
        """Add the metrics of one step.

        Args:
            parts: of each micro-batch its metrics, scalars, of which each ``share/<set>`` says which part of all
                positions, padding included, the set is; and ``editable``, bool ``[row, pos]``, as the objective got it.
            whole: values of the whole step that are the same in every process, such as the gradient's norm.
        """
        for values, editable in parts:
            self._add_part(values, editable)
        for name, value in whole.items():
            self._add(_STEP + name, value.detach().float())
            self._add(_STEPS + name, torch.ones_like(value, dtype=torch.float32))

    def _add_part(self, values: Mapping[str, Tensor], editable: Tensor) -> None:
        self._add(_EDITABLE, editable.sum().float())
        self._add(_ROWS, editable.new_full((), len(editable), dtype=torch.float32))
        for name, value in values.items():
            size = values.get(f"share/{_members(name)}")
            if name.startswith("share/"):
                added = (value.detach().float() * editable.numel()).round()
            else:
                count = float(len(editable)) if size is None else (size.detach().float() * editable.numel()).round()
                added = value.detach().float() * count
            self._add(name, added)

    def take(self, reduce: Callable[[Tensor], Any]) -> dict[str, float]:
        """The metrics since the last call, in one read; ``reduce`` adds up over the processes."""
        names = sorted(self.sums)
        total = torch.as_tensor(reduce(torch.stack([self.sums[name] for name in names]))).tolist()
        found, self.sums = dict(zip(names, total, strict=True)), {}
        metrics = {}
        for name, value in found.items():
            if name.startswith(_STEP):
                metrics[name.removeprefix(_STEP)] = value / found[_STEPS + name.removeprefix(_STEP)]
            elif not name.startswith("("):
                metrics[name] = value / (found[_count(name, found)] or 1.0)
        return metrics

    def _add(self, name: str, value: Tensor) -> None:
        self.sums[name] = self.sums[name] + value if name in self.sums else value


_EDITABLE, _ROWS, _STEP, _STEPS = "(editable)", "(rows)", "(step)", "(steps)"
"""Names of sums that are no metrics themselves."""


def _members(name: str) -> str:
    """The position set that a metric is a mean over; empty for one over rows."""
    return _OVER.get(name, name.partition("/")[2])


def _count(name: str, found: Mapping[str, float]) -> str:
    """The sum that a metric's own is divided by."""
    if name.startswith("share/"):
        return _EDITABLE
    size = f"share/{_members(name)}"
    return size if size in found else _ROWS


class RunLog:
    """Writes ``metrics.jsonl`` and shows progress: a bar on a terminal, else one plain line per entry.

    The same numbers go to the trackers that ``report_to`` names; None: TensorBoard, if it is installed.
    """

    def __init__(
        self,
        out: Path,
        start: int,
        total: int,
        enabled: bool = True,
        report_to: Sequence[str] | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        self.enabled, self.total, self.bar = enabled, total, None
        if not enabled:
            return
        self.samples = out / "samples.jsonl"
        for path in (out / "metrics.jsonl", self.samples):
            trim(path, start)
        self.file = (out / "metrics.jsonl").open("a", encoding="utf-8")
        names = _usual() if report_to is None else report_to
        self.trackers = Trackers(names, out, config or {}, start)
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress

            self.bar = Progress(console=Console(stderr=True))
            self.task = self.bar.add_task("train", total=total, completed=start)
            self.bar.start()

    def log(self, step: int, values: dict[str, Any]) -> None:
        """Record one entry."""
        if not self.enabled:
            return
        self.file.write(json.dumps({"step": step, **values}) + "\n")
        self.file.flush()
        self.trackers.log(values, step)
        text = f"loss {values['loss']:.4f}  lr {values['lr']:.2e}  {values['tokens_per_s']:,.0f} tokens/s"
        if self.bar:
            self.bar.update(self.task, completed=step, description=text)
        else:
            print(f"step {step}/{self.total}  {text}", file=sys.stderr, flush=True)

    def sample(self, step: int, answers: list[dict[str, Any]]) -> None:
        """Record answers to validation prompts in ``samples.jsonl``."""
        with self.samples.open("a", encoding="utf-8") as file:
            for answer in answers:
                file.write(json.dumps({"step": step, **answer}, ensure_ascii=False) + "\n")
        text = "\n\n".join(f"    {a['text']!r}" for a in answers)
        self.trackers.log({"samples": text}, step)

    def close(self) -> None:
        if self.enabled:
            self.file.close()
            self.trackers.close()
            if self.bar:
                self.bar.stop()


def _usual() -> tuple[str, ...]:
    """What a run that names no tracker writes beside its own files: TensorBoard's, where it is installed."""
    if find_spec("tensorboard") is not None:
        return ("tensorboard",)
    note = "no TensorBoard files: pip install 'dlmsample[tensorboard]' (metrics.jsonl holds the same numbers)"
    print(note, file=sys.stderr)
    return ()


def trim(path: Path, start: int) -> None:
    """Take back what a killed run wrote after its last checkpoint: it would stand there twice.

    Only lines of a run are removed: those with a later step, and a last one that was cut short. A line ends with
    ``\\n`` and nothing else.
    """
    if not path.exists():
        return
    *lines, _ = path.read_bytes().split(b"\n")
    path.write_bytes(b"".join(line + b"\n" for line in lines if _step(line) <= start))


def _step(line: bytes) -> float:
    """The step of a line that a run wrote; any other line has always been there."""
    try:
        found = json.loads(line)
        return float(found["step"]) if found.keys() & {"loss", "text"} else 0.0
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return 0.0
