"""Correction heads as folders: ``config.json``, ``model.safetensors`` and, from a training run, ``training.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import ValidationError
from torch import nn

from dlmsample.heads.correction import CorrectionHead, HeadConfig
from dlmsample.support.text import parse_json
from dlmsample.support.validated import mistakes

_Module = TypeVar("_Module", bound=nn.Module)
CONFIG, WEIGHTS, RECORD = "config.json", "model.safetensors", "training.json"


def save_head(
    head: CorrectionHead,
    folder: str | Path,
    record: Mapping[str, Any] | None = None,
    dtype: torch.dtype = torch.float16,
) -> Path:
    """Write a head; the folder is made where there is none.

    Args:
        head: its config carries the offset.
        folder: where to.
        record: how it was made, kept as ``training.json``; its ``summary`` is the line that lists show.
        dtype: of the stored weights.

    Raises:
        ValueError: a weight that ``dtype`` cannot hold.

    Example:
        >>> import tempfile
        >>> head = CorrectionHead(HeadConfig(hidden_size=8, width=8, layers=1, heads=1, mlp=8))
        >>> sorted(path.name for path in save_head(head, tempfile.mkdtemp()).iterdir())
        ['config.json', 'model.safetensors']
    """
    from safetensors.torch import save_file

    tensors = {name: t.detach().to("cpu", dtype).contiguous() for name, t in head.state_dict().items()}
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            raise ValueError(f"{name} holds numbers that {dtype} cannot: save with dtype=torch.float32")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    _json(folder / CONFIG, head.config.model_dump())
    if record is not None:
        _json(folder / RECORD, record)
    return folder


def load_head(
    folder: str | Path, device: str | torch.device | None = None, dtype: torch.dtype | None = None
) -> CorrectionHead:
    """Read what :func:`save_head` wrote, in eval mode.

    Args:
        folder: with ``config.json`` and ``model.safetensors``.
        device: None: CPU.
        dtype: of the parameters; None: float32. Its rotary frequencies stay float32.

    Raises:
        ValueError: a missing or damaged file, or tensors that are not those of the config.

    Example:
        >>> import tempfile
        >>> head = CorrectionHead(HeadConfig(hidden_size=8, width=8, layers=1, heads=1, mlp=8, offset=-1.5))
        >>> load_head(save_head(head, tempfile.mkdtemp())).config.offset
        -1.5
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    folder = Path(folder)
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise ValueError(f"folder {str(folder)!r} has no {name}: give a folder that save_head wrote")
    config = _config(folder)
    try:
        tensors = load_file(folder / WEIGHTS)
    except (SafetensorError, OSError) as e:
        raise ValueError(f"cannot read {str(folder / WEIGHTS)!r} ({e}): copy or save the head again") from e
    with torch.random.fork_rng(devices=[]):  # the numbers it starts from are overwritten at once
        head = CorrectionHead(config)
    wanted = {name: tuple(t.shape) for name, t in head.state_dict().items()}
    found = {name: tuple(t.shape) for name, t in tensors.items()}
    if wrong := sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)):
        raise ValueError(
            f"the weights in {str(folder)!r} do not fit its {CONFIG}: {wrong[0]} is {found.get(wrong[0], 'missing')}, "
            f"expected {wanted.get(wrong[0], 'none')} ({len(wrong)} such tensors); save the head again"
        )
    head.load_state_dict(tensors)
    return cast(head, dtype or torch.float32).to(device or "cpu").eval()


def cast(module: _Module, dtype: torch.dtype) -> _Module:
    """Cast the parameters in place, and no buffer: rotary frequencies lose their meaning in half precision."""
    for parameter in module.parameters():
        if parameter.is_floating_point():
            parameter.data = parameter.data.to(dtype)
    return module


def _config(folder: Path) -> HeadConfig:
    path = folder / CONFIG
    try:
        return HeadConfig(**parse_json(path.read_text(encoding="utf-8")))
    except ValidationError as e:
        wrong = mistakes(e, "head")
        raise ValueError(f"{str(path)!r} describes no correction head ({wrong}): give a folder of save_head") from e
    except (ValueError, TypeError) as e:
        raise ValueError(f"{str(path)!r} is no JSON object ({e}): save the head again") from e


def _json(path: Path, data: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
