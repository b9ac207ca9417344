"""The command that shows how an answer of a grid was decoded: a grid keeps answers and counts, not every event."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from dlmsample.ablate.spec.grid import CheckpointEntry
from dlmsample.ablate.storage.records import CellInfo, ExampleResult
from dlmsample.ablate.workers.units import row_seed
from dlmsample.support.text import printable, scalar

#: What the command line decodes with where it is told nothing.
_DEFAULTS = {"temperature": 0.0, "top_p": 1.0, "top_k": None}


def trace_command(grid: Mapping[str, Any], cell: CellInfo, result: ExampleResult) -> str | None:
    """``dlmsample generate`` for one answer, with a page of its steps; None where no command line says it all.

    It decodes the prompt under the same options, settings and key of randomness, so on the same kind of device and in
    float32 it gives the answer that the grid has.

    Args:
        grid: of the run, its defaults written out.
        cell: the answer's.
        result: the answer.
    """
    entries = [CheckpointEntry(**entry) for entry in grid.get("checkpoints", ())]
    entry = next((entry for entry in entries if entry.label == cell.checkpoint), None)
    nested = any(isinstance(value, (Mapping, list, tuple)) for value in cell.options.values())
    piped = result.prompt == "-"  # what the command line takes for standard input
    if entry is None or nested or piped or printable(result.prompt) != result.prompt:
        return None
    words = ["dlmsample", "generate", "--model", entry.model]
    for name in ("adapter", "head", "dtype"):
        if (value := getattr(entry, name)) is not None:
            words += [f"--{name}", value]
    words += ["--policy", cell.policy_name]
    for name, value in cell.options.items():
        words += ["--set", f"{name}={_scalar(value)}"]
    if cell.block_length is not None:
        words += ["--block-length", str(cell.block_length)]
    words += ["--max-new-tokens", str(cell.max_new_tokens)]
    settings = {"temperature": cell.temperature, "top_p": grid.get("top_p"), "top_k": grid.get("top_k")}
    for name, value in settings.items():
        if value not in (None, _DEFAULTS[name]):
            words += [f"--{name.replace('_', '-')}", scalar(value)]
    words += [f"--seed={row_seed(cell.seed, result.index)}", "--trace", f"trace-{result.index}.html"]
    return shlex.join([*words, "--", result.prompt])  # which may begin with a dash


def _scalar(value: Any) -> str:
    """A value as ``--set`` reads it; a text that YAML would take for something else is quoted."""
    return json.dumps(value) if isinstance(value, str) and not value.replace("_", "").isalpha() else scalar(value)
