"""Somebody has things, or things are somewhere, and one or two things happen to them."""

from __future__ import annotations

from dlmsample.tasks.wordproblems.short import lexicon, words
from dlmsample.tasks.wordproblems.short.draw import BE, HAVE, Draw, count, first_up, inside
from dlmsample.tasks.wordproblems.short.words import Noun, Person
from dlmsample.tasks.wordproblems.short.work import Work


class Tale:
    """A story in the making: what has been said, and the number of things after it."""

    def __init__(self, d: Draw, noun: Noun, hero: Person | None = None) -> None:
        self.d, self.noun, self.work = d, noun, Work()
        self.sentences: list[str] = []
        self.value, self.lost, self.opened_by_hero = 0, False, True
        self._hero = hero

    @property
    def hero(self) -> Person:
        """Whose things they are."""
        assert self._hero is not None
        return self._hero

    def things(self, number: int) -> str:
        return count(self.d.write(number), self.noun)

    def add(self, clause: str, joined: str | None = None) -> None:
        """Say a clause after what was said: joined to it without its subject (``joined``), joined, or for itself."""
        d, kind = self.d, self.d.random()
        turn = "/, but / but " if self.lost else ""
        if joined is not None and kind < 0.3:
            self.sentences[-1] = f"{self.sentences[-1][:-1]}{d.say(lexicon.JOINTS[:-8] + turn)}{joined}."
        elif kind < 0.45:
            self.sentences[-1] = f"{self.sentences[-1][:-1]}{d.say(lexicon.JOINTS + turn)}{clause}."
        elif kind < 0.65:
            self.sentences.append(f"{d.say(lexicon.OPENERS)}{clause}.")
        else:
            self.sentences.append(f"{first_up(clause)}.")

    def change(self, by: int) -> None:
        """The step that the number of things changes by."""
        phrase = self.d.say("Left/Now/Left/The rest" if self.lost else "Now/In all/Total/Together")
        self.value = self.work.do(phrase, self.value, "-" if self.lost else "+", by)

    def told(self, question: str) -> tuple[str, Work]:
        """The whole text: the sentences and the question, now and then in another order or with a word beside them."""
        d, kind, asked = self.d, self.d.random(), question[:1].lower() + question[1:]
        story = " ".join(self.sentences)
        if kind < 0.06 and len(self.sentences) == 1 and question.startswith("How many"):
            start = story[:1].lower() + story[1:] if story.startswith(("There", "The ", "My ", "A ")) else story
            return d.say(
                f"If {start[:-1]}, {asked}/{question[:-1]} if {start[:-1]}?/Suppose {start} {question}"
            ), self.work
        if kind < 0.12:
            hero = self._hero
            near = f"{inside(hero)}'s {self.noun.many}" if hero and hero.third else f"the {self.noun.many}"
            said = d.say(
                f"Here is a story about {near}./This is about {near}./A question about {self.noun.many}."
                f"/It was a nice day./Listen"
            )
            story = f"{said}{':' if said == 'Listen' else ''} {story}"
        return f"{story} {question}".strip(), self.work


def holding(d: Draw) -> tuple[str, Work]:
    """A person's things change in number."""
    food = d.chance(0.35)
    tale = Tale(d, d.noun(words.FOOD) if food else d.noun(words.THINGS, words.THINGS, words.ANIMALS), d.person())
    if d.chance(0.12):
        _open_groups(tale)
    else:
        _open(tale, d.number())
    for turn in range(1 if d.chance(0.55) else 2 if d.chance(0.75) else 3):
        tale.lost = d.chance(0.5)
        _event(tale, food, turn == 0)
    return tale.told(ask(d, tale.hero, tale.noun, tale.lost))


def _open(tale: Tale, value: int) -> None:
    d, hero, kind = tale.d, tale.hero, tale.d.random()
    tale.value, things = value, tale.things(value)
    has = d.tense(d.pick(lexicon.START), hero.third)
    owner = hero.possessive if not hero.third else f"{inside(hero)}'s"
    if kind < 0.66:
        text = f"{hero.name} {has} {things}"
    elif kind < 0.74:
        text = f"{hero.name} {has} {things} {d.pick(words.PLACES)}"
    elif kind < 0.82:
        when = d.say("At first/In the morning/Yesterday/Last week/To begin with/On Monday/This morning/Today/Once")
        text = f"{when}{d.say(',/|')} {inside(hero)} {has} {things}".replace("|", "")
    elif kind < 0.86:
        text = f"{hero.name} {has} a {d.say('collection/box/pile/bag/group/set/bunch')} of {things}"
    elif kind < 0.93:
        tale.opened_by_hero = False
        text = f"There {d.tense(BE, value == 1)} {things} in {owner} {d.say(lexicon.POTS)}"
    else:
        tale.opened_by_hero = False
        text = f"{first_up(owner)} {d.say(lexicon.POTS)} {d.say('held/had/contained' if d.past else 'holds/has/contains')} {things}"
    tale.sentences.append(f"{text}.")


def _open_groups(tale: Tale) -> None:
    d, hero = tale.d, tale.hero
    x, y = d.factors(300)
    has, bags, each = d.tense(d.pick(lexicon.START), hero.third), d.pick(words.CONTAINERS), tale.things(y)
    how = d.say(
        " of {}/ with {} each/ of {} each/ with {} in each/, each with {}/ that hold {} each/ containing {} each"
    )
    tale.sentences.append(f"{hero.name} {has} {count(d.write(x), bags)}{how.format(each)}.")
    tale.value = tale.work.do(d.say("At first/Together/In all"), x, "*", y)


def _event(tale: Tale, food: bool, near: bool) -> None:
    """One thing that happens; ``near``: the opening's subject is still the last one that was named."""
    d, hero, kind = tale.d, tale.hero, tale.d.random()
    if kind < 0.06:
        return _multiply(tale, near)
    if kind < 0.16:
        return _groups(tale, near)
    y = d.number(1, max(1, tale.value - d.chance(0.8))) if tale.lost else d.number(1)
    tale.change(y)
    amount = _amount(tale, y)
    when = f" {d.say(lexicon.WHEN)}" if d.chance(0.15) else ""
    friend = d.other(hero)
    other = inside(friend)
    if kind < 0.7:
        table = (lexicon.EAT if food and d.chance(0.6) else lexicon.LOSE) if tale.lost else lexicon.GAIN
        deed = f"{d.tense(d.pick(table), hero.third)} {amount}{when}"
    elif tale.lost and kind < 0.88:
        verb = d.tense(d.pick(lexicon.HAND), hero.third)
        deed = f"{verb} {d.say(f'{amount} to {other}/{other} {amount}')}{when}"
    elif not tale.lost and kind < 0.78:
        deed = f"{d.tense(d.pick(lexicon.GAIN), hero.third)} {amount} from {other}{when}"
    elif tale.lost:
        return tale.add(f"{other} {d.tense(d.pick(lexicon.TAKE))} {amount}{when}")
    else:
        verb = d.tense(d.pick(lexicon.HAND))
        return tale.add(f"{other} {verb} {d.say(f'{hero.object} {amount}/{amount} to {hero.object}')}{when}")
    return _deed(tale, deed, near)


def _deed(tale: Tale, deed: str, near: bool) -> None:
    """What the hero did, as a clause with the name, with the pronoun, or with neither."""
    subject = inside(tale.hero) if tale.d.chance(0.25) else tale.hero.subject
    tale.add(f"{subject} {deed}", deed if near and tale.opened_by_hero else None)


def _amount(tale: Tale, y: int) -> str:
    d, number, things = tale.d, tale.d.write(y), tale.things(y)
    noun = tale.noun.one if y == 1 else tale.noun.many
    if tale.lost:
        forms = "{n}/{n}/{n} of them/{t}/{t}/{n} of the {o}/{n} of those/{n} of the {o}"
    else:
        forms = (
            "{n}/{n} more/{n} more/{t}/{t}/{n} more {m}/{n} more {m}/another {n}/another {t}/{n} extra {m}/{n} new {m}"
        )
    return d.say(forms).format(n=number, t=things, m=noun, o=tale.noun.many)


def _multiply(tale: Tale, near: bool) -> None:
    """Half goes, or there are several times as many."""
    d, hero, noun = tale.d, tale.hero, tale.noun
    if tale.lost:
        tale.value = tale.work.do(d.say("Half/Left"), tale.value, "/", 2)
        verb = d.tense(d.pick(lexicon.LOSE), hero.third)
        which = d.say(
            f"half of the {noun.many}/half of {hero.possessive} {noun.many}/half of them/half the {noun.many}"
        )
        return _deed(tale, f"{verb} {which}", near)
    y = d.between(2, 5)
    times = {2: d.say("twice/two times"), 3: "three times", 4: "four times", 5: "five times"}[y]
    tale.value = tale.work.do("Now", tale.value, "*", y)
    return _deed(tale, f"now {d.tense(HAVE, hero.third)} {times} as many", near)


def _groups(tale: Tale, near: bool) -> None:
    """Some groups come or go."""
    d, hero = tale.d, tale.hero
    x, y = d.factors(max(4, min(200, tale.value)) if tale.lost else 200)
    some = tale.work.do(d.say("Together/That is/In these"), x, "*", y)
    tale.change(some)
    each = d.write(y) if d.chance(0.5) else tale.things(y)
    if tale.lost and d.chance(0.6):
        verb, friends = d.tense(lexicon.HAND[0], hero.third), f"{d.write(x)} {d.say(lexicon.FRIENDS)}"
        each_of = d.say(
            f"{verb} {each} to each of {friends}/{verb} {friends} {each} each/{verb} {friends} {each}  each"
        )
        return _deed(tale, each_of.replace("  ", " "), near)
    verb = d.tense(d.pick(lexicon.LOSE if tale.lost else lexicon.GAIN), hero.third)
    noun = d.pick(words.CONTAINERS)
    bags = f"{d.write(x)} {'' if tale.lost else d.say('more |/|')}{noun.many}".replace("|", "")
    how = d.say(" of {}/ with {} each/ of {} each/ with {} in each").format(each)
    return _deed(tale, f"{verb} {bags}{how}", near)


def ask(d: Draw, hero: Person, noun: Noun, lost: bool = False) -> str:
    """A question after the number of things that somebody has; often short, sometimes none."""
    kind, third = d.random(), hero.third
    who = inside(hero) if d.chance(0.6) else hero.subject
    has = "has" if third else "have"
    does = ("does" if third else "do") if not d.past or d.chance(0.5) else "did"
    things = noun.many
    if kind < 0.10:
        return d.say(
            "How many?/How many?/How many now?/How many are there?/How many are there now?/How many in total?/Total?"
            "/How many in all?"
        )
    if kind < 0.15:
        return ""
    if kind < 0.2:
        return d.say(f"How many {things}?/How many {things} now?/How many {things} in all?/How many {things} in total?")
    if lost and kind < 0.5:
        left = d.say("left/left/left over/remaining/still there/now/left in the end")
        return d.say(
            f"How many {things} are {left}?/How many are {left}?/How many {things} {does} {who} have {left}?"
            f"/How many {does}"
            f" {who} have left?/How many {things} remain?/How many remain?/What is left?"
            f"/How many are left for {hero.object}?"
            f"/How many {things} {has} {who} left?/How many {things} {does} {who} still have?"
            f"/How many {does} {who} keep?"
        )
    end = d.say(" now?/?/ in all?/ in total?/ altogether?/ in the end?/ at the end?/ then?/ after that?/ now?/ now?")
    return d.say(
        f"How many {things} {does} {who} have{end}/How many {things} {does} {who} have{end}"
        f"/How many {does} {who} have{end}"
        f"/How many {things} {has} {who} got now?/How many {things} are there{end}/What is the number of {things} now?"
        f"/So how many {things} {does} {who} have{end}/Tell me how many {things} {who} {has}{end}"
        f"/Find the number of {things}."
        f"/How many {things} {has} {who}{end}/How many {things} {does} that make?"
        f"/How many {things} {does} {who} own{end}"
        f"/How many {things} is that{end}"
    )


def places(d: Draw) -> tuple[str, Work]:
    """Things, animals, people or cars somewhere come and go."""
    kind = d.random()
    nouns, where, come, go = (
        (words.ANIMALS, words.HABITATS, lexicon.ARRIVE, lexicon.ESCAPE)
        if kind < 0.3
        else (words.PEOPLE, words.VENUES, lexicon.ARRIVE, lexicon.LEAVE)
        if kind < 0.65
        else (
            words.VEHICLES,
            ("in the lot", "on the street", "at the station", "in the garage"),
            lexicon.ARRIVE[:3],
            lexicon.DRIVE,
        )
        if kind < 0.75
        else (words.THINGS + words.FOOD, words.PLACES, (), lexicon.VANISH)
    )
    tale = Tale(d, d.noun(nouns))
    tale.value, spot = d.number(2), d.pick(where)
    are, things = d.tense(BE, False), tale.things(tale.value)
    tale.sentences.append(
        d.say(
            f"There {are} {things} {spot}./There {are} {things} {spot}./{first_up(things)} {are} {spot}."
            f"/{first_up(spot)} there {are} {things}."
        )
    )
    doing = (
        d.say("sitting/standing/playing/waiting/resting/hiding/sleeping")
        if come and kind < 0.65 and d.chance(0.2)
        else ""
    )
    if doing:
        tale.sentences[0] = f"{first_up(things)} {are} {doing} {spot}."
    for _ in range(1 if d.chance(0.55) else 2 if d.chance(0.8) else 3):
        tale.lost = d.chance(0.6)
        y = d.number(1, max(1, tale.value - d.chance(0.8))) if tale.lost else d.number(1)
        tale.change(y)
        amount = _amount(tale, y)
        if come or (tale.lost and d.chance(0.5)):
            tale.add(f"{amount} {d.tense(d.pick(go if tale.lost else come), False)}")
        else:
            friend = d.other()
            verb = d.tense(d.pick(lexicon.TAKE if tale.lost else lexicon.GAIN[9:10]))
            verb = verb if tale.lost else d.say("put in/added/brought" if d.past else "puts in/adds/brings")
            out = d.say(" out/ away/|").replace("|", "") if tale.lost and verb.startswith("t") else ""
            tale.add(f"{inside(friend)} {verb} {amount}{out}")
    many, end = tale.noun.many, d.say(" now?/?/ in all?/ in total?/ altogether?/ in the end?/ then?/ now?")
    spot = f" {spot}" if d.chance(0.4) else ""
    if tale.lost and d.chance(0.5):
        question = d.say(
            f"How many {many} are left{spot}?/How many are left?/How many {many} remain{spot}?/How many remain?"
            f"/How many {many} are"
            f" still there?/How many stay?/How many {many} stay{spot}?"
            f"/How many {many} {d.say('stayed/remained') if d.past else 'stay'}?"
        )
    else:
        question = d.say(
            f"How many {many} are there{end}/How many {many} are{spot or ' there'}{end}/How many {many}{end}"
            f"/How many are there{end}/How many?"
        )
    return tale.told(question)
