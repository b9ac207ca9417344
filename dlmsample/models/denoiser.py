"""``Denoiser``: a checkpoint and the facts that decoding needs to know about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any, Literal, Protocol

import pydantic
import torch
from pydantic import ConfigDict, Field
from torch import Tensor

from dlmsample.models.interface import DECODER, ModuleInterface, context_of, text_part
from dlmsample.models.text.chat import NO_TOKENIZER, Chat, Prompt, Written, render, write
from dlmsample.models.text.messages import Message, check_messages

Attention = Literal["block_causal", "bidirectional"]
Alignment = Literal["absolute", "prompt"]
#: Special tokens that a config may name beside the mask, each as ``..._token_id``.
_SPECIAL = ("pad", "bos", "eos", "cls", "sep")


class ErrorHead(Protocol):
    """A correction head: it says which tokens are wrong, from hidden states of the forward that is made anyway.

    For block-causal models it is called with the active block, for bidirectional ones with the whole canvas.
    """

    layer: int  #: which entry of the body's ``hidden_states`` it reads; -2 is the penultimate layer's output

    def __call__(self, hidden: Tensor, positions: Tensor, valid: Tensor) -> Tensor:
        """Error logit, float ``[row, pos]``, from ``hidden [row, pos, width]``, int positions and bool validity."""
        ...


_Length = Annotated[int, Field(ge=1)]


@pydantic.dataclasses.dataclass(frozen=True, config=ConfigDict(strict=True, extra="forbid"))
class Facts:
    """What a checkpoint must declare beside its weights; the ``dlmsample`` section of its ``config.json``.

    Raises:
        ValueError: a value of the wrong type or out of range.
    """

    mask_id: int
    eos_ids: tuple[int, ...]
    block_length: _Length  #: tokens, the checkpoint's own
    attention: Attention
    block_alignment: Alignment
    min_block_length: _Length = 1  #: shortest block the checkpoint was trained for
    logit_shift: bool = False  #: the logits of position i predict the token at i + 1


@dataclass(frozen=True, eq=False, repr=False)
class Denoiser:
    """A masked-token predictor: a stock transformers module, its tokenizer and its :class:`Facts`.

    ``module(input_ids, position_ids, attention_mask)`` takes a boolean ``[row, 1, query, key]`` mask and returns
    ``.logits``; that holds for decoders, and ``interface`` says what other modules take. The module may be moved to
    another device or cast in place.
    """

    name: str
    module: Any
    tokenizer: Any | None
    facts: Facts
    head: ErrorHead | None = None
    adapter: str | None = None  #: name of what was merged into the module
    head_name: str | None = None
    interface: ModuleInterface = DECODER  #: how the module is called

    def __repr__(self) -> str:
        parts = [repr(self.name)]
        if self.adapter is not None:
            parts.append(f"adapter {self.adapter!r}")
        if self.head is not None:
            parts.append(f"head {(self.head_name or type(self.head).__name__)!r}")
        parts += [self.attention, f"block_length {self.block_length}", f"context {self.context}"]
        return f"Denoiser({', '.join([*parts, str(self.device), str(self.dtype)])})"

    @cached_property
    def mask_id(self) -> int:
        """Token id of the mask."""
        return self.facts.mask_id

    @cached_property
    def eos_ids(self) -> tuple[int, ...]:
        """Token ids that end an answer."""
        return self.facts.eos_ids

    @cached_property
    def special_ids(self) -> tuple[int, ...]:
        """Ids that are no text: the mask, what ends an answer, and all that the tokenizer leaves out of a text.

        Without a tokenizer: the mask, what ends an answer, and the special tokens that the module's config names.
        """
        found = {self.mask_id, *self.eos_ids}
        if self.tokenizer is None:
            config = (getattr(self.module.config, f"{part}_token_id", None) for part in _SPECIAL)
            found |= {i for i in config if isinstance(i, int)}
        else:
            added = getattr(self.tokenizer, "added_tokens_decoder", {})
            found |= {*getattr(self.tokenizer, "all_special_ids", ()), *(i for i in added if added[i].special)}
        size = self.vocab_size
        return tuple(sorted(i for i in found if 0 <= i < size))

    @cached_property
    def vocabulary(self) -> tuple[int | None, tuple[int, ...]]:
        """Where the ids that have a token end, and those below without one: a vocabulary is often padded beyond them.

        None in place of the end: every logit is a token's. The mask and what ends an answer count as tokens, and
        without a tokenizer all ids do.
        """
        if self.tokenizer is None:
            return None, ()
        size = self.vocab_size
        end, holes = known_ids(self.tokenizer, size, (self.mask_id, *self.eos_ids))
        return None if end == size else end, holes

    @cached_property
    def block_length(self) -> int:
        """The block length that the checkpoint was trained for, in tokens."""
        return self.facts.block_length

    @cached_property
    def attention(self) -> Attention:
        """What a position sees: its own and earlier blocks, or everything."""
        return self.facts.attention

    @cached_property
    def block_alignment(self) -> Alignment:
        """Where blocks are counted from: the row's first token, or the prompt's end."""
        return self.facts.block_alignment

    @cached_property
    def context(self) -> int:
        """Positions a canvas may have, in tokens."""
        return context_of(self.module.config, self.interface)

    @cached_property
    def vocab_size(self) -> int:
        """Logits per position."""
        return text_part(self.module.config).vocab_size

    @property
    def device(self) -> torch.device:
        """The device of the weights; where they are spread, that of the first ones. Weights left on disk have none."""
        for parameter in self.module.parameters():
            if parameter.device.type != "meta":
                return parameter.device
        return torch.device("cpu")

    @property
    def on_one_device(self) -> bool:
        """Whether all weights are on the same device."""
        return len({parameter.device for parameter in self.module.parameters()}) == 1

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights."""
        return next(self.module.parameters()).dtype

    @property
    def body(self) -> Any:
        """The module without its LM head, which turns ids into hidden states."""
        return self.interface.body(self.module)

    @property
    def lm_head(self) -> Callable[[Tensor], Tensor]:
        """Hidden states to logits. With ``facts.logit_shift`` those of position i predict the token at i + 1."""
        return self.interface.head(self.module)

    def with_head(self, head: ErrorHead | None, name: str | None = None) -> Denoiser:
        """The same checkpoint with this correction head, or with none for None.

        A head that is a torch module is left on its device: move it to the module's.
        """
        return replace(self, head=head, head_name=name)

    def encode(self, prompt: Prompt, chat: Chat = None, template_args: Mapping[str, Any] | None = None) -> list[int]:
        """Exactly the ids that ``generate`` puts in the canvas before the answer.

        What the tokenizer puts behind any text, like the [SEP] of a BERT, comes behind the answer: :attr:`closing`.

        Args:
            prompt: text, chat messages, or ids (taken as they are).
            chat: None applies the tokenizer's chat template to text if it has one, True always, False never: then the
                tokenizer adds the special tokens that it adds to any text. ``"text"``: the text has been through a
                template already and is taken as it is, nothing is added. ``"continue"``: messages whose last one, the
                assistant's, is not over and goes on.
            template_args: further variables of the chat template, such as ``{"enable_thinking": False}`` or
                ``{"tools": [...]}``; only where it is applied.

        Raises:
            ValueError: no tokenizer for a text, an id outside the vocabulary, messages without a template or that it
                refuses, an argument that it does not read, or a ``chat`` that does not fit the prompt.

        Example:
            >>> import dlmsample as ds
            >>> model = ds.load("nano")
            >>> model.decode(model.encode("3 + 4?")), model.decode(model.encode("3 + 4?", chat="text"))
            ('Q: 3 + 4?\\nA:', '3 + 4?')
        """
        return self._encoded(prompt, self.written(prompt, chat, template_args))

    def enclosed(
        self, prompt: Prompt, chat: Chat = None, template_args: Mapping[str, Any] | None = None
    ) -> tuple[list[int], list[int]]:
        """What stands before an answer, as :meth:`encode` says, and behind it: :attr:`closing`, or nothing."""
        written = self.written(prompt, chat, template_args)
        framed = written is not None and written.framed
        return self._encoded(prompt, written), self.closing if framed else []

    def _encoded(self, prompt: Prompt, written: Written | None) -> list[int]:
        if written is None:
            return self._checked(prompt)  # type: ignore[arg-type]
        tokenizer = self._tokenizer("encode text")
        if not written.framed:
            return tokenizer.encode(written.text, add_special_tokens=False)
        ids = tokenizer.encode(written.text)
        if not ids or ids[-1] not in self.special_ids:
            return ids
        end = len(ids) - len(self.closing)
        return ids[:end] if ids[end:] == self.closing else ids

    def written(
        self, prompt: Prompt, chat: Chat = None, template_args: Mapping[str, Any] | None = None, answer: bool = True
    ) -> Written | None:
        """The text that :meth:`encode` encodes, see :func:`~dlmsample.models.text.chat.write`; None for ids."""
        return write(self.name, self.tokenizer, prompt, chat, template_args, answer)

    def render(
        self, messages: Sequence[Message], answer: bool = True, template_args: Mapping[str, Any] | None = None
    ) -> str:
        """Chat messages as one text, by the tokenizer's chat template.

        Args:
            messages: dicts with ``role`` and ``content``, a text or a list of parts of type "text".
            answer: end with the beginning of the next answer.
            template_args: further variables of the template.

        Raises:
            ValueError: there is no template, or it does not take these messages or arguments.
        """
        said, ending = check_messages(messages), "answer" if answer else "closed"
        return render(self.name, self._tokenizer("encode text"), messages, said, ending, template_args)

    @cached_property
    def frame(self) -> tuple[list[int], list[int]]:
        """The special tokens that the tokenizer puts before and behind any text; none without a tokenizer."""
        if self.tokenizer is None:
            return [], []
        bare, framed = self.tokenizer.encode("a", add_special_tokens=False), self.tokenizer.encode("a")
        found = (at for at in range(len(framed)) if bare and framed[at : at + len(bare)] == bare)
        at = next(found, None)
        return ([], []) if at is None else (framed[:at], framed[at + len(bare) :])

    @property
    def closing(self) -> list[int]:
        """What the tokenizer puts behind any text. ``generate`` puts it behind the answer to a text."""
        return self.frame[1]

    def decode(self, ids: Sequence[int]) -> str:
        """Ids to text, special tokens left out."""
        return self._tokenizer("decode text").decode(list(ids), skip_special_tokens=True)

    def _tokenizer(self, purpose: str) -> Any:
        if self.tokenizer is None:
            raise ValueError(f"{self.name} has no tokenizer to {purpose}: {NO_TOKENIZER}")
        return self.tokenizer

    def _checked(self, ids: Sequence[int]) -> list[int]:
        size = self.vocab_size
        outside = [i for i in ids if not 0 <= i < size]
        if outside:
            raise ValueError(f"id {outside[0]} is outside the vocabulary of {self.name} (0..{size - 1})")
        return list(ids)


def known_ids(tokenizer: Any | None, size: int, also: Iterable[int] = ()) -> tuple[int, tuple[int, ...]]:
    """Where the ids that have a token end, and those below without one; all ids below ``size`` if nothing tells.

    Args:
        tokenizer: of the checkpoint.
        size: logits per position, often padded beyond the tokenizer.
        also: ids that count as tokens whatever it says.

    Example:
        >>> known_ids(None, 8)
        (8, ())
    """
    if (known := getattr(tokenizer, "get_vocab", None)) is None:
        return size, ()
    tokens = {*known().values(), *getattr(tokenizer, "added_tokens_decoder", {}), *also}
    end = 1 + max(i for i in tokens if i < size)
    return end, tuple(i for i in range(end) if i not in tokens)
