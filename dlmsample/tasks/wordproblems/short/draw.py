"""Drawing the parts of a sentence: numbers and how they are written, people, things, verbs in their tense."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from dlmsample.tasks.wordproblems.short import words
from dlmsample.tasks.wordproblems.short.words import Noun, Person

_T = TypeVar("_T")

Steps = list[tuple[str, str]]
"""(phrase, equation) of each arithmetic step, as the long problems have them."""


class Verb(NamedTuple):
    """``buy buys bought``."""

    plain: str
    third: str
    past: str


def verbs(text: str) -> tuple[Verb, ...]:
    """Verbs from ``plain third past; ...``; an underscore stands for a space."""
    rows = (part.split() for part in text.split(";") if part.strip())
    return tuple(Verb(*(word.replace("_", " ") for word in row)) for row in rows)


HAVE, BE = Verb("have", "has", "had"), Verb("are", "is", "were")


class Draw:
    """A stream of random floats with the ways in which short questions use it.

    Args:
        random: floats in [0, 1).
    """

    def __init__(self, random: Callable[[], float]) -> None:
        self.random = random
        self.past = random() < 0.55
        self.spelled = random() < 0.15

    def pick(self, options: Sequence[_T]) -> _T:
        return options[int(self.random() * len(options))]

    def say(self, options: str) -> str:
        """One of the ``/``-separated options; a ``|`` in front weighs nothing and reads well."""
        return self.pick(options.split("/"))

    def chance(self, share: float) -> bool:
        return self.random() < share

    def between(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return low + int(self.random() * (high - low + 1))

    def number(self, low: int = 2, top: int = 400) -> int:
        """Mostly small, sometimes round."""
        kind = self.random()
        high = 12 if kind < 0.35 else 30 if kind < 0.65 else 100 if kind < 0.92 else top
        value = self.between(low, max(low, min(high, top)))
        if kind > 0.5 and self.chance(0.25) and value > 10:
            value -= value % (5 if self.chance(0.5) else 10)
        return max(value, low)

    def factors(self, limit: int = 999) -> tuple[int, int]:
        """Two numbers whose product is no larger."""
        while True:
            kind = self.random()
            a = self.between(2, 12)
            b = self.between(2, 12) if kind < 0.6 else self.between(2, 60) if kind < 0.9 else 10 * self.between(1, 30)
            if self.chance(0.5):
                a, b = b, a
            if a * b <= limit:
                return a, b

    def write(self, value: int) -> str:
        """Digits, or now and then a word."""
        if self.spelled and (value <= 20 or (value < 100 and self.chance(0.6))):
            return words.spell(value)
        return str(value)

    def person(self, *others: Person) -> Person:
        """Somebody who is none of the others."""
        while True:
            kind = self.random()
            if kind < 0.66:
                found = self.pick(words.NAMES)
            elif kind < 0.72:
                subject, them, their = self.pick((("she", "her", "her"), ("he", "him", "his")))
                found = Person(self.invented().capitalize(), subject, them, their)
            elif kind < 0.78:
                found = self.pick(words.TITLED)
            elif kind < 0.90:
                found = self.pick(words.ROLES)
            else:
                found = self.pick(words.OWN)
            if all(found.name != other.name for other in others):
                return found

    def other(self, *others: Person) -> Person:
        """Somebody with a name who is none of the others."""
        while True:
            found = self.person(*others)
            if found.third:
                return found

    def invented(self) -> str:
        return "".join([self.pick(words.SYLLABLES) for _ in range(self.between(2, 3))])

    def noun(self, *kinds: tuple[Noun, ...]) -> Noun:
        """A thing of these kinds, sometimes with an adjective, sometimes one that does not exist."""
        if self.chance(0.05):
            one = self.invented() + self.say("n/t/k/m/p/l")
            return Noun(one, one + "s")
        found = self.pick(self.pick(kinds or (words.THINGS, words.FOOD)))
        if self.chance(0.12):
            adjective = self.pick(words.COLORS)
            return Noun(f"{adjective} {found.one}", f"{adjective} {found.many}")
        return found

    def tense(self, verb: Verb, third: bool = True) -> str:
        """The verb in the question's tense."""
        return verb.past if self.past else verb.third if third else verb.plain


def count(value: str, noun: Noun) -> str:
    """``1 pen``, ``3 pens``.

    Example:
        >>> count("1", Noun("pen", "pens")), count("two", Noun("pen", "pens"))
        ('1 pen', 'two pens')
    """
    return f"{value} {noun.one if value in ('1', 'one') else noun.many}"


def first_up(text: str) -> str:
    """The text with its first letter raised."""
    return text[:1].upper() + text[1:]


def inside(person: Person) -> str:
    """The person's name inside a sentence: roles and pronouns lose their capital, and who was a baker is the baker.

    Example:
        >>> inside(Person("My mom", "she", "her", "her")), inside(Person("A baker", "she", "her", "her"))
        ('my mom', 'the baker')
    """
    head, _, rest = person.name.partition(" ")
    if head == "A":
        return f"the {rest}"
    return person.name[0].lower() + person.name[1:] if head in _LOWERED else person.name


_LOWERED = frozenset(("My", "His", "Her", "The", "You", "We", "They"))
