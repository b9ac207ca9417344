"""What people type beside long problems: tiny stories in the present tense, bare arithmetic, and anything else.

nano's training mixes a little of it in, so that a first try gets a sensible text back. It is no part of the
task that is scored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dlmsample.tasks.base import Example
from dlmsample.tasks.wordproblems import words
from dlmsample.tasks.wordproblems.story import split_of
from dlmsample.tasks.wordproblems.task import stream
from dlmsample.tasks.wordproblems.wording import worked

OTHER = "I can only solve word problems with whole numbers."
"""The answer to whatever is none."""

_TINY, _BARE = 0.45, 0.65
"""Upper bounds of the shares of tiny stories and bare arithmetic; the rest is other text."""

_OPENINGS = (
    "{N} has {x} {o}.",
    "{N} had {x} {o}.",
    "There are {x} {o} on the table.",
    "{N} has got {x} {o}.",
    "I have {x} {o}.",
)
_GROUPS = ("{N} has {x} {c} of {y} {o}.", "{N} has {x} {c} with {y} {o} each.", "There are {x} {c} of {y} {o} each.")
_EVENTS = {
    "+": (
        "{N} buys {y} more.",
        "{N} gets {y} more {o}.",
        "{F} gives {N} {y} {o}.",
        "{N} finds {y} {o}.",
        "Then {N} bought {y} more {o}.",
    ),
    "-": (
        "{N} gives {y} to {F}.",
        "{N} loses {y} {o}.",
        "{N} sells {y} of them.",
        "{F} takes {y} {o}.",
        "Then {N} gave {y} {o} away.",
    ),
    "*": ("{N} gets {y} times as many.", "Now there are {y} times as many {o}."),
    "/": ("{N} shares them equally among {y} people.", "{N} puts them equally into {y} {c}."),
}
_PHRASES = {"+": "More {o}", "-": "Fewer {o}", "*": "Grows to", "/": "One share"}
_QUESTIONS = ("How many {o} does {N} have?", "How many {o} are there now?", "How many {o} are left?", "How many {o}?")
_SHARED = ("How many {o} are in one share?", "How many does each get?")

_BARE_FORMS = ("What is {e}?", "{e}", "{e} = ?", "How much is {e}?", "Calculate {e}.", "{e}?")
_OPERATORS = {"+": ("+", "plus"), "-": ("-", "minus"), "*": ("*", "times"), "/": ("/", "divided by")}

_TALK = (
    "Hello!",
    "Hi",
    "How are you?",
    "Who are you?",
    "What can you do?",
    "Thank you.",
    "What is the {w} of {w}?",
    "Who is the {w} of the {w}?",
    "Tell me about {w}.",
    "Write a {w} about {w}.",
    "Write a {w} {w} that will {w} the {w}.",
    "Explain {w} to me.",
    "Why is the {w} {w}?",
    "Where is {w}?",
    "What is {w}?",
    "Translate {w} {w} {w}.",
    "{w} {w} {w}",
    "Please {w} the {w} and {w}.",
    "Can you {w} a {w}?",
)
_ALPHABETS = ((33, 127), (97, 123), (0xC0, 0x180), (0x391, 0x3C9), (0x410, 0x450), (0x4E00, 0x4F00), (0x1F600, 0x1F640))


def problem(split: str, index: int, seed: int = 0) -> Example:
    """The text at ``index`` of ``split`` with the answer it deserves: a pure function of its arguments.

    Example:
        >>> problem("train", 3).answer == problem("train", 3).reference.rpartition(" ")[-1]
        True
    """
    name = f"everyday/{split}/{index}/{seed}"
    random, vary = stream(name), stream(f"{name}/chain")
    kind = random()
    if kind >= _BARE:
        return Example(_other(random), OTHER.rpartition(" ")[-1], OTHER, {"steps": 0})
    while True:
        prompt, steps = _tiny(random) if kind < _TINY else _bare(random)
        if split_of(tuple(equation for _, equation in steps)) == split:
            break
    return worked(prompt, steps, vary)


def _pick(random: Callable[[], float], options: Sequence[str]) -> str:
    return options[int(random() * len(options))]


def _tiny(random: Callable[[], float]) -> tuple[str, list[tuple[str, str]]]:
    """A story of one to three steps with small numbers: its text, and (phrase, equation) by step."""
    hero, friend = (words.PEOPLE[int(random() * len(words.PEOPLE))][0] for _ in range(2))
    things = words.OBJECTS[int(random() * len(words.OBJECTS))][1]
    value = 1 + int(random() * (20 if random() < 0.7 else 100))
    slots: dict[str, str | int] = {
        "N": hero,
        "F": friend,
        "o": things,
        "c": _pick(random, words.CONTAINERS),
        "x": value,
    }
    steps: list[tuple[str, str]] = []
    if random() < 0.25:
        value = slots["x"] = 1 + value % 20
        y = 2 + int(random() * 11)
        story = [_pick(random, _GROUPS).format_map(slots | {"y": y})]
        steps.append(("At first", f"{value} * {y} = {value * y}"))
        value *= y
    else:
        story = [_pick(random, _OPENINGS).format_map(slots)]
    target = max(len(steps), 1 + int(random() * 3))
    sign = "*"
    while len(steps) < target:
        sign, y = _pick(random, "++--*/"), 1 + int(random() * 20)
        y = y if sign in "+-" else 2 + y % 5
        after = {"+": value + y, "-": value - y, "*": value * y, "/": value // y}[sign]
        if not 1 <= after <= 999 or (sign == "/" and value % y):
            continue
        story.append(_pick(random, _EVENTS[sign]).format_map(slots | {"y": y}))
        steps.append((_PHRASES[sign].format_map(slots), f"{value} {sign} {y} = {after}"))
        value = after
    question = _pick(random, _SHARED if sign == "/" else _QUESTIONS).format_map(slots)
    return " ".join([*story, question]), steps


def _bare(random: Callable[[], float]) -> tuple[str, list[tuple[str, str]]]:
    """One operation asked for without a story."""
    sign = _pick(random, "+-*/")
    a, b = (1 + int(random() * (20 if random() < 0.5 else 200)) for _ in range(2))
    if sign == "*":
        a, b = 1 + a % 30, 1 + b % 30
    if sign == "-":
        a, b = max(a, b) + 1, min(a, b)
    r = {"+": a + b, "-": a - b, "*": a * b, "/": a}[sign]
    if sign == "/":
        b = 2 + b % 11
        a = r * b
    shown = f"{a} {_pick(random, _OPERATORS[sign])} {b}"
    return _pick(random, _BARE_FORMS).format(e=shown), [("So", f"{a} {sign} {b} = {r}")]


def _other(random: Callable[[], float]) -> str:
    """Text that is no problem: talk, loose words, or characters of some script."""
    kind = random()
    if kind < 0.5:
        text = _pick(random, _TALK)
        while "{w}" in text:
            text = text.replace("{w}", _pick(random, words.COMMON), 1)
        return text
    if kind < 0.75:
        text = " ".join([_pick(random, words.COMMON) for _ in range(1 + int(random() * 20))])
        return text + ("?" if random() < 0.5 else "")
    return letters(random)


def letters(random: Callable[[], float]) -> str:
    """Up to 30 characters of some script, with spaces, one letter at least."""
    low, high = _ALPHABETS[int(random() * len(_ALPHABETS))]
    drawn = [chr(low + int(random() * (high - low))) for _ in range(1 + int(random() * 30))]
    text = "".join([" " if random() < 0.15 else letter for letter in drawn])
    return text if text.strip() else drawn[0]
