"""``open_config``: everything about a checkpoint but its weights, and how to load those."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dlmsample.models.denoiser import Facts
from dlmsample.models.embedded import SECTION
from dlmsample.models.families.base import Family
from dlmsample.models.families.config.body import stock_config
from dlmsample.models.families.config.facts import DECLARED, find_facts
from dlmsample.models.families.config.keys import UNPASSED, ConfigKeys, checked_keys
from dlmsample.models.families.config.rope import check_rope
from dlmsample.models.families.config.shape import check_shape
from dlmsample.models.families.lora import LORA_TARGETS
from dlmsample.models.families.registry import family as family_of
from dlmsample.models.families.registry import recognise
from dlmsample.models.families.weights import load_module
from dlmsample.models.hub import gist, locate, read_config
from dlmsample.models.interface import ModuleInterface, context_of, interface_of
from dlmsample.models.tokenizer import read_tokenizer


@dataclass(frozen=True)
class Opened:
    """A checkpoint whose config and tokenizer were read, but not its weights."""

    name: str
    where: str  #: a folder's path, or a hub id
    family: Family
    told_by: str  #: by what the family was recognised
    config: Any  #: of the module; a stock one for every family but ``remote``
    facts: Facts
    tokenizer: Any | None
    keys: ConfigKeys  #: the keys of its config.json: read, harmless, unknown
    runs_remote_code: bool = False
    revision: str | None = None  #: of a hub id

    @property
    def folder(self) -> Path | None:
        """The folder of the checkpoint; None for a hub id."""
        return Path(self.where) if Path(self.where).is_dir() else None

    @property
    def vocab_size(self) -> int:
        return self.config.get_text_config().vocab_size

    @property
    def lora_targets(self) -> tuple[str, ...]:
        """The layers that training adapts by default, under stock names; () where none are known for the body."""
        return LORA_TARGETS.get(self.family.name, LORA_TARGETS.get(self.config.model_type, ()))

    def interface(self, module: Any) -> ModuleInterface:
        """How the module (or its :meth:`shell`) is called."""
        return interface_of(self.family.module_kind, module, self._padding)

    @property
    def _padding(self) -> bool:
        """Whether the module is given a padding mask."""
        kind = self.family.module_kind
        return kind == "masked_lm" or (kind == "module" and self.facts.attention == "bidirectional")

    def shell(self) -> Any:
        """The module on the meta device: with every name and shape, and without numbers or memory."""
        import torch

        try:
            with torch.device("meta"):
                model = self._model_class()
                if hasattr(model, "from_config"):
                    return model.from_config(self.config, **self._trusting())
                return model._from_config(self.config)
        except Exception as e:  # sizes that do not go together break a module anywhere
            raise ValueError(
                f"no {self.family.model or 'module'} can be built as the config.json of {self.name!r} says: "
                f"{gist(e)}; take the published file"
            ) from e

    def load(self, dtype: Any, *, allow_pickle: bool = False, device_map: Any = None, quantization: Any = None) -> Any:
        """The module with its weights, complete, on the CPU or where ``device_map`` says.

        That a folder has weights is found out before: :func:`~dlmsample.models.weight_files.check_weights`.

        Args:
            dtype: torch dtype of the weights.
            allow_pickle: also read weights that are no safetensors.
            device_map: as transformers takes it, like "auto".
            quantization: a transformers quantisation config.

        Raises:
            ValueError: weights that are missing, damaged, or do not fit.
        """
        return load_module(
            self.name,
            self.where,
            self._model_class(),
            self.family,
            self.config,
            dtype,
            trust_remote_code=self.runs_remote_code,
            revision=self.revision,
            allow_pickle=allow_pickle,
            device_map=device_map,
            quantization=quantization,
            attention=self._attention(),
        )

    def _attention(self) -> str | None:
        """The name of the attention function; None lets transformers choose, for modules that get padding masks."""
        from dlmsample.models.attention.in_place import attention_for

        if self._padding:
            return None
        return "sdpa" if self.runs_remote_code else attention_for(self.config)  # eager would add a boolean mask as 0/1

    def context(self, interface: ModuleInterface) -> int:
        """Positions a canvas may have, in tokens."""
        return context_of(self.config, interface)

    def _model_class(self) -> Any:
        import transformers

        if not self.runs_remote_code:
            return getattr(transformers, self.family.model)
        offered = getattr(self.config, "auto_map", None) or {}
        known = ("AutoModelForCausalLM", "AutoModelForMaskedLM", "AutoModel")
        return getattr(transformers, next((name for name in known if name in offered), "AutoModelForCausalLM"))

    def _trusting(self) -> dict[str, Any]:
        return {"trust_remote_code": True} if self.runs_remote_code else {}


def open_config(
    name: str | Path,
    *,
    family: str | None = None,
    trust_remote_code: bool = False,
    mask_id: int | None = None,
    eos_ids: Sequence[int] | None = None,
    revision: str | None = None,
    ignore_config: Sequence[str] = (),
    refuse_unknown: bool = True,
    where: str | None = None,
) -> Opened:
    """Read a checkpoint's config and tokenizer, and find out what it is.

    The config is the stock one that the family maps to, made ready for boolean masks (``is_causal`` False) and
    carrying the facts as its ``dlmsample`` section, so that ``save_pretrained`` writes a folder that loads as it is.

    Args:
        name: an embedded model, a folder, or a hub id.
        family: which one it is; None: recognised.
        trust_remote_code: whether code that comes with the checkpoint may run; it is used only where no stock body
            is known to give the same numbers.
        mask_id: override.
        eos_ids: override; an empty list never stops.
        revision: branch, tag or commit of a hub id; None: its main branch.
        ignore_config: keys of its config.json that are not known and shall not stand in the way.
        refuse_unknown: whether other keys that are not known are an error; they are listed in ``keys`` anyway.
        where: what :func:`~dlmsample.models.hub.locate` says of the name, where that was asked already.

    Raises:
        ValueError: no such checkpoint, an unknown family, no mask token, code that may not run, or a config that asks
            for what is not known or not computed.

    Example:
        >>> opened = open_config("nano")
        >>> opened.family.name, opened.facts.block_length
        ('stock', 32)
    """
    chosen = None if family is None else family_of(family)
    name = str(name)
    where = locate(name) if where is None else where
    raw = read_config(name, where, revision)
    check_shape(name, raw)
    if chosen is None:
        found, told = recognise(name, raw, DECLARED)
    else:
        found, told = chosen, "the caller"
    remote = not found.model
    if remote:
        _check_remote(name, found, raw, trust_remote_code)
        config, keys = _remote_config(name, where, revision), ConfigKeys(tuple(raw), (), ())
    else:
        stock = None if found.config else _stock_class(name, raw)
        ignored = [ignore_config] if isinstance(ignore_config, str) else ignore_config
        keys = checked_keys(name, raw, found, stock, ignored if refuse_unknown else None)
        config = stock_config(name, raw, found) if stock is None else _own_config(name, raw, stock, keys)
    tokenizer = read_tokenizer(
        where,
        found.tokenizer,
        trust_remote_code,
        revision,
        found.tokenizer_of_parts,
        None if remote or found.config else _named(config, raw, where),
    )
    vocabulary = config.get_text_config().vocab_size
    facts = find_facts(name, found, raw, vocabulary, tokenizer, mask_id, eos_ids)
    config.is_causal = False  # the masks say who sees whom
    setattr(config, SECTION, {**asdict(facts), "eos_ids": list(facts.eos_ids)})
    return Opened(name, where, found, told, config, facts, tokenizer, keys, remote, revision)


def _check_remote(name: str, family: Family, raw: Mapping[str, Any], trusted: bool) -> None:
    if "auto_map" not in raw:
        raise ValueError(f"{name!r} brings no modelling code (no auto_map in its config.json): give another family")
    if not trusted:
        why = "" if family.must_declare else " (no stock body is known to give its numbers)"
        raise ValueError(
            f"{name!r} needs the modelling code that comes with it{why}: if you trust its author, load with "
            "trust_remote_code=True (--trust-remote-code)"
        )


def _stock_class(name: str, raw: Mapping[str, Any]) -> Any:
    """The configuration class of transformers for a model type."""
    from transformers import CONFIG_MAPPING

    kind = raw.get("model_type")
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:
        raise ValueError(
            f"cannot read the configuration of {name!r}: transformers knows no model_type {kind!r}; take the published "
            "config.json, or name its family (--family)"
        )
    return CONFIG_MAPPING[kind]


def _own_config(name: str, raw: Mapping[str, Any], stock: Any, keys: ConfigKeys) -> Any:
    """A configuration that transformers reads itself, without the keys that are harmless or ignored.

    Code that comes with the checkpoint is not asked, and what a module returns by default (``output_hidden_states``,
    ``return_dict``) is for whoever calls it to say.
    """
    check_rope(name, raw)
    left_out = {*UNPASSED, *keys.harmless, *keys.unknown}
    try:
        return stock.from_dict({key: value for key, value in raw.items() if key not in left_out})
    except Exception as e:  # validation has errors of its own
        raise ValueError(f"cannot read the configuration of {name!r}: {gist(e)}; repair its config.json") from e


def _named(config: Any, raw: Mapping[str, Any], where: str) -> Any:
    """A copy of a configuration with what says which class reads the tokenizer, and changes no logits.

    Without it transformers reads config.json once more, with the keys that are not passed on: some versions refuse a
    file for the value of a key that nothing here asks for.
    """
    named = copy(config)
    named._name_or_path = where
    for key in ("tokenizer_class", "model_name"):
        if isinstance(raw.get(key), str):
            setattr(named, key, raw[key])
    return named


def _remote_config(name: str, where: str, revision: str | None) -> Any:
    """A configuration whose class comes with the checkpoint."""
    from transformers import AutoConfig

    pinned = {} if revision is None else {"revision": revision}
    try:
        return AutoConfig.from_pretrained(where, trust_remote_code=True, **pinned)
    except Exception as e:  # code that comes with a checkpoint may raise anything
        raise ValueError(f"cannot read the configuration of {name!r}: {gist(e)}") from e
