"""``--show steps``: the canvas after every step, from the recorded events alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

from dlmsample.support.text import printable
from dlmsample.types import Event

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

CellState = Literal["mask", "kept", "fill", "replace", "remask"]


class CanvasCell(NamedTuple):
    """One position of the canvas after a step."""

    kind: CellState
    token: int | None  #: what stands there; for a remask what stood there; None: a mask


class CanvasFrame(NamedTuple):
    """The canvas after one step."""

    step: int
    block: int
    cells: list[CanvasCell]
    events: dict[int, Event]  #: what happened in it, by position


class CellStyle(NamedTuple):
    """How a kind of cell is drawn: its style where there is colour, its mark where there is none."""

    style: str
    mark: str
    past: str


_LOOKS: dict[CellState, CellStyle] = {
    "mask": CellStyle("dim", "{}", "masked"),
    "kept": CellStyle("", "{}", "kept"),
    "fill": CellStyle("bold green", "[+{}]", "filled"),
    "replace": CellStyle("bold yellow", "[~{}]", "replaced"),
    "remask": CellStyle("red strike", "[-{}]", "remasked"),
}
_LEGEND: tuple[CellState, ...] = ("mask", "fill", "replace", "remask")
_CHANGES: tuple[CellState, ...] = ("fill", "replace", "remask")
_MASK = "_"
_RUN = 16  # a run of equal cells that would be longer, in characters, is drawn once with its count


def frames(events: Iterable[Event], length: int) -> Iterator[CanvasFrame]:
    """Replay the events of one row on a canvas of ``length`` masks; a step without events gives no frame.

    Example:
        >>> [frame.cells for frame in frames([Event("fill", 0, 0, 1, 2, 7, 0.9)], 2)]
        [[CanvasCell(kind='mask', token=None), CanvasCell(kind='fill', token=7)]]
    """
    tokens: list[int | None] = [None] * length
    for step, group in groupby(events, key=lambda event: event.step):
        cells = [CanvasCell("mask" if token is None else "kept", token) for token in tokens]
        changes = {event.position: event for event in group}
        for event in changes.values():
            remask = event.kind == "remask"
            tokens[event.position] = None if remask else event.new
            cells[event.position] = CanvasCell(event.kind, event.old if remask else event.new)
        yield CanvasFrame(step, next(iter(changes.values())).block, cells, changes)


def show(
    screen: Console,
    events: Iterable[Event],
    length: int,
    piece: Callable[[int], str],
    given: Sequence[int | None] | None = None,
) -> None:
    """Print a legend and every step of one row.

    Args:
        screen: where; colour or marks as it can.
        events: of one row, in order.
        length: answer positions of the canvas.
        piece: the text of a token id; untrusted.
        given: the ids around the answer's positions, which are None; drawn as they stand.
    """
    from rich.text import Text

    colour = screen.color_system is not None
    legend = Text("legend: ")
    for kind in _LEGEND:
        legend.append_text(_drawn(CanvasCell(kind, None), _MASK if kind == "mask" else "token", colour))
        legend.append(f" {_LOOKS[kind].past}  ")
    _print(screen, legend[: len(legend) - 2] + Text("; steps that change nothing are left out"))
    for frame in frames(events, length):
        counts = Counter(cell.kind for cell in frame.cells)
        changes = ", ".join(f"{counts[kind]} {_LOOKS[kind].past}" for kind in _CHANGES if counts[kind])
        heading = f"step {frame.step + 1}, block {frame.block + 1}: {changes}"
        _print(screen, Text(heading, "bold" if colour else ""))
        cells = frame.cells
        if given is not None:
            cells = amid(cells, [None if token is None else CanvasCell("kept", token) for token in given])
        _print(screen, canvas(cells, piece, colour))


T = TypeVar("T")


def amid(answer: Iterable[T], given: Iterable[T | None]) -> list[T]:
    """What is given, with the answer's entries in order where it is None.

    Example:
        >>> amid([1, 2], [None, 7, None])
        [1, 7, 2]
    """
    entries = iter(answer)
    return [next(entries) if entry is None else entry for entry in given]


def canvas(cells: Iterable[CanvasCell], piece: Callable[[int], str], colour: bool) -> Text:
    """One canvas as styled text; long runs of equal cells are drawn once, with their number."""
    from rich.text import Text

    line = Text()
    for cell, run in groupby(cells):
        count = len(list(run))
        text = _MASK if cell.token is None else on_one_line(printable(piece(cell.token)))
        drawn = _drawn(cell, text, colour)
        if len(drawn) * count > _RUN and count > 1:
            line.append_text(drawn).append(f"×{count} ", "dim" if colour else "")
        else:
            for _ in range(count):
                line.append_text(drawn)
    return line


def _drawn(cell: CanvasCell, text: str, colour: bool) -> Text:
    from rich.text import Text

    look = _LOOKS[cell.kind]
    return Text(text, look.style) if colour else Text(look.mark.format(text))


def on_one_line(text: str) -> str:
    """A token's text with its line breaks and tabs as signs."""
    return text.replace("\n", "⏎").replace("\t", "⇥")


def _print(screen: Console, line: Text) -> None:
    screen.print(line, soft_wrap=not screen.is_terminal, overflow="fold")
