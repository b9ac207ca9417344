"""The text of what was placed at masks, spliced into the text that was given: what was given stays to the character."""

from __future__ import annotations

from collections.abc import Sequence

from dlmsample.models.denoiser import Denoiser

#: Characters, or ids, beside a mask that decide whether a space belongs between.
_NEAR = 8


def splice(model: Denoiser, pieces: Sequence[str], canvas: Sequence[int], places: Sequence[int]) -> str:
    """The given text with its masks filled.

    A run of masks is read in one go. The space with which its first token begins is left out where the given text has
    one already, or where the tokenizer reads the text the same without. A space is put in where the tokenizer would
    join the run with a letter beside it to another word.

    Args:
        model: the checkpoint.
        pieces: the given text before, between and behind the masks; one more than there are masks.
        canvas: ids, the masks filled.
        places: where in it the masks were, in order.

    Example:
        >>> import dlmsample as ds
        >>> model = ds.load("nano")
        >>> seven = model.encode("7", chat=False)
        >>> splice(model, ["3 + 4 = ", "!"], [5, *seven, 6], [1])
        '3 + 4 = 7!'
    """
    letter = model.tokenizer.encode("a", add_special_tokens=False)  # type: ignore[union-attr]
    text, run = pieces[0], []
    for number, (place, piece) in enumerate(zip(places, pieces[1:], strict=True), 1):
        run.append(canvas[place])
        if piece or number == len(places):
            text += _read(model, letter, run, text, piece, canvas[place + 1 : place + 1 + _NEAR]) + piece
            run = []
    return text


def _read(model: Denoiser, letter: list[int], run: list[int], left: str, right: str, behind: Sequence[int]) -> str:
    """The text of a run between two texts, the second of which begins with the ids ``behind``.

    It is read behind a letter, for many decoders leave out the space of a first token.
    """
    text = _after(model.decode([*letter, *run]), model.decode(letter))
    if text is None:  # a decoder that does not read from left to right
        text, letter = model.decode(run), []
    if text[:1].isspace():
        bare = text[1:]
        if (left[-1:].isspace() and not bare[:1].isspace()) or _same(model, left[-_NEAR:], text, bare):
            text = bare
    if not right or not text:
        return text
    if right[0].isspace():
        return text[:-1] if text[-1] == " " and not text[-2:-1].isspace() else text
    read = _after(model.decode([*letter, *run, *behind]), model.decode([*letter, *run]))
    near = right[:_NEAR]
    if read is not None and read[:1] == " " and not _same(model, text, near, " " + near):
        return text + " "
    return text


def _same(model: Denoiser, left: str, one: str, other: str) -> bool:
    """Whether the tokenizer makes the same ids of a text with either end."""
    first, second = (model.tokenizer.encode(left + end, add_special_tokens=False) for end in (one, other))  # type: ignore[union-attr]
    return first == second


def _after(text: str, head: str) -> str | None:
    return text[len(head) :] if text.startswith(head) else None
