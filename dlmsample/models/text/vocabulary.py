"""Which ids have a token: a checkpoint's vocabulary is often padded beyond its tokenizer, and may have holes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


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
    known = getattr(tokenizer, "get_vocab", None)
    if known is None:
        return size, ()
    tokens = {*known().values(), *getattr(tokenizer, "added_tokens_decoder", {}), *also}
    end = 1 + max(i for i in tokens if i < size)
    return end, tuple(i for i in range(end) if i not in tokens)
