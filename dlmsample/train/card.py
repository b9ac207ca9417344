"""What a reader needs to make a run's result again: its record and its model card."""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

import torch

from dlmsample.train.config import TrainConfig


def command(arguments: Sequence[str]) -> str:
    """A command line without this machine in it: the program's name, and of absolute paths the last part.

    Example:
        >>> command(["/usr/bin/dlmsample", "train", "--out", "/home/ann/runs/a", "data.path=/data/x.jsonl"])
        'dlmsample train --out a data.path=x.jsonl'
    """
    program, *rest = arguments or ("",)
    path = PurePath(program)
    if path.name == "__main__.py":
        parts = path.parts[:-1]
        inside = parts[len(parts) - 1 - parts[::-1].index("dlmsample") :] if "dlmsample" in parts else parts[-1:]
        start = f"python -m {'.'.join(inside)}"
    else:
        start = path.name
    return " ".join([start, shlex.join(_short(word) for word in rest)]).strip()


def _short(word: str) -> str:
    key, separator, value = word.rpartition("=")
    return key + separator + (PurePath(value).name if PurePath(value).is_absolute() else value)


def record(config: TrainConfig, recipe: str, device: torch.device, processes: int) -> dict[str, Any]:
    """What stays the same over a run."""
    return {
        "recipe": _short(recipe),
        "command": command(sys.argv),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else f"{platform.machine()} CPU",
        "processes": processes,
        "torch": torch.__version__,
        "steps": config.steps,
        "seed": config.seed,
        "config": config.model_dump(mode="json"),
    }


def summary(config: TrainConfig) -> str:
    """One line: what was trained on what."""
    source = config.model.init or f"a new {config.model.type} body"
    kind = f"LoRA r {config.lora.rank}" if config.lora else "all weights"
    if not config.trains_backbone:
        kind = "correction head"
    elif config.head is not None:
        kind += " and a correction head"
    return f"{kind}, objective {_objective(config)}, on {_short(source)}, {config.steps} steps of {config.batch_size}"


def _objective(config: TrainConfig) -> str:
    """The objective with the options that were set."""
    options = ", ".join(f"{key} {value}" for key, value in config.objective.options.items())
    return f"{config.objective.name} ({options})" if options else config.objective.name


def card(config: TrainConfig, facts: dict[str, Any]) -> str:
    """The README.md of a result.

    Args:
        config: the run.
        facts: its record, as ``training.json`` holds it.
    """
    base = _short(config.model.init or "")
    where = "a folder, or its short name or hub id"
    load = f'dlmsample.load("this folder")  # {where}'
    library = "transformers"
    if not config.trains_backbone:
        load, library = f'dlmsample.load("{base}", head="this folder")  # {where}', "dlmsample"
    elif config.lora is not None:
        load, library = f'dlmsample.load("{base}", adapter="this folder")  # {where}', "peft"
    precision = {"no": "float32", "bf16": "bfloat16 autocast"}[config.precision]
    lines = ["---", f"library_name: {library}"]
    if base:
        lines.append(f"base_model: {base}")
    lines += [
        "tags: [dlmsample, masked-diffusion]",
        "---",
        f"# {facts['summary']}",
        "",
        "```python",
        "import dlmsample",
        "",
        f"model = {load}",
        "```",
        "",
        "## How it was made",
        "| | |",
        "|---|---|",
        f"| command | `{facts['command']}` |",
        f"| recipe | {facts['recipe'] or 'none'} |",
        f"| objective | {_objective(config)} |",
        f"| data | {_data(config)} |",
        f"| steps | {facts['step']} of {config.batch_size} examples, seed {config.seed} |",
        f"| optimiser | AdamW, lr {config.lr:g}, {config.schedule}, warm-up {config.warmup}, {precision} |",
        f"| trained parameters | {facts['trained_parameters']:,} |",
        f"| device | {facts['processes']} x {facts['device']}, {facts['seconds']:.0f} s, torch {facts['torch']} |",
    ]
    if config.ema is not None:
        lines.append(f"| weights | moving average, decay {config.ema:g} |")
    for title, key in (("Last metrics of the training", "metrics"), ("On the validation split", "validation")):
        if facts.get(key):
            lines += ["", f"## {title}", "| | |", "|---|---|"]
            lines += [f"| {name} | {value:.6g} |" for name, value in sorted(facts[key].items()) if value is not None]
    lines += _operating(facts.get("operating_point"))
    return "\n".join([*lines, "", "`training.json` holds the whole configuration.", ""])


def _operating(found: dict[str, Any] | None) -> list[str]:
    """How a head's operating point was chosen, with what each threshold did."""
    if found is None:
        return []
    lines = [
        "",
        "## Operating point",
        f"P_error 0.5 is the threshold with the best {found['chosen_by']} on validation data.",
    ]
    if not found["tried"]:
        return lines
    lines += [
        "",
        "| P_error above | tokens a step | exact answers | steps | plain | its steps | |",
        "|---|---|---|---|---|---|---|",
    ]
    return lines + [
        f"| {row['threshold']:.4g} | {row['tokens_per_step']} | {row['accuracy']:.1%} | {row['steps']:.1f} "
        f"| {row['plain_accuracy']:.1%} | {row['plain_steps']:.1f} | {'chosen' if row['chosen'] else ''} |"
        for row in found["tried"]
    ]


def _data(config: TrainConfig) -> str:
    if config.task is not None:
        return f"generated: {config.task.name}, train split"
    assert config.data is not None
    names = [Path(path).name for path in config.data.paths] or [f"{config.data.hub}, {config.data.split} split"]
    return ", ".join(names)
