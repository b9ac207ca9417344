"""Numbers side by side: comparisons, ages, parts of a whole, and what was there before."""

from __future__ import annotations

from dlmsample.tasks.wordproblems.short import lexicon, words
from dlmsample.tasks.wordproblems.short.draw import BE, HAVE, Draw, count, first_up, inside
from dlmsample.tasks.wordproblems.short.work import Work

_ALL = " in all?/ in total?/ altogether?/?/ together?/ in all?/ combined?"
_TIMES = {2: "twice/two times/double", 3: "three times/3 times", 4: "four times/4 times", 5: "five times/5 times"}
_ACTS = lexicon.GAIN + lexicon.START[:12]


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
        do_hi = do_a if more_a else does
        return f"{told} " + d.say(
            f"How many more {noun.many} {do_hi} {hi} {plain}?/How many more {noun.many} {do_hi} {hi} {plain} "
            f"than {lo}?/How many more {do_hi} {hi} {plain}?"
            f"/How many more {noun.many} {'has' if do_hi != 'do' else 'have'} {hi} than {lo}?/What is the difference?"
            f"/How many fewer {noun.many} {does if not more_a and do_a != 'do' else (do_a if not more_a else does)} "
            f"{lo} {plain}?"
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
        f"{a.name} {has} {things}. {first_up(clause)}./{a.name} {has} {things} and {clause}."
        f"/{a.name} {has} {things}, and {clause}."
        f"/{b.name} {also} {rel} {noun.many} {than} {name_a}. {a.name} {has} {things}."
        f"/{a.name} {has} {things}, {clause}."
        f"/{b.name} {also} {rel} {noun.many} {than} {name_a}, who {d.tense(verb) if a.third else has} {d.write(x)}."
    )
    end = d.say(_ALL)
    if both:
        return f"{told} " + d.say(
            f"How many {noun.many} do they have{end}/How many{end}/How many {noun.many} {'did' if d.past else 'do'} "
            f"they {plain}{end}/How many {noun.many} are there{end}"
            f"/How many do they have together?/How many {noun.many} do the two of them have?"
            f"/How many do both have together?"
        ).replace("How many?", "How many together?"), work
    return f"{told} " + d.say(
        f"How many {noun.many} {does} {name_b} {plain}?/How many {does} {name_b} {plain}?"
        f"/How many {noun.many} {'has' if not d.past else 'did'} {name_b}{'' if not d.past else ' ' + plain}?"
        f"/How many {noun.many} are {name_b}'s?/How many {noun.many} {does} {name_b} {plain}?"
    ), work


def age(d: Draw) -> tuple[str, Work]:
    """Somebody's age, now, before, later, or beside somebody else's."""
    work, a = Work(), d.person()
    while a.name in ("They", "We"):
        a = d.person()
    b = d.other(a)
    x, y = d.between(2, 90), d.between(1, 30)
    be_a = {"I": "am", "You": "are"}.get(a.name, "is")
    name_a, name_b = inside(a), inside(b)
    years = d.say(" years old/ years old/|/|").replace("|", "")
    kind = d.random()
    if kind < 0.25:
        work.do(d.say("Then/So/In years"), x, "+", y)
        later = d.say(
            f"in {d.write(y)} years/{d.write(y)} years from now/after {d.write(y)} years/{d.write(y)} years later"
        )
        return d.say(
            f"{a.name} {be_a} {d.write(x)}{years}{d.say(' now| today||').split('|')[0]}. "
            f"How old will {d.say(f'{name_a}/{a.subject}')} be {later}?/{a.name} {be_a} {d.write(x)}{years}. What age "
            f"will {a.subject} be {later}?"
            f"/How old will {name_a} be {later} if {a.subject} {be_a} {d.write(x)} now?"
        ), work
    if kind < 0.42:
        y = min(y, x)
        work.do(d.say("Then/Before/So"), x, "-", y)
        was = "were" if a.name == "You" else "was"
        return d.say(
            f"{a.name} {be_a} {d.write(x)}{years}. How old {was} {d.say(f'{name_a}/{a.subject}')} "
            f"{d.write(y)} years ago?/How old {was} {name_a} {d.write(y)} years ago "
            f"if {a.subject} {be_a} {d.write(x)}{years} now?"
        ), work
    if kind < 0.55:
        y, x = sorted((x, d.between(2, 90)))
        work.do(d.say("The difference/So"), x, "-", y)
        return d.say(
            f"{a.name} {be_a} {d.write(x)}{years} and {name_b} is {d.write(y)}{years}. {{q}}"
            f"/{a.name} {be_a} {d.write(x)}{years}. {b.name} is {d.write(y)}{years}. {{q}}"
        ).format(
            q=d.say(
                f"How much older {be_a} {name_a}?"
                f"/How many years older {be_a} {name_a}{d.say(f'|/ than {name_b}').replace('|', '')}?"
                f"/What is the difference in their ages?/How many years younger is {name_b}?"
                f"/How many years apart are they?"
            )
        ), work
    times = d.chance(0.35)
    if times:
        x, y = d.between(2, 25), d.between(2, 4)
        rel = {2: d.say("twice/two times"), 3: "three times", 4: "four times"}[y] + f" as old as {name_a}"
        half = d.chance(0.25)
        if half:
            x, y, rel = 2 * x, 2, f"half as old as {name_a}"
        second = work.do(d.say("The other/So"), x, "/" if half else "*", y)
    else:
        younger = d.chance(0.5)
        rel = f"{d.write(y)} years {'younger' if younger else 'older'}" + d.say(
            f" than {name_a}/ than {name_a}/|"
        ).replace("|", "")
        second = work.do(d.say("The other/So"), x, "-" if younger else "+", y)
    rel = rel.replace("than I", "than I").replace("as old as you", "as old as you")
    if d.chance(0.12):
        work.do(d.say("Together/The sum"), x, "+", second)
        ask = d.say("How old are they together?/What is the sum of their ages?")
    else:
        ask = d.say(
            f"How old is {name_b}?/How old is {name_b}?/What is {name_b}'s age?/How old is {name_b} now?"
            f"/What age is {name_b}?"
        )
    return d.say(
        f"{a.name} {be_a} {d.write(x)}{years}. {b.name} is {rel}. {ask}"
        f"/{b.name} is {rel}. {a.name} {be_a} {d.write(x)}{years}. {ask}"
        f"/{a.name} {be_a} {d.write(x)}{years} and {name_b} is {rel}. {ask}"
        f"/{b.name} is {rel}, who {be_a} {d.write(x)}. {ask}/If {name_a} {be_a} {d.write(x)} and {name_b} is "
        f"{rel}, {ask[0].lower()}{ask[1:]}"
        if " a" in rel or "than" in rel else f"{a.name} {be_a} {d.write(x)}{years}. {b.name} is {rel}. {ask}"
    ), work  # fmt: skip


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
    girls, boys = d.pick(
        (
            ("girls", "boys"),
            ("boys", "girls"),
            ("men", "women"),
            ("adults", "children"),
            ("children", "adults"),
            ("women", "men"),
        )
    )
    group = d.say(
        "There are {} people in the room/A class has {} children/There are {} people at the party/A team of {}"
        "/{} people are on the bus/A group has {} people/My class has {} kids/A choir has {} singers"
    )
    done, undone = d.pick(
        (("read", "left to read"), ("taken", "free"), ("sold", "left"), ("full", "empty"), ("done", "left to do"), ("open", "closed"), ("broken", "whole"),
         ("painted", "not painted"), ("new", "old"), ("ripe", "not ripe"), ("used", "unused"), ("lost", "left"), ("good", "bad"), ("washed", "dirty"))
    )  # fmt: skip
    owned = f"{inside(owner)} {has}"
    forms = (
        f"{d.say('There are/There were')} "
        f"{all_}. {first_up(n)} "
        f"{are} {one}. {d.say(f'How many are not {one}?/{rest} are {two}. How many are {two}?/How many are left?|').replace('|', '')}",
        f"{owner.name} {has} {all_}. "
        f"{first_up(n)} of them {are} {one}{d.say(' and the rest are/, the others are/. The rest are')} "
        f"{two}. How many {two} {d.say(f'ones/{noun.many}')} {d.say('are there/does that make')}?",
        f"{group.format(d.write(whole))}. {first_up(n)} {d.say('of them |/|').replace('|', '')}are "
        f"{girls}. How many {d.say(f'{boys} are there/are {boys}/{boys}')}?",
        f"{d.say('Of/Out of')} {all_}, {n} {are} {done}. How many are {undone}?",
        f"{n} of {owner.possessive} {d.write(whole)} {noun.many} are {done}. How many are {undone}?"
        if owner.name != "You"
        else f"{n} of {d.write(whole)} {noun.many} are {done}. How many are {undone}?",
        f"{all_}, {n} {are} {done}. How many {noun.many} are {undone}?",
        f"{owner.name} {wants} "
        f"{all_}. {d.say(f'So far {owned}/Now {owned}/{first_up(owner.subject)} already {has}/{first_up(owner.subject)} {has}/{first_up(owner.subject)} only {has}')} {n}. How many {d.say(f'more/more {noun.many}')} {d.say(f'does {inside(owner)}/does {owner.subject}') if owner.third else f'do {owner.subject}'} need?",
        f"{owner.name} {d.say('has/has got') if owner.third else 'have'} "
        f"{n} {noun.many}. How "
        f"many more {d.say(f'to reach {d.write(whole)}/to have {d.write(whole)}/to get {d.write(whole)}/are needed to make {d.write(whole)}')}?",
        f"A {d.say('box/book/bus/shelf/page/jar/game/set/puzzle')} {d.say('has room for/holds/can hold/has')} {all_}. "
        f"{first_up(n)} are {d.say('already in/in it/there')}. "
        f"How many {d.say('more fit/are missing/more can go in')}?",
        f"{owner.name} {need} {all_}, but {has} {d.say('only |/|').replace('|', '')}{n}. "
        f"How many {d.say('are missing/more are needed/are still needed')}?",
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
    now = d.say(
        f"Now {hero.subject} {now_has} {d.write(end)}./Now there are {d.write(end)}."
        f"/Now {d.write(end)} are {'left' if lost else 'there'}./{first_up(hero.subject)} {now_has} {d.write(end)} "
        f"now./Then {hero.subject} had {d.write(end)}."
    )
    if work_ask_change:
        work.do(d.say("The change/So/The difference"), start if lost else end, "-", end if lost else start)
        plain = f"{'did' if d.past or (third and d.chance(0.5)) else 'does' if third else 'do'} {d.say(f'{name}/{hero.subject}')} {verb.plain}"
        return (
            f"{hero.name} {has} {count(d.write(start), noun)}. {first_up(hero.subject)} {did} {some}. {now} "
            + d.say(f"How many {plain}?/How many {many} {plain}?/How many {many} {plain}?")
        ), work  # fmt: skip
    work.do(d.say("At first/Before/So/The start"), end, "+" if lost else "-", change)
    first = d.say("at first/in the beginning/at the start/to begin with/before/to start with/originally")
    had = d.say(
        f"How many {many} did {d.say(f'{name}/{hero.subject}')} have {first}?"
        f"/How many did {hero.subject} have {first}?/How many {many} were there {first}?"
        f"/How many {many} had {name} {first}?"
    )
    return d.say(
        f"{hero.name} {has} {some}. "
        f"{first_up(hero.subject)} {did} {d.write(change)}{' more' if not lost and d.chance(0.5) else ''}. {now} {had}"
        f"/{hero.name} {did} {count(d.write(change), noun)} and {now_has} {d.write(end)} {'left' if lost else 'now'}. "
        f"{had}"
        f"/After {hero.name if hero.name == 'I' else name} {verb.past} {count(d.write(change), noun)}, {hero.subject} "
        f"had {d.write(end)}{' left' if lost else ''}. {had}"
    ), work
