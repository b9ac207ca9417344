"""Checkpoint families: which there are, which one a checkpoint belongs to, and how it is opened.

``open_config(name)`` reads the config and the tokenizer, and returns everything that decoding or training must know;
the result's :meth:`~dlmsample.models.families.open.Opened.load` reads the weights.
"""

from __future__ import annotations

from dlmsample.models.families.base import Family
from dlmsample.models.families.open import Opened, open_config
from dlmsample.models.families.registry import FAMILIES, family, published

__all__ = ["FAMILIES", "Family", "Opened", "family", "open_config", "published"]
