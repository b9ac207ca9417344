"""What a teacher is asked to write: stories, facts, moments and letters of everyday life, put together from lists.

Every request is drawn from its number and a seed alone, so that a sample can be cut into parts and gone on with. It
comes with the first words of the answer, which the teacher goes on from: left to itself, a small teacher begins every
second story alike.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from benchmarks.tales import words

KINDS = {"story": 5, "fact": 2, "moment": 2, "letter": 1}  #: of ten requests
ALSO = ("friend", "object", "place", "other")  #: what a request names if the beginning of its answer does


class Request(NamedTuple):
    """What one text is asked by."""

    kind: str
    ask: str
    start: str  #: the first words of the answer

    def chat(self) -> list[dict[str, str]]:
        """The messages before the answer."""
        return [{"role": "user", "content": self.ask}]


def capital(text: str) -> str:
    """The text with a large first letter.

    Example:
        >>> capital("a red door"), capital('"it is late." He')
        ('A red door', '"It is late." He')
    """
    at = text.startswith('"')
    return text[:at] + text[at].upper() + text[at + 1 :]


def request(number: int, seed: int = 0) -> Request:
    """The request with this number.

    Example:
        >>> request(0) == request(0), request(0) == request(1)
        (True, False)
    """
    draw = random.Random(f"{seed}/{number}")
    kind = draw.choices([*KINDS], [*KINDS.values()])[0]
    told = {name: draw.choice(items) for name, items in words.DRAWN.items()}
    told |= _person(draw) | _thing(draw)
    ask, start = draw.choice(words.ASKS[kind]), draw.choice(words.STARTS[kind])
    also = [told[name] for name in ALSO if "{" + name + "}" in start and "{" + name + "}" not in ask]
    told["also"] = "".join(f" {item}" if item == told["place"] else f" and {item}" for item in also)
    return Request(kind, ask.format(**told), capital(start.format(**told)))


def _person(draw: random.Random) -> dict[str, str]:
    """Somebody, as named at first and later, and a friend."""
    women = draw.random() < 0.5
    names, roles = (words.WOMEN, words.WOMEN_ROLES) if women else (words.MEN, words.MEN_ROLES)
    name, friend = draw.choice(names), draw.choice((*words.WOMEN, *words.MEN))
    he, his = ("she", "her") if women else ("he", "his")
    if draw.random() < 0.25:
        animal = draw.choice(words.ANIMALS)
        named = "the " + animal.split()[-1]
        return {"name": named, "about": animal, "friend": friend, "he": "it", "his": "its"}
    role = draw.choice((*roles, *words.ROLES))
    return {"name": name, "about": f"{role} called {name}", "friend": friend, "he": he, "his": his}


def _thing(draw: random.Random) -> dict[str, str]:
    """What a fact is about, with its verbs."""
    many = draw.random() < 0.6
    thing, other = draw.sample(words.MANY if many else words.ONE, 2)
    is_, has, does = ("are", "have", "do") if many else ("is", "has", "does")
    return {"thing": thing, "other": other, "is": is_, "has": has, "does": does}
