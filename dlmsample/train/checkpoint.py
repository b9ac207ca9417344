"""Checkpoints of a run: safetensors and JSON, no pickle.

A checkpoint is a folder ``checkpoint-<step>``. Its first file marks it as written by this package, so that it may be
deleted; its last one says that it is complete, so that a run may go on from it.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from dlmsample.support.text import one_line, parse_json
from dlmsample.train.config import TrainError

MARKER = "COMPLETE"
_OWN = "DLMSAMPLE"
#: What the system says of a disk that takes nothing more.
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
_PREFIX, _STATE = "checkpoint-", "state.json"


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
    """Write ``out/checkpoint-<step>``, its marker last, then remove all but the newest ``keep``.

    Raises:
        TrainError: a folder of that name, or one to be removed, was not written by a run.
        OSError, SafetensorError: it cannot be written; nothing of it is left.
    """
    folder = out / f"{_PREFIX}{step}"
    if (folder / MARKER).exists():
        return folder
    if folder.exists():
        remove(folder)
    try:
        _write(folder, saved)
    except (OSError, SafetensorError):  # a full disk gets the room back
        shutil.rmtree(folder, ignore_errors=True)
        raise
    for path in (folder / MARKER, folder, out):
        sync(path)
    for old in complete(out)[:-keep]:
        remove(old)
    return folder


def _write(folder: Path, saved: Saved) -> None:
    """All files of a checkpoint, the marker last."""
    folder.mkdir(parents=True)
    (folder / _OWN).touch()
    save_file(saved.model, folder / "model.safetensors")
    save_file(saved.optimizer, folder / "optimizer.safetensors")
    if saved.average:
        save_file(saved.average, folder / "average.safetensors")
    (folder / _STATE).write_text(json.dumps(saved.state, indent=1), encoding="utf-8")
    for path in (*folder.iterdir(), folder):
        sync(path)
    (folder / MARKER).touch()


@contextmanager
def told_where_it_stops(out: Path) -> Iterator[None]:
    """Tell that a run's folder cannot be written, and what of the run is safe.

    Raises:
        TrainError: the disk is full, or has become unwritable.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        found = re.search(r"os error (\d+)", str(error))
        number = error.errno if isinstance(error, OSError) else int(found[1]) if found else None
        if number not in _UNWRITABLE:
            raise
        kept = complete(out)
        goes_on = "is safe and the same command goes on from it"
        safe = f"{kept[-1].name} {goes_on}" if kept else "no checkpoint was written yet"
        raise TrainError(f"cannot write into {out}: {os.strerror(number)}; {safe}: free the disk") from None


def remove(folder: Path) -> None:
    """Remove a checkpoint, its marker first: a removal cut short leaves no complete-looking ruin.

    Raises:
        TrainError: it was not written by a run.
    """
    _check_own(folder)
    (folder / MARKER).unlink(missing_ok=True)
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != _OWN:  # last, so that what a removal cut short leaves is known as own
            path.unlink()
    shutil.rmtree(folder)


def is_own(folder: Path) -> bool:
    """Whether a run of this package wrote the folder: it carries the mark, or it is empty.

    Runs of earlier versions made no mark; what they wrote tells by its complete state.
    """
    return (folder / _OWN).exists() or not any(folder.iterdir()) or _is_of_earlier_version(folder)


def _is_of_earlier_version(folder: Path) -> bool:
    if not (folder / MARKER).exists():
        return False
    try:
        return {"step", "config", "record"} <= state(folder).keys()
    except TrainError:
        return False


def _check_own(folder: Path) -> None:
    if not is_own(folder):
        raise TrainError(f"{folder} was not written by a run of this package: move it away, or name another --out")


def complete(out: Path) -> list[Path]:
    """The run's complete checkpoints, oldest first."""
    return sorted((f for f in folders(out) if (f / MARKER).exists()), key=_step)


def remove_incomplete(out: Path) -> list[Path]:
    """Remove the checkpoints that a run began to write and did not finish; returns them."""
    broken = [folder for folder in folders(out) if is_own(folder) and not (folder / MARKER).exists()]
    for folder in broken:
        remove(folder)
    return broken


def state(folder: Path) -> dict[str, Any]:
    """The state of a checkpoint alone, without its tensors.

    Raises:
        TrainError: it is missing or damaged.
    """
    path = folder / _STATE
    try:
        found = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from None
    if not isinstance(found, dict) or not found.keys() >= {"step", "seconds", "config", "record"}:
        raise _damaged(path, ValueError("it does not hold the state of a run"))
    return found


def read(folder: Path) -> Saved:
    """All of a checkpoint.

    Raises:
        TrainError: a file of it is missing or damaged; the error names it, and the checkpoint before it.
    """
    found = state(folder)
    average = folder / "average.safetensors"
    return Saved(
        _tensors(folder / "model.safetensors"),
        _tensors(folder / "optimizer.safetensors"),
        _tensors(average) if average.exists() else {},
        found,
    )


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, ValueError, SafetensorError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> TrainError:
    """The error of a file of a checkpoint, with the checkpoint to go on from instead."""
    folder = path.parent
    why = "it is missing" if isinstance(error, FileNotFoundError) else one_line(error, 200)
    before = [other for other in complete(folder.parent) if _step(other) < _step(folder)]
    remedy = f"to go on from {before[-1].name}" if before else "to start anew: there is no checkpoint before it"
    return TrainError(f"cannot read {path.name} in {folder}: {why}; remove that folder {remedy}")


def sync(path: Path) -> None:
    """Flush a file or folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _step(folder: Path) -> int:
    return int(folder.name.removeprefix(_PREFIX))


def folders(out: Path) -> list[Path]:
    """All folders that are named like a checkpoint."""
    if not out.is_dir():
        return []
    return [f for f in out.glob(f"{_PREFIX}*") if f.is_dir() and f.name.removeprefix(_PREFIX).isdecimal()]
