"""All families by name, and the one that a config.json is of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlmsample.models.embedded import SECTION
from dlmsample.models.families import dream, general, llada, llada2, sdar, unfit
from dlmsample.models.families.base import Family
from dlmsample.support.registry import unknown

#: Published families, asked in this order.
_PUBLISHED = (unfit.LLADA_MOE, unfit.SDAR_MOE, llada2.FAMILY, llada.FAMILY, dream.FAMILY, sdar.FAMILY)
FAMILIES: dict[str, Family] = {f.name: f for f in (*_PUBLISHED, general.STOCK, general.MASKED_LM, general.REMOTE)}


def family(name: str) -> Family:
    """A family by name.

    Raises:
        ValueError: there is none of that name.

    Example:
        >>> family("dream").logit_shift
        True
    """
    if name not in FAMILIES:
        raise unknown("family", name, FAMILIES)
    return FAMILIES[name]


def published(raw: Mapping[str, Any]) -> Family | None:
    """The published family that a config.json is of; None for any other checkpoint.

    Example:
        >>> published({"architectures": ["DreamModel"]}).name, published({"model_type": "qwen3"})
        ('dream', None)
    """
    return next((known for known in _PUBLISHED if known.recognises(raw)), None)


def recognise(name: str, raw: Mapping[str, Any], declared: str) -> tuple[Family, str]:
    """The family of a config.json and what it was told by.

    A published family by its architecture or model type; a masked LM by an architecture of transformers; a config
    with a section of ours by that: in a stock decoder, or in the modelling code that comes with it.

    Args:
        name: of the checkpoint, for errors.
        raw: the config.
        declared: the fields of the section, for errors.

    Raises:
        ValueError: it is none of these.
    """
    named = ", ".join(str(a) for a in raw.get("architectures") or ()) or "none"
    told = f"architectures {named}, model_type {raw.get('model_type')!r}"
    if (known := published(raw)) is not None:
        return known, told
    if _is_masked_lm(raw):
        return general.MASKED_LM, told
    if isinstance(raw.get(SECTION), dict):
        foreign = "auto_map" in raw and not _is_known(raw)
        return (general.REMOTE if foreign else general.STOCK), f"the {SECTION!r} section of its config.json"
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
