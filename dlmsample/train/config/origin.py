"""The published checkpoint that a run starts from, opened as decoding opens it: renamed into its stock body."""

from __future__ import annotations

from pathlib import Path

from dlmsample.models.embedded import EMBEDDED
from dlmsample.models.families import Opened, open_config, published
from dlmsample.models.hub import locate, read_config
from dlmsample.train.config.sections import ModelSection


def open_published(section: ModelSection, skip_hub: bool = False) -> Opened | None:
    """Config and facts of a checkpoint of a published family; None for one in its stock body's own layout.

    Args:
        section: which one; a geometry given there overrides the ids of the published one.
        skip_hub: leave a hub id alone and return None, so that nothing is fetched.

    Raises:
        ValueError: it cannot be had, or its family fits no stock body.
    """
    if section.init is None or section.init in EMBEDDED:
        return None
    folder = Path(section.where)
    if skip_hub and not folder.is_dir():
        return None
    if folder.is_dir() and not (folder / "config.json").is_file():
        return None
    if published(read_config(section.init, locate(section.init))) is None:
        return None
    own = section.geometry
    return open_config(section.init, mask_id=own and own.mask_id, eos_ids=own and own.eos_ids)
