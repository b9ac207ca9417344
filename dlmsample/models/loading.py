"""``load``: a name, a folder or a hub id -> :class:`~dlmsample.models.denoiser.Denoiser`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlmsample.models.hub import gist, locate
from dlmsample.models.weight_files import check_weights
from dlmsample.support.registry import unknown

if TYPE_CHECKING:  # torch is imported when something is loaded
    from dlmsample.models.denoiser import Denoiser
    from dlmsample.models.families import Opened

_BITS = ("8bit", "4bit")  #: by bitsandbytes
_FP8 = {"fp8": False, "fp8_dynamic": True}  # whether activations are rounded, too
_DTYPES = ("float32", "bfloat16", "float16", "float64")
_SPREADS = ("auto", "balanced", "balanced_low_0", "sequential")


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
    revision: str | None = None,
    device_map: Any = None,
    quantization: str | None = None,
    allow_pickle: bool = False,
    compile: bool = False,
    ignore_config: Sequence[str] = (),
) -> Denoiser:
    """Load a checkpoint and what decoding needs to know about it; on request with an adapter or a correction head.

    A checkpoint is of one of the families of :mod:`dlmsample.models.families`: published diffusion LMs (LLaDA,
    LLaDA2.x, Dream, SDAR), whose weights go into a stock transformers body; any masked LM; or any stock decoder
    whose ``config.json`` has a ``dlmsample`` section (mask id, EOS ids, block length, attention, alignment), as
    this project's trainer writes it. The section overrides what a family says. A folder without a tokenizer loads
    too: prompts then are lists of ids. Nothing goes over the network for a folder.

    A masked LM, and foreign code that looks both ways, is probed: two forwards over at most 24 tokens tell whether
    padding changes what a row gives (:func:`dlmsample.models.probe.probe_rows`). If it does, batches hold rows of equal
    length; a module that is no function of its row is refused.

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
        dtype: torch dtype or its name; None: float32 on the CPU, bfloat16 elsewhere; "auto": bfloat16 also on a CPU
            with instructions for it, where torch tells (float32 where it does not).
        trust_remote_code: run modelling code that comes with the checkpoint, where no stock body is known for it.
        family: override what the config was recognised as.
        mask_id: override what config and tokenizer say.
        eos_ids: override what config and tokenizer say; an empty list never stops.
        revision: branch, tag or commit of the hub id ``name`` (not of an adapter or head); None: its main branch.
        device_map: spread a model over devices as transformers does: "auto", "balanced", "balanced_low_0",
            "sequential", or a dict of places (devices, or "disk"); not with ``device``.
        quantization: "fp8": the weights of a stock body's linear layers in e4m3 with a scale per output channel, once
            they are loaded and an adapter is merged; activations and all else stay in ``dtype``
            (:func:`dlmsample.models.fusion.fp8.narrow_layers`). "fp8_dynamic" rounds what a layer is given as well,
            each position on its own scale, for the products that tensor cores make in eight bits. Or "8bit" or "4bit"
            by bitsandbytes, which must be installed; not with an adapter. 8bit computes in float16 where ``dtype`` is
            None or "auto" and rounds activations too, so that a batch may give other tokens than its rows alone. None
            of them is for mixtures of experts, whose experts would stay as they are.
        allow_pickle: also read weights that are no safetensors.
        compile: let torch.compile fuse the layers of a stock decoder (:func:`dlmsample.models.fusion.fuse.fuse`): first
            forwards that take seconds, faster ones from then on; for GPUs, on one device. With gradients, a cache of
            transformers, or autocast, layers run as they are.
        ignore_config: keys of ``config.json`` that are not known here and are to be ignored. Without, such a key is an
            error, because it may change what the published code computes.

    Raises:
        ValueError: no such model, adapter or head; one that does not fit the model; no or incomplete weights, no
            declared facts, an unknown dtype or device, layers that cannot be
            fused with ``compile``, code that may not run, or rows that depend on their neighbours.

    Example:
        >>> model = load("nano")
        >>> model.block_length, model.attention
        (32, 'block_causal')
    """
    import torch

    from dlmsample.models import adapters as attach
    from dlmsample.models.denoiser import Denoiser
    from dlmsample.models.families import open_config
    from dlmsample.models.fusion.fp8 import narrow_layers
    from dlmsample.models.fusion.fuse import fuse, is_fused, is_spread
    from dlmsample.models.interface import BODIES
    from dlmsample.models.probe import probe_rows

    where = locate(str(name))
    check_weights(str(name), where, allow_pickle, trust_remote_code)  # the cheapest mistakes first
    opened = open_config(
        name,
        where=where,
        family=family,
        trust_remote_code=trust_remote_code,
        mask_id=mask_id,
        eos_ids=eos_ids,
        revision=revision,
        ignore_config=ignore_config,
    )
    name = opened.name
    added = None if adapter is None else attach.locate("adapter", adapter, name, opened.folder)
    scorer = None if head is None else attach.locate("head", head, name, opened.folder)
    if added is not None:
        attach.require_peft()
    target, spread = _placement(device, device_map)
    if isinstance(spread, dict) and "disk" in spread.values():
        if added is not None:
            raise ValueError(
                "an adapter cannot be merged into weights on disk: leave out disk in device_map or the adapter"
            )
        if quantization in _FP8:
            raise ValueError(
                f"weights on disk stay as they are: leave out disk in device_map or quantization {quantization!r}"
            )
    on_cpu = target.type == "cpu" and (spread is None or not torch.cuda.is_available())
    kind = _dtype(dtype, on_cpu, quantization)
    bits = _quantization(quantization, kind, target, added is not None, opened)
    if bits is not None and spread is None:
        spread = {"": str(target)}
    scorer_head: Any = None
    if scorer is not None:
        scorer_head = attach.read_head(scorer, str(head), name, opened.config, target, kind, added is not None)
    if added is None:
        module = opened.load(kind, allow_pickle=allow_pickle, device_map=spread, quantization=bits)
    else:
        wide = attach.merging_dtype(opened, kind)
        whole = opened.load(wide, allow_pickle=allow_pickle, device_map=spread)
        module = attach.merge(whole, added, str(adapter), kind, opened)
    if quantization in _FP8:
        module = narrow_layers(module, target if spread is None else None, _FP8[quantization])
    if spread is None:
        module = module.to(target)
    if compile:
        if is_spread(module):
            raise ValueError("compile fuses the layers of a model on one device: leave out compile or device_map")
        module = fuse(module)
        if not is_fused(module):
            known = ", ".join(sorted(BODIES))
            raise ValueError(f"compile fuses the layers of {known}, and {name!r} is none of them: leave it out")
    interface = opened.interface(module.eval())
    if interface.padding:
        interface = probe_rows(name, module, interface, opened.facts.mask_id)
    model = Denoiser(
        name,
        module,
        opened.tokenizer,
        opened.facts,
        None if spread is not None else scorer_head,
        adapter=None if adapter is None else str(adapter),
        head_name=None if head is None else str(head),
        interface=interface,
    )
    if scorer_head is not None and spread is not None:
        scorer_head = attach.AtDevice(scorer_head.to(model.device), model.device)
        return model.with_head(scorer_head, model.head_name)
    return model


def _placement(device: Any, device_map: Any) -> tuple[Any, Any]:
    """A device, and a map in its place or None."""
    if device == "auto":
        raise ValueError("device is one device: device_map='auto' (--device-map auto) spreads a model over all")
    if device_map is None:
        return _device(device), None
    if device is not None:
        raise ValueError("device and device_map exclude each other: give one of them")
    if isinstance(device_map, dict):
        for place in device_map.values():
            if place != "disk":
                _device(place)
    elif not isinstance(device_map, str):
        raise ValueError(f"device_map is {', '.join(map(repr, _SPREADS))} or a dict of places, not {device_map!r:.40}")
    elif device_map not in _SPREADS:
        try:
            _device(device_map)
        except ValueError:
            raise unknown("device_map", device_map, _SPREADS, ", or a device") from None
    return _device(None), device_map


def _quantization(asked: str | None, dtype: Any, device: Any, merging: bool, opened: Opened) -> Any:
    """A quantisation config of transformers; None where it is not transformers that quantises."""
    if asked is None:
        return None
    from importlib.util import find_spec

    if asked not in (*_FP8, *_BITS):
        raise unknown("quantization", asked, (*_FP8, *_BITS))
    if asked in _FP8:
        _check_fp8(asked, device, opened)
        return None
    if merging:
        raise ValueError(
            f"an adapter cannot be merged into weights in {asked}: leave out quantization or the adapter, or take 'fp8'"
        )
    _check_experts(asked, opened)
    if find_spec("bitsandbytes") is None:
        raise ValueError(f"quantization {asked!r} needs the package bitsandbytes: pip install bitsandbytes")
    from transformers import BitsAndBytesConfig

    if asked == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=dtype)


def _check_fp8(asked: str, device: Any, opened: Opened) -> None:
    """Refuse code that may do anything with its weights, experts, and devices without the dtype."""
    import torch

    from dlmsample.kernels.narrow import narrow

    if opened.runs_remote_code:
        raise ValueError(
            f"quantization {asked!r} is for stock bodies, and {opened.name!r} runs its own code: leave it out"
        )
    _check_experts(asked, opened)
    try:
        narrow(torch.ones(1, 1, device=device))
    except (RuntimeError, NotImplementedError, TypeError) as e:
        raise ValueError(
            f"quantization {asked!r} needs float8_e4m3fn, which torch lacks on {device} ({gist(e)}): use cpu or cuda"
        ) from e


def _check_experts(asked: str, opened: Opened) -> None:
    """Refuse to quantise next to nothing: experts are stacked in one tensor, which all ways of it leave alone."""
    sizes = [(p.dim(), p.numel()) for p in opened.shell().parameters()]
    experts, whole = sum(size for axes, size in sizes if axes == 3), sum(size for _, size in sizes)
    if 2 * experts > whole:
        raise ValueError(
            f"quantization {asked!r} would leave {experts / whole:.0%} of {opened.name!r} as it is, its experts: leave "
            "it out, and spread the model over devices with device_map='auto' (--device-map auto)"
        )


def _device(device: Any) -> Any:
    import torch

    try:
        target = torch.device("cpu" if device is None else device)
        torch.zeros(1, device=target).item()
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as e:
        raise ValueError(
            f"device {device!r} cannot be used here ({gist(e)}): use cpu, or cuda where there is one"
        ) from e
    return target


def _dtype(dtype: Any, on_cpu: bool, quantization: str | None) -> Any:
    import torch

    if dtype in (None, "auto"):
        if quantization == "8bit":
            return torch.float16
        return torch.bfloat16 if not on_cpu or (dtype and multiplies_bfloat16()) else torch.float32
    found = getattr(torch, dtype.removeprefix("torch."), None) if isinstance(dtype, str) else dtype
    if found not in [getattr(torch, name) for name in _DTYPES]:  # nothing computes in float8, or in integers
        raise unknown("dtype", str(dtype).removeprefix("torch."), ["auto", *_DTYPES])
    return found


def multiplies_bfloat16() -> bool:
    """Whether this CPU has instructions for it: AMX, AVX-512 or Arm's.

    Example:
        >>> isinstance(multiplies_bfloat16(), bool)
        True
    """
    import torch

    found = getattr(torch.cpu, "get_capabilities", dict)()
    return any(found.get(name) for name in ("amx_bf16", "avx512_bf16", "bf16", "sve_bf16"))
