"""The keys of a config.json: those that are read, those known to be harmless, and all others, which are refused.

A key that nobody here has heard of may change what the published code computes. Loading in spite of it would give
wrong numbers without a word, so it is named, and loads only when the caller says that it may be ignored.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from dlmsample.models.embedded import SECTION
from dlmsample.models.families.base import Family
from dlmsample.support.registry import unknown

#: Read of every checkpoint.
_ALWAYS_READ = frozenset(
    {"architectures", "model_type", "mask_token_id", "bos_token_id", "eos_token_id", "pad_token_id", SECTION}
)
#: Read of every checkpoint with rotary positions.
ROPE_KEYS = frozenset({"rope_parameters", "rope_scaling", "rope_theta", "partial_rotary_factor"})
#: Values of common keys that mean what any body does.
_ALWAYS_ONLY: dict[str, tuple[Any, ...]] = {
    "is_encoder_decoder": (False,),
    "add_cross_attention": (False,),
    "tie_encoder_decoder": (False,),
    "layer_types": ("full_attention",),
}
#: Attributes of any transformers config, and of generation, that change no logits.
_ALWAYS_HARMLESS = frozenset(
    {
        "_attn_implementation",
        "_attn_implementation_autoset",
        "_commit_hash",
        "_name_or_path",
        "attention_dropout",
        "attn_implementation",
        "auto_map",
        "bad_words_ids",
        "begin_suppress_tokens",
        "chunk_size_feed_forward",
        "cls_token_id",
        "cross_attention_hidden_size",
        "decoder_start_token_id",
        "diversity_penalty",
        "do_sample",
        "dtype",
        "early_stopping",
        "encoder_no_repeat_ngram_size",
        "exponential_decay_length_penalty",
        "finetuning_task",
        "forced_bos_token_id",
        "forced_eos_token_id",
        "gradient_checkpointing",
        "id2label",
        "initializer_range",
        "is_causal",  # the masks say what a position sees
        "is_decoder",
        "label2id",
        "length_penalty",
        "max_length",
        "min_length",
        "no_repeat_ngram_size",
        "num_beam_groups",
        "num_beams",
        "num_labels",
        "num_return_sequences",
        "output_attentions",
        "output_hidden_states",
        "output_past",
        "output_scores",
        "prefix",
        "pretraining_tp",
        "problem_type",
        "remove_invalid_values",
        "repetition_penalty",
        "return_dict",
        "return_dict_in_generate",
        "sep_token_id",
        "suppress_tokens",
        "task_specific_params",
        "temperature",
        "tf_legacy_loss",
        "tokenizer_class",
        "top_k",
        "top_p",
        "torch_dtype",
        "torchscript",
        "transformers_version",
        "typical_p",
        "unsloth_fixed",
        "unsloth_version",
        "use_bfloat16",
        "use_cache",
    }
)
#: Read of no config, though transformers would: what a module returns, how it is trained, and what the caller gives,
#: its dtype and its attention function.
UNPASSED = frozenset(
    {"auto_map", "dtype", "gradient_checkpointing", "output_attentions", "output_hidden_states", "return_dict"}
    | {"torch_dtype", "torchscript", "_attn_implementation", "attn_implementation", "_attn_implementation_internal"}
)
#: How the code of transformers asks for a key: of the config, or of what an older file has.
_LOOKED_UP = re.compile(r"""(?:\bconfig\.|\bconfig, ["']|kwargs\.(?:get|pop)\(\s*["'])(\w+)""")


class ConfigKeys(NamedTuple):
    """The keys of a config.json, in its order. Keys that are null or empty ask for nothing and are left out."""

    read: tuple[str, ...]
    harmless: tuple[str, ...]  #: known to change no logits
    unknown: tuple[str, ...]  #: refused, unless the caller has them ignored


def sort_keys(raw: Mapping[str, Any], family: Family, stock: Any = None) -> ConfigKeys:
    """What becomes of every key of a config.

    Args:
        raw: the config.
        family: which it is of.
        stock: the class of transformers that reads the config itself; what it declares is read.

    Example:
        >>> from dlmsample.models.families.registry import family
        >>> sort_keys({"d_model": 64, "init_fn": "normal", "expert_capacity": 2, "clip_qkv": None}, family("llada"))
        ConfigKeys(read=('d_model',), harmless=('init_fn',), unknown=('expert_capacity',))
    """
    keys = [key for key, value in raw.items() if value is not None and value not in ({}, [])]
    read = _ALWAYS_READ | {family.block_key} | _checked(family, stock).keys()
    if stock is None:
        taken = (*family.fields.values(), *family.rope.values())
        read |= ROPE_KEYS | {key.name for key in taken} | {key.fallback for key in taken}
    else:
        read |= declared(stock) | {"tie_word_embeddings"}
    harmless = (_ALWAYS_HARMLESS | family.harmless) - read
    return ConfigKeys(
        tuple(key for key in keys if key in read),
        tuple(key for key in keys if key in harmless),
        tuple(key for key in keys if key not in read | harmless),
    )


def _check_values(name: str, raw: Mapping[str, Any], family: Family, stock: Any = None) -> None:
    """Refuse what the stock body does not compute.

    Raises:
        ValueError: a key has another value than those that the body computes.
    """
    checked = _checked(family, stock)
    if family.module_kind == "masked_lm":
        checked["is_decoder"] = (False,)  # it would look back alone
    for key, values in checked.items():
        asked = raw.get(key)
        if asked is None or all(item in values for item in (asked if isinstance(asked, list) else [asked])):
            continue
        possible = f"only {' or '.join(map(repr, values))}" if values else "only null"
        raise ValueError(
            f"{name!r} has {key}={asked!r}, which {family.model} does not compute ({possible}): its own code may, with "
            "family='remote' and trust_remote_code (--family remote --trust-remote-code)"
        )


def checked_keys(
    name: str, raw: Mapping[str, Any], family: Family, stock: Any, ignored: Sequence[str] | None
) -> ConfigKeys:
    """:func:`sort_keys` of a config that asks for nothing but what the stock body computes.

    Args:
        name: of the checkpoint, for errors.
        raw: the config.
        family: which it is of.
        stock: the class of transformers that reads the config itself, or None.
        ignored: keys that the caller has ignored; None: no key is refused for being unknown.

    Raises:
        ValueError: quantised weights, a key that is not known, or a value that the body does not compute.
    """
    _check_quantized(name, raw)
    keys = sort_keys(raw, family, stock)
    if ignored is not None:
        _check_unknown(name, raw, keys, family, ignored)
    _check_values(name, raw, family, stock)
    return keys


def _check_unknown(name: str, raw: Mapping[str, Any], keys: ConfigKeys, family: Family, ignored: Sequence[str]) -> None:
    """Refuse keys that are not known, but for those that the caller has ignored.

    Raises:
        ValueError: a key that is not known, or a name to ignore that the config does not have or that is read.
    """
    for key in ignored:
        if key in keys.read:
            raise ValueError(f"{key!r} of {name!r} cannot be ignored: it is read; leave it out of ignore_config")
        if key not in raw and keys.unknown:
            raise unknown("key to ignore", key, keys.unknown, f", of the config.json of {name!r}")
        if key not in raw:
            raise ValueError(f"the config.json of {name!r} has no key {key!r} to ignore: leave it out of ignore_config")
    if not (left := [key for key in keys.unknown if key not in ignored]):
        return
    said = ", ".join(f"{key}={_short(raw[key])}" for key in left[:5]) + (", ..." if len(left) > 5 else "")
    those, them = ("a key", "it is") if len(left) == 1 else ("keys", "they are")
    python = ", ".join(map(repr, left)) + ("," if len(left) == 1 else "")
    raise ValueError(
        f"the config.json of {name!r} has {those} unknown to the family {family.name!r} that may change its numbers: "
        f"{said}; if {them} of no effect, load with ignore_config=({python}) "
        f"({' '.join(f'--ignore-config {key}' for key in left)})"
    )


def _check_quantized(name: str, raw: Mapping[str, Any]) -> None:
    """Refuse weights that are stored quantised, before anything stumbles over their names.

    Raises:
        ValueError: the config says how its weights were quantised.
    """
    for key in ("quantization_config", "compression_config"):
        if not (said := raw.get(key)):
            continue
        method = said.get("quant_method") if isinstance(said, Mapping) else None
        how = f" ({method})" if isinstance(method, str) else ""
        raise ValueError(
            f"the weights of {name!r} are stored quantised{how}, as {key} in its config.json says, and are not served: "
            "give the checkpoint that they were made from, and quantization='fp8', '8bit' or '4bit' (--quantization) "
            "to load that one quantised"
        )


@cache
def declared(stock: type) -> frozenset[str]:
    """The keys that transformers reads of a config: the fields of its class, and what its own code asks for by name.

    Not all that a model computes with is a field: the size of a head, for one, is looked up and derived where missing.
    """
    fields = [f.name for f in dataclasses.fields(stock)] if dataclasses.is_dataclass(stock) else []
    named = {*fields, *inspect.signature(stock).parameters}
    for pair in getattr(stock, "attribute_map", {}).items():
        named |= {*pair}
    for source in Path(inspect.getfile(stock)).parent.glob("*.py"):
        named |= {*_LOOKED_UP.findall(source.read_text(encoding="utf-8"))}
    if "rope_parameters" in named:
        named |= ROPE_KEYS
    return frozenset(named - {"self", "args", "kwargs"})


def _checked(family: Family, stock: Any) -> dict[str, tuple[Any, ...]]:
    """Keys of which only some values are computed; what a class of transformers reads itself is left to it."""
    checked = {**_ALWAYS_ONLY, **family.only}
    own = frozenset() if stock is None else declared(stock)
    return {key: values for key, values in checked.items() if key not in own}


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
