"""Numbers side by side: totals, comparisons, groups, equal shares, parts of a whole, and what was there before."""

from __future__ import annotations

from dlmsample.tasks.wordproblems.short import lexicon, words
from dlmsample.tasks.wordproblems.short.draw import BE, HAVE, Draw, count, first_up, inside
from dlmsample.tasks.wordproblems.short.words import Noun, Person
from dlmsample.tasks.wordproblems.short.work import Work

_ALL = " in all?/ in total?/ altogether?/?/ together?/ in all?/ combined?"
_TIMES = {2: "twice/two times/double", 3: "three times/3 times", 4: "four times/4 times", 5: "five times/5 times"}
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
    return d.say(f"{parts}. How many things is that?/{parts}. Total?/{parts}. How many?/{parts}. How many things{d.say(_ALL)}"
                 f"/{owner.name} {d.tense(HAVE, owner.third)} {parts}. How many things {'does' if owner.third else 'do'} {inside(owner)} have{d.say(_ALL)}"
                 f"/If {inside(owner)} {d.tense(d.pick(_ACTS), owner.third)} {parts}, how many things is that{d.say(_ALL)}"), work


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
        " ".join([inside(p), *([d.tense(verb, p.third)] if again else []), count(s, noun) if again and d.chance(0.5) else s])
        for p, s in pairs[1:]
    ]
    kind = d.random()
    text = f"{first}. {' '.join(f'{first_up(part)}.' for part in rest)}" if kind < 0.4 and again else f"{_list([first, *rest], d)}."
    if kind > 0.92:
        text = f"{', '.join(f'{p.name} {s}' for p, s in pairs)}."
    if kind > 0.96:
        text = f"{', '.join(f'{p.name}: {s}' for p, s in pairs)}."
    them = d.say("they/they/they/the children/the friends/they all")
    did = "did" if d.past else "do"
    plain = "have" if verb in lexicon.START[:8] or d.chance(0.5) else verb.plain
    return f"{text} " + d.say(
        f"How many {noun.many} {did} {them} {plain}{d.say(_ALL)}/How many {noun.many} are there{d.say(_ALL)}/How many {noun.many}{d.say(_ALL)}"
        f"/How many {did} they {plain}{d.say(_ALL)}/How many together?/How many{d.say(_ALL)}/Total?/What is the total number of {noun.many}?"
        f"/How many {noun.many} is that{d.say(_ALL)}/How many {noun.many} {did} they {plain}{d.say(_ALL)}"
    )


def _kinds(d: Draw, noun: Noun, shown: list[str]) -> str:
    if d.chance(0.5):
        kinds = [d.pick(words.COLORS) for _ in shown]
        parts = [f"{s} {k}" + (f" {noun.many}" if i == len(shown) - 1 or d.chance(0.5) else "") for i, (s, k) in enumerate(zip(shown, kinds, strict=True))]
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
    does = ("did" if d.past else "does" if owner.third else "do")
    return d.say(
        f"{listed}. How many {whole}{end}/There {are} {listed} {d.pick(words.PLACES + words.HABITATS)}. How many {whole} are there{end}"
        f"/{owner.name} {d.tense(HAVE, owner.third)} {listed}. How many {whole} {does} {d.say(f'{inside(owner)}/{owner.subject}')} have{end}"
        f"/{owner.name} {d.tense(d.pick(_ACTS), owner.third)} {listed}. How many {whole} is that{end}"
        f"/{owner.name} {d.tense(HAVE, owner.third)} {listed}. How many {whole}{end}"
        f"/A {d.say('box/bag/shop/farm/room/basket/drawer/house/park')} {d.say('holds/has/contains')} {listed}. How many {whole} are there{end}"
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
    parts = [f"{s} {noun.many if not i or d.chance(0.4) else ''} {day}".replace("  ", " ") for i, (s, day) in enumerate(zip(shown, days, strict=False))]
    listed, end = _list(parts, d), d.say(_ALL)
    does = "did" if d.past else "does" if owner.third else "do"
    return f"{owner.name} {d.tense(verb, owner.third)} {listed}. " + d.say(
        f"How many {noun.many} {does} {d.say(f'{inside(owner)}/{owner.subject}')} {verb.plain}{end}/How many {noun.many} is that{end}/How many{end}"
        f"/How many {noun.many}{end}/What is the total?/How many {noun.many} {does} {owner.subject} {verb.plain} in the {len(shown)} days?"
    )


def _spots(d: Draw, noun: Noun, shown: list[str]) -> str:
    are, pot, end = d.tense(BE, False), d.pick(words.CONTAINERS), d.say(_ALL)
    first, *rest = shown
    places = _list([f"{count(first, noun)} in one {pot.one}", *(f"{s} in {d.say('another/the other/the next')}" for s in rest)], d)
    where = [d.pick(words.PLACES) for _ in shown]
    listed = _list([f"{count(first, noun)} {where[0]}", *(f"{s} {w}" for s, w in zip(rest, where[1:], strict=True))], d)
    return f"There {are} {d.say(f'{places}|{listed}'.replace('/', ' ').replace('|', '/'))}. " + d.say(
        f"How many {noun.many} are there{end}/How many {noun.many}{end}/How many are there{end}/How many{end}/Total?"
    )


def compare(d: Draw) -> tuple[str, Work]:
    """Somebody has more, fewer, or several times as many as somebody else."""
    work, a = Work(), d.person()
    b, noun = d.other(a), d.noun(words.FOOD, words.THINGS, words.ANIMALS)
    has, also = d.tense(HAVE, a.third), d.tense(HAVE, b.third)
    verb = d.pick(_ACTS) if d.chance(0.4) else HAVE
    has, also = d.tense(verb, a.third), d.tense(verb, b.third)
    does, plain = ("did" if d.past else "does"), verb.plain
    do_a = does if a.third or d.past else "do"
    kind, name_a, name_b = d.random(), inside(a), inside(b)
    if kind < 0.35:  # how many more
        y, x = sorted((d.number(1), d.number(1)))
        work.do(d.say("The difference/More/So"), x, "-", y)
        one, two = (x, y) if d.chance(0.5) else (y, x)
        told = f"{a.name} {has} {count(d.write(one), noun)}{d.say(' and /. /, / and /, but /, and ')}"
        second = f"{name_b} {d.say(f'{also} |/').replace('|', '')}{d.write(two)}"
        told += (first_up(second) if told.endswith(". ") else second) + "."
        more_a = one > two
        hi, lo = (name_a, name_b) if more_a else (name_b, name_a)
        do_hi = (do_a if more_a else does)
        return f"{told} " + d.say(
            f"How many more {noun.many} {do_hi} {hi} {plain}?/How many more {noun.many} {do_hi} {hi} {plain} than {lo}?/How many more {do_hi} {hi} {plain}?"
            f"/How many more {noun.many} {'has' if do_hi != 'do' else 'have'} {hi} than {lo}?/What is the difference?"
            f"/How many fewer {noun.many} {does if not more_a and do_a != 'do' else (do_a if not more_a else does)} {lo} {plain}?"
            f"/By how many {noun.many} {do_hi} {hi} have more?/How many more?"
        ), work
    x, y = d.number(1), d.number(1, 60)
    times = d.chance(0.4)
    less = not times and d.chance(0.5)
    if times:
        half = d.chance(0.3)
        y = 2 if half else d.between(2, 5)
        rel = d.say("half as many") if half else f"{d.say(_TIMES[y])} as many"
        rel = rel.replace("double as", "twice as")
        sign = "/" if half else "*"
    else:
        rel, sign = f"{d.write(y)} {d.say('fewer/less') if less else 'more'}", "-" if less else "+"
    than = "as" if times else "than"
    second = work.do(d.say("The other/So/That is/More" if sign in "+*" else "The other/So/That is/Fewer"), x, sign, y)
    both = d.chance(0.35)
    if both:
        work.do(d.say("Together/In all/Both"), x, "+", second)
    things = count(d.write(x), noun)
    rel_noun = f"{rel} {noun.many}" if d.chance(0.6) else rel
    clause = f"{name_b} {also} {rel_noun}" + (f" {than} {name_a}" if d.chance(0.5) else "")
    told = d.say(
        f"{a.name} {has} {things}. {first_up(clause)}./{a.name} {has} {things} and {clause}./{a.name} {has} {things}, and {clause}."
        f"/{b.name} {also} {rel} {noun.many} {than} {name_a}. {a.name} {has} {things}./{a.name} {has} {things}, {clause}."
        f"/{b.name} {also} {rel} {noun.many} {than} {name_a}, who {d.tense(verb) if a.third else has} {d.write(x)}."
    )
    end = d.say(_ALL)
    if both:
        return f"{told} " + d.say(
            f"How many {noun.many} do they have{end}/How many{end}/How many {noun.many} {'did' if d.past else 'do'} they {plain}{end}/How many {noun.many} are there{end}"
            f"/How many do they have together?/How many {noun.many} do the two of them have?/How many do both have together?"
        ).replace("How many?", "How many together?"), work
    return f"{told} " + d.say(
        f"How many {noun.many} {does} {name_b} {plain}?/How many {does} {name_b} {plain}?/How many {noun.many} {'has' if not d.past else 'did'} {name_b}{'' if not d.past else ' ' + plain}?"
        f"/How many {noun.many} are {name_b}'s?/How many {noun.many} {does} {name_b} {plain}?"
    ), work


def groups(d: Draw) -> tuple[str, Work]:
    """Equal groups: how many in all, maybe with some more or some fewer."""
    work, (x, y) = Work(), d.factors()
    total = work.do(d.say("In all/Total/Together/So"), x, "*", y)
    noun = d.noun(words.FOOD, words.THINGS, words.PEOPLE if d.chance(0.3) else words.THINGS)
    pot, n, m = d.pick(words.CONTAINERS), d.write(x), d.write(y)
    owner = d.person()
    has, end = d.tense(d.pick(lexicon.START), owner.third), d.say(_ALL)
    does = "did" if d.past else "does" if owner.third else "do"
    things, pots = count(m, noun), count(n, pot)
    friends = d.say("friends/children/kids/people/boys/girls/brothers/students/workers/men/women/players/neighbors")
    are = d.tense(BE, False)
    holds = d.say("holds/has/contains/can hold/carries/comes with")
    time, act, (each, plural) = _habit(d, owner)
    forms: list[tuple[str, str]] = [
        (f"{owner.name} {has} {pots} of {things}{d.say('| each/ each').replace('|', '')}.", f"How many {noun.many} {does} {d.say(f'{inside(owner)}/{owner.subject}')} have{end}"),
        (f"{owner.name} {has} {pots} with {things} {d.say('each/in each/in each one/inside each')}.", f"How many {noun.many} {does} {d.say(f'{inside(owner)}/{owner.subject}')} have{end}"),
        (f"There {are} {pots} {d.say('with/of')} {things} {d.say('each/in each')}.", f"How many {noun.many} are there{end}"),
        (f"There {are} {pots}. {d.say('Each/Every')} {d.say(f'one/{pot.one}')} {holds} {things}.", f"How many {noun.many} are there{end}"),
        (f"{d.say('A/One/Each/Every')} {pot.one} {holds} {things}.", d.say(f"How many {noun.many} are in {pots}?/How many {noun.many} are there in {pots}?/How many {noun.many} {d.say('do/will/can')} {pots} hold?/How many in {pots}?/How many {noun.many} fit in {pots}?")),
        (f"{things} {d.say('per/in each/for each/in every/go in a')} {pot.one}, {pots}.", f"How many {noun.many}{end}"),
        (f"{first_up(n)} {friends} each {d.tense(HAVE, False)} {things}.", f"How many {noun.many} do they have{end}"),
        (f"Each of {n} {friends} {d.tense(d.pick(_ACTS))} {things}.", f"How many {noun.many} is that{end}"),
        (f"{first_up(n)} {friends} {d.tense(d.pick(_ACTS), False)} {things} each.", f"How many {noun.many}{end}"),
        (f"{owner.name} {d.tense(lexicon.HAND[0], owner.third)} {d.say(f'each of {n} {friends} {things}/{things} to each of {n} {friends}/{n} {friends} {things} each')}.",
         f"How many {noun.many} {does} {owner.subject} give{end}"),
        (f"{d.say('Each/Every')} {d.say('child/kid/student/guest/person/player')} {d.say('gets/needs/has/takes')} {things}.", d.say(f"How many {noun.many} do {n} {friends} get?/How many {noun.many} are needed for {n} {friends}?/How many {noun.many} for {n} {friends}?")),
        (f"{owner.name} {act.third if owner.third else act.plain} {m} {noun.many} {d.say(f'a {time}/every {time}/each {time}/per {time}')}.",
         d.say(f"How many {noun.many} {'does' if owner.third else 'do'} {owner.subject} {act.plain} in {n} {plural}?/How many {noun.many} in {n} {plural}?/How many {noun.many} is that in {n} {plural}?/How many {noun.many} after {n} {plural}?/How many {noun.many} will {owner.subject} {act.plain} in {n} {plural}?")),
        (f"{owner.name} {d.tense(act, owner.third)} {m} {noun.many} {d.say(f'a {time}/every {time}/each {time}')} for {n} {plural}.", f"How many {noun.many} {does} {owner.subject} {act.plain}{end}"),
        (f"{d.say('A garden/A hall/A room/A park/The theater/A field/The class')} has {n} rows {d.say('of/with')} {things}{d.say('| each/ each').replace('|', '')}.", f"How many {noun.many} {d.say('are there/does it have')}{end}"),
        (f"{d.say('If/When')} {d.say('one/each/a')} {pot.one} {holds} {things}, how many {noun.many} {d.say('are in/do you find in/fit in/do you get from')} {pots}?", ""),
        (f"{n} times {things}.", f"How many {noun.many}{end}"),
    ]
    text, question = d.pick(forms)
    del each
    if question and text.startswith("There") or text.startswith(owner.name):
        text, question = _then(d, work, total, noun, owner, text, question)
    if question and d.chance(0.15) and "in " not in question and "for " not in question and "hold" not in question and "get" not in question:
        question = d.say("How many?/How many in all?/Total?/How many is that?/How many altogether?")
    return f"{text} {question}".strip(), work


def _habit(d: Draw, owner: Person):  # noqa: ANN202
    del owner
    time = d.pick((("day", "days"), ("week", "weeks"), ("hour", "hours"), ("month", "months"), ("minute", "minutes"), ("year", "years")))
    return time[0], d.pick(lexicon.GAIN + lexicon.LOSE[:4] + lexicon.EAT[:2]), time


def _then(d: Draw, work: Work, total: int, noun: Noun, owner: Person, text: str, question: str) -> tuple[str, str]:
    """Sometimes a change after the groups."""
    if not d.chance(0.35) or " give" in question or "a " in text.split(" ")[-2:]:
        return text, question
    lost = d.chance(0.6)
    y = d.number(1, max(1, min(total, 60)))
    work.do("Left" if lost else "Now", total, "-" if lost else "+", y)
    verb = d.pick(lexicon.LOSE if lost else lexicon.GAIN)
    subject = owner.subject if text.startswith(owner.name) else inside(owner)
    does = "did" if d.past else "does" if owner.third else "do"
    deed = f"{d.tense(verb, owner.third)} {d.write(y)}{d.say(' of them/|/|').replace('|', '') if lost else d.say(' more/ more/ extra')}"
    joined = d.say(f". {first_up(subject)} {deed}./. {first_up(subject)} {deed}./, then {subject} {deed}./ and {subject} {deed}.")
    left = "are left" if lost else "are there now"
    asked = d.say(f"How many {noun.many} {left}?/How many {left}?/How many {noun.many} {does} {owner.subject} have {'left' if lost else 'now'}?/How many {noun.many} {left}?")
    return text[:-1] + joined, asked


def sharing(d: Draw) -> tuple[str, Work]:
    """Equal shares, or how many groups of a size."""
    work, (x, y) = Work(), d.factors()
    total = x * y
    start, noun, owner = total, d.noun(words.FOOD, words.THINGS), d.person()
    pot, friends = d.pick(words.CONTAINERS), d.say("friends/children/kids/people/boys/girls/students/cousins/players/dogs/teams/classes/neighbors")
    n = d.write(x)
    has, end = d.tense(d.pick(lexicon.START), owner.third), d.say("?/?/?")
    share, can = d.pick((("share", "shared"), ("split", "split"), ("divide", "divided"))), d.say("equally/evenly/fairly/in equal parts")
    verb = share[1] if d.past else share[0] + ("s" if owner.third else "")
    child = d.say("child/kid/person/friend/one") if friends not in ("dogs", "teams", "classes") else d.say("one")
    things = count(d.write(start), noun)
    gets = d.say(f"How many {noun.many} does each {child} get?/How many does each {child} get?/How many {noun.many} does each get?/How many each?/How many does each one get?/How many {noun.many} does every {child} have?/How many {noun.many} for each {child}?/How many {noun.many} will each {child} get?")
    inside_each = d.say(f"How many {noun.many} are in each {pot.one}?/How many are in each?/How many {noun.many} per {pot.one}?/How many {noun.many} {d.say('does each/are there in one/go in each')} {pot.one}{{h}}?/How many in one {pot.one}?").replace("does each " + pot.one + "{h}", f"does each {pot.one} hold").replace("{h}", "")
    each = d.write(x)
    needed = d.say(f"How many {pot.many} {d.say('are needed/do you need/are there/are filled/can be filled')}?/How many {pot.many} {d.say('does that make/is that')}?/How many {pot.many}?/How many {pot.many} can {owner.subject} fill?/How many {pot.many} will {owner.subject} need?")
    forms = (
        f"{things} {d.say('are shared/are split/are divided/shared/were shared/divided/split')} {can} {d.say('among/by/between/amongst')} {n} {friends}. {gets}",
        f"{n} {friends} share {things} {can}. {gets}",
        f"{owner.name} {has} {things} and {verb} them {can} {d.say('among/between/with')} {n} {friends}. {gets}" if d.chance(0.9) or True else "",
        f"{owner.name} {d.tense(HAVE, owner.third)} {things} for {n} {friends}. {d.say('Everyone gets the same number./Each gets the same./They share equally.')} {gets}",
        f"If {n} {friends} share {things} {can}, how many {noun.many} does each {child} get?",
        f"There are {things} for {n} {friends}. {gets}",
        f"{owner.name} {d.say('puts/packs/sorts/places' if owner.third and not d.past else 'put/packed/sorted/placed' if d.past else 'put/pack/sort/place')} {things} {can} into {n} {pot.many}. {inside_each}",
        f"{owner.name} {has} {things} in {n} {pot.many}, {d.say('the same number in each/equally many in each/with the same number in each/equal in each')}. {inside_each}",
        f"{n} {pot.many} {d.say('hold/have/contain')} {things} in all, {d.say('the same number each/all alike/equally many in each')}. {inside_each}",
        f"{things} {d.say('fill/go into/fit in')} {n} {d.say('equal |/same-size |/|').replace('|', '')}{pot.many}. {inside_each}",
        f"{owner.name} {has} {things}. {d.say('Each/One/A/Every')} {pot.one} holds {each}. {needed}",
        f"How many {pot.many} of {each} {d.say('can you make from/do you get from/can be made from/are needed for')} {things}?",
        f"{owner.name} {d.say('puts/packs/sorts' if owner.third and not d.past else 'put/packed/sorted' if d.past else 'put/pack/sort')} {things} into {pot.many} of {each}. {needed}",
        f"{things}, {each} {d.say('in each/per/to a')} {pot.one}. How many {pot.many}?",
        f"{things} are {d.say('packed/put/sorted/placed')} {d.say(f'{each} to a {pot.one}/in {pot.many} of {each}/{each} in each {pot.one}')}. {needed}",
        f"How many {noun.many} does each {child} get if {n} {friends} share {things}?",
        f"{owner.name} needs {d.write(x)} {noun.many} for {d.say('one/each/a')} {pot.one}. How many {pot.many} can {owner.subject} make with {things}?" if owner.third else f"{things} in {pot.many} of {each}. {needed}",
    )
    text = d.pick(forms)
    del end
    work.do(d.say("Each/One share/So/The number"), total, "/", x)
    return first_up(text), work


def parts(d: Draw) -> tuple[str, Work]:
    """A whole of two kinds: the rest is asked for; or how many more are needed."""
    work, whole = Work(), d.number(3)
    some = d.number(1, whole - d.chance(0.85))
    work.do(d.say("The rest/Others/So/The difference/Left/Missing"), whole, "-", some)
    noun, owner = d.noun(words.FOOD, words.THINGS, words.ANIMALS, words.PEOPLE), d.person()
    all_, n = count(d.write(whole), noun), d.write(some)
    one, two = d.pick(words.COLORS), d.pick(words.COLORS)
    has, need = d.tense(HAVE, owner.third), ("needs" if owner.third else "need")
    wants = d.say("wants/needs/must have/would like") if owner.third else d.say("want/need/must have")
    are = d.tense(BE, some == 1)
    rest = d.say("The rest/The others/All the others/The other ones/The remaining ones")
    girls, boys = d.pick((("girls", "boys"), ("boys", "girls"), ("men", "women"), ("adults", "children"), ("children", "adults"), ("women", "men")))
    group = d.say("There are {} people in the room/A class has {} children/There are {} people at the party/A team of {}/{} people are on the bus/A group has {} people/My class has {} kids/A choir has {} singers")
    done, undone = d.pick(
        (("read", "left to read"), ("taken", "free"), ("sold", "left"), ("full", "empty"), ("done", "left to do"), ("open", "closed"), ("broken", "whole"),
         ("painted", "not painted"), ("new", "old"), ("ripe", "not ripe"), ("used", "unused"), ("lost", "left"), ("good", "bad"), ("washed", "dirty"))
    )  # fmt: skip
    owned = f"{inside(owner)} {has}"
    forms = (
        f"{d.say('There are/There were')} {all_}. {first_up(n)} {are} {one}. {d.say(f'How many are not {one}?/{rest} are {two}. How many are {two}?/How many are left?|').replace('|', '')}",
        f"{owner.name} {has} {all_}. {first_up(n)} of them {are} {one}{d.say(' and the rest are/, the others are/. The rest are')} {two}. How many {two} {d.say(f'ones/{noun.many}')} {d.say('are there/does that make')}?",
        f"{group.format(d.write(whole))}. {first_up(n)} {d.say('of them |/|').replace('|', '')}are {girls}. How many {d.say(f'{boys} are there/are {boys}/{boys}')}?",
        f"{d.say('Of/Out of')} {all_}, {n} {are} {done}. How many are {undone}?",
        f"{n} of {owner.possessive} {d.write(whole)} {noun.many} are {done}. How many are {undone}?" if owner.name != "You" else f"{n} of {d.write(whole)} {noun.many} are {done}. How many are {undone}?",
        f"{all_}, {n} {are} {done}. How many {noun.many} are {undone}?",
        f"{owner.name} {wants} {all_}. {d.say(f'So far {owned}/Now {owned}/{first_up(owner.subject)} already {has}/{first_up(owner.subject)} {has}/{first_up(owner.subject)} only {has}')} {n}. How many {d.say(f'more/more {noun.many}')} {d.say(f'does {inside(owner)}/does {owner.subject}') if owner.third else f'do {owner.subject}'} need?",
        f"{owner.name} {d.say('has/has got') if owner.third else 'have'} {n} {noun.many}. How many more {d.say(f'to reach {d.write(whole)}/to have {d.write(whole)}/to get {d.write(whole)}/are needed to make {d.write(whole)}')}?",
        f"A {d.say('box/book/bus/shelf/page/jar/game/set/puzzle')} {d.say('has room for/holds/can hold/has')} {all_}. {first_up(n)} are {d.say('already in/in it/there')}. How many {d.say('more fit/are missing/more can go in')}?",
        f"{owner.name} {need} {all_}, but {has} {d.say('only |/|').replace('|', '')}{n}. How many {d.say('are missing/more are needed/are still needed')}?",
    )
    return d.pick(forms), work


def before(d: Draw) -> tuple[str, Work]:
    """What was there at first, or what the change was."""
    work, hero = Work(), d.person()
    noun = d.noun(words.FOOD, words.THINGS)
    start, change = d.number(1), d.number(1)
    lost = d.chance(0.5)
    if lost:
        change = min(change, start)
    end = start - change if lost else start + change
    work_ask_change = d.chance(0.4)
    has, third = d.tense(HAVE, hero.third), hero.third
    verb = d.pick(lexicon.LOSE if lost else lexicon.GAIN)
    did, now_has = d.tense(verb, third), HAVE.third if third else HAVE.plain
    name, many = inside(hero), noun.many
    some = d.say(f"some {many}/some {many}/some/a few {many}/a number of {many}")
    now = d.say(f"Now {hero.subject} {now_has} {d.write(end)}./Now there are {d.write(end)}./Now {d.write(end)} are {'left' if lost else 'there'}./{first_up(hero.subject)} {now_has} {d.write(end)} now./Then {hero.subject} had {d.write(end)}.")
    if work_ask_change:
        work.do(d.say("The change/So/The difference"), start if lost else end, "-", end if lost else start)
        plain = f"{'did' if d.past or third and d.chance(0.5) else 'does' if third else 'do'} {d.say(f'{name}/{hero.subject}')} {verb.plain}"
        return (
            f"{hero.name} {has} {count(d.write(start), noun)}. {first_up(hero.subject)} {did} {some}. {now} "
            + d.say(f"How many {plain}?/How many {many} {plain}?/How many {many} {plain}?")
        ), work  # fmt: skip
    work.do(d.say("At first/Before/So/The start"), end, "+" if lost else "-", change)
    first = d.say("at first/in the beginning/at the start/to begin with/before/to start with/originally")
    had = d.say(f"How many {many} did {d.say(f'{name}/{hero.subject}')} have {first}?/How many did {hero.subject} have {first}?/How many {many} were there {first}?/How many {many} had {name} {first}?")
    return d.say(
        f"{hero.name} {has} {some}. {first_up(hero.subject)} {did} {d.write(change)}{' more' if not lost and d.chance(0.5) else ''}. {now} {had}"
        f"/{hero.name} {did} {count(d.write(change), noun)} and {now_has} {d.write(end)} {'left' if lost else 'now'}. {had}"
        f"/After {hero.name if hero.name == 'I' else name} {verb.past} {count(d.write(change), noun)}, {hero.subject} had {d.write(end)}{' left' if lost else ''}. {had}"
    ), work
