"""All families by name, and the one that a config.json is of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dlmsample.models.embedded import SECTION
from dlmsample.models.families.base import Family
from dlmsample.support.registry import Registry

#: Published families come first and are asked in this order, then those of other packages.
FAMILIES = Registry(
    "family",
    "dlmsample.families",
    {
        "llada_moe": "dlmsample.models.families.remote_only:LLADA_MOE",
        "sdar_moe": "dlmsample.models.families.remote_only:SDAR_MOE",
        "llada2": "dlmsample.models.families.llada2:FAMILY",
        "llada": "dlmsample.models.families.llada:FAMILY",
        "dream": "dlmsample.models.families.dream:FAMILY",
        "sdar": "dlmsample.models.families.sdar:FAMILY",
        "stock": "dlmsample.models.families.stock:STOCK",
        "masked_lm": "dlmsample.models.families.stock:MASKED_LM",
        "remote": "dlmsample.models.families.stock:REMOTE",
    },
)
#: Not told by an architecture or model type of their own.
_GENERAL = ("stock", "masked_lm", "remote")


def family(name: str) -> Family:
    """A family by name.

    Raises:
        ValueError: there is none of that name.

    Example:
        >>> family("dream").logit_shift
        True
    """
    return FAMILIES[name]


def published(raw: Mapping[str, Any]) -> Family | None:
    """The published family that a config.json is of; None for any other checkpoint.

    Example:
        >>> published({"architectures": ["DreamModel"]}).name, published({"model_type": "qwen3"})
        ('dream', None)
    """
    return _published(_built_in(), raw)


def _built_in() -> dict[str, Family]:
    """The families that are part of the package, in their order."""
    return dict(zip(FAMILIES.built_in, FAMILIES.load(FAMILIES.built_in), strict=True))


def _published(built_in: Mapping[str, Family], raw: Mapping[str, Any]) -> Family | None:
    """:func:`published`; families of other packages are loaded only where none of ours is recognised."""
    for name, known in built_in.items():
        if name not in _GENERAL and recognises(known, raw):
            return known
    others = FAMILIES.declared()
    return next((known for known in (FAMILIES.load(others) if others else ()) if recognises(known, raw)), None)


def recognises(known: Family, raw: Mapping[str, Any]) -> bool:
    """Whether a config.json is of a family: by its architectures or, where it names none, by its model type."""
    named = [a for a in raw.get("architectures") or () if isinstance(a, str)]
    if named:
        return bool(known.architectures) and any(re.fullmatch(known.architectures, a) for a in named)
    kind = raw.get("model_type")
    return bool(known.model_types) and isinstance(kind, str) and bool(re.fullmatch(known.model_types, kind))


def recognise(name: str, raw: Mapping[str, Any], declared: str) -> tuple[Family, str]:
    """The family of a config.json, and what it was recognised by.

    A published family is recognised by its architecture or model type, a masked LM by an architecture of transformers.
    A config with a section of ours is a stock decoder, or modelling code that comes with the checkpoint.

    Args:
        name: of the checkpoint, for errors.
        raw: the config.
        declared: the fields of the section, for errors.

    Raises:
        ValueError: it is none of these.
    """
    named = ", ".join(str(a) for a in raw.get("architectures") or ()) or "none"
    told = f"architectures {named}, model_type {raw.get('model_type')!r}"
    ours = _built_in()
    if (known := _published(ours, raw)) is not None:
        return known, told
    if _is_masked_lm(raw):
        return ours["masked_lm"], told
    if isinstance(raw.get(SECTION), dict):
        foreign = "auto_map" in raw and not _is_known(raw)
        return ours["remote" if foreign else "stock"], f"the {SECTION!r} section of its config.json"
    raise ValueError(
        f"{name!r} does not say how it decodes and is of no known family ({told}): add a {SECTION!r} section to its "
        f"config.json with {declared}, or name its family ({', '.join(FAMILIES)}) with family= (--family)"
    )


def _is_masked_lm(raw: Mapping[str, Any]) -> bool:
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

    classes: Any = MODEL_FOR_MASKED_LM_MAPPING_NAMES
    known = classes.get(str(raw.get("model_type")))
    if known is None or raw.get("is_encoder_decoder"):
        return False
    named = raw.get("architectures") or []
    return known in named or (not named and known.endswith("ForMaskedLM"))


def _is_known(raw: Mapping[str, Any]) -> bool:
    from transformers import CONFIG_MAPPING

    return raw.get("model_type") in CONFIG_MAPPING
