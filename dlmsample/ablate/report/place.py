"""Where labels stand in a picture, so that none lies on another or on a marker."""

from __future__ import annotations

from typing import NamedTuple

_REACH = (10.0, 22.0, 36.0, 52.0, 70.0)  # how far from its point a label may stand
_SIDES = ((1, -1), (-1, -1), (1, 1), (-1, 1), (1, 0), (-1, 0), (0, -1), (0, 1))
_LINE = 15.0  # height of a line of text


class Box(NamedTuple):
    """A rectangle; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        return not (
            self.right <= other.left or other.right <= self.left or self.bottom <= other.top or other.bottom <= self.top
        )

    def within(self, other: Box) -> bool:
        wide = other.left <= self.left and self.right <= other.right
        return wide and other.top <= self.top and self.bottom <= other.bottom


class Spot(NamedTuple):
    """A place for one line of text."""

    x: float
    y: float  #: of the text's base line
    anchor: str  #: start, middle or end
    far: bool  #: so far from the point that a line should lead there
    box: Box


class Places:
    """What is taken of an area: markers first, then label after label.

    Example:
        >>> places = Places(Box(0, 0, 200, 100))
        >>> places.take(50, 50, 6)
        >>> first, second = places.find(50, 50, 30), places.find(50, 50, 30)
        >>> first is not None and second is not None and not first.box.meets(second.box)
        True
        >>> places.find(50, 50, 300) is None
        True
    """

    def __init__(self, area: Box) -> None:
        self._area = area
        self._taken: list[Box] = []

    def take(self, x: float, y: float, radius: float) -> None:
        """A marker stands there."""
        self._taken.append(Box(x - radius, y - radius, x + radius, y + radius))

    def find(self, x: float, y: float, width: float) -> Spot | None:
        """A free place for a label of a point, as near as there is one, which is then taken; None: there is none."""
        for reach in _REACH:
            for dx, dy in _SIDES:
                spot = _spot(x, y, width, reach, dx, dy)
                if spot.box.within(self._area) and not any(spot.box.meets(box) for box in self._taken):
                    self._taken.append(spot.box)
                    return spot
        return None


def _spot(x: float, y: float, width: float, reach: float, dx: int, dy: int) -> Spot:
    """Beside the point, towards a side, ``reach`` away from it."""
    near = reach * (0.75 if dx and dy else 1)
    left = x + dx * near - (width / 2 if dx == 0 else width if dx < 0 else 0)
    middle = y + dy * near
    box = Box(left, middle - _LINE / 2, left + width, middle + _LINE / 2)
    anchor, at = {1: ("start", left), -1: ("end", left + width), 0: ("middle", left + width / 2)}[dx]
    return Spot(at, middle + 4.5, anchor, reach > _REACH[0], box)
