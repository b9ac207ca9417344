"""How a module is called: what masks it takes, and where it gives hidden states and logits."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, reduce
from types import SimpleNamespace
from typing import Any, Literal

import torch
from torch import Tensor, nn

#: Masked LMs: model type -> the parts that turn the body's last hidden states into logits, applied in this order.
_HEADS = {
    "albert": ("predictions",),
    "bert": ("cls",),
    "camembert": ("lm_head",),
    "distilbert": ("vocab_transform", "activation", "vocab_layer_norm", "vocab_projector"),
    "electra": ("generator_predictions", "generator_lm_head"),
    "esm": ("lm_head",),
    "modernbert": ("head", "decoder"),
    "roberta": ("lm_head",),
    "xlm-roberta": ("lm_head",),
}


ModuleKind = Literal["decoder", "masked_lm", "module"]


@dataclass(frozen=True)
class ModuleInterface:
    """How a module is called.

    ``decoder``: a stock decoder. Body and LM head are apart, masks are boolean ``[row, 1, query, key]``, and it takes a
    block cache. ``masked_lm``: a stock masked LM. The LM head is its transform and decoder. Masks are padding masks
    ``[row, key]``, because sliding windows and ESM's token dropout are computed from those; there is no cache.
    ``module``: anything that returns ``.logits``. It is called as a whole, without a cache, and, where attention is
    bidirectional, with a padding mask: nobody knows what foreign code does with a boolean 4-D mask.
    """

    kind: ModuleKind = "decoder"
    offset: int = 0  #: the position id of the first token; the RoBERTa family counts from the padding id + 1
    padding: bool = False  #: the module takes a padding mask ``[row, key]``
    equal_lengths: bool = False  #: padding changes what a row gives: rows of one forward must be of equal length
    needs_text: bool = False  #: a row of masks alone gives no numbers

    def parts(self, module: Any) -> tuple[Any, Callable[[Tensor], Tensor]]:
        """:meth:`body` and :meth:`head`."""
        return self.body(module), self.head(module)

    def body(self, module: Any) -> Any:
        """What is called like a decoder's body and returns ``last_hidden_state`` and, if asked, ``hidden_states``."""
        if self.kind == "decoder":
            return module.get_decoder()
        return _Adapted(self, module)

    def head(self, module: Any) -> Callable[[Tensor], Tensor]:
        """What turns the body's last hidden states into logits."""
        if self.kind == "decoder":
            return module.get_output_embeddings()
        parts = _head_parts(self, module)
        return lambda hidden: reduce(lambda h, part: part(h), parts, hidden)


DECODER = ModuleInterface()
#: What the bodies of transformers call their cache of keys and values since 5.24, and before. A body silently ignores a
#: name that it does not know, so the right one must be looked up.
CACHE_NAMES = ("cache", "past_key_values")
#: Stock decoders whose attention is softmax(q·k)·v and nothing else.
BODIES = frozenset({"glm4_moe", "llama", "qwen2", "qwen3"})
#: Fields of a config that bound the length of a canvas, and the bound of a config that has none of them.
_CONTEXT = ("max_position_embeddings", "max_sequence_length", "n_positions")
_UNBOUNDED = 1 << 20


def text_part(config: Any) -> Any:
    """The part of a module's configuration that tells of texts: all of it, but where the module also reads images."""
    return config.get_text_config() if hasattr(config, "get_text_config") else config


def context_of(config: Any, interface: ModuleInterface) -> int:
    """Positions a canvas may have, in tokens."""
    told = text_part(config)
    sizes = [size for name in _CONTEXT if isinstance(size := getattr(told, name, None), int)]
    return (sizes[0] if sizes else _UNBOUNDED) - interface.offset


def interface_of(kind: ModuleKind, module: Any, padding: bool) -> ModuleInterface:
    """How this module is called: of the kind that its family says, with the offset of its position embeddings."""
    if kind == "decoder":
        return DECODER
    return ModuleInterface(kind, _offset(module) if kind == "masked_lm" else 0, padding)


def _offset(module: Any) -> int:
    """The first position id: in a table of positions with a padding row, the one after that row."""
    for name, part in module.named_modules():
        if name.endswith("position_embeddings") and isinstance(part, nn.Embedding) and part.padding_idx is not None:
            return part.padding_idx + 1
    return 0


def _head_parts(interface: ModuleInterface, module: Any) -> list[Any]:
    """The parts of the LM head; none where the module is called as a whole and gives logits itself."""
    names = _HEADS.get(module.config.model_type, ()) if interface.kind == "masked_lm" else ()
    return [getattr(module, name) for name in names] if all(hasattr(module, name) for name in names) else []


class _Adapted:
    """A module that is no decoder, to be called like a decoder's body.

    Where its LM head cannot be told apart, what it returns as last hidden states are logits already.
    """

    def __init__(self, interface: ModuleInterface, module: Any) -> None:
        self._interface, self._split = interface, bool(_head_parts(interface, module))
        self._module = module.base_model if self._split else module

    def __call__(
        self,
        input_ids: Tensor,
        position_ids: Tensor,
        attention_mask: Tensor,
        use_cache: bool = False,
        output_hidden_states: bool = False,
    ) -> Any:
        if use_cache:
            raise ValueError(f"{type(self._module).__name__} has no block cache")
        if self._interface.padding:
            # all queries of a bidirectional mask see the same keys, and query 0 is never padding
            valid = attention_mask[:, 0, 0]
            # ESM counts the mask tokens of a row, and there may be some in the padding
            input_ids = input_ids.masked_fill(~valid, getattr(self._module.config, "pad_token_id", None) or 0)
            attention_mask = valid.to(torch.long)
        given: dict[str, Any] = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "position_ids": position_ids + self._interface.offset,
            "output_hidden_states": output_hidden_states,
            "use_cache": False,
            "return_dict": True,
        }
        out = self._module(**{key: value for key, value in given.items() if _takes(self._module, key)})
        hidden = out.last_hidden_state if self._split else out.logits
        return SimpleNamespace(last_hidden_state=hidden, hidden_states=getattr(out, "hidden_states", None))


@cache
def _arguments(kind: type[nn.Module]) -> tuple[frozenset[str], bool]:
    """The arguments of a module's forward, and whether it takes any others."""
    known = inspect.signature(kind.forward).parameters
    return frozenset(known), any(p.kind is p.VAR_KEYWORD for p in known.values())


@cache
def cache_argument(kind: type[nn.Module]) -> str:
    """The name under which a body takes a cache of keys and values.

    A body that is not part of transformers and takes any keyword gets it under the newest name.

    Raises:
        ValueError: the body takes no cache under a known name.

    Example:
        >>> import dlmsample as ds
        >>> cache_argument(type(ds.load("nano").body)) in ("cache", "past_key_values")
        True
    """
    known, anything = _arguments(kind)
    for name in CACHE_NAMES:
        if name in known:
            return name
    if anything and not kind.__module__.startswith("transformers."):
        return CACHE_NAMES[0]
    raise ValueError(
        f"{kind.__name__} of this version of transformers takes no cache as {' or '.join(CACHE_NAMES)}: "
        "install transformers>=5.13.1,<5.40"
    )


def _takes(module: Any, argument: str) -> bool:
    """Whether a module's forward takes the argument; ``**kwargs`` takes those that every transformers module knows."""
    known, anything = _arguments(type(module))
    return argument in known or (anything and argument in ("output_hidden_states", "return_dict"))
