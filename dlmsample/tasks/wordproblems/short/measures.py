"""Time, distance and other measures, and the numbers that everybody knows (legs, days, a dozen)."""

from __future__ import annotations

from dlmsample.tasks.wordproblems.short.draw import Draw, first_up, inside, verbs
from dlmsample.tasks.wordproblems.short.work import Work

_DO = verbs(
    "read reads read;run runs ran;walk walks walked;drive drives drove;swim swims "
    "swam;bike bikes biked;ride rides rode;hike hikes hiked;travel travels traveled"
)


_KNOWN = (
    ("days", "weeks", 7), ("days", "weeks", 7), ("hours", "days", 24), ("minutes", "hours", 60), ("seconds", "minutes", 60), ("months", "years", 12),
    ("cents", "dollars", 100), ("eggs", "dozen eggs", 12), ("legs", "dogs", 4), ("legs", "cats", 4), ("legs", "horses", 4), ("legs", "cows", 4),
    ("legs", "spiders", 8), ("legs", "birds", 2), ("legs", "ants", 6), ("legs", "hens", 2), ("legs", "chairs", 4), ("wheels", "cars", 4),
    ("wheels", "bikes", 2), ("wheels", "bicycles", 2), ("wheels", "tricycles", 3), ("fingers", "hands", 5), ("toes", "feet", 5), ("ears", "rabbits", 2),
    ("eyes", "people", 2), ("sides", "triangles", 3), ("sides", "squares", 4), ("corners", "squares", 4), ("cm", "meters", 100), ("wings", "birds", 2),
    ("feet", "yards", 3), ("inches", "feet", 12), ("shoes", "pairs of shoes", 2), ("socks", "pairs of socks", 2), ("gloves", "pairs of gloves", 2),
    ("arms", "octopuses", 8), ("weeks", "years", 52), ("nickels", "quarters", 5), ("years", "decades", 10), ("players", "soccer teams", 11),
    ("quarters", "dollars", 4), ("dimes", "dollars", 10), ("cents", "dimes", 10), ("cents", "nickels", 5), ("cents", "quarters", 25), ("people", "pairs", 2),
)  # fmt: skip


def known(d: Draw) -> tuple[str, Work]:
    """Numbers that everybody knows, said or not."""
    work = Work()
    small, big, size = d.pick(_KNOWN)
    n = d.number(1, max(2, min(30, 999 // size)))
    back = d.chance(0.2) and size > 2
    work.do(d.say("So/In all/Total"), n * size if back else n, "/" if back else "*", size)
    one = {
        "feet": "foot",
        "people": "person",
        "dozen eggs": "dozen eggs",
        "octopuses": "octopus",
        "pairs of shoes": "pair of shoes",
        "pairs of socks": "pair of socks",
        "pairs of gloves": "pair of gloves",
    }.get(big, big[:-1])
    tail = (
        d.say(f"A {one} has {d.write(size)} {small}. /There are {d.write(size)} {small} in a {one}. ")
        if d.chance(0.35)
        else ""
    )
    tail = (
        tail.replace("a hour", "an hour")
        .replace("A hour", "An hour")
        .replace("A ant", "An ant")
        .replace("a ant", "an ant")
        .replace("a octopus", "an octopus")
        .replace("A octopus", "An octopus")
        .replace("a inch", "an inch")
        .replace("A inch", "An inch")
    )
    if back:
        m = d.write(n * size) if not d.spelled else str(n * size)
        return tail + d.say(
            f"How many {big} are {m} {small}?/How many {big} are there in {m} {small}?/How many {big} is {m} {small}?"
            f"/{m} {small} is how many {big}?/How many {big} make {m} {small}?"
        ), work
    thing = f"{d.write(n)} {big if n > 1 else one}"
    body = d.say(
        f"How many {small} do {thing} have?/How many {small} are there in {thing}?/How many {small} are in {thing}?"
        f"/How many {small} do {thing} have {d.say('in all/together/altogether')}?"
        f"/How many {small} does that make for {thing}?"
        f"/{first_up(thing)}. How many {small}?/How many {small} in {thing}?"
        f"/There are {thing}. How many {small} is that?/How many {small} are {thing}?"
        f"/I have {thing}. How many {small} is that?"
    )
    return tail + (body.replace(" do ", " does ") if n == 1 and "do you" not in body else body), work


_LENGTHS = (
    ("rope", "long", "longer", "m"), ("tree", "tall", "taller", "feet"), ("tower", "tall", "taller", "meters"), ("wall", "high", "higher", "feet"),
    ("road", "long", "longer", "km"), ("river", "long", "longer", "miles"), ("ribbon", "long", "longer", "cm"), ("stick", "long", "longer", "inches"),
    ("pole", "tall", "taller", "meters"), ("plant", "tall", "taller", "cm"), ("board", "long", "longer", "cm"), ("pool", "deep", "deeper", "feet"),
    ("train", "long", "longer", "m"), ("building", "high", "higher", "m"), ("table", "wide", "wider", "cm"), ("worm", "long", "longer", "cm"),
    ("box", "heavy", "heavier", "kg"), ("dog", "heavy", "heavier", "pounds"), ("bag", "heavy", "heavier", "kilos"), ("fish", "heavy", "heavier", "kg"),
    ("movie", "long", "longer", "minutes"), ("song", "long", "longer", "seconds"), ("trip", "long", "longer", "hours"), ("class", "long", "longer", "minutes"),
)  # fmt: skip


def lengths(d: Draw) -> tuple[str, Work]:
    """How long, tall, heavy, far, warm: sums, differences, pieces, growth, speed."""
    work, kind = Work(), d.random()
    thing, long, longer, unit = d.pick(_LENGTHS)
    hero = d.other()
    she = hero.subject
    x, y = d.number(2), d.number(1)
    if kind < 0.2:
        y, x = sorted((x, y))
        work.do(d.say("The difference/So"), x, "-", y)
        one, two = d.pick(
            (
                ("one", "another"),
                ("the first", "the second"),
                ("the red", "the blue"),
                ("a", "an old"),
                ("the old", "the new"),
                ("this", "that"),
            )
        )
        first = f"{one} {thing}"
        say_long = long if d.chance(0.7) and long != "heavy" else ""
        size = (
            (lambda v: f"is {d.write(v)} {unit}{' ' + say_long if say_long else ''}")
            if long != "heavy"
            else (lambda v: f"weighs {d.write(v)} {unit}")
        )
        return f"{first_up(first)} {size(x)}{d.say(', / and /. ')}".replace(
            "XX", ""
        ) + f"{two} {thing if d.chance(0.5) else ('one' if two not in ('another', 'that') else '')} ".replace(
            "  ", " "
        ) + f"{size(y)}. " + d.say(
            f"How much {longer} is {first}?/How many {unit} {longer} is {first}?/What is the difference?"
            f"/How much {longer} is the first?/By how much do they differ?"
        ), work
    if kind < 0.32:
        x, y = d.factors()
        total = x * y
        if d.chance(0.5):
            work.do(d.say("Each/So"), total, "/", x)
            return d.say(
                f"A {thing} of {d.write(total)} {unit} is cut into {d.write(x)} equal {d.say('pieces/parts')}. "
                f"How long is each {d.say('piece/part')}?/{hero.name} cuts a {d.write(total)} {unit} rope "
                f"into {d.write(x)} equal pieces. How long is each piece?"
                f"/A rope is {d.write(total)} {unit} long. {hero.name} cuts it into {d.write(x)} "
                f"equal parts. How many {unit} long is one part?"
            ), work
        work.do(d.say("The number/So"), total, "/", x)
        return d.say(
            f"How many {d.write(x)} {unit} pieces can be cut from {d.write(total)} "
            f"{unit} of {d.say('rope/string/wire/ribbon/cloth/wood')}?/A rope of {d.write(total)} {unit} is cut into "
            f"pieces of {d.write(x)} {unit}. How many pieces are there?"
            f"/{hero.name} cuts {d.write(total)} {unit} of wire into {d.write(x)} {unit} pieces. "
            f"How many pieces does {she} get?"
        ), work
    if kind < 0.5:
        verb, far = d.pick(_DO), d.say("miles/km/meters/blocks/kilometers/laps")
        if verb.plain == "read":
            far = "pages"
        z = d.number(1)
        total = work.do(d.say("In all/Total/So"), x, "+", y)
        three = d.chance(0.2)
        if three:
            work.do(d.say("In all/Total"), total, "+", z)
        days = d.pick(
            (
                ["on Monday", "on Tuesday", "on Friday"],
                ["in the morning", "in the evening", "at night"],
                ["yesterday", "today", "on Sunday"],
                ["there", "back", "later"],
                ["to school", "home", "to the park"],
                ["first", "then", "at last"],
            )
        )
        listed = f"{d.write(x)} {far} {days[0]}" + (
            f", {d.write(y)} {days[1]} and {d.write(z)} {days[2]}"
            if three
            else f"{d.say(' and /, then / and then ')}{d.write(y)} {d.say(far + ' /|').replace('|', '')}{days[1]}"
        )
        person = d.person()
        she2, does = person.subject, "did" if d.past else "does" if person.third else "do"
        how = f"How many {far}" if far == "pages" or d.chance(0.6) else "How far"
        return f"{person.name} {d.tense(verb, person.third)} {listed}. " + d.say(
            f"{how} {does} {d.say(f'{inside(person)}/{she2}')} "
            f"{verb.plain}{d.say('|/ in all/ in total/ altogether').replace('|', '')}?"
            f"/{how} is that{d.say('|/ in all/ in total').replace('|', '')}?/What is the total?"
        ), work
    if kind < 0.66:
        x, y = d.factors()
        work.do(d.say("So/In all/Total"), x, "*", y)
        goer = d.say(f"A train/A car/{hero.name}/A bus/A plane/A snail/A runner/A bike/A boat/A turtle/{hero.name}")
        verb = d.say("goes/travels/moves/drives/covers/runs/rides")
        far, (one, many) = (
            d.say("miles/km/meters/kilometers/feet/cm"),
            d.pick((("hour", "hours"), ("minute", "minutes"), ("day", "days"), ("hour", "hours"))),
        )
        each = d.say(f"{'an' if one == 'hour' else 'a'} {one}/per {one}/every {one}/each {one}")
        n = f"{d.write(y)} {many if y > 1 else one}"
        how = d.say(f"How far/How many {far}")
        return d.say(
            f"{goer} {verb} {d.write(x)} {far} {each}. {how} does it go in {n}?"
            f"/{goer} {verb} {d.write(x)} {far} {each}. {how} in {n}?"
            f"/{goer} {verb} {d.write(x)} {far} {each} for {n}. {how} is that?"
            f"/{how} does {goer[0].lower() + goer[1:] if goer.startswith('A ') else goer} "
            f"go in {n} at {d.write(x)} {far} {each}?/{goer} needs {d.write(x)} {d.say('minutes/hours')} "
            f"for {d.say('one/each')} {d.say('lap/page/cake/house')}. How long for {d.write(y)}?"
        ), work  # fmt: skip
    if kind < 0.82:
        up = d.chance(0.5)
        y = y if up else min(x, y)
        work.do(d.say("Now/So/Then"), x, "+" if up else "-", y)
        form = d.pick(
            (
                ("The temperature {w} {x} degrees{j}it {v} {y} degrees. What is the temperature "
                 "now?", "rose/went up/rose by/increased by/climbed", "fell/dropped/fell by/went down by/dropped by"
                                                                      "/sank"),
                ("The {t} {w} {x} {u} {l}{j}it "
                 "{v} {y} {u}. How {l} is it now?", "grew/grew by/gained", "shrank/shrank by/lost"),
                ("{N} weighed {x} {k}{j}{s} {v} {y} {k}. How much does {s} weigh now?", "gained/put on", "lost/lost"),
                ("The price {w} {x} dollars{j}it {v} {y} dollars. What is it now?", "rose by/went up by/increased "
                                                                                    "by", "fell by/went down by"
                                                                                          "/dropped by"),
                ("{N} {w} on page {x}{j}{s} "
                 "{v} {y} pages. What page is {s} on?", "read/turned", "went back/turned back"),
                ("{N} {w} on floor {x}{j}{s} "
                 "{v} {y} floors. On which floor is {s} now?", "went up/climbed", "went down/came down"),
                ("{N}'s score {w} {x}{j}{s} "
                 "{v} {y} points. What is the score now?", "won/got/scored/gained", "lost/dropped"),
                ("The tank {h} {x} liters{j}{N} "
                 "{v} {y} liters. How many "
                 "liters are in the tank?", "added/poured in/put in", "took out/used/poured out/let out"),
                ("The water {w} {x} {u} "
                 "deep{j}it {v} {y} {u}. How deep is it now?", "rose/rose by", "fell/sank by/fell by"),
                ("A phone {h} {x} percent of its battery{j}it {v} {y} percent. How many percent "
                 "are there now?", "gained/got", "lost/used"),
            )
        )  # fmt: skip
        text = form[0].format(
            w=d.say("was/is"), h=d.say("had/held"), x=d.write(x), y=d.write(y), j=d.say(". Then / and then /, then "
                                                                                        "/ and "), v=d.say(form[1 if up else 2]),
            t=thing, u=unit if long != "heavy" else "cm", l=long if long not in ("heavy",) else "long", N=hero.name, s=she, k=d.say("kg/pounds/kilos"),
        )  # fmt: skip
        return text, work
    left = min(x, y)
    work.do(d.say("Left/The rest/So"), x, "-", left)
    (u, what) = d.pick(
        (
            ("minutes", "movie"),
            ("pages", "book"),
            ("miles", "road"),
            ("km", "race"),
            ("hours", "flight"),
            ("steps", "stairs"),
            ("meters", "wall"),
            ("minutes", "class"),
            ("days", "trip"),
            ("problems", "test"),
            ("levels", "game"),
            ("feet", "fence"),
        )
    )
    verb = (
        d.say("has done/has finished/did/is through/has covered/finished/completed")
        if what != "book"
        else d.say("has read/read/finished")
    )
    return d.say(
        f"{d.say('A/The')} {what} {d.say('has/is')} {d.write(x)} {u}{d.say('|/ long').replace('|', '')}. "
        f"{hero.name} {verb} {d.write(left)}{d.say('|/ ' + u).replace('|', '')}. "
        f"How many {u} {d.say('are left/remain/are left to do/are still to go')}?"
        f"/{hero.name} {verb} {d.write(left)} of {d.write(x)} {u}. How many {u} are left?"
        f"/{hero.name} has {d.write(x)} {u} to {d.say('do/finish/go')} and {verb} {d.write(left)}. How many are left?"
    ), work  # fmt: skip
