"""``load``: a name, a folder or a hub id -> :class:`~dlmsample.models.base.Denoiser`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlmsample.models.hub import check_weights, locate, one_line
from dlmsample.registry import unknown

if TYPE_CHECKING:  # torch is imported when something is loaded
    from dlmsample.models.base import Denoiser

_BITS = ("8bit", "4bit")


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
    *,
    device_map: Any = None,
    quantization: str | None = None,
    allow_pickle: bool = False,
) -> Denoiser:
    """Load a checkpoint and what decoding needs to know about it; on request with an adapter or a correction head.

    A checkpoint is of one of the families of :mod:`dlmsample.models.families`: published diffusion LMs (LLaDA,
    LLaDA2.x, Dream, SDAR), whose weights go into a stock transformers body; any masked LM; or any stock decoder
    whose ``config.json`` has a ``dlmsample`` section (mask id, EOS ids, block length, attention, alignment), as
    this project's trainer writes it. The section overrides what a family says. A folder without a tokenizer loads
    too: prompts then are lists of ids. Nothing goes over the network for a folder.

    An adapter is added to the weights, so ``module`` stays a stock transformers module. For that, a model of up to
    10⁹ parameters is loaded in float32 and cast afterwards, so that the sum is rounded once; a larger one is merged
    in the dtype it is asked for. Adapters trained on a family's published module names are renamed.

    Args:
        name: an embedded model (``nano``), a folder, or a hub id.
        adapter: a short name the model ships (folder ``adapters/<name>`` beside its weights; ``dlmsample models``
            lists nano's), a folder that PEFT wrote, or a hub id. Safetensors only; PEFT is imported then.
        head: a correction head: a short name (``heads/<name>``), a folder of
            :func:`dlmsample.heads.save_head`, or a hub id.
        device: a torch device; None: CPU.
        dtype: torch dtype or its name; None: float32 on the CPU, bfloat16 elsewhere.
        trust_remote_code: run modelling code that comes with the checkpoint, where no stock body is known for it.
        family: override what the config was recognised as.
        mask_id: override what config and tokenizer say.
        eos_ids: override what config and tokenizer say; an empty list never stops.
        device_map: spread a model over devices as transformers does, "auto" or a dict; not with ``device``.
        quantization: "8bit" or "4bit" by bitsandbytes, which must be installed; not with an adapter.
        allow_pickle: also read weights that are no safetensors.

    Raises:
        ValueError: no such model, adapter or head; one that does not fit the model; no or incomplete weights, no
            declared facts, an unknown dtype or device, or code that may not run.

    Example:
        >>> model = load("nano")
        >>> model.block_length, model.attention
        (32, 'block_causal')
    """
    import torch

    from dlmsample.models import attach
    from dlmsample.models.base import Denoiser
    from dlmsample.models.families import open_config

    check_weights(str(name), locate(str(name)), allow_pickle)  # the cheapest mistakes first
    opened = open_config(name, family=family, trust_remote_code=trust_remote_code, mask_id=mask_id, eos_ids=eos_ids)
    name = opened.name
    added = None if adapter is None else attach.locate("adapter", adapter, name, opened.folder)
    scorer = None if head is None else attach.locate("head", head, name, opened.folder)
    if added is not None:
        attach.require_peft()
    spread, target = _placement(device, device_map), _device(device)
    kind = _dtype(dtype)
    if kind is None:
        on_cpu = target.type == "cpu" and (spread is None or not torch.cuda.is_available())
        kind = torch.float32 if on_cpu else torch.bfloat16
    bits = _quantization(quantization, kind, added is not None)
    if bits is not None and spread is None:
        spread = {"": str(target)}
    scorer_head = None if scorer is None else attach.read_head(scorer, str(head), name, opened.config, target, kind)
    if added is None:
        module = opened.load(kind, allow_pickle=allow_pickle, device_map=spread, quantization=bits)
    else:
        wide = attach.merging_dtype(opened, kind)
        whole = opened.load(wide, allow_pickle=allow_pickle, device_map=spread)
        module = attach.merge(whole, added, str(adapter), kind, opened)
    if spread is None:
        module = module.to(target)
    return Denoiser(
        name,
        module.eval(),
        opened.tokenizer,
        opened.facts,
        scorer_head,
        adapter=None if adapter is None else str(adapter),
        head_name=None if head is None else str(head),
        reads=opened.reads(module),
    )


def _placement(device: Any, device_map: Any) -> Any:
    if device_map is not None and device is not None:
        raise ValueError("device and device_map exclude each other: give one of them")
    return device_map


def _quantization(asked: str | None, dtype: Any, merging: bool) -> Any:
    """A quantisation config of transformers, or None."""
    if asked is None:
        return None
    from importlib.util import find_spec

    if asked not in _BITS:
        raise unknown("quantization", asked, _BITS)
    if merging:
        raise ValueError("an adapter cannot be merged into quantised weights: leave out quantization or the adapter")
    if find_spec("bitsandbytes") is None:
        raise ValueError(f"quantization {asked!r} needs the package bitsandbytes: pip install bitsandbytes")
    from transformers import BitsAndBytesConfig

    if asked == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=dtype)


def _device(device: Any) -> Any:
    import torch

    try:
        target = torch.device(device or "cpu")
        torch.zeros(1, device=target).item()
    except (RuntimeError, AssertionError, NotImplementedError) as e:
        raise ValueError(
            f"device {device!r} cannot be used here ({one_line(e)}): use cpu, or cuda where there is one"
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
