"""Checkpoints of a run: safetensors and JSON, no pickle; one counts once its marker, written last, exists."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

MARKER = "COMPLETE"
_PREFIX = "checkpoint-"


class Saved(NamedTuple):
    """What a checkpoint holds."""

    model: dict[str, Tensor]
    """What trains, by parameter name."""
    optimizer: dict[str, Tensor]
    """``<parameter name>/<state name>``."""
    average: dict[str, Tensor]
    """The moving average of ``model``; empty where the run keeps none."""
    state: dict[str, Any]


def whole(tensor: Tensor, keep: bool = True) -> Tensor:
    """A tensor on the CPU; a sharded one is gathered, by all processes together, for those that ``keep`` it."""
    tensor = tensor.detach()
    if isinstance(tensor, DTensor):
        tensor = tensor.full_tensor()
    return tensor.cpu().contiguous() if keep else tensor.new_empty(0)


def place(target: Tensor, value: Tensor) -> Tensor:
    """``value`` on the device of ``target``, sharded like it where it is sharded."""
    if isinstance(target, DTensor) and value.shape == target.shape:
        return distribute_tensor(value.to(target.device), target.device_mesh, target.placements)
    return value


def model_state(named: Mapping[str, Tensor], keep: bool = True) -> dict[str, Tensor]:
    """Whole copies of named tensors on the CPU."""
    return {name: whole(tensor, keep) for name, tensor in named.items()}


@torch.no_grad()
def restore_model(named: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    """Put back what :func:`model_state` gave.

    Raises:
        ValueError: other names than these.
    """
    if odd := sorted(named.keys() ^ tensors.keys()):
        raise ValueError(f"the checkpoint does not fit the model: {odd[0]} is in one of them only")
    for name, tensor in named.items():
        tensor.copy_(place(tensor, tensors[name]))


def optimizer_state(
    optimizer: torch.optim.Optimizer, named: Mapping[str, nn.Parameter], keep: bool = True
) -> dict[str, Tensor]:
    """The optimiser's tensors under ``<parameter name>/<state name>``."""
    return {
        f"{name}/{key}": whole(value, keep)
        for name, parameter in named.items()
        for key, value in optimizer.state.get(parameter, {}).items()
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, named: Mapping[str, nn.Parameter], tensors: Mapping[str, Tensor]
) -> None:
    """Put back what :func:`optimizer_state` gave."""
    names = {id(parameter): name for name, parameter in named.items()}
    places = {names[id(p)]: at for at, p in enumerate(p for group in optimizer.param_groups for p in group["params"])}
    kept: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        name, _, part = key.rpartition("/")
        kept.setdefault(places[name], {})[part] = place(named[name], value)
    optimizer.load_state_dict({"state": kept, "param_groups": optimizer.state_dict()["param_groups"]})


def save(out: Path, step: int, saved: Saved, keep: int) -> Path:
    """Write ``out/checkpoint-<step>``, marker last, then remove all but the newest ``keep``."""
    folder = out / f"{_PREFIX}{step}"
    if (folder / MARKER).exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    save_file(saved.model, folder / "model.safetensors")
    save_file(saved.optimizer, folder / "optimizer.safetensors")
    if saved.average:
        save_file(saved.average, folder / "average.safetensors")
    (folder / "state.json").write_text(json.dumps(saved.state, indent=1), encoding="utf-8")
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


def state(folder: Path) -> dict[str, Any]:
    """The state of a checkpoint alone, without its tensors."""
    return json.loads((folder / "state.json").read_text(encoding="utf-8"))


def read(folder: Path) -> Saved:
    """All of a checkpoint."""
    average = folder / "average.safetensors"
    return Saved(
        load_file(folder / "model.safetensors"),
        load_file(folder / "optimizer.safetensors"),
        load_file(average) if average.exists() else {},
        state(folder),
    )


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
