"""What a run tells: metrics as JSON lines, and progress on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


class Means:
    """Running means kept on the device: nothing is read back until they are asked for."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.count = 0

    def add(self, values: dict[str, Tensor], share: float) -> None:
        """Add one micro-batch's scalars, which count ``share`` of a step."""
        for name, value in values.items():
            value = value.detach().float() * share
            self.sums[name] = self.sums[name] + value if name in self.sums else value

    def take(self, reduce: Callable[[Tensor], Any]) -> dict[str, float]:
        """The means over the steps since the last call, in one read; ``reduce`` averages over processes."""
        names = sorted(self.sums)
        values = torch.as_tensor(reduce(torch.stack([self.sums[name] for name in names]) / self.count))
        self.sums, self.count = {}, 0
        return dict(zip(names, values.tolist(), strict=True))


class Report:
    """Writes ``metrics.jsonl`` and shows progress: a bar on a terminal, else one plain line per entry."""

    def __init__(self, out: Path, start: int, total: int, enabled: bool = True) -> None:
        self.enabled, self.total, self.bar = enabled, total, None
        if not enabled:
            return
        path = out / "metrics.jsonl"
        # Lines that a killed run wrote after its last checkpoint would otherwise stand there twice.
        if path.exists():
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            path.write_text("".join(line for line in lines if _step(line) <= start), encoding="utf-8")
        self.file = path.open("a", encoding="utf-8")
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
        text = f"loss {values['loss']:.4f}  lr {values['lr']:.2e}  {values['tokens_per_s']:,.0f} tokens/s"
        if self.bar:
            self.bar.update(self.task, completed=step, description=text)
        else:
            print(f"step {step}/{self.total}  {text}", file=sys.stderr, flush=True)

    def close(self) -> None:
        if self.enabled:
            self.file.close()
            if self.bar:
                self.bar.stop()


def _step(line: str) -> float:
    """The step of a metrics line; a line cut short by a kill counts as never reached."""
    try:
        return float(json.loads(line)["step"]) if line.endswith("\n") else float("inf")
    except (ValueError, KeyError, TypeError):
        return float("inf")
