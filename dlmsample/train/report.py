"""What a run tells: metrics as JSON lines and to TensorBoard, samples, and progress on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


class MetricSums:
    """Running means kept on the device: nothing is read back until they are asked for.

    A value over a position set (``ce/wrong``) counts by the set's size (``share/wrong``): a micro-batch without
    members of the set does not pull its mean towards 0.
    """

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.count = 0

    def add(self, values: dict[str, Tensor], share: float) -> None:
        """Add one micro-batch's scalars, which count ``share`` of a step."""
        for name, value in values.items():
            size = values[_size(name)] if _size(name) in values else torch.ones_like(value)
            value = value.detach().float() * size * share
            self.sums[name] = self.sums[name] + value if name in self.sums else value

    def take(self, reduce: Callable[[Tensor], Any]) -> dict[str, float]:
        """The means over the steps since the last call, in one read; ``reduce`` averages over processes."""
        names = sorted(self.sums)
        values = torch.as_tensor(reduce(torch.stack([self.sums[name] for name in names]) / self.count)).tolist()
        self.sums, self.count = {}, 0
        found = dict(zip(names, values, strict=True))
        return {name: value / (found.get(_size(name), 1.0) or 1.0) for name, value in found.items()}


def _size(name: str) -> str:
    """The metric that says how large the position set of ``name`` is."""
    kind, _, members = name.partition("/")
    return "" if kind == "share" else f"share/{members}"


class RunLog:
    """Writes ``metrics.jsonl`` (and TensorBoard's files, if it is installed) and shows progress: a bar on a
    terminal, else one plain line per entry."""

    def __init__(self, out: Path, start: int, total: int, enabled: bool = True) -> None:
        self.enabled, self.total, self.bar = enabled, total, None
        if not enabled:
            return
        self.samples = out / "samples.jsonl"
        for path in (out / "metrics.jsonl", self.samples):
            trim(path, start)
        self.file = (out / "metrics.jsonl").open("a", encoding="utf-8")
        self.board = tensorboard(out / "tensorboard", start)
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
        if self.board is not None:
            for name, value in values.items():
                self.board.add_scalar(name, value, step)
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
        if self.board is not None:
            self.board.add_text("samples", "\n\n".join(f"    {a['text']!r}" for a in answers), step)

    def close(self) -> None:
        if self.enabled:
            self.file.close()
            if self.board is not None:
                self.board.close()
            if self.bar:
                self.bar.stop()


def tensorboard(folder: Path, start: int) -> Any:
    """A writer of TensorBoard's files that takes back what a killed run wrote after ``start``; None without it."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        note = "no TensorBoard files: pip install 'dlmsample[tensorboard]' (metrics.jsonl holds the same numbers)"
        print(note, file=sys.stderr)
        return None
    return SummaryWriter(str(folder), purge_step=start + 1)


def trim(path: Path, start: int) -> None:
    """Take back what a killed run wrote after its last checkpoint: it would stand there twice."""
    if path.exists():
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(line for line in lines if _step(line) <= start), encoding="utf-8")


def _step(line: str) -> float:
    """The step of a metrics line; a line cut short by a kill counts as never reached."""
    try:
        return float(json.loads(line)["step"]) if line.endswith("\n") else float("inf")
    except (ValueError, KeyError, TypeError):
        return float("inf")
