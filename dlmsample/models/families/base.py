"""What a checkpoint family declares: how its config is recognised, the stock body it fits, and how it decodes.

A family holds no modelling code. Its published weights fit a body that transformers ships, by renaming, splitting
and stacking tensors while they load; what a config asks for beyond that body is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dlmsample.models.denoiser import Alignment, Attention
from dlmsample.models.interface import Kind


@dataclass(frozen=True)
class Rename:
    """A part of a tensor's name becomes another. ``published`` is a regular expression, ``stock`` plain text."""

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


Transform = Rename | Split | Stack


@dataclass(frozen=True)
class Take:
    """A field of the stock config, from the first of these published fields that is set; else the default."""

    names: tuple[str, ...]
    default: Any = None
    required: bool = False


def take(*names: str, default: Any = None) -> Take:
    """An optional field."""
    return Take(names, default)


def need(*names: str) -> Take:
    """A field without which the config says too little."""
    return Take(names, required=True)


@dataclass(frozen=True)
class Family:
    """A checkpoint family.

    Ids are looked up by name in the tokenizer; the published ids count only where the checkpoint has the published
    mask id, so that a checkpoint with another vocabulary never gets them.
    """

    name: str
    summary: str
    architectures: str = ""  #: regular expression for an entry of ``architectures`` in config.json
    model_types: str = ""  #: regular expression for ``model_type``
    model: str = ""  #: the transformers class that the weights go into; "": none is known to give the same numbers
    config: str = ""  #: its configuration class; "": the config is one that transformers reads itself
    tokenizer: str = ""  #: transformers class that reads its files; "": AutoTokenizer, by what config.json says
    fields: Mapping[str, Take] = field(default_factory=dict)  #: of the stock config
    rope: Mapping[str, Take] = field(default_factory=dict)  #: of the stock config's ``rope_parameters``
    only: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)  #: published field -> values the body computes
    weights: tuple[Transform, ...] = ()
    attention: Attention = "bidirectional"
    block_alignment: Alignment = "prompt"
    logit_shift: bool = False
    block_length: int = 32
    block_key: str = ""  #: field of config.json that gives the block length
    mask_id: int | None = None  #: as published
    eos_ids: tuple[int, ...] = ()  #: as published
    mask_token: str = ""
    eos_tokens: tuple[str, ...] = ()
    lora_targets: tuple[str, ...] = ()  #: layers to adapt in training, under stock names
    reads: Kind = "decoder"  #: see :mod:`dlmsample.models.interface`

    def recognises(self, raw: Mapping[str, Any]) -> bool:
        """Whether a config.json is one of this family: by architecture, and where it names none by model type."""
        named = [a for a in raw.get("architectures") or () if isinstance(a, str)]
        if self.architectures and any(re.fullmatch(self.architectures, a) for a in named):
            return True
        kind = raw.get("model_type")
        return not named and bool(self.model_types and isinstance(kind, str) and re.fullmatch(self.model_types, kind))


DENSE = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
ATTENTION = DENSE[:4]
