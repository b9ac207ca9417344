"""Frames: sentences with slots beside the numbers and the steps that they mean, and how one is filled.

A frame is a line of text. ``[a|b]`` is one of its parts, also nested; ``has~have`` follows the hero's grammatical
person. Its slots:

* ``{x}`` a number, ``{=x}`` in digits, ``{x o}`` with its noun, ``{$x}`` as money, ``{x times}`` (twice), ``{x part}``
  (half);
* ``{N}`` the hero by name, ``{Nh}`` the same behind than or to, ``{N's}``, ``{s}`` ``{h}`` ``{p}`` the hero's pronouns,
  ``{they}`` everybody; ``{F}`` and ``{G}`` two others, with ``{Fs}`` ``{Fo}`` ``{Fp}``;
* ``{o}`` ``{one}`` ``{a_one}`` things, ``{o2}`` others, ``{c}`` ``{cs}`` ``{a_c}`` what holds them;
* ``{lose}`` a verb of that meaning in the question's tense, ``{F:lose}`` with F as its subject, ``{T:lose}`` with a
  plural one, ``{lose.plain}``, ``{lose.past}``; ``{have}`` ``{did}``;
* any other name: a word of that list, as ``{color}``, and ``{color2}`` another.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import add, mul, sub
from typing import NamedTuple

from dlmsample.tasks.wordproblems.free import lexicon
from dlmsample.tasks.wordproblems.short.draw import HAVE, Draw, Verb, inside
from dlmsample.tasks.wordproblems.short.words import Noun, Person
from dlmsample.tasks.wordproblems.short.work import Work

_INNER = re.compile(r"\[([^\[\]]*)\]")
_SLOT = re.compile(r"\{([^{}]*)\}")
_PERSONAL = re.compile(r"([\w']+)~([\w']+)")
_TERM = re.compile(r"[a-z]+|\d+|[-+*/]")
_ARTICLE = re.compile(r"\b([Aa]) (?=(?!one\b|uni|use|eur|ukulele)[aeiou]|hour|8|11\b|18\b)")
_SENTENCE = re.compile(r"(^|[.?!:] )([a-z])")
_GAP = re.compile(r" +(?=[,.?!;:])")
_SIGNS: dict[str, Callable[[int, int], int]] = {"+": add, "-": sub, "*": mul, "/": lambda a, b: a // max(1, b)}


class Group(NamedTuple):
    """Frames that tell the same arithmetic.

    ``numbers`` are (name, low, high), drawn in turn, or (name, value, "") where the value follows; ``steps`` are
    (phrases, name of the result, a, sign, b); ``answer`` is what is asked in one expression of the numbers, which the
    tests compare with the steps; ``nouns`` the kinds of things; ``story``: a needless sentence may stand in it.
    """

    numbers: tuple[tuple[str, str, str], ...]
    steps: tuple[tuple[str, str, str, str, str], ...]
    answer: str
    frames: tuple[str, ...]
    nouns: str
    story: bool


class FilledFrame(NamedTuple):
    """A question, its steps, its numbers, and the group that it is of."""

    text: str
    work: Work
    values: dict[str, int]
    group: Group


def groups(text: str) -> tuple[Group, ...]:
    """Groups from their notation: a line ``@ numbers | steps | answer | nouns | story`` and a frame a line.

    The last two may be left out. ``<left>`` in a frame stands for the questions of that name in ``lexicon.MACROS``, and
    a line ``= {x} + {y}`` for all ways to ask for a value.

    Example:
        >>> groups("@ x=3..9 y=2..x-1 | Left/Now: x - y | x - y\\n{x} without {y}?")[0].steps
        (('Left/Now', '', 'x', '-', 'y'),)
    """
    for name, macro in lexicon.MACROS.items():
        text = text.replace(f"<{name}>", macro)
    return tuple(_group(block.strip().split("\n")) for block in text.split("@ ")[1:])


def _group(lines: list[str]) -> Group:
    numbers, steps, answer, nouns, *story = [*lines[0].split(" | "), "thing food"][: max(4, lines[0].count(" | ") + 1)]
    drawn = []
    for part in numbers.split():
        name, _, bounds = part.partition("=")
        low, _, high = bounds.partition("..")
        drawn.append((name, low, high))
    made = []
    for step in steps.split("; "):
        phrases, _, equation = step.partition(": ")
        name, _, terms = equation.rpartition(" = ")
        made.append((phrases, name, *terms.split()))
    frames = [lexicon.ASK.replace("{e}", line[2:]) if line.startswith("= ") else line for line in lines[1:]]
    return Group(tuple(drawn), tuple(made), answer, tuple(frames), nouns, bool(story))


def evaluate(expression: str, values: dict[str, int]) -> int:
    """The value of names, whole numbers and + - * /, from left to right without precedence.

    Example:
        >>> evaluate("x-1*y", {"x": 5, "y": 3})
        12
    """
    terms = _TERM.findall(expression)
    numbers = [int(term) if term.isdigit() else values[term] for term in terms[::2]]
    result = numbers[0]
    for sign, number in zip(terms[1::2], numbers[1:], strict=True):
        result = _SIGNS[sign](result, number)
    return result


def tell(d: Draw, chosen: Group, frame: str) -> FilledFrame:
    """A frame of a group, filled; raises UnfitError where the drawn numbers make none."""
    values = dict[str, int]()
    for name, low, high in chosen.numbers:
        least = evaluate(low, values)
        most = evaluate(high, values) if high else least
        values[name] = d.number(least, most) if most > 30 and high else d.between(least, max(least, most))
    work, known = Work(), dict(values)
    for phrases, name, a, sign, b in chosen.steps:
        known[name] = work.do(d.say(phrases), evaluate(a, known), sign, evaluate(b, known))
    return FilledFrame(Filler(d, values, chosen.nouns.split()).fill(frame), work, values, chosen)


class Filler:
    """The words of one question: drawn when a slot first names them, the same afterwards."""

    def __init__(self, d: Draw, values: dict[str, int], kinds: list[str]) -> None:
        self.d, self.values = d, values
        self._kinds = kinds
        self._people = dict[str, Person]()
        self._nouns = dict[str, Noun]()
        self._verbs = dict[str, Verb]()
        self._words = dict[str, str]()
        self._named = set[str]()
        self._numerals = lexicon.numerals(d)
        self._amount = lexicon.money(d)

    def fill(self, frame: str) -> str:
        """The frame as a text, in good spelling."""
        while "[" in frame:
            frame = _INNER.sub(lambda found: self.d.pick(found[1].split("|")), frame)
        text = _SLOT.sub(lambda found: self._slot(found[1]), frame)
        text = _PERSONAL.sub(self._agree, text)
        text = _GAP.sub("", " ".join(text.split()))
        text = _ARTICLE.sub(r"\1n ", text)
        return _SENTENCE.sub(lambda found: found[1] + found[2].upper(), text)

    def person(self, key: str) -> Person:
        """The hero (N) or one of the others."""
        if key not in self._people:
            taken = tuple(self._people.values())
            self._people[key] = lexicon.hero(self.d, *taken) if key == "N" else lexicon.friend(self.d, *taken)
        return self._people[key]

    def noun(self, key: str) -> Noun:
        """The things (o), others (o2, o3), or what holds them (c, c2)."""
        if key not in self._nouns:
            kinds = ["pot"] if key[0] == "c" else self._kinds
            taken = {noun.many for noun in self._nouns.values()}
            while key not in self._nouns or self._nouns[key].many in taken:
                self._nouns[key] = lexicon.noun(self.d, self.d.pick(kinds))
        return self._nouns[key]

    def _slot(self, name: str) -> str:
        if name[0] == "$":
            return self._amount(self.values[name[1:]])
        if name[0] == "=":
            return str(self.values[name[1:]])
        head, _, rest = name.partition(" ")
        if head in self.values:
            return self._number(self.values[head], rest)
        if name[0] in "NFG" and name[1:] in ("", "h", "'s", "s", "p", "o"):
            return self._person(name[0], name[1:])
        if name == "they":
            return {"I": "we", "You": "you", "We": "we"}.get(self.person("N").name, name)
        if name in ("s", "h", "p"):
            return self._person("N", {"h": "o"}.get(name, name))
        digit = name[-1] if name[-1].isdigit() else ""
        plain = name.removesuffix(digit)
        if plain in ("o", "one", "a_one", "c", "cs", "a_c"):
            noun = self.noun(("c" if plain in ("c", "cs", "a_c") else "o") + digit)
            shown = noun.many if plain in ("o", "cs") else noun.one
            return f"a {shown}" if plain.startswith("a_") else shown
        return self._verb(name) or self._word(name, plain)

    def _number(self, value: int, rest: str) -> str:
        d = self.d
        if rest == "times":
            return {2: d.say("twice/twice/two times/2 times"), 3: d.say("three times/3 times")}.get(
                value, f"{self._numerals(value)} times"
            )
        if rest == "part":
            return {2: "half", 3: d.say("a third/one third"), 4: d.say("a quarter/one fourth")}.get(
                value, f"1/{value}" if value != 5 else d.say("a fifth/one fifth")
            )
        if not rest:
            return self._numerals(value)
        if re.fullmatch(r"[oc]\d?", rest):
            one, many = self.noun(rest)
        else:
            one, _, many = rest.partition("/")
            many = many or one + "s"
        if value == 1 and d.chance(0.3):
            return f"one {one}"
        round_one = {12: "a dozen", 6: "half a dozen", 24: "two dozen", 2: "a couple of"}.get(value)
        if round_one and rest[0] == "o" and d.chance(0.12 if value != 2 else 0.06):
            return f"{round_one} {many}"
        return f"{self._numerals(value)} {one if value == 1 else many}"

    def _person(self, key: str, form: str) -> str:
        person = self.person(key)
        if form in ("s", "o", "p"):
            return {"s": person.subject, "o": person.object, "p": person.possessive}[form]
        if not person.third:
            return {"": person.subject, "h": person.object, "'s": person.possessive}[form]
        name = inside(person)
        if person.name.startswith("A ") and key not in self._named:
            name = f"a{name[3:]}"
        self._named.add(key)
        return f"{name}'s" if form == "'s" else name

    def _verb(self, name: str) -> str:
        subject, _, rest = name.rpartition(":")
        base, _, form = rest.partition(".")
        if base in ("have", "did"):
            third = subject in ("F", "G") or (not subject and self.person("N").third)
            if base == "have":
                return HAVE.plain if form else self.d.tense(HAVE, third)
            return "did" if self.d.past else "does" if third else "do"
        stem = base.rstrip("123")
        if stem not in lexicon.VERBS:
            return ""
        if base not in self._verbs:
            self._verbs[base] = self.d.pick(lexicon.VERBS[stem])
        verb = self._verbs[base]
        if form:
            return verb.plain if form == "plain" else verb.past
        if subject == "T":
            return verb.past if self.d.past else verb.plain
        return self.d.tense(verb, bool(subject) or self.person("N").third)

    def _word(self, name: str, plain: str) -> str:
        if name not in self._words:
            options = lexicon.WORDS[plain]
            taken = {word for key, word in self._words.items() if key.startswith(plain)}
            while name not in self._words or self._words[name] in taken:
                self._words[name] = self.d.pick(options)
        return self._words[name]

    def _agree(self, found: re.Match[str]) -> str:
        third, other = found.groups()
        hero = self.person("N")
        if hero.third:
            return third
        return {"are": "am", "were": "was"}.get(other, other) if hero.name == "I" else other
