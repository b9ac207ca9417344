"""Pictures as SVG elements: built as a tree, so that no text in them can become markup.

They are drawn here and not by a plotting library; docs/explanation/report.md has the reasons, with numbers.

Colours are classes of the page's style sheet (``c0`` to ``c6``, ``ink``, ``faint``), so a picture follows light and
dark; nothing is told by colour alone.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from math import ceil, cos, floor, log10, pi, sin
from xml.etree.ElementTree import Element, SubElement, tostring

from dlmsample.support.text import printable, short

COLOURS = 7  #: classes of the page
#: The colours of pictures that bring their own style sheet, for light and dark: every pair has a contrast of 3:1 or
#: more with its own background.
PALETTE = (
    ("#0b62c4", "#6cb2ff"),
    ("#0f7b6c", "#4fd1b8"),
    ("#b4540a", "#ffa657"),
    ("#a3287f", "#f28ad0"),
    ("#6a6a6a", "#b5b5b5"),
    ("#7a6200", "#dcc34a"),
    ("#c0262d", "#ff8f8a"),
)
#: The colours of their text: class, light, dark.
INK = (("ink", "#1f2328", "#e6edf3"), ("faint", "#59636e", "#9aa4af"))


def picture(name: str, width: float, height: float, title: str, description: str, role: str = "img") -> Element:
    """An empty picture with its title and description; ``name`` must be unique in the page.

    ``role``: ``group`` where parts of it can be reached by keyboard.
    """
    root = Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {number(width)} {number(height)}",
            "width": number(width),
            "role": role,
            "aria-labelledby": f"{name}-title {name}-desc",
        },
    )
    for tag, text in (("title", title), ("desc", description)):
        SubElement(root, tag, id=f"{name}-{tag}").text = printable(text)
    return root


def markup(root: Element) -> str:
    """The picture as text to be put into a page."""
    return tostring(root, encoding="unicode", short_empty_elements=True)


def number(value: float) -> str:
    """A coordinate to a hundredth.

    Example:
        >>> number(12.0), number(0.333)
        ('12', '0.33')
    """
    return f"{value:.2f}".rstrip("0").rstrip(".")


def line(parent: Element, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
    """A straight line."""
    ends = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
    SubElement(parent, "line", {"class": kind, **{name: number(value) for name, value in ends.items()}})


def words(parent: Element, x: float, y: float, text: str, *, anchor: str = "start", kind: str = "ink") -> Element:
    """A line of text; ``anchor`` is start, middle or end."""
    element = SubElement(parent, "text", {"x": number(x), "y": number(y), "text-anchor": anchor, "class": kind})
    element.text = printable(text)
    return element


def extent(text: str) -> float:
    """About how wide a line of text is, rather too wide than too narrow: fonts differ.

    Example:
        >>> extent("il") < extent("WM") == extent("日本")
        True
    """
    wide = [c in "mwMW@%…—" or unicodedata.east_asian_width(c) in "WF" for c in printable(text)]
    return sum(13.0 if w else 9.5 if c.isupper() else 8.0 for c, w in zip(printable(text), wide, strict=True))


def fit(text: str, room: float) -> str:
    """As much of a text, without its middle, as the room holds."""
    length = min(len(text), int(room / 8) + 1)
    while length > 1 and extent(short(text, length)) > room:
        length -= 1
    return short(text, length)


def link(parent: Element, target: str, said: str, kind: str) -> Element:
    """A group that leads to a place in the page and says what it is, to a pointer and to a screen reader."""
    element = SubElement(parent, "a", {"href": target, "class": kind, "aria-label": printable(said)})
    hint(element, said)
    return element


def hint(parent: Element, text: str) -> None:
    """What a pointer over the element is told; first child, as browsers want it."""
    title = Element("title")
    title.text = printable(text)
    parent.insert(0, title)


def path(points: Iterable[tuple[float, float]], closed: bool = False) -> str:
    """The ``d`` of a line through the points."""
    return "M" + " L".join(f"{number(x)},{number(y)}" for x, y in points) + ("Z" if closed else "")


#: Corners, turn (in half turns) and inner radius of the shapes that tell policies apart.
_SHAPES: tuple[tuple[int, float, float], ...] = (
    (24, 0, 1),
    (4, 0.25, 1),
    (3, 0, 1),
    (4, 0, 1),
    (3, 1, 1),
    (10, 0, 0.45),
    (6, 0, 1),
    (8, 0, 0.5),
)
SHAPES = len(_SHAPES)


def mark(parent: Element, x: float, y: float, shape: int, colour: int, filled: bool, radius: float = 6) -> Element:
    """A marker: ``shape`` and ``colour`` count on from 0 and begin again; hollow ones show what is behind."""
    corners, turn, inner = _SHAPES[shape % SHAPES]
    points = []
    for corner in range(corners):
        angle, reach = pi * (2 * corner / corners + turn), radius * (inner if corner % 2 else 1)
        points.append((x + reach * sin(angle), y - reach * cos(angle)))
    look = "full" if filled else "hollow"
    return SubElement(parent, "path", {"d": path(points, closed=True), "class": f"c{colour % COLOURS} {look}"})


def inside(low: float, high: float, count: int = 6) -> list[float]:
    """Round numbers from low to high: multiples of 1, 2 or 5 times a power of ten.

    Example:
        >>> inside(3, 97), inside(0.21, 0.42)
        ([20.0, 40.0, 60.0, 80.0], [0.25, 0.3, 0.35, 0.4])
    """
    step = _step(low, high, count)
    return [round(step * k, 10) for k in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]


def _step(low: float, high: float, count: int) -> float:
    raw = max(high - low, 1e-9) / count
    base = 10.0 ** floor(log10(raw))
    return next(base * factor for factor in (1, 2, 5, 10) if base * factor >= raw * (1 - 1e-9))


def ratios(low: float, high: float) -> list[float]:
    """Round numbers from low to high for an axis of ratios: 1, 2 and 5 times powers of ten, or these alone.

    Example:
        >>> ratios(3, 40), ratios(7, 30000)
        ([5.0, 10.0, 20.0], [10.0, 100.0, 1000.0, 10000.0])
    """
    powers = [10.0**k for k in range(floor(log10(low)), ceil(log10(high)) + 1)]
    found = [round(power * factor, 10) for power in powers for factor in (1, 2, 5)]
    found = [value for value in found if low <= value <= high]
    return found if len(found) <= 9 else [value for value in powers if low <= value <= high]


def ramp(share: float) -> tuple[str, str]:
    """Fill and text colour for 0 (light) to 1 (dark): one hue, so it reads in grey and without any hue too.

    Example:
        >>> ramp(0.0), ramp(1.0)
        (('#e3eef9', '#000000'), ('#08306b', '#ffffff'))
    """
    stops: Sequence[tuple[int, int, int]] = ((227, 238, 249), (107, 174, 214), (8, 48, 107))
    at = min(max(share, 0.0), 1.0) * (len(stops) - 1)
    left = min(int(at), len(stops) - 2)
    mixed = [round(a + (b - a) * (at - left)) for a, b in zip(stops[left], stops[left + 1], strict=True)]
    return "#{:02x}{:02x}{:02x}".format(*mixed), "#000000" if _luminance(mixed) > 0.18 else "#ffffff"


def _luminance(colour: Sequence[int]) -> float:
    """Relative luminance (WCAG 2)."""
    linear = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
