"""``load``: a name, a folder or a hub id -> :class:`~dlmsample.models.base.Denoiser`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlmsample.models.embedded import EMBEDDED, SECTION, folder_of
from dlmsample.registry import unknown

if TYPE_CHECKING:  # torch is imported when something is loaded
    from dlmsample.models.base import Denoiser, Facts


def load(
    name: str | Path,
    adapter: str | Path | None = None,
    head: str | Path | None = None,
    device: str | None = None,
    dtype: Any = None,
    trust_remote_code: bool = False,
    family: str | None = None,
    mask_id: int | None = None,
    eos_ids: Sequence[int] | None = None,
) -> Denoiser:
    """Load a checkpoint and what decoding needs to know about it; on request with an adapter or a correction head.

    A checkpoint is a stock transformers decoder whose ``config.json`` has a ``dlmsample`` section (mask id, EOS
    ids, block length, attention, alignment), as this project's trainer writes it. Weights load from safetensors
    only. A folder without a tokenizer loads too: prompts then are lists of ids.

    An adapter is added to the weights, so ``module`` stays a stock transformers module. For that, a model of up to
    10⁹ parameters is loaded in float32 and cast afterwards, so that the sum is rounded once; a larger one is merged
    in the dtype it is asked for.

    Args:
        name: an embedded model (``nano``), a folder, or a hub id.
        adapter: a short name the model ships (folder ``adapters/<name>`` beside its weights; ``dlmsample models``
            lists nano's), a folder that PEFT wrote, or a hub id. Safetensors only; PEFT is imported then.
        head: a correction head: a short name (``heads/<name>``), a folder of
            :func:`dlmsample.heads.save_head`, or a hub id.
        device: a torch device; None: CPU.
        dtype: torch dtype or its name; None: float32 on the CPU, bfloat16 elsewhere.
        trust_remote_code: run modelling code that comes with the checkpoint.
        family: reserved for checkpoints of other families; this version knows ``stock`` only.
        mask_id: override what the config says.
        eos_ids: override what the config says; an empty list never stops.

    Raises:
        ValueError: no such model, adapter or head; one that does not fit the model; no weights, no declared
            facts, or an unknown dtype or device.

    Example:
        >>> model = load("nano")
        >>> model.block_length, model.attention
        (32, 'block_causal')
    """
    import torch
    from transformers import AutoConfig

    from dlmsample.models import attach
    from dlmsample.models.base import Denoiser

    if family not in (None, "stock"):
        raise unknown("family", family, ["stock"])
    name = str(name) if isinstance(name, Path) else name
    where = _locate(name)
    folder = Path(where) if Path(where).is_dir() else None
    added = None if adapter is None else attach.locate("adapter", adapter, name, folder)
    scorer = None if head is None else attach.locate("head", head, name, folder)
    if added is not None:
        attach.require_peft()
    target, kind = _device(device), _dtype(dtype)
    try:
        config = AutoConfig.from_pretrained(where, trust_remote_code=trust_remote_code)
    except (OSError, ValueError) as e:
        raise ValueError(f"cannot read the configuration of {name!r}: {_line(e)}") from e
    facts = _facts(name, config, mask_id, eos_ids)
    config.is_causal = False  # the masks say who sees whom
    if kind is None:
        kind = torch.float32 if target.type == "cpu" else torch.bfloat16
    reads = None if scorer is None else attach.read_head(scorer, str(head), name, config, target, kind)
    if added is None:
        module = _module(name, where, config, kind, trust_remote_code)
    else:
        wide = attach.merging_dtype(config, kind, trust_remote_code)
        module = attach.merge(_module(name, where, config, wide, trust_remote_code), added, str(adapter), kind)
    return Denoiser(
        name,
        module.to(target).eval(),
        _tokenizer(where, trust_remote_code),
        facts,
        reads,
        adapter=None if adapter is None else str(adapter),
        head_name=None if head is None else str(head),
    )


def _module(name: str, where: str, config: Any, dtype: Any, trust_remote_code: bool) -> Any:
    """The weights, complete, in a stock module on the CPU."""
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            where,
            config=config,
            dtype=dtype,
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
    return module


def _locate(name: str) -> str:
    """Where transformers finds the checkpoint."""
    if name in EMBEDDED:
        return str(folder_of(name))
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
