"""The checkpoint that a run starts from, opened as decoding opens it; or the body that a run makes anew."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from dlmsample.models.denoiser import Facts
from dlmsample.models.embedded import SECTION
from dlmsample.models.families import Opened, family, open_config, published
from dlmsample.models.families.config.keys import ConfigKeys
from dlmsample.models.hub import locate, read_config
from dlmsample.train.config.sections import ModelSection


def open_start(section: ModelSection, *, fetch: bool = True) -> Opened:
    """The config and the facts of the model that is trained, without its weights.

    A geometry that the recipe gives counts for more than what the checkpoint says. A stock decoder that does not say
    how it decodes needs one.

    Args:
        section: which model.
        fetch: whether a hub id may be looked up although the recipe gives its body's shape; if not, the shape counts.

    Raises:
        ValueError: the checkpoint cannot be had, fits no stock body, or does not say how it decodes.
    """
    name, own = section.init, section.geometry
    if name is None or (section.shape is not None and not fetch and not Path(section.where).is_dir()):
        return _stock(section, _new_config(section))
    where = locate(name)
    if own is not None and _is_silent(read_config(name, where)):
        from transformers import AutoConfig

        return _stock(section, AutoConfig.from_pretrained(where, local_files_only=Path(where).is_dir()))
    opened = open_config(name, mask_id=own and own.mask_id, eos_ids=own and own.eos_ids)
    return opened if own is None else replace(opened, facts=Facts(**own.model_dump()))


def declared(section: ModelSection) -> dict[str, Any] | None:
    """What the config.json of a stock checkpoint says about decoding; None: another family, or nothing is said.

    Raises:
        ValueError: the checkpoint cannot be had.
    """
    if section.init is None:
        return None
    raw = read_config(section.init, locate(section.init))
    found = raw.get(SECTION)
    return found if isinstance(found, dict) and published(raw) is None else None


def _is_silent(raw: dict[str, Any]) -> bool:
    """Whether a config.json is of a stock decoder that does not say how it decodes."""
    named = raw.get("architectures") or ()
    masked_lm = any(isinstance(a, str) and a.endswith("ForMaskedLM") for a in named)
    return SECTION not in raw and published(raw) is None and not masked_lm


def _new_config(section: ModelSection) -> Any:
    from transformers import AutoConfig

    return AutoConfig.for_model(section.type, **(section.shape or {}))


def _stock(section: ModelSection, config: Any) -> Opened:
    """A stock decoder that decodes as the recipe's geometry says."""
    if section.geometry is None:
        raise ValueError(f"{section.init} does not say its mask id: give model.geometry")
    config.is_causal = False  # the masks say who sees whom
    facts = Facts(**section.geometry.model_dump())
    name = section.init or section.type
    return Opened(name, section.where, family("stock"), "the recipe", config, facts, None, ConfigKeys((), (), ()))
