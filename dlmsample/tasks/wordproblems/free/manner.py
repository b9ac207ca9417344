"""How people type: a needless sentence, a greeting, small letters, no last mark, short forms, a slip of the finger."""

from __future__ import annotations

import re

from dlmsample.tasks.wordproblems.free import lexicon
from dlmsample.tasks.wordproblems.short import words
from dlmsample.tasks.wordproblems.short.draw import Draw

_NEEDLESS = (
    "It is {n} o'clock.;It takes {n} minutes to walk home.;The shop opens at {n}.;"
    "{N} is {n} years old.;The bus is {n} minutes late.;{N} lives at number {n}.;There were {n} clouds in the sky.;"
    "It was {n} degrees outside.;{N} has {n} cousins.;The house has {n} windows.;School starts at {n}.;"
    "{N} woke up at {n}.;The walk took {n} minutes.;{N} is in grade {n}.;It was a sunny day.;It was raining.;"
    "{N} was very happy.;It is the weekend.;{N} likes music.;The weather was nice.;It was somebody's birthday."
).split(";")
_BEFORE = (
    "Hi!;Hello,;Please help:;Question:;Quick question:;Help me with this:;Hey,;Can you solve this?;Solve this:;"
    "Math problem:;Homework:;Here is one:;Can you help me?;Try this one:;I have a question.;Let's see:;Ok,;Next one:"
).split(";")
_BEHIND = "Thanks!;Thank you.;Please.;Please help!;Thanks;please;Explain.;Show your work.;Can you tell me?".split(";")
_SHORT = (
    ("What is", "What's"), ("what is", "what's"), ("you", "u"), ("There are", "There's"), ("are", "r"), ("and", "&"),
    ("please", "pls"), ("What is", "whats"), ("Can you", "can u"), ("altogether", "all together"),
)  # fmt: skip
_LONG = re.compile(r"\b[a-z]{5,}\b")
_KEPT = (
    frozenset(words.NUMBERS)
    | frozenset(words.TENS)
    | {"hundred", "dozen", "couple", "twice", "third", "fourth", "fifth"}
)


def needless(d: Draw, text: str) -> str:
    """A story, now and then with a sentence that its answer does not need, before it or behind its first sentence."""
    if not d.chance(0.13):
        return text
    said = d.pick(_NEEDLESS).replace("{N}", lexicon.friend(d).name).replace("{n}", str(d.between(2, 12)))
    first, mark, rest = text.partition(". ")
    if mark and rest[:1].isupper() and first[-2:] not in ("Mr", "rs", "Ms") and d.chance(0.5):
        return f"{first}. {said} {rest}"
    return f"{said} {text}"


def casual(d: Draw, text: str) -> str:
    """As people type."""
    if d.chance(0.05):
        text = f"{d.pick(_BEFORE)} {text}"
    if d.chance(0.02) and text[-1] in ".?":
        text = f"{text} {d.pick(_BEHIND)}"
    if d.chance(0.05):
        old, new = d.pick(_SHORT)
        text = re.sub(rf"\b{old}\b", new, text)
    kind = d.random()
    if kind < 0.1:
        text = text.lower()
    if kind < 0.05 or kind > 0.93:
        text = text.rstrip("?.")
    elif kind > 0.92:
        text = f"{text.rstrip('?.')}{d.say('??/ ?/ .../!')}"
    elif kind > 0.90:
        text = text.replace(". ", d.say(", /; / ... "), 1)
    elif kind > 0.88:
        text = re.sub(r"(?<=[a-z]),(?= [a-zA-Z])", "", text)
    elif kind > 0.87:
        text = re.sub(r"(?<=[a-z])\. (?=[A-Z])", " ", text)
    return _slip(d, text) if d.chance(0.03) else text


def _slip(d: Draw, text: str) -> str:
    """One letter too few, or two swapped, inside a long word that is no number."""
    found = [m for m in _LONG.finditer(text) if m[0] not in _KEPT]
    if not found:
        return text
    word = d.pick(found)
    at = word.start() + d.between(1, len(word[0]) - 3)
    middle = text[at + 1] + text[at] if d.chance(0.5) else text[at]
    return text[:at] + middle + text[at + 2 :]
