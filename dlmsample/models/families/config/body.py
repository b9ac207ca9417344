"""A published config.json -> the configuration of the stock body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlmsample.models.families.base import REQUIRED, Family, Key
from dlmsample.models.families.config.rope import rope_parameters
from dlmsample.support.text import one_line

_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")


def stock_config(name: str, raw: Mapping[str, Any], family: Family) -> Any:
    """The body's configuration, field by field.

    Raises:
        ValueError: the config lacks a field, or asks for what the body does not compute.
    """
    import transformers

    given = {field: _taken(name, raw, key) for field, key in family.fields.items()}
    rope = rope_parameters(name, raw, family.rope)
    try:
        if given.get("head_dim", 0) is None:
            given["head_dim"] = given["hidden_size"] // given["num_attention_heads"]
        return getattr(transformers, family.config)(
            **given,
            **{key: _inside(raw.get(key), given["vocab_size"]) for key in _IDS},
            rope_parameters=rope,
            architectures=[family.model],
        )
    except Exception as e:  # validation has errors of its own
        said = one_line(e, 200)
        if (key := next((key for field, key in family.fields.items() if f"'{field}'" in said), None)) is not None:
            said = f"{key.name}={_taken(name, raw, key)!r:.40}: {said}"
        raise ValueError(f"the config.json of {name!r} does not describe a {family.config}: {said}") from e


def _taken(name: str, raw: Mapping[str, Any], key: Key) -> Any:
    for source in (key.name, key.fallback):
        if raw.get(source) is not None:
            return raw[source]
    if key.default is REQUIRED:
        either = f"{key.name} or {key.fallback}" if key.fallback else key.name
        raise ValueError(f"the config.json of {name!r} lacks {either}: take the published file")
    return key.default


def _inside(ids: Any, vocabulary: int) -> Any:
    """Ids that the body may name; an embedding row must exist for them."""
    if isinstance(ids, int):
        return ids if 0 <= ids < vocabulary else None
    return [i for i in ids if 0 <= i < vocabulary] or None if isinstance(ids, list) else None
