"""What is embedded: models, their adapters and their correction heads, read from their folders; imports no torch."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, NamedTuple

#: Embedded checkpoints: name -> (folder inside the package, what it is).
EMBEDDED = {
    "nano": ("models/nano", "7 M block-diffusion model for grade-school word problems, trained by this project")
}
#: The section of ``config.json`` that declares a checkpoint's :class:`~dlmsample.models.denoiser.Facts`.
SECTION = "dlmsample"
Kind = Literal["adapter", "head"]


class Part(NamedTuple):
    """What can be attached to a model, and how its folder is laid out."""

    folder: str  #: under the model's folder, one subfolder a name
    config: str  #: the file that makes such a subfolder one
    weights: str
    wanted: str  #: what a folder given by its path must be


PARTS: dict[Kind, Part] = {
    "adapter": Part(
        "adapters", "adapter_config.json", "adapter_model.safetensors", "the folder that PEFT's save_pretrained wrote"
    ),
    "head": Part("heads", "config.json", "model.safetensors", "a folder that dlmsample.heads.save_head wrote"),
}


def folder_of(name: str) -> Path:
    """The folder of an embedded model."""
    return Path(str(files("dlmsample").joinpath(EMBEDDED[name][0])))


def shipped(model: Path, kind: Kind) -> dict[str, Path]:
    """The adapters or heads that lie in a model's folder, by short name; none is no error."""
    part = PARTS[kind]
    return {path.parent.name: path.parent for path in sorted((model / part.folder).glob(f"*/{part.config}"))}


def describe() -> list[dict[str, Any]]:
    """One dict per embedded model, its adapters and heads as lists of name and summary."""
    rows = []
    for name, (_, summary) in EMBEDDED.items():
        folder = folder_of(name)
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        facts = config[SECTION]
        rows.append(
            {
                "name": name,
                "summary": summary,
                "body": config["model_type"],
                "attention": facts["attention"],
                "block_length": facts["block_length"],
                "context": config["max_position_embeddings"],
                "adapters": _summaries(folder, "adapter"),
                "heads": _summaries(folder, "head"),
            }
        )
    return rows


def _summaries(model: Path, kind: Kind) -> list[dict[str, str]]:
    return [{"name": name, "summary": _summary(folder)} for name, folder in shipped(model, kind).items()]


def _summary(folder: Path) -> str:
    """What ``training.json`` says under "summary", or the folder's name."""
    try:
        said = json.loads((folder / "training.json").read_text(encoding="utf-8")).get("summary")
    except (OSError, ValueError, AttributeError):
        said = None
    return said if isinstance(said, str) and said else folder.name
