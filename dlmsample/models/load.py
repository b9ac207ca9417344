"""``load``: a name, a folder or a hub id -> :class:`~dlmsample.models.base.Denoiser`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlmsample.registry import unknown

if TYPE_CHECKING:  # listing what is embedded needs no torch
    from dlmsample.models.base import Denoiser, Facts

#: Embedded checkpoints: name -> (folder inside the package, what it is).
EMBEDDED = {
    "nano": ("models/nano", "7 M block-diffusion model for grade-school word problems, trained by this project")
}
#: The section of ``config.json`` that declares a checkpoint's :class:`Facts`.
SECTION = "dlmsample"


def load(
    name: str | Path,
    *,
    device: str | None = None,
    dtype: Any = None,
    trust_remote_code: bool = False,
    family: str | None = None,
    mask_id: int | None = None,
    eos_ids: Sequence[int] | None = None,
) -> Denoiser:
    """Load a checkpoint and what decoding needs to know about it.

    A checkpoint is a stock transformers decoder whose ``config.json`` has a ``dlmsample`` section (mask id, EOS
    ids, block length, attention, alignment), as this project's trainer writes it. Weights load from safetensors
    only. A folder without a tokenizer loads too: prompts then are lists of ids.

    Args:
        name: an embedded model (``nano``), a folder, or a hub id.
        device: a torch device; None: CPU.
        dtype: torch dtype or its name; None: float32 on the CPU, bfloat16 elsewhere.
        trust_remote_code: run modelling code that comes with the checkpoint.
        family: reserved for checkpoints of other families; this version knows ``stock`` only.
        mask_id: override what the config says.
        eos_ids: override what the config says; an empty list never stops.

    Raises:
        ValueError: no such model, no weights, no declared facts, or an unknown dtype or device.

    Example:
        >>> model = load("nano")
        >>> model.block_length, model.attention
        (32, 'block_causal')
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModelForCausalLM

    from dlmsample.models.base import Denoiser

    if family not in (None, "stock"):
        raise unknown("family", family, ["stock"])
    name = str(name) if isinstance(name, Path) else name
    where = _locate(name)
    target, kind = _device(device), _dtype(dtype)
    try:
        config = AutoConfig.from_pretrained(where, trust_remote_code=trust_remote_code)
    except (OSError, ValueError) as e:
        raise ValueError(f"cannot read the configuration of {name!r}: {_line(e)}") from e
    facts = _facts(name, config, mask_id, eos_ids)
    config.is_causal = False  # the masks say who sees whom
    if kind is None:
        kind = torch.float32 if target.type == "cpu" else torch.bfloat16
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            where,
            config=config,
            dtype=kind,
            attn_implementation="sdpa",  # eager would add a boolean mask as 0/1
            use_safetensors=True,
            trust_remote_code=trust_remote_code,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as e:
        raise ValueError(
            f"cannot load the weights of {name!r}: {_line(e)} (needed: a model.safetensors that fits config.json)"
        ) from e
    module, report = loaded
    if missing := sorted(report["missing_keys"]):  # transformers would fill them with random numbers
        raise ValueError(
            f"the weights of {name!r} are incomplete: {len(missing)} tensors like {missing[0]} are missing"
        )
    return Denoiser(name, module.to(target).eval(), _tokenizer(where, trust_remote_code), facts)


def _locate(name: str) -> str:
    """Where transformers finds the checkpoint."""
    if name in EMBEDDED:
        return str(files("dlmsample").joinpath(EMBEDDED[name][0]))
    path = Path(name).expanduser()
    if name and path.is_dir():  # Path("") would be the working directory
        if not (path / "config.json").is_file():
            raise ValueError(f"folder {name!r} has no config.json: give the folder that holds the checkpoint itself")
        if not any(path.glob("*.safetensors")):
            raise ValueError(f"folder {name!r} has no weights: a model.safetensors must lie beside config.json")
        return str(path)
    if "/" not in name or path.is_absolute() or name.startswith((".", "~")):
        raise unknown("model", name, EMBEDDED, ", or the path of a folder, or a hub id like org/model")
    return name


def _facts(name: str, config: Any, mask_id: int | None, eos_ids: Sequence[int] | None) -> Facts:
    from pydantic import ValidationError

    from dlmsample.models.base import Facts

    declared = getattr(config, SECTION, None)
    if not isinstance(declared, dict):
        raise ValueError(
            f"{name!r} does not say how it decodes: add a {SECTION!r} section to its config.json with "
            f"{', '.join(f.name for f in fields(Facts))}"
        )
    overrides = {"mask_id": mask_id, "eos_ids": eos_ids}
    given = {**declared, **{key: value for key, value in overrides.items() if value is not None}}
    if isinstance(given.get("eos_ids"), Sequence):
        given["eos_ids"] = tuple(given["eos_ids"])
    try:
        facts = Facts(**given)
    except ValidationError as e:
        wrong = "; ".join(f"{'.'.join(map(str, x['loc']))}: {x['msg']}" for x in e.errors())
        raise ValueError(f"the {SECTION!r} section of {name!r}'s config.json, or an override, is wrong: {wrong}") from e
    outside = [i for i in (facts.mask_id, *facts.eos_ids) if not 0 <= i < config.vocab_size]
    if outside:
        raise ValueError(f"id {outside[0]} is outside the vocabulary of {name!r} (0..{config.vocab_size - 1})")
    return facts


def _tokenizer(where: str, trust_remote_code: bool) -> Any | None:
    if Path(where).is_dir() and not (Path(where) / "tokenizer_config.json").is_file():
        return None
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(where, trust_remote_code=trust_remote_code)
    except Exception as e:  # the tokenizers library raises bare exceptions on a broken file
        raise ValueError(f"cannot read the tokenizer in {where}: {_line(e)}; repair or remove its files") from e


def _device(device: Any) -> Any:
    import torch

    try:
        target = torch.device(device or "cpu")
        torch.zeros(1, device=target).item()
    except (RuntimeError, AssertionError, NotImplementedError) as e:
        raise ValueError(
            f"device {device!r} cannot be used here ({_line(e)}): use cpu, or cuda where there is one"
        ) from e
    return target


def _dtype(dtype: Any) -> Any:
    import torch

    if not isinstance(dtype, str):
        return dtype
    found = getattr(torch, dtype.removeprefix("torch."), None)
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise unknown("dtype", dtype, ["float32", "bfloat16", "float16", "float64"])
    return found


def _line(error: BaseException) -> str:
    """The first sentence of an error's message."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].split(". ")[0].rstrip(".")[:200]


def describe() -> list[dict[str, Any]]:
    """What is embedded: one dict per model, read from its files; imports no torch."""
    rows = []
    for name, (folder, summary) in EMBEDDED.items():
        config = json.loads(files("dlmsample").joinpath(folder, "config.json").read_text())
        facts = config[SECTION]
        rows.append(
            {
                "name": name,
                "summary": summary,
                "body": config["model_type"],
                "attention": facts["attention"],
                "block_length": facts["block_length"],
                "context": config["max_position_embeddings"],
            }
        )
    return rows
