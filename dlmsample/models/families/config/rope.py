"""Rotary positions: what a config says about them, in the spelling of transformers 5 and in the older one.

Since transformers 5 everything stands in ``rope_parameters``; before, ``rope_theta`` and ``partial_rotary_factor``
stood beside ``rope_scaling``. Published files have either, and files that were saved again have both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dlmsample.models.families.base import Key
from dlmsample.models.families.config.shape import is_number, wrong

#: Kinds of rotary embeddings that transformers computes from positions of one axis.
_KINDS = ("default", "linear", "dynamic", "yarn", "longrope", "llama3")
_KIND_KEYS = ("rope_type", "type")
#: What these kinds may say beside their base and the share of each head that they turn.
_OPTIONS = frozenset(
    {
        "attention_factor",
        "beta_fast",
        "beta_slow",
        "factor",
        "high_freq_factor",
        "long_factor",
        "low_freq_factor",
        "mscale",
        "mscale_all_dim",
        "original_max_position_embeddings",
        "short_factor",
        "truncate",
    }
)
#: Those that are lists, one number for each frequency; and what a kind cannot do without.
_FACTORS = ("long_factor", "short_factor")
_NEEDED = {
    **dict.fromkeys(("linear", "dynamic", "yarn"), ("factor",)),
    "longrope": _FACTORS,
    "llama3": ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"),
}
_STOCK_FIELDS = {"rope_theta": Key("rope_theta", None), "partial_rotary_factor": Key("partial_rotary_factor", None)}


def rope_parameters(name: str, raw: Mapping[str, Any], fields: Mapping[str, Key]) -> dict[str, Any]:
    """The ``rope_parameters`` of the stock config.

    Args:
        name: of the checkpoint, for errors.
        raw: the config.
        fields: what the body needs beside the kind, each with the key that older files have and its default.

    Raises:
        ValueError: the two spellings contradict each other, or ask for a kind or an option that is not known.
    """
    sections = {key: _section(name, raw, key) for key in ("rope_parameters", "rope_scaling")}
    kinds = [(f"{at}.{key}", said.get(key)) for at, said in sections.items() for key in _KIND_KEYS]
    kind = _agreed(name, kinds) or "default"
    if kind not in _KINDS:
        raise ValueError(
            f"{name!r} has rotary positions of the kind {kind!r}, which no stock body here computes (only "
            f"{', '.join(_KINDS)}): its own code may, with family='remote' and trust_remote_code "
            "(--family remote --trust-remote-code)"
        )
    found: dict[str, Any] = {"rope_type": kind}
    for field, key in fields.items():
        said = [(f"{at}.{field}", section.get(field)) for at, section in sections.items()]
        agreed = _agreed(name, [(key.name, raw.get(key.name)), *said])
        if (value := key.default if agreed is None else agreed) is not None:
            if not (is_number(value) and value > 0):
                raise ValueError(wrong(field, name, value, "a positive number"))
            found[field] = value
    for at, section in sections.items():
        for option, value in section.items():
            if option in _KIND_KEYS or option in fields or value is None:
                continue
            if option not in _OPTIONS:
                raise ValueError(
                    f"{at} of {name!r} has {option}={value!r:.40}, which is not known and may change its numbers: "
                    "take the published file"
                )
            if not _fits(option, value):
                raise ValueError(wrong(f"{at}.{option}", name, value, _wanted(option)))
            found[option] = _agreed(name, [(f"{key}.{option}", said.get(option)) for key, said in sections.items()])
    if lacking := [option for option in _NEEDED.get(kind, ()) if option not in found]:
        raise ValueError(
            f"the config.json of {name!r} has rotary positions of the kind {kind!r} without {lacking[0]}: take the "
            "published file"
        )
    return found


def _fits(option: str, value: Any) -> bool:
    if option in _FACTORS:
        return isinstance(value, list) and all(map(is_number, value))
    return isinstance(value, bool) if option == "truncate" else is_number(value) and value >= 0


def _wanted(option: str) -> str:
    return "a list of numbers" if option in _FACTORS else "true or false" if option == "truncate" else "a number"


def check_rope(name: str, raw: Mapping[str, Any]) -> None:
    """Refuse contradictions and unknown kinds in a config that transformers reads itself.

    Raises:
        ValueError: as :func:`rope_parameters`.
    """
    said = raw.get("rope_parameters")
    if isinstance(said, Mapping) and any(isinstance(value, Mapping) for value in said.values()):
        return  # one set for each kind of layer, which is for transformers to read
    rope_parameters(name, raw, _STOCK_FIELDS)


def _section(name: str, raw: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    said = raw.get(key)
    if said is None or said == []:
        return {}
    if not isinstance(said, Mapping):
        raise ValueError(f"{key} in the config.json of {name!r} is no object: repair it")
    return said


def _agreed(name: str, said: Iterable[tuple[str, Any]]) -> Any:
    """The one value that all who say something say; None where nobody does."""
    given = [(where, value) for where, value in said if value is not None]
    for where, value in given[1:]:
        if value != given[0][1]:
            raise ValueError(
                f"the config.json of {name!r} contradicts itself: {given[0][0]}={given[0][1]!r:.40} and "
                f"{where}={value!r:.40}; remove the wrong one"
            )
    return given[0][1] if given else None
