"""From a plan to English: the story, the question, and the gold chain of thought."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from dlmsample.tasks.base import Example
from dlmsample.tasks.wordproblems import forms, words
from dlmsample.tasks.wordproblems.story import Story, StoryEvent

_NAMES = tuple(person[0] for person in words.PEOPLE)
_WORDS: dict[str, tuple[str, ...]] = {
    "F": _NAMES,
    "c": words.CONTAINERS,
    "place": words.PLACES,
    "inside": words.PLACES_INSIDE,
    "kin": words.RELATIVES,
}


class _Sentence(NamedTuple):
    """A form made ready: its text, the slots to draw and from what, and its own word for the groups."""

    text: str
    draws: tuple[tuple[str, tuple[str, ...]], ...]
    group: str


def _ready(options: Sequence[forms.Form]) -> tuple[_Sentence, ...]:
    made = []
    for form in options:
        text, group = (form, "") if isinstance(form, str) else form
        draws = tuple((slot, choice) for slot, choice in _WORDS.items() if f"{{{slot}}}" in text)
        made.append(_Sentence(text, draws, group))
    return tuple(made)


_OPENINGS, _QUESTIONS = _ready(forms.OPENINGS), _ready(forms.QUESTIONS)
_ENDINGS = {"money": _ready(forms.MONEY), "divide": _ready(forms.SHARES)}
_EVENTS = {kind: _ready(options) for kind, options in forms.EVENTS.items()}
_EVENTS |= dict.fromkeys(forms.COMPARISONS, _EVENTS["compare"])
_EVENTS["opening"] = _ready(forms.OPENINGS_GROUPS)
_BY_NUMBER = {
    (kind, number): _EVENTS[kind] + 2 * _ready(extra)
    for kind, table in (("multiply", forms.MULTIPLY_BY), ("divide", forms.DIVIDE_BY))
    for number, extra in table.items()
}


def explain(phrase: str, equation: str, vary: Callable[[], float]) -> str:
    """The sentence of a gold chain for one step, in one of the forms of its operation.

    Example:
        >>> explain("More pens", "57 + 42 = 99", lambda: 0.0)
        'More pens: 57 + 42 = 99.'
    """
    a, operation, b, _, r = equation.split(" ")
    options = forms.STEPS[operation]
    return options[int(vary() * len(options))].format(k=phrase, a=a, b=b, r=r)


def worked(prompt: str, steps: Sequence[tuple[str, str]], vary: Callable[[], float]) -> Example:
    """A question with its steps, ``(phrase, equation)``, as the gold chain; the answer is the last result.

    Example:
        >>> worked("2 + 3?", [("So", "2 + 3 = 5")], lambda: 0.0).reference
        'So: 2 + 3 = 5.\\n#### 5'
    """
    answer = steps[-1][1].rpartition(" ")[-1]
    chain = " ".join([explain(phrase, equation, vary) for phrase, equation in steps])
    return Example(prompt, answer, f"{chain}\n#### {answer}", {"steps": len(steps)})


def render(plan: Story, random: Callable[[], float], vary: Callable[[], float]) -> tuple[str, str]:
    """The prompt and the gold chain of a plan; ``random`` and ``vary`` (floats in [0, 1)) word one each.

    Example:
        >>> from random import Random
        >>> from dlmsample.tasks.wordproblems.story import draw_plan
        >>> prompt, chain = render(draw_plan(Random(0).random, 2), Random(0).random, Random(1).random)
        >>> chain.splitlines()[-1].startswith("#### ")
        True
    """
    hero, pronoun, them, their = words.PEOPLE[int(random() * len(words.PEOPLE))]
    one, many = words.OBJECTS[int(random() * len(words.OBJECTS))]
    slots: dict[str, str | int] = {"N": hero, "h": them, "p": their, "one": one, "o": many, "x": plan.start}

    def say(options: tuple[_Sentence, ...]) -> str:
        """One of the forms with fresh words; they stay in ``slots`` for the chain, which mentions some."""
        text, draws, slots["c"] = options[int(random() * len(options))]
        slots["s"] = hero if random() < 0.4 else pronoun
        for slot, choice in draws:
            slots[slot] = choice[int(random() * len(choice))]
            while slots[slot] == hero:
                slots[slot] = choice[int(random() * len(choice))]
        return text.format_map(slots)

    def tell(event: StoryEvent) -> str:
        """The sentence of an event inside the story, sometimes with an opener."""
        if event.kind in forms.COMPARISONS:
            slots["q"] = forms.COMPARISONS[event.kind].format_map(slots)
        text = say(_BY_NUMBER.get((event.kind, event.x)) or _EVENTS[event.kind])
        if random() < 0.3 and event.kind != "opening":
            return f"{words.OPENERS[int(random() * len(words.OPENERS))]} {text}"
        return text[0].upper() + text[1:]

    story: list[str] = []
    chain: list[str] = []
    if plan.events[0].kind != "opening":
        story.append(say(_OPENINGS))
    last = plan.events[-1]
    asked = last.kind == "money" or (last.kind == "divide" and random() < 0.5)
    for event in plan.events:
        slots["x"], slots["y"] = event.x, event.y
        ending = asked and event is last
        text = say(_ENDINGS[event.kind]) if ending else tell(event)
        story.append(text[0].upper() + text[1:] if ending else text)
        for phrase, equation in zip(forms.CHAIN[event.kind], event.equations, strict=True):
            chain.append(explain(phrase.format_map(slots), equation, vary))
    if not asked:
        story.append(say(_QUESTIONS))
    return " ".join(story), f"{' '.join(chain)}\n#### {plan.result}"
