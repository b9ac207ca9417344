"""The text of finished blocks, piece by piece: only what stays as it is whatever comes next."""

from __future__ import annotations

from collections.abc import Sequence

_HALF = "\ufffd"  #: what a tokenizer gives for the first bytes of a character whose others are in the next token


class TextPieces:
    """Cuts a growing text into pieces that are never taken back.

    Held back until more is known: half a character, and an end that may be the beginning of a stop string.

    Args:
        stops: stop strings.

    Example:
        >>> pieces = TextPieces(["END"])
        >>> pieces.more("so E"), pieces.more("so EN\\ufffd"), pieces.last("so EN."), pieces.last("so EN.")
        ('so ', '', 'EN.', '')
    """

    def __init__(self, stops: Sequence[str] = ()) -> None:
        self._stops, self._sent = tuple(stops), ""

    def more(self, text: str) -> str:
        """What can be told now that the answer begins with this text."""
        sure = text.rstrip(_HALF)
        held = [n for stop in self._stops for n in range(1, len(stop)) if sure.endswith(stop[:n])]
        return self._tell(sure[: len(sure) - max(held, default=0)])

    def last(self, text: str) -> str:
        """What is left to tell of the whole answer."""
        return self._tell(text)

    def _tell(self, text: str) -> str:
        pairs = enumerate(zip(self._sent, text, strict=False))
        shared = min(len(self._sent), len(text))
        known = next((at for at, (old, new) in pairs if old != new), shared)  # shared, unless earlier text changed
        self._sent = text
        return text[known:]
