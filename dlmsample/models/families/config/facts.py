"""What decoding must know about a checkpoint, from the caller, its config.json, its tokenizer and its family."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from pydantic import ValidationError

from dlmsample.models.denoiser import Facts
from dlmsample.models.embedded import SECTION
from dlmsample.models.families.base import Family
from dlmsample.models.families.config.shape import is_count, wrong
from dlmsample.support.validated import mistakes

#: The fields of our section of a config.json, for errors.
DECLARED = ", ".join(f.name for f in fields(Facts))


def find_facts(
    name: str,
    family: Family,
    raw: Mapping[str, Any],
    vocabulary: int,
    tokenizer: Any | None,
    mask_id: int | None,
    eos_ids: Sequence[int] | None,
) -> Facts:
    """Each fact from the first source that has it: the caller, our section, config and tokenizer, the family.

    Raises:
        ValueError: a fact that no source has, or that is of the wrong type, outside the vocabulary, or contradictory.
    """
    section = raw.get(SECTION)
    declared = section if isinstance(section, dict) else {}
    given = declared if family.must_declare else {**_of_family(name, family, raw), **declared}
    overrides = {"mask_id": mask_id, "eos_ids": eos_ids}
    given = {**given, **{key: value for key, value in overrides.items() if value is not None}}
    if not family.must_declare:
        if "mask_id" not in given:
            given["mask_id"] = _mask_id(name, family, raw, vocabulary, tokenizer)
        if "eos_ids" not in given:
            given["eos_ids"] = _eos_ids(family, raw, tokenizer, given["mask_id"])
    elif not declared:
        raise ValueError(
            f"{name!r} does not say how it decodes: add a {SECTION!r} section to its config.json with {DECLARED}"
        )
    if isinstance(given.get("eos_ids"), Sequence):
        given["eos_ids"] = tuple(given["eos_ids"])
    try:
        facts = Facts(**given)
    except ValidationError as e:
        said = mistakes(e, "section")
        raise ValueError(f"the {SECTION!r} section of {name!r}'s config.json, or an override, is wrong: {said}") from e
    outside = [i for i in (facts.mask_id, *facts.eos_ids) if not 0 <= i < vocabulary]
    if outside:
        raise ValueError(
            f"id {outside[0]} is outside the vocabulary of {name!r} (0..{vocabulary - 1}): give the right one with "
            "mask_id= or eos_ids=, or in its config.json"
        )
    if facts.mask_id in facts.eos_ids:
        raise ValueError(
            f"id {facts.mask_id} is both the mask of {name!r} and what ends an answer: give the right ones with "
            "mask_id= or eos_ids=, or in its config.json"
        )
    if mask_id is None:
        _check_mask(name, family, tokenizer, facts.mask_id)
    return facts


def _of_family(name: str, family: Family, raw: Mapping[str, Any]) -> dict[str, Any]:
    length = raw.get(family.block_key)
    if length is not None and not (is_count(length) and length >= 1):
        raise ValueError(wrong(family.block_key, name, length, "a number of tokens"))
    return {
        "block_length": family.block_length if length is None else length,
        "attention": family.attention,
        "block_alignment": family.block_alignment,
        "logit_shift": family.logit_shift,
    }


def _mask_id(name: str, family: Family, raw: Mapping[str, Any], vocabulary: int, tokenizer: Any | None) -> int:
    named = [raw.get("mask_token_id"), getattr(tokenizer, "mask_token_id", None)]
    named += _in_tokenizer(tokenizer, [family.mask_token])
    for found in named:
        if found is not None:
            return found
    if family.mask_id is not None and family.mask_id < vocabulary:
        return family.mask_id
    raise ValueError(
        f"{name!r} has no mask token: neither its config.json nor its tokenizer names one; give mask_id=, or a "
        f"mask_token_id or a {SECTION!r} section with mask_id in its config.json"
    )


def _check_mask(name: str, family: Family, tokenizer: Any | None, mask_id: int) -> None:
    """Refuse an ordinary token for a mask where the tokenizer has a mask token of its own."""
    own = [getattr(tokenizer, "mask_token_id", None), *_in_tokenizer(tokenizer, [family.mask_token])]
    own = [token for token in own if token is not None]
    if tokenizer is None or not own or mask_id in own or mask_id in getattr(tokenizer, "added_tokens_decoder", {}):
        return
    words = [tokenizer.convert_ids_to_tokens(token) for token in (mask_id, own[0])]
    if words[0] is None:  # an id beyond the tokenizer's is no word
        return
    raise ValueError(
        f"the config.json of {name!r} has mask id {mask_id}, which is the ordinary token {words[0]!r}, while the mask "
        f"of its tokenizer is {words[1]!r} ({own[0]}): correct it there, or give mask_id="
    )


def _eos_ids(family: Family, raw: Mapping[str, Any], tokenizer: Any | None, mask_id: int) -> tuple[int, ...]:
    """The ids that end an answer. For a masked LM without an EOS that is its separator."""
    said = raw.get("eos_token_id")
    found = [*said] if isinstance(said, list) else [said]
    found.append(getattr(tokenizer, "eos_token_id", None))
    found += _in_tokenizer(tokenizer, family.eos_tokens)
    if mask_id == family.mask_id:
        found += family.eos_ids
    if family.module_kind == "masked_lm" and all(i is None for i in found):
        found.append(getattr(tokenizer, "sep_token_id", None))
    return tuple(dict.fromkeys(i for i in found if i is not None))


def _in_tokenizer(tokenizer: Any | None, names: Iterable[str]) -> list[int]:
    if tokenizer is None:
        return []
    known = tokenizer.get_vocab()
    return [known[name] for name in names if name and name in known]
