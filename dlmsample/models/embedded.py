"""The models that are part of the package, with their adapters and correction heads. Imports no torch."""

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
#: Beside the weights of an adapter, a head or a checkpoint: the policy that it was trained for, as a grid names one.
RECOMMENDED = "decoding_config.json"
AttachmentKind = Literal["adapter", "head"]


class Attachment(NamedTuple):
    """How the folders of adapters, or of correction heads, are laid out."""

    folder: str  #: in the model's folder; it has one subfolder for each of them, of that name
    config: str  #: the file by which such a subfolder is recognised
    weights: str
    wanted: str  #: what a folder given by its path must be


ATTACHMENTS: dict[AttachmentKind, Attachment] = {
    "adapter": Attachment(
        "adapters", "adapter_config.json", "adapter_model.safetensors", "the folder that PEFT's save_pretrained wrote"
    ),
    "head": Attachment("heads", "config.json", "model.safetensors", "a folder that dlmsample.heads.save_head wrote"),
}


def folder_of(name: str) -> Path:
    """The folder of an embedded model."""
    return Path(str(files("dlmsample").joinpath(EMBEDDED[name][0])))


def shipped(model: Path, kind: AttachmentKind) -> dict[str, Path]:
    """The adapters or heads that lie in a model's folder, by short name; there may be none."""
    attachment = ATTACHMENTS[kind]
    return {
        path.parent.name: path.parent for path in sorted((model / attachment.folder).glob(f"*/{attachment.config}"))
    }


def list_models() -> list[dict[str, Any]]:
    """One dict per embedded model, its adapters and heads as lists of name and summary.

    Example:
        >>> [model["name"] for model in list_models()]
        ['nano']
    """
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


def _summaries(model: Path, kind: AttachmentKind) -> list[dict[str, str]]:
    return [{"name": name, "summary": _summary(folder)} for name, folder in shipped(model, kind).items()]


def _summary(folder: Path) -> str:
    """What ``training.json`` says under "summary", or the folder's name."""
    try:
        said = json.loads((folder / "training.json").read_text(encoding="utf-8")).get("summary")
    except (OSError, ValueError, AttributeError):
        said = None
    return said if isinstance(said, str) and said else folder.name
