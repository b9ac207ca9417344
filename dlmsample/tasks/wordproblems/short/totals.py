"""Totals: amounts of several owners, kinds, days or places, put together."""

from __future__ import annotations

from dlmsample.tasks.wordproblems.short import lexicon, words
from dlmsample.tasks.wordproblems.short.draw import BE, HAVE, Draw, count, first_up, inside
from dlmsample.tasks.wordproblems.short.words import Noun, Person
from dlmsample.tasks.wordproblems.short.work import Work

_ALL = " in all?/ in total?/ altogether?/?/ together?/ in all?/ combined?"
_ACTS = lexicon.GAIN + lexicon.START[:12]


def _sum(work: Work, values: list[int], d: Draw) -> int:
    total = values[0]
    for value in values[1:]:
        total = work.do(d.say("In all/Total/Together/So far/The sum"), total, "+", value)
    return total


def totals(d: Draw) -> tuple[str, Work]:
    """Two or three amounts, of several owners, kinds, days or places, put together."""
    work, n = Work(), 2 if d.chance(0.65) else 3
    values = [d.number(1) for _ in range(n)]
    _sum(work, values, d)
    kind, noun = d.random(), d.noun(words.FOOD, words.THINGS, words.ANIMALS, words.PEOPLE)
    shown = [d.write(value) for value in values]
    if kind < 0.3:
        return _owners(d, noun, shown), work
    if kind < 0.55:
        return _kinds(d, noun, shown), work
    if kind < 0.75:
        return _days(d, noun, shown), work
    if kind < 0.9:
        return _spots(d, noun, shown), work
    owner = d.person()
    parts = _list([count(s, d.noun(words.FOOD, words.THINGS)) for s in shown], d)
    return d.say(
        f"{parts}. How many things is that?/{parts}. Total?/{parts}. How many?/{parts}. How many things{d.say(_ALL)}"
        f"/{owner.name} {d.tense(HAVE, owner.third)} {parts}. How many things {'does' if owner.third else 'do'} "
        f"{inside(owner)} have{d.say(_ALL)}"
        f"/If {inside(owner)} {d.tense(d.pick(_ACTS), owner.third)} {parts}, how many things is that{d.say(_ALL)}"
    ), work


def _list(parts: list[str], d: Draw) -> str:
    joint = d.say(" and / and / and / plus /, / & ") if len(parts) == 2 else d.say(" and /, and ")
    return ", ".join(parts[:-1]) + joint + parts[-1]


def _owners(d: Draw, noun: Noun, shown: list[str]) -> str:
    people: list[Person] = []
    for _ in shown:
        people.append(d.person(*people))
    verb, pairs = d.pick(_ACTS), list(zip(people, shown, strict=True))
    first = f"{people[0].name} {d.tense(verb, people[0].third)} {count(shown[0], noun)}"
    again = d.chance(0.6)
    rest = [
        " ".join(
            [inside(p), *([d.tense(verb, p.third)] if again else []), count(s, noun) if again and d.chance(0.5) else s]
        )
        for p, s in pairs[1:]
    ]
    kind = d.random()
    text = (
        f"{first}. {' '.join(f'{first_up(part)}.' for part in rest)}"
        if kind < 0.4 and again
        else f"{_list([first, *rest], d)}."
    )
    if kind > 0.92:
        text = f"{', '.join(f'{p.name} {s}' for p, s in pairs)}."
    if kind > 0.96:
        text = f"{', '.join(f'{p.name}: {s}' for p, s in pairs)}."
    them = d.say("they/they/they/the children/the friends/they all")
    did = "did" if d.past else "do"
    plain = "have" if verb in lexicon.START[:8] or d.chance(0.5) else verb.plain
    return f"{text} " + d.say(
        f"How many {noun.many} {did} {them} {plain}{d.say(_ALL)}/How many {noun.many} are there{d.say(_ALL)}"
        f"/How many {noun.many}{d.say(_ALL)}"
        f"/How many {did} they {plain}{d.say(_ALL)}/How many together?/How many{d.say(_ALL)}/Total?"
        f"/What is the total number of {noun.many}?"
        f"/How many {noun.many} is that{d.say(_ALL)}/How many {noun.many} {did} they {plain}{d.say(_ALL)}"
    )


def _kinds(d: Draw, noun: Noun, shown: list[str]) -> str:
    if d.chance(0.5):
        kinds = [d.pick(words.COLORS) for _ in shown]
        parts = [
            f"{s} {k}" + (f" {noun.many}" if i == len(shown) - 1 or d.chance(0.5) else "")
            for i, (s, k) in enumerate(zip(shown, kinds, strict=True))
        ]
        whole = noun.many
    else:
        table, whole = d.pick(
            (
                (words.ANIMALS, d.say("animals/pets")), (words.FOOD, d.say("things to eat/items/pieces")), (words.PEOPLE, "people"),
                (words.VEHICLES, "vehicles"), (words.THINGS, d.say("things/items/objects")),
            )
        )  # fmt: skip
        parts = [count(s, d.pick(table)) for s in shown]
    owner = d.person()
    listed, end, are = _list(parts, d), d.say(_ALL), d.tense(BE, False)
    does = "did" if d.past else "does" if owner.third else "do"
    return d.say(
        f"{listed}. How many {whole}{end}/There {are} {listed} {d.pick(words.PLACES + words.HABITATS)}. "
        f"How many {whole} are there{end}"
        f"/{owner.name} {d.tense(HAVE, owner.third)} "
        f"{listed}. How many {whole} {does} {d.say(f'{inside(owner)}/{owner.subject}')} have{end}"
        f"/{owner.name} {d.tense(d.pick(_ACTS), owner.third)} {listed}. How many {whole} is that{end}"
        f"/{owner.name} {d.tense(HAVE, owner.third)} {listed}. How many {whole}{end}"
        f"/A {d.say('box/bag/shop/farm/room/basket/drawer/house/park')} "
        f"{d.say('holds/has/contains')} {listed}. How many {whole} are there{end}"
        f"/How many {whole} are {listed}?"
    )


def _days(d: Draw, noun: Noun, shown: list[str]) -> str:
    owner, verb = d.person(), d.pick(_ACTS + lexicon.LOSE[:4])
    days = d.pick(
        (
            [f"on {day}" for day in (d.pick(words.DAYS), d.pick(words.DAYS), d.pick(words.DAYS))],
            ["in the morning", "in the afternoon", "in the evening"],
            ["yesterday", "today", "last week"],
            ["last year", "this year", "in May"],
            ["in the first hour", "in the second hour", "in the third hour"],
            ["on the first day", "on the second day", "on the third day"],
            ["before lunch", "after lunch", "after dinner"],
        )
    )
    parts = [
        f"{s} {noun.many if not i or d.chance(0.4) else ''} {day}".replace("  ", " ")
        for i, (s, day) in enumerate(zip(shown, days, strict=False))
    ]
    listed, end = _list(parts, d), d.say(_ALL)
    does = "did" if d.past else "does" if owner.third else "do"
    return f"{owner.name} {d.tense(verb, owner.third)} {listed}. " + d.say(
        f"How many {noun.many} {does} {d.say(f'{inside(owner)}/{owner.subject}')} {verb.plain}{end}"
        f"/How many {noun.many} is that{end}/How many{end}"
        f"/How many {noun.many}{end}/What is the total?/How many {noun.many} {does} {owner.subject} {verb.plain} "
        f"in the {len(shown)} days?"
    )


def _spots(d: Draw, noun: Noun, shown: list[str]) -> str:
    are, pot, end = d.tense(BE, False), d.pick(words.CONTAINERS), d.say(_ALL)
    first, *rest = shown
    places = _list(
        [f"{count(first, noun)} in one {pot.one}", *(f"{s} in {d.say('another/the other/the next')}" for s in rest)], d
    )
    where = [d.pick(words.PLACES) for _ in shown]
    listed = _list([f"{count(first, noun)} {where[0]}", *(f"{s} {w}" for s, w in zip(rest, where[1:], strict=True))], d)
    return f"There {are} {d.say(f'{places}|{listed}'.replace('/', ' ').replace('|', '/'))}. " + d.say(
        f"How many {noun.many} are there{end}/How many {noun.many}{end}/How many are there{end}/How many{end}/Total?"
    )
