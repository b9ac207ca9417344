"""Equal groups and equal shares: so many of so many, and what each gets."""

from __future__ import annotations

from dlmsample.tasks.wordproblems.short import lexicon, words
from dlmsample.tasks.wordproblems.short.draw import BE, HAVE, Draw, Verb, count, first_up, inside
from dlmsample.tasks.wordproblems.short.words import Noun, Person
from dlmsample.tasks.wordproblems.short.work import Work

_ALL = " in all?/ in total?/ altogether?/?/ together?/ in all?/ combined?"
_ACTS = lexicon.GAIN + lexicon.START[:12]


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
        (
            f"{owner.name} {has} {pots} of {things}{d.say('| each/ each').replace('|', '')}.",
            f"How many {noun.many} {does} {d.say(f'{inside(owner)}/{owner.subject}')} have{end}",
        ),
        (
            f"{owner.name} {has} {pots} with {things} {d.say('each/in each/in each one/inside each')}.",
            f"How many {noun.many} {does} {d.say(f'{inside(owner)}/{owner.subject}')} have{end}",
        ),
        (
            f"There {are} {pots} {d.say('with/of')} {things} {d.say('each/in each')}.",
            f"How many {noun.many} are there{end}",
        ),
        (
            f"There {are} {pots}. {d.say('Each/Every')} {d.say(f'one/{pot.one}')} {holds} {things}.",
            f"How many {noun.many} are there{end}",
        ),
        (
            f"{d.say('A/One/Each/Every')} {pot.one} {holds} {things}.",
            d.say(
                f"How many {noun.many} are in {pots}?/How many {noun.many} are there in {pots}?"
                f"/How many {noun.many} {d.say('do/will/can')} {pots} hold?/How many in {pots}?"
                f"/How many {noun.many} fit in {pots}?"
            ),
        ),
        (f"{things} {d.say('per/in each/for each/in every/go in a')} {pot.one}, {pots}.", f"How many {noun.many}{end}"),
        (f"{first_up(n)} {friends} each {d.tense(HAVE, False)} {things}.", f"How many {noun.many} do they have{end}"),
        (f"Each of {n} {friends} {d.tense(d.pick(_ACTS))} {things}.", f"How many {noun.many} is that{end}"),
        (f"{first_up(n)} {friends} {d.tense(d.pick(_ACTS), False)} {things} each.", f"How many {noun.many}{end}"),
        (
            f"{owner.name} {d.tense(lexicon.HAND[0], owner.third)} "
            f"{d.say(f'each of {n} {friends} {things}/{things} to each of {n} {friends}/{n} {friends} {things} each')}.",
            f"How many {noun.many} {does} {owner.subject} give{end}",
        ),
        (
            f"{d.say('Each/Every')} {d.say('child/kid/student/guest/person/player')} "
            f"{d.say('gets/needs/has/takes')} {things}.",
            d.say(
                f"How many {noun.many} do {n} {friends} get?/How many {noun.many} are needed for {n} {friends}?"
                f"/How many {noun.many} for {n} {friends}?"
            ),
        ),
        (
            f"{owner.name} {act.third if owner.third else act.plain} "
            f"{m} {noun.many} {d.say(f'a {time}/every {time}/each {time}/per {time}')}.",
            d.say(
                f"How many {noun.many} {'does' if owner.third else 'do'} {owner.subject} {act.plain} in {n} {plural}?"
                f"/How many {noun.many} in {n} {plural}?/How many {noun.many} is that in {n} {plural}?"
                f"/How many {noun.many} after {n} {plural}?/How many {noun.many} will {owner.subject} {act.plain} "
                f"in {n} {plural}?"
            ),
        ),
        (
            f"{owner.name} {d.tense(act, owner.third)} {m} {noun.many} {d.say(f'a {time}/every {time}/each {time}')} "
            f"for {n} {plural}.",
            f"How many {noun.many} {does} {owner.subject} {act.plain}{end}",
        ),
        (
            f"{d.say('A garden/A hall/A room/A park/The theater/A field/The class')} "
            f"has {n} rows {d.say('of/with')} {things}{d.say('| each/ each').replace('|', '')}.",
            f"How many {noun.many} {d.say('are there/does it have')}{end}",
        ),
        (
            f"{d.say('If/When')} {d.say('one/each/a')} {pot.one} {holds} {things}, how many {noun.many} "
            f"{d.say('are in/do you find in/fit in/do you get from')} {pots}?",
            "",
        ),
        (f"{n} times {things}.", f"How many {noun.many}{end}"),
    ]
    text, question = d.pick(forms)
    del each
    told = f" {n} {plural}" not in question  # where the question alone says it, nothing may take its place
    if told and ((question and text.startswith("There")) or text.startswith(owner.name)):
        text, question = _then(d, work, total, noun, owner, text, question)
    if (
        question
        and d.chance(0.15)
        and told
        and "in " not in question
        and "for " not in question
        and "hold" not in question
        and "get" not in question
    ):
        question = d.say("How many?/How many in all?/Total?/How many is that?/How many altogether?")
    return f"{text} {question}".strip(), work


def _habit(d: Draw, owner: Person) -> tuple[str, Verb, tuple[str, str]]:
    del owner
    time = d.pick(
        (
            ("day", "days"),
            ("week", "weeks"),
            ("hour", "hours"),
            ("month", "months"),
            ("minute", "minutes"),
            ("year", "years"),
        )
    )
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
    joined = d.say(
        f". {first_up(subject)} {deed}./. {first_up(subject)} {deed}./, then {subject} {deed}./ and {subject} {deed}."
    )
    left = "are left" if lost else "are there now"
    asked = d.say(
        f"How many {noun.many} {left}?/How many {left}?/How many {noun.many} {does} {owner.subject} have "
        f"{'left' if lost else 'now'}?/How many {noun.many} {left}?"
    )
    return text[:-1] + joined, asked


def sharing(d: Draw) -> tuple[str, Work]:
    """Equal shares, or how many groups of a size."""
    work, (x, y) = Work(), d.factors()
    total = x * y
    start, noun, owner = total, d.noun(words.FOOD, words.THINGS), d.person()
    pot, friends = (
        d.pick(words.CONTAINERS),
        d.say("friends/children/kids/people/boys/girls/students/cousins/players/dogs/teams/classes/neighbors"),
    )
    n = d.write(x)
    has, end = d.tense(d.pick(lexicon.START), owner.third), d.say("?/?/?")
    share, can = (
        d.pick((("share", "shared"), ("split", "split"), ("divide", "divided"))),
        d.say("equally/evenly/fairly/in equal parts"),
    )
    verb = share[1] if d.past else share[0] + ("s" if owner.third else "")
    child = d.say("child/kid/person/friend/one") if friends not in ("dogs", "teams", "classes") else d.say("one")
    things = count(d.write(start), noun)
    gets = d.say(
        f"How many {noun.many} does each {child} get?/How many does each {child} get?"
        f"/How many {noun.many} does each get?/How many each?/How many does each one get?"
        f"/How many {noun.many} does every {child} have?/How many {noun.many} for each {child}?"
        f"/How many {noun.many} will each {child} get?"
    )
    inside_each = (
        d.say(
            f"How many {noun.many} are in each {pot.one}?/How many are in each?/How many {noun.many} per {pot.one}?"
            f"/How many {noun.many} {d.say('does each/are there in one/go in each')} {pot.one}{{h}}?"
            f"/How many in one {pot.one}?"
        )
        .replace("does each " + pot.one + "{h}", f"does each {pot.one} hold")
        .replace("{h}", "")
    )
    each = d.write(x)
    needed = d.say(
        f"How many {pot.many} {d.say('are needed/do you need/are there/are filled/can be filled')}?"
        f"/How many {pot.many} {d.say('does that make/is that')}?/How many {pot.many}?"
        f"/How many {pot.many} can {owner.subject} fill?/How many {pot.many} will {owner.subject} need?"
    )
    first = (
        f"{things} {d.say('are shared/are split/are divided/shared/were shared/divided/split')} "
        f"{can} {d.say('among/by/between/amongst')} {n} {friends}. {gets}",
        f"{n} {friends} share {things} {can}. {gets}",
    )
    d.chance(0.9)  # decides nothing, but every draw after it would be another without it
    forms = (
        *first,
        f"{owner.name} {has} {things} and {verb} them {can} {d.say('among/between/with')} {n} {friends}. {gets}",
        f"{owner.name} {d.tense(HAVE, owner.third)} "
        f"{things} for {n} {friends}. "
        f"{d.say('Everyone gets the same number./Each gets the same./They share equally.')} {gets}",
        f"If {n} {friends} share {things} {can}, how many {noun.many} does each {child} get?",
        f"There are {things} for {n} {friends}. {gets}",
        f"{owner.name} {d.say('puts/packs/sorts/places' if owner.third and not d.past else 'put/packed/sorted/placed' if d.past else 'put/pack/sort/place')} {things} {can} into {n} {pot.many}. {inside_each}",
        f"{owner.name} {has} {things} "
        f"in {n} {pot.many}, {d.say('the same number in each/equally many in each/with the same number in each/equal in each')}. {inside_each}",
        f"{n} {pot.many} {d.say('hold/have/contain')} "
        f"{things} in all, {d.say('the same number each/all alike/equally many in each')}. {inside_each}",
        f"{things} {d.say('fill/go into/fit in')} {n} {d.say('equal |/same-size |/|').replace('|', '')}{pot.many}. "
        f"{inside_each}",
        f"{owner.name} {has} {things}. {d.say('Each/One/A/Every')} {pot.one} holds {each}. {needed}",
        f"How many {pot.many} of {each} {d.say('can you make from/do you get from/can be made from/are needed for')} "
        f"{things}?",
        f"{owner.name} {d.say('puts/packs/sorts' if owner.third and not d.past else 'put/packed/sorted' if d.past else 'put/pack/sort')} {things} into {pot.many} of {each}. {needed}",
        f"{things}, {each} {d.say('in each/per/to a')} {pot.one}. How many {pot.many}?",
        f"{things} are {d.say('packed/put/sorted/placed')} "
        f"{d.say(f'{each} to a {pot.one}/in {pot.many} of {each}/{each} in each {pot.one}')}. {needed}",
        f"How many {noun.many} does each {child} get if {n} {friends} share {things}?",
        f"{owner.name} needs {d.write(x)} {noun.many} for {d.say('one/each/a')} {pot.one}. "
        f"How many {pot.many} can {owner.subject} make with {things}?"
        if owner.third
        else f"{things} in {pot.many} of {each}. {needed}",
    )
    text = d.pick(forms)
    del end
    work.do(d.say("Each/One share/So/The number"), total, "/", x)
    return first_up(text), work
