"""Encoding texts with masks: the mask id where a mask is written, all else as the tokenizer encodes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from dlmsample.models.denoiser import Denoiser, Prompt
from dlmsample.models.text.chat import Chat

MARK = "[MASK]"
#: Texts after which a piece can be encoded as a continuation, if they keep their ids.
_ANCHORS = ("\n", ".", "0")
_WORD_STARTS = ("▁", "Ġ")


class Template(NamedTuple):
    """A text with masks."""

    ids: list[int]  #: the whole canvas, with the mask id at the masks
    pieces: list[str] | None  #: the text before, between and behind the masks; None where ids were given


def open_template(
    model: Denoiser, text: Prompt, chat: Chat = None, template_args: Mapping[str, Any] | None = None
) -> Template:
    """A text with masks as ids, the whole canvas of ``Sampler.fill``, and in pieces.

    ``[MASK]`` and the tokenizer's own mask string are masks. A tokenizer that knows its mask string encodes the text as
    a whole, by its own rules about the space before it; else the pieces between the masks are encoded one by one,
    character for character: ``of [MASK]`` keeps its space in front of the mask, ``of[MASK]`` leaves it to the mask. The
    tokenizer adds the special tokens that it adds to any text (a BERT its [CLS] and [SEP]); no chat template. A text
    that holds ``[MASK]`` as plain characters can only be given as ids.

    Args:
        model: the checkpoint.
        text: a text; chat messages, which the chat template makes into a text as they stand, without the beginning of
            an answer; or ids with the model's mask id, taken as they are.
        chat: ``"text"``: a text as it is, without the special tokens that the tokenizer adds to any text;
            ``"continue"``: messages whose last one is not over.
        template_args: further variables of the chat template.

    Raises:
        ValueError: what :meth:`~dlmsample.models.denoiser.Denoiser.encode` refuses.

    Example:
        >>> import dlmsample as ds
        >>> model = ds.load("nano")
        >>> ids, pieces = open_template(model, "3 + [MASK] = 7")
        >>> ids.count(model.mask_id), pieces
        (1, ['3 + ', ' = 7'])
    """
    given = False if isinstance(text, str) and chat is None else chat
    written = model.written(text, given, template_args, answer=False)
    if written is None:
        return Template(model.encode(text), None)
    pieces = re.split("|".join(re.escape(mark) for mark in (MARK, _mask_string(model)) if mark), written.text)
    return Template(_encode(model, pieces, written.framed), pieces)


def _encode(model: Denoiser, pieces: list[str], framed: bool) -> list[int]:
    tokenizer: Any = model.tokenizer
    own = _mask_string(model)
    if len(pieces) == 1:
        return tokenizer.encode(pieces[0], add_special_tokens=framed)
    if own:
        whole = tokenizer.encode(own.join(pieces), add_special_tokens=framed)
        if whole.count(model.mask_id) == len(pieces) - 1:
            return whole
    first, *others = pieces
    ids = tokenizer.encode(first, add_special_tokens=False)
    for piece in others:
        ids += [model.mask_id, *_continuation(tokenizer, piece)]
    before, after = model.frame if framed else ([], [])
    return [*before, *ids, *after]


def _mask_string(model: Denoiser) -> str:
    """What the tokenizer writes for the mask; "" where it names none and takes the id for an ordinary word."""
    tokenizer: Any = model.tokenizer
    named = getattr(tokenizer, "mask_token", None)
    added = getattr(tokenizer, "added_tokens_decoder", {})
    if not named and model.mask_id in added and added[model.mask_id].special:
        named = tokenizer.convert_ids_to_tokens(model.mask_id)
    return named or ""


def _continuation(tokenizer: Any, piece: str) -> list[int]:
    """Ids of a piece that follows a mask, without the word boundary that some tokenizers put before any text."""
    if not piece:
        return []
    bare = tokenizer.encode(piece, add_special_tokens=False)
    letter = tokenizer.encode("a", add_special_tokens=False)
    if not tokenizer.convert_ids_to_tokens(letter[:1])[0].startswith(_WORD_STARTS):
        return bare
    for anchor in _ANCHORS:
        head = tokenizer.encode(anchor, add_special_tokens=False)
        joined = tokenizer.encode(anchor + piece, add_special_tokens=False)
        if joined[: len(head)] == head:
            return joined[len(head) :]
    return bare
