"""Checkpoints of a run: safetensors and JSON, no pickle; one counts once its marker, written last, exists."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

MARKER = "COMPLETE"
_PREFIX = "checkpoint-"


def model_state(module: nn.Module) -> dict[str, Tensor]:
    """A module's tensors, tied ones once (under their first name), contiguous, on the CPU."""
    seen: set[int] = set()
    out: dict[str, Tensor] = {}
    for name, tensor in module.state_dict().items():
        if tensor.data_ptr() in seen and tensor.numel():
            continue
        seen.add(tensor.data_ptr())
        out[name] = tensor.detach().cpu().contiguous()
    return out


def optimizer_state(optimizer: torch.optim.Optimizer, named: dict[str, nn.Parameter]) -> dict[str, Tensor]:
    """The optimiser's tensors under ``<parameter name>/<state name>``."""
    return {
        f"{name}/{key}": value.detach().cpu().contiguous()
        for name, parameter in named.items()
        for key, value in optimizer.state.get(parameter, {}).items()
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, named: dict[str, nn.Parameter], tensors: dict[str, Tensor]
) -> None:
    """Put back what :func:`optimizer_state` gave."""
    names = {id(parameter): name for name, parameter in named.items()}
    order = [names[id(p)] for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        name, _, part = key.rpartition("/")
        state.setdefault(order.index(name), {})[part] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def save(
    out: Path,
    step: int,
    model: dict[str, Tensor],
    optimizer: dict[str, Tensor],
    state: dict[str, Any],
    keep: int,
) -> Path:
    """Write ``out/checkpoint-<step>``, marker last, then remove all but the newest ``keep``."""
    folder = out / f"{_PREFIX}{step}"
    if (folder / MARKER).exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    save_file(model, folder / "model.safetensors")
    save_file(optimizer, folder / "optimizer.safetensors")
    (folder / "state.json").write_text(json.dumps(state, indent=1), encoding="utf-8")
    for path in (*folder.iterdir(), folder):
        sync(path)
    (folder / MARKER).touch()
    for path in (folder / MARKER, folder, out):
        sync(path)
    for old in complete(out)[:-keep]:
        remove(old)
    return folder


def remove(folder: Path) -> None:
    """Remove a checkpoint, its marker first: a removal cut short leaves no complete-looking ruin."""
    (folder / MARKER).unlink(missing_ok=True)
    shutil.rmtree(folder)


def complete(out: Path) -> list[Path]:
    """The run's complete checkpoints, oldest first."""
    return sorted((f for f in _folders(out) if (f / MARKER).exists()), key=_step)


def remove_incomplete(out: Path) -> list[Path]:
    """Remove the folders without a marker; returns them."""
    broken = [folder for folder in _folders(out) if not (folder / MARKER).exists()]
    for folder in broken:
        shutil.rmtree(folder)
    return broken


def read(folder: Path) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Any]]:
    """Model tensors, optimiser tensors and state of a checkpoint."""
    state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    return load_file(folder / "model.safetensors"), load_file(folder / "optimizer.safetensors"), state


def sync(path: Path) -> None:
    """Flush a file or folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _step(folder: Path) -> int:
    return int(folder.name.removeprefix(_PREFIX))


def _folders(out: Path) -> list[Path]:
    if not out.is_dir():
        return []
    return [f for f in out.glob(f"{_PREFIX}*") if f.is_dir() and f.name.removeprefix(_PREFIX).isdigit()]
