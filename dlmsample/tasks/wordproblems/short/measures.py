"""Money, age, time, distance and other measures, and the numbers that everybody knows (legs, days, a dozen)."""

from __future__ import annotations

from dlmsample.tasks.wordproblems.short import lexicon, words
from dlmsample.tasks.wordproblems.short.draw import HAVE, Draw, Verb, count, first_up, inside, verbs
from dlmsample.tasks.wordproblems.short.words import Noun
from dlmsample.tasks.wordproblems.short.work import Work

_EARN = verbs("earn earns earned;make makes made;get gets got;save saves saved;earn earns earned")
_SPEND = verbs("spend spends spent;pay pays paid;spend spends spent;use uses used;lose loses lost")
_DO = verbs("read reads read;run runs ran;walk walks walked;drive drives drove;swim swims swam;bike bikes biked;ride rides rode;hike hikes hiked;travel travels traveled")
_GOODS = words.FOOD + words.THINGS
_PERIODS = (("day", "days"), ("week", "weeks"), ("hour", "hours"), ("month", "months"), ("minute", "minutes"), ("year", "years"))


def _money(d: Draw):  # noqa: ANN202
    """How amounts are written: a function, and the word for the unit."""
    kind = d.random()
    if kind < 0.45:
        return (lambda v: f"${v}"), "dollars"
    if kind < 0.75:
        return (lambda v: f"{d.write(v)} {'dollar' if v == 1 else 'dollars'}"), "dollars"
    if kind < 0.85:
        return (lambda v: f"{v} {'euro' if v == 1 else 'euros'}"), "euros"
    if kind < 0.93:
        return (lambda v: f"{v} {'cent' if v == 1 else 'cents'}"), "cents"
    unit = d.say("bucks/pounds/coins/pesos/yen/francs")
    return (lambda v: f"{v} {unit}"), unit


def money(d: Draw) -> tuple[str, Work]:
    """A balance that changes, prices, change, wages, savings."""
    work, hero, (m, unit) = Work(), d.person(), _money(d)
    third, name, she = hero.third, inside(hero), hero.subject
    does, has = ("does" if third else "do"), d.tense(HAVE, third)
    kind = d.random()
    goods, other = d.noun(_GOODS), d.noun(_GOODS)
    much = d.say(f"How much money/How much/How many {unit}/How much/How much money")
    if kind < 0.30:
        value = d.number(2, 600)
        told = f"{hero.name} {d.say(f'{has}/{has}/{d.tense(_EARN[0], third)}/{d.tense(lexicon.START[7], third)}/{has} saved')} {m(value)}"
        lost = True
        joints = 1 if d.chance(0.6) else 2
        clauses = []
        for _ in range(joints):
            lost = d.chance(0.6)
            y = d.number(1, max(1, value)) if lost else d.number(1, 300)
            value = work.do("Left" if lost else "Now", value, "-" if lost else "+", y)
            verb = d.tense(d.pick(_SPEND if lost else _EARN), third)
            what = d.say(f" on a {goods.one}/ on {goods.many}/|/ for {goods.many}/ for a {goods.one}/ on food/ on a ticket/ for lunch/ on Monday").replace("|", "") if lost else d.say("|/ more/ more/ from " + inside(d.other(hero)) + "/ for work").replace("|", "")
            clauses.append(f"{verb} {m(y)}{what}")
        if joints == 2 and d.chance(0.5) and d.chance(0.9):
            text = f"{told}{d.say('. ' + first_up(she) + ' /, then / and ')}{clauses[0]}{d.say(', then / and then /. Then ' + she + ' /. Later ' + she + ' / and ')}{clauses[1]}."
        elif joints == 2:
            text = f"{told}. {first_up(she)} {clauses[0]}. {d.say('Then ' + she + '/' + first_up(she) + '/Later ' + she)} {clauses[1]}."
        else:
            text = f"{told}{d.say('. ' + first_up(she) + ' /. ' + first_up(she) + ' / and /, then /. Then ' + she + ' /, but ')}{clauses[0]}."
        left = " left" if lost else " now"
        return f"{text} " + d.say(
            f"{much} {does} {d.say(f'{name}/{she}')} have{left}?/{much} is left?/{much} {does} {she} have now?/How much is it now?/{much} is{left if lost else ' that'}?/What is left?"
            if lost else f"{much} {does} {d.say(f'{name}/{she}')} have{left}?/{much} {does} {she} have in all?/How much is it now?/{much} is that?/How much?"
        ), work  # fmt: skip
    if kind < 0.5:
        x, y = d.factors()
        work.do(d.say("The cost/In all/So/Total"), x, "*", y)
        n, price = count(d.write(x), goods), m(y)
        costs = d.say("costs/costs/is/sells for/goes for/is sold for/is priced at")
        plain = d.say(
            f"{d.say('A/One/Each/Every')} {goods.one} {costs} {price}. {{q}}/{d.say('A/One/Each')} {goods.one} {costs} {price}. {{q}}/{first_up(goods.many)} cost {price} each. {{q}}/{first_up(goods.many)} are {price} {d.say('each/apiece/a piece')}. {{q}}"
            f"/{hero.name} {d.tense(lexicon.GAIN[2], third)} {n} {d.say('at/for')} {price} {d.say('each/apiece')}. {{h}}/If {d.say('a/one/each')} {goods.one} {costs} {price}, {{w}}/The price of {d.say('a/one')} {goods.one} is {price}. {{q}}"
            f"/{d.say('What/How much')} {d.say('do/would/will')} {n} cost {d.say('at/if each costs/if one costs/if each is')} {price}{d.say('|/').replace('|', '')}?/{n}, {price} each. {{h}}/{hero.name} sells {n} for {price} each. {much} {does} {she} {d.say('make/earn/get')}?"
            if third or not third and d.chance(0.8) else f"{n} at {price} each. {{h}}"
        )  # fmt: skip
        many = d.say(f"{n}/{d.write(x)} {goods.many if x > 1 else goods.one}/{d.write(x)} of them/{d.write(x)}")
        q = d.say(f"How much do {many} cost?/What do {many} cost?/How much are {many}?/How much for {many}?/What is the price of {many}?/How many {unit} do {many} cost?/How much would {many} cost?/How much {does} {name} pay for {many}?/What is the cost of {many}?/{first_up(d.write(x))} {goods.many}?")
        h = d.say(f"How much is that?/How much {does} {she} {d.say('pay/spend')}?/What is the total?/How much in all?/How much?/How many {unit}?/What does it cost{d.say('| in all/ together').replace('|', '')}?/Total?")
        w = d.say(f"how much do {many} cost?/what do {many} cost?/how much are {many}?/how many {unit} are {many}?/how much for {many}?")
        return plain.format(q=q, h=h, w=w), work
    if kind < 0.62:
        price, bill = d.number(1, 95), d.pick((5, 10, 20, 20, 50, 100, 30, 40, 60, 100))
        bill = bill if bill >= price else price + d.number(1, 50)
        work.do(d.say("The change/Left/Change"), bill, "-", price)
        paid = d.say(f"{m(bill)}/with {m(bill)}" + (f"/a ${bill} bill/with a {bill} dollar bill" if unit == "dollars" else ""))
        change = d.say(f"How much change {does} {she} get{d.say('| back').replace('|', '')}?/What is the change?/How much change?/How much change should {she} get?/How much does {she} get back?/How much {does} {she} have left?/How much is left?/What change is due?")
        text = d.say(
            f"{d.say('A/The')} {goods.one} costs {m(price)}. {hero.name} {d.say('pays/gives/hands over') if third else d.say('pay/give')} {paid}./{hero.name} {d.tense(lexicon.GAIN[2], third)} a {goods.one} for {m(price)} and {d.tense(_SPEND[1], third)} with {m(bill)}."
            f"/{hero.name} {has} {m(bill)} and {d.tense(lexicon.GAIN[2], third)} {d.say('a/one')} {goods.one} for {m(price)}./{hero.name} {d.tense(_SPEND[1], third)} {m(bill)} for a {goods.one} that costs {m(price)}."
        )
        return f"{text} {change}", work
    if kind < 0.74:
        values = [d.number(1, 200) for _ in range(2 if d.chance(0.7) else 3)]
        total = values[0]
        for value in values[1:]:
            total = work.do(d.say("Total/In all/Together"), total, "+", value)
        items = [goods, other, d.noun(_GOODS)][: len(values)]
        said = [d.say(f"a {i.one} costs {m(v)}/a {i.one} is {m(v)}/the {i.one} costs {m(v)}") for i, v in zip(items, values, strict=True)]
        bought = [f"a {i.one} for {m(v)}" for i, v in zip(items, values, strict=True)]
        listed = first_up(", ".join(said[:-1]) + " and " + said[-1]) + "."
        return d.say(
            f"{listed} {d.say('How much for both/How much do they cost together/What do they cost together/How much together/How much in all/What is the total/How much is that') if len(values) == 2 else d.say('How much in all/What is the total/How much do they cost together')}?"
            f"/{hero.name} {d.tense(lexicon.GAIN[2], third)} {', '.join(bought[:-1])} and {bought[-1]}. {d.say(f'How much {does} {she} spend/How much {does} {she} pay/What is the total/How much is that/How much in all/How much money {does} {she} spend')}?"
        ), work  # fmt: skip
    if kind < 0.84:
        x, y = d.factors()
        work.do(d.say("In all/So/Total"), x, "*", y)
        (one, many), verb = d.pick(_PERIODS[:4]), d.pick(_EARN)
        rate = d.say(f"{m(x)} {d.say(f'a {one}/per {one}/every {one}/each {one}/an {one}' if one == 'hour' else f'a {one}/per {one}/every {one}/each {one}')}").replace("a hour", "an hour")
        spent = d.chance(0.25)
        verb = _SPEND[0] if spent else verb
        n = f"{d.write(y)} {many if y > 1 else one}"
        text = f"{hero.name} {verb.third if third else verb.plain} {rate}."
        return d.say(
            f"{text} {much} {does} {she} {verb.plain} in {n}?/{text} {much} {does} {d.say(f'{name}/{she}')} {verb.plain} in {n}?/{text} {much} will {she} have {'spent ' if spent else ''}after {n}?"
            f"/{text} {much} is that in {n}?/{text[:-1]} for {n}. {much} is that?/{text} How much in {n}?/How much {does} {name} {verb.plain} in {n} at {rate}?"
        ), work  # fmt: skip
    if kind < 0.92:
        price, n = d.factors()
        work.do(d.say("The number/So"), price * n, "/", price)
        return d.say(
            f"A {goods.one} costs {m(price)}. How many {goods.many} can {name} buy {d.say('with/for')} {m(price * n)}?/{hero.name} {has} {m(price * n)}. {d.say('A/One/Each')} {goods.one} costs {m(price)}. How many {d.say(f'{goods.many} can/can')} {she} buy?"
            f"/How many {goods.many} at {m(price)} each can {d.say(f'{name}/you/I')} buy {d.say('with/for')} {m(price * n)}?/If a {goods.one} is {m(price)}, how many {goods.many} {d.say('do you get for/can you get for/can I buy with')} {m(price * n)}?"
            f"/{d.write(n)} {goods.many} cost {m(price * n)}. {{one}}"
        ).replace(f"{d.write(n)} {goods.many} cost {m(price * n)}. {{one}}", f"{first_up(goods.many)} cost {m(price)} each. How many can {name} buy with {m(price * n)}?").replace("{one}", f"Each costs {m(price)}. How many {goods.many} are there?"), work
    x, price = d.between(2, 6), d.between(2, 20)
    cost = work.do("The cost", x, "*", price)
    n, p = count(d.write(x), goods), m(price)
    if d.chance(0.5):
        extra = d.number(1, 40)
        work.do("In all", cost, "+", extra)
        return d.say(
            f"{hero.name} {d.tense(lexicon.GAIN[2], third)} {n} {d.say('at/for')} {p} each and a {other.one} for {m(extra)}. {d.say(f'How much {does} {she} pay/What is the total/How much in all/How much {does} {she} spend')}?"
            f"/{first_up(goods.many)} cost {p} each and a {other.one} costs {m(extra)}. How much for {n} and one {other.one}?"
        ), work  # fmt: skip
    cash = cost + d.number(1, 50)
    work.do("Left", cash, "-", cost)
    return d.say(
        f"{hero.name} {has} {m(cash)}{d.say('. ' + first_up(she) + ' / and ')}{d.tense(lexicon.GAIN[2], third)} {n} {d.say('at/for')} {p} each. {much} {does} {d.say(f'{name}/{she}')} have left?"
        f"/{hero.name} {d.tense(lexicon.GAIN[2], third)} {n} at {p} each and {d.tense(_SPEND[1], third)} with {m(cash)}. How much change {does} {she} get?"
    ), work  # fmt: skip


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
        later = d.say(f"in {d.write(y)} years/{d.write(y)} years from now/after {d.write(y)} years/{d.write(y)} years later")
        return d.say(f"{a.name} {be_a} {d.write(x)}{years}{d.say(' now| today||').split('|')[0]}. How old will {d.say(f'{name_a}/{a.subject}')} be {later}?/{a.name} {be_a} {d.write(x)}{years}. What age will {a.subject} be {later}?"
                     f"/How old will {name_a} be {later} if {a.subject} {be_a} {d.write(x)} now?"), work
    if kind < 0.42:
        y = min(y, x)
        work.do(d.say("Then/Before/So"), x, "-", y)
        was = "were" if a.name == "You" else "was"
        return d.say(f"{a.name} {be_a} {d.write(x)}{years}. How old {was} {d.say(f'{name_a}/{a.subject}')} {d.write(y)} years ago?/How old {was} {name_a} {d.write(y)} years ago if {a.subject} {be_a} {d.write(x)}{years} now?"), work
    if kind < 0.55:
        y, x = sorted((x, d.between(2, 90)))
        work.do(d.say("The difference/So"), x, "-", y)
        return d.say(f"{a.name} {be_a} {d.write(x)}{years} and {name_b} is {d.write(y)}{years}. {{q}}/{a.name} {be_a} {d.write(x)}{years}. {b.name} is {d.write(y)}{years}. {{q}}").format(
            q=d.say(f"How much older {be_a} {name_a}?/How many years older {be_a} {name_a}{d.say(f'|/ than {name_b}').replace('|', '')}?/What is the difference in their ages?/How many years younger is {name_b}?/How many years apart are they?")), work
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
        rel = f"{d.write(y)} years {'younger' if younger else 'older'}" + d.say(f" than {name_a}/ than {name_a}/|").replace("|", "")
        second = work.do(d.say("The other/So"), x, "-" if younger else "+", y)
    rel = rel.replace("than I", "than I").replace("as old as you", "as old as you")
    if d.chance(0.12):
        work.do(d.say("Together/The sum"), x, "+", second)
        ask = d.say("How old are they together?/What is the sum of their ages?")
    else:
        ask = d.say(f"How old is {name_b}?/How old is {name_b}?/What is {name_b}'s age?/How old is {name_b} now?/What age is {name_b}?")
    return d.say(
        f"{a.name} {be_a} {d.write(x)}{years}. {b.name} is {rel}. {ask}/{b.name} is {rel}. {a.name} {be_a} {d.write(x)}{years}. {ask}/{a.name} {be_a} {d.write(x)}{years} and {name_b} is {rel}. {ask}"
        f"/{b.name} is {rel}, who {be_a} {d.write(x)}. {ask}/If {name_a} {be_a} {d.write(x)} and {name_b} is {rel}, {ask[0].lower()}{ask[1:]}"
        if " a" in rel or "than" in rel else f"{a.name} {be_a} {d.write(x)}{years}. {b.name} is {rel}. {ask}"
    ), work  # fmt: skip


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
    one = {"feet": "foot", "people": "person", "dozen eggs": "dozen eggs", "octopuses": "octopus", "pairs of shoes": "pair of shoes", "pairs of socks": "pair of socks", "pairs of gloves": "pair of gloves"}.get(big, big[:-1])
    tail = d.say(f"A {one} has {d.write(size)} {small}. /There are {d.write(size)} {small} in a {one}. ") if d.chance(0.35) else ""
    tail = tail.replace("a hour", "an hour").replace("A hour", "An hour").replace("A ant", "An ant").replace("a ant", "an ant").replace("a octopus", "an octopus").replace("A octopus", "An octopus").replace("a inch", "an inch").replace("A inch", "An inch")
    if back:
        m = d.write(n * size) if not d.spelled else str(n * size)
        return tail + d.say(f"How many {big} are {m} {small}?/How many {big} are there in {m} {small}?/How many {big} is {m} {small}?/{m} {small} is how many {big}?/How many {big} make {m} {small}?"), work
    thing = f"{d.write(n)} {big if n > 1 else one}"
    body = d.say(
        f"How many {small} do {thing} have?/How many {small} are there in {thing}?/How many {small} are in {thing}?/How many {small} do {thing} have {d.say('in all/together/altogether')}?/How many {small} does that make for {thing}?"
        f"/{first_up(thing)}. How many {small}?/How many {small} in {thing}?/There are {thing}. How many {small} is that?/How many {small} are {thing}?/I have {thing}. How many {small} is that?"
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
    name, she = inside(hero), hero.subject
    x, y = d.number(2), d.number(1)
    if kind < 0.2:
        y, x = sorted((x, y))
        work.do(d.say("The difference/So"), x, "-", y)
        one, two = d.pick((("one", "another"), ("the first", "the second"), ("the red", "the blue"), ("a", "an old"), ("the old", "the new"), ("this", "that")))
        first = f"{one} {thing}" if one != "another" else f"{one} {thing}"
        say_long = long if d.chance(0.7) and long != "heavy" else ""
        size = (lambda v: f"is {d.write(v)} {unit}{' ' + say_long if say_long else ''}") if long != "heavy" else (lambda v: f"weighs {d.write(v)} {unit}")
        return f"{first_up(first)} {size(x)}{d.say(', / and /. ')}".replace("XX", "") + f"{two} {thing if d.chance(0.5) else ('one' if two not in ('another', 'that') else '')} ".replace("  ", " ") + f"{size(y)}. " + d.say(
            f"How much {longer} is {first}?/How many {unit} {longer} is {first}?/What is the difference?/How much {longer} is the first?/By how much do they differ?"), work
    if kind < 0.32:
        x, y = d.factors()
        total = x * y
        if d.chance(0.5):
            work.do(d.say("Each/So"), total, "/", x)
            return d.say(
                f"A {thing} of {d.write(total)} {unit} is cut into {d.write(x)} equal {d.say('pieces/parts')}. How long is each {d.say('piece/part')}?/{hero.name} cuts a {d.write(total)} {unit} rope into {d.write(x)} equal pieces. How long is each piece?"
                f"/A rope is {d.write(total)} {unit} long. {hero.name} cuts it into {d.write(x)} equal parts. How many {unit} long is one part?"), work
        work.do(d.say("The number/So"), total, "/", x)
        return d.say(
            f"How many {d.write(x)} {unit} pieces can be cut from {d.write(total)} {unit} of {d.say('rope/string/wire/ribbon/cloth/wood')}?/A rope of {d.write(total)} {unit} is cut into pieces of {d.write(x)} {unit}. How many pieces are there?"
            f"/{hero.name} cuts {d.write(total)} {unit} of wire into {d.write(x)} {unit} pieces. How many pieces does {she} get?"), work
    if kind < 0.5:
        verb, far = d.pick(_DO), d.say("miles/km/meters/blocks/kilometers/laps")
        if verb.plain == "read":
            far = "pages"
        z = d.number(1)
        total = work.do(d.say("In all/Total/So"), x, "+", y)
        three = d.chance(0.2)
        if three:
            work.do(d.say("In all/Total"), total, "+", z)
        days = d.pick((["on Monday", "on Tuesday", "on Friday"], ["in the morning", "in the evening", "at night"], ["yesterday", "today", "on Sunday"], ["there", "back", "later"], ["to school", "home", "to the park"], ["first", "then", "at last"]))
        listed = f"{d.write(x)} {far} {days[0]}" + (f", {d.write(y)} {days[1]} and {d.write(z)} {days[2]}" if three else f"{d.say(' and /, then / and then ')}{d.write(y)} {d.say(far + ' /|').replace('|', '')}{days[1]}")
        person = d.person()
        she2, does = person.subject, "did" if d.past else "does" if person.third else "do"
        how = f"How many {far}" if far == "pages" or d.chance(0.6) else "How far"
        return f"{person.name} {d.tense(verb, person.third)} {listed}. " + d.say(f"{how} {does} {d.say(f'{inside(person)}/{she2}')} {verb.plain}{d.say('|/ in all/ in total/ altogether').replace('|', '')}?/{how} is that{d.say('|/ in all/ in total').replace('|', '')}?/What is the total?"), work
    if kind < 0.66:
        x, y = d.factors()
        work.do(d.say("So/In all/Total"), x, "*", y)
        goer = d.say(f"A train/A car/{hero.name}/A bus/A plane/A snail/A runner/A bike/A boat/A turtle/{hero.name}")
        verb = d.say("goes/travels/moves/drives/covers/runs/rides")
        far, (one, many) = d.say("miles/km/meters/kilometers/feet/cm"), d.pick((("hour", "hours"), ("minute", "minutes"), ("day", "days"), ("hour", "hours")))
        each = d.say(f"{'an' if one == 'hour' else 'a'} {one}/per {one}/every {one}/each {one}")
        n = f"{d.write(y)} {many if y > 1 else one}"
        how = d.say(f"How far/How many {far}")
        return d.say(
            f"{goer} {verb} {d.write(x)} {far} {each}. {how} does it go in {n}?/{goer} {verb} {d.write(x)} {far} {each}. {how} in {n}?/{goer} {verb} {d.write(x)} {far} {each} for {n}. {how} is that?"
            f"/{how} does {goer[0].lower() + goer[1:] if goer.startswith('A ') else goer} go in {n} at {d.write(x)} {far} {each}?/{goer} needs {d.write(x)} {d.say('minutes/hours')} for {d.say('one/each')} {d.say('lap/page/cake/house')}. How long for {d.write(y)}?"
        ), work  # fmt: skip
    if kind < 0.82:
        up = d.chance(0.5)
        y = y if up else min(x, y)
        work.do(d.say("Now/So/Then"), x, "+" if up else "-", y)
        form = d.pick(
            (
                ("The temperature {w} {x} degrees{j}it {v} {y} degrees. What is the temperature now?", "rose/went up/rose by/increased by/climbed", "fell/dropped/fell by/went down by/dropped by/sank"),
                ("The {t} {w} {x} {u} {l}{j}it {v} {y} {u}. How {l} is it now?", "grew/grew by/gained", "shrank/shrank by/lost"),
                ("{N} weighed {x} {k}{j}{s} {v} {y} {k}. How much does {s} weigh now?", "gained/put on", "lost/lost"),
                ("The price {w} {x} dollars{j}it {v} {y} dollars. What is it now?", "rose by/went up by/increased by", "fell by/went down by/dropped by"),
                ("{N} {w} on page {x}{j}{s} {v} {y} pages. What page is {s} on?", "read/turned", "went back/turned back"),
                ("{N} {w} on floor {x}{j}{s} {v} {y} floors. On which floor is {s} now?", "went up/climbed", "went down/came down"),
                ("{N}'s score {w} {x}{j}{s} {v} {y} points. What is the score now?", "won/got/scored/gained", "lost/dropped"),
                ("The tank {h} {x} liters{j}{N} {v} {y} liters. How many liters are in the tank?", "added/poured in/put in", "took out/used/poured out/let out"),
                ("The water {w} {x} {u} deep{j}it {v} {y} {u}. How deep is it now?", "rose/rose by", "fell/sank by/fell by"),
                ("A phone {h} {x} percent of its battery{j}it {v} {y} percent. How many percent are there now?", "gained/got", "lost/used"),
            )
        )  # fmt: skip
        text = form[0].format(
            w=d.say("was/is"), h=d.say("had/held"), x=d.write(x), y=d.write(y), j=d.say(". Then / and then /, then / and "), v=d.say(form[1 if up else 2]),
            t=thing, u=unit if long != "heavy" else "cm", l=long if long not in ("heavy",) else "long", N=hero.name, s=she, k=d.say("kg/pounds/kilos"),
        )  # fmt: skip
        return text, work
    left = min(x, y)
    work.do(d.say("Left/The rest/So"), x, "-", left)
    (u, what) = d.pick((("minutes", "movie"), ("pages", "book"), ("miles", "road"), ("km", "race"), ("hours", "flight"), ("steps", "stairs"), ("meters", "wall"), ("minutes", "class"), ("days", "trip"), ("problems", "test"), ("levels", "game"), ("feet", "fence")))
    verb = d.say("has done/has finished/did/is through/has covered/finished/completed") if what != "book" else d.say("has read/read/finished")
    return d.say(
        f"{d.say('A/The')} {what} {d.say('has/is')} {d.write(x)} {u}{d.say('|/ long').replace('|', '')}. {hero.name} {verb} {d.write(left)}{d.say('|/ ' + u).replace('|', '')}. How many {u} {d.say('are left/remain/are left to do/are still to go')}?"
        f"/{hero.name} {verb} {d.write(left)} of {d.write(x)} {u}. How many {u} are left?/{hero.name} has {d.write(x)} {u} to {d.say('do/finish/go')} and {verb} {d.write(left)}. How many are left?"
    ), work  # fmt: skip


__all__ = ["Noun", "Verb", "age", "known", "lengths", "money"]
