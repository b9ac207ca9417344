"""What a checkpoint family declares: how its config is recognised, the stock body it fits, and how it decodes.

A family holds no modelling code. Its published weights fit a body that transformers ships, by renaming, splitting and
stacking tensors while they load. What its config may say is a closed list: keys that are read, keys that are known not
to change a number, and no others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dlmsample.models.denoiser import Alignment, Attention
from dlmsample.models.interface import ModuleKind


@dataclass(frozen=True)
class Rename:
    """A part of a tensor's name becomes another.

    ``published`` is a regular expression, and ``stock`` what takes the place of its match, in which ``\\1`` is a group.
    """

    published: str
    stock: str


@dataclass(frozen=True)
class Split:
    """One fused matrix is cut along its rows; the pieces are as long as the stock parameters."""

    published: str
    stock: tuple[str, ...]


@dataclass(frozen=True)
class Stack:
    """The matrices of all experts (``*`` in the name) are stacked; several kinds are then joined along the rows."""

    published: tuple[str, ...]
    stock: str


@dataclass(frozen=True)
class Join:
    """Matrices of which each holds all experts, stacked already, are joined along the rows."""

    published: tuple[str, ...]
    stock: str


Transform = Rename | Split | Stack | Join
#: The default of a key without which a config says too little.
REQUIRED: Any = object()


@dataclass(frozen=True)
class Key:
    """A key of the published config, from which a field of the stock config is taken."""

    name: str
    default: Any = REQUIRED  #: where the key is missing or null
    fallback: str = ""  #: another key, which is read where the first is missing or null


@dataclass(frozen=True)
class Family:
    """A checkpoint family.

    Ids are looked up by name in the tokenizer. The published ids count only where the checkpoint has the published
    mask id, so that a checkpoint with another vocabulary never gets them.
    """

    name: str
    summary: str
    architectures: str = ""  #: regular expression for an entry of ``architectures`` in config.json
    model_types: str = ""  #: regular expression for ``model_type``
    model: str = ""  #: the transformers class that the weights go into; "": none is known to give the same numbers
    config: str = ""  #: its configuration class; "": the config is one that transformers reads itself
    tokenizer: str = ""  #: transformers class that reads its files; "": AutoTokenizer, by what config.json says
    tokenizer_of_parts: str = ""  #: likewise, of vocab.json and merges.txt alone; "": the same
    fields: Mapping[str, Key] = field(default_factory=dict)  #: field of the stock config -> where it is taken from
    rope: Mapping[str, Key] = field(default_factory=dict)  #: likewise, of its ``rope_parameters``
    only: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)  #: key -> the values that the body computes
    harmless: frozenset[str] = frozenset()  #: keys that its published code does not read, or that change no logits
    weights: tuple[Transform, ...] = ()
    must_declare: bool = False  #: the checkpoint's own section must give every fact, because the family says none
    attention: Attention = "bidirectional"
    block_alignment: Alignment = "prompt"
    logit_shift: bool = False
    block_length: int = 32
    block_key: str = ""  #: key that gives the block length
    mask_id: int | None = None  #: as published
    eos_ids: tuple[int, ...] = ()  #: as published
    mask_token: str = ""
    eos_tokens: tuple[str, ...] = ()
    module_kind: ModuleKind = "decoder"  #: see :mod:`dlmsample.models.interface`
