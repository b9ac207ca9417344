"""Adapters, which are merged into a module, and correction heads, which stand beside it: finding, checking, loading."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dlmsample.heads.correction import CorrectionHead
from dlmsample.heads.store import cast, load_head
from dlmsample.models import hub
from dlmsample.models.embedded import ATTACHMENTS, AttachmentKind, shipped
from dlmsample.models.families import Opened
from dlmsample.models.families.weights import model_type
from dlmsample.models.published import stock_names
from dlmsample.support.registry import unknown
from dlmsample.support.text import parse_json

#: What adapter_config.json may have beside the options of its kind.
_HARMLESS = frozenset({"auto_mapping", "peft_version"})
#: A model of at most so many parameters (4 GB) is merged in float32, a larger one in the dtype that was asked for.
_SMALL = 1_000_000_000


def locate(kind: AttachmentKind, given: str | Path, model: str, folder: Path | None) -> Path:
    """The folder of an adapter or a head.

    A name is looked up among those that come with the model, then as a path, then on the hub.

    Args:
        kind: what to look for.
        given: short name, folder, or hub id.
        model: the model's name, for errors.
        folder: its folder; None for a hub id.

    Raises:
        ValueError: no such name, or a folder that lacks a file.
    """
    attachment, known = ATTACHMENTS[kind], {} if folder is None else shipped(folder, kind)
    name = str(given)
    path = Path(name).expanduser()
    if name in known and isinstance(given, str):
        path = known[name]
    elif not (name and path.is_dir()):
        if path.is_absolute() or name.startswith((".", "~")):
            raise ValueError(hub.no_folder(name, ", ".join([*known, f"a hub id like org/{kind}"])))
        if "/" not in name:
            elsewhere = f"the path of a folder, or a hub id like org/{kind}"
            if known:
                raise unknown(f"{kind} of {model}", name, known, f", or {elsewhere}")
            raise ValueError(f"unknown {kind} {name!r}: {model} ships no {kind}s; give {elsewhere}")
        path = hub.snapshot(kind, name, [attachment.config, attachment.weights])
    for file in (attachment.config, attachment.weights):  # PEFT would read a pickle in place of the safetensors
        if not (path / file).is_file():
            raise ValueError(f"{kind} {name!r} has no {file}: give {attachment.wanted}")
    return path


def merging_dtype(opened: Opened, asked: torch.dtype) -> torch.dtype:
    """The dtype to load and merge in: float32 for a small model, so that the sum is rounded only once.

    In ``asked`` the weight, the adapter's share and their sum are each rounded. A large model is merged that way all
    the same, so as not to need twice the memory.
    """
    if torch.finfo(asked).bits >= 32:
        return asked
    return torch.float32 if sum(p.numel() for p in opened.shell().parameters()) <= _SMALL else asked


def require_peft() -> None:
    """Fail early where PEFT is not installed.

    Raises:
        ValueError: it is not installed.
    """
    if find_spec("peft") is None:
        raise ValueError("an adapter needs the package peft: pip install peft")


def merge(module: Any, folder: Path, name: str, dtype: torch.dtype, opened: Opened) -> Any:
    """Add a PEFT adapter to the module's own weights, and cast them. The result is the stock module again.

    An adapter for the family's published module names is renamed first (:mod:`dlmsample.models.published`).

    Raises:
        ValueError: it is of a kind that cannot be merged, or made for other layers or shapes.
    """
    with stock_names(folder, name, opened.family, module) as stock:
        return _merged(module, stock, name, dtype, opened.name)


def _merged(module: Any, folder: Path, name: str, dtype: torch.dtype, model: str) -> Any:
    """Merge an adapter that has the module's own names."""
    from peft import PeftConfig, PeftModel

    grads = {key: p.requires_grad for key, p in module.named_parameters()}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            config = PeftConfig.from_pretrained(str(folder))
    except Exception as e:  # each kind of adapter checks its options in its own way
        raise ValueError(f"cannot read adapter_config.json of adapter {name!r}: {_line(e)}; save it again") from e
    _check_options(folder, name, config)
    if config.is_prompt_learning or config.is_adaption_prompt:
        raise ValueError(f"adapter {name!r} is of type {config.peft_type}, which has no weights to merge: train a LoRA")
    config.inference_mode = True
    # PEFT draws the weights that it then overwrites, and warns of each key that finds no place: an error here
    try:
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]), _unconverted(module, folder, config):
            warnings.simplefilter("ignore")
            wrapped = PeftModel(module, config)
            report = wrapped.load_adapter(str(folder), "default", torch_device=str(module.device))
        if lost := [*report.missing_keys, *report.unexpected_keys]:
            raise ValueError(f"{len(lost)} tensors like {lost[0]} have no counterpart")
        merged: Any = wrapped.merge_and_unload(safe_merge=True)
    except Exception as e:  # options that do not go together break PEFT anywhere
        base = config.base_model_name_or_path
        said = f" (trained on {base!r})" if base else ""
        raise ValueError(
            f"adapter {name!r}{said} does not fit {model!r}: {_line(e)}; give one that was trained on this model"
        ) from e
    for key, parameter in merged.named_parameters():
        parameter.requires_grad_(grads.get(key, True))
    return cast(merged, dtype)


def _check_options(folder: Path, name: str, config: Any) -> None:
    """Refuse options that the installed PEFT does not know: it would leave out what they ask for.

    Raises:
        ValueError: one that asks for something.
    """
    raw = parse_json((folder / ATTACHMENTS["adapter"].config).read_text(encoding="utf-8"))
    known = {field.name for field in dataclasses.fields(config)} | _HARMLESS
    if foreign := [key for key, value in raw.items() if value and key not in known]:
        raise ValueError(
            f"adapter_config.json of adapter {name!r} has {foreign[0]}={raw[foreign[0]]!r:.40}, which the installed "
            "peft does not know: install a newer peft, or remove it if it is of no effect"
        )


@contextmanager
def _unconverted(module: Any, folder: Path, config: Any) -> Iterator[None]:
    """Inside, PEFT takes an adapter that leaves the experts alone for what it is.

    For some bodies PEFT takes any target that ends in down_proj, gate_proj or up_proj for the experts, which hold such
    matrices stacked. Dense layers and shared experts have layers of these names as well.
    """
    from safetensors import safe_open

    with safe_open(folder / ATTACHMENTS["adapter"].weights, "pt") as file:
        experts = any(".mlp.experts" in key for key in file.keys())  # noqa: SIM118
    if experts or not config.target_modules or getattr(config, "target_parameters", None):
        yield
        return
    with model_type(module.config, "dlmsample_unconverted"):
        yield


def read_head(
    folder: Path, name: str, model: str, config: Any, device: Any, dtype: torch.dtype, adapted: bool
) -> CorrectionHead:
    """A head, if it fits the model of that configuration, which is ``adapted`` or not.

    Raises:
        ValueError: it was trained on another width, on a layer that the model lacks, or together with an adapter that
            is not there.
    """
    head, body = load_head(folder, device, dtype), config.get_text_config()
    if head.config.hidden_size != body.hidden_size:
        raise ValueError(
            f"head {name!r} was trained on a backbone of width {head.config.hidden_size}; {model} has "
            f"{body.hidden_size}: give a head that was trained on this model"
        )
    states = body.num_hidden_layers + 1  # the embeddings, then every layer's output
    if not -states <= head.layer < states:
        raise ValueError(
            f"head {name!r} reads hidden layer {head.layer}; {model} has {states} of them: "
            "give a head that was trained on this model"
        )
    if head.config.with_adapter and not adapted:
        raise ValueError(
            f"head {name!r} was trained together with an adapter and reads its hidden states: give that "
            "adapter, too (the embedded one has the head's name)"
        )
    return head


class AtDevice:
    """A head beside a model that is spread over devices: inputs are moved to the head, its result is moved back."""

    def __init__(self, head: Any, device: torch.device) -> None:
        self._head, self._device = head, device

    @property
    def layer(self) -> int:
        """Which entry of the body's ``hidden_states`` it reads."""
        return self._head.layer

    def __call__(self, hidden: Tensor, positions: Tensor, valid: Tensor) -> Tensor:
        """Error logit, float ``[row, pos]``, where ``positions`` are."""
        moved = (given.to(self._device) for given in (hidden, positions, valid))
        return self._head(*moved).to(positions.device)


def _line(error: BaseException) -> str:
    """An error's message on one line, not too long."""
    return " ".join((str(error).strip() or type(error).__name__).split())[:200].rstrip(". ")
