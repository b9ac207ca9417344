"""Money: a balance that changes, prices, change, wages, savings."""

from __future__ import annotations

from collections.abc import Callable

from dlmsample.tasks.wordproblems.short import lexicon, words
from dlmsample.tasks.wordproblems.short.draw import HAVE, Draw, count, first_up, inside, verbs
from dlmsample.tasks.wordproblems.short.work import Work

_EARN = verbs("earn earns earned;make makes made;get gets got;save saves saved;earn earns earned")
_SPEND = verbs("spend spends spent;pay pays paid;spend spends spent;use uses used;lose loses lost")
_GOODS = words.FOOD + words.THINGS
_PERIODS = (
    ("day", "days"),
    ("week", "weeks"),
    ("hour", "hours"),
    ("month", "months"),
    ("minute", "minutes"),
    ("year", "years"),
)


def _money(d: Draw) -> tuple[Callable[[int], str], str]:
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
            what = (
                d.say(
                    f" on a {goods.one}/ on {goods.many}/|/ for {goods.many}/ for a {goods.one}/ on food/ on a ticket"
                    f"/ for lunch/ on Monday"
                ).replace("|", "")
                if lost
                else d.say("|/ more/ more/ from " + inside(d.other(hero)) + "/ for work").replace("|", "")
            )
            clauses.append(f"{verb} {m(y)}{what}")
        if joints == 2 and d.chance(0.5) and d.chance(0.9):
            text = f"{told}{d.say('. ' + first_up(she) + ' /, then / and ')}{clauses[0]}{d.say(', then / and then /. Then ' + she + ' /. Later ' + she + ' / and ')}{clauses[1]}."
        elif joints == 2:
            text = f"{told}. {first_up(she)} {clauses[0]}. {d.say('Then ' + she + '/' + first_up(she) + '/Later ' + she)} {clauses[1]}."
        else:
            text = f"{told}{d.say('. ' + first_up(she) + ' /. ' + first_up(she) + ' / and /, then /. Then ' + she + ' /, but ')}{clauses[0]}."
        left = " left" if lost else " now"
        return f"{text} " + d.say(
            f"{much} {does} {d.say(f'{name}/{she}')} have{left}?/{much} is left?/{much} {does} {she} have now?"
            f"/How much is it now?/{much} is{left if lost else ' that'}?/What is left?"
            if lost else f"{much} {does} {d.say(f'{name}/{she}')} have{left}?/{much} {does} {she} have in all?"
                         f"/How much is it now?/{much} is that?/How much?"
        ), work  # fmt: skip
    if kind < 0.5:
        x, y = d.factors()
        work.do(d.say("The cost/In all/So/Total"), x, "*", y)
        n, price = count(d.write(x), goods), m(y)
        costs = d.say("costs/costs/is/sells for/goes for/is sold for/is priced at")
        plain = d.say(
            f"{d.say('A/One/Each/Every')} {goods.one} {costs} {price}. {{q}}"
            f"/{d.say('A/One/Each')} {goods.one} {costs} {price}. {{q}}"
            f"/{first_up(goods.many)} cost {price} each. {{q}}"
            f"/{first_up(goods.many)} are {price} {d.say('each/apiece/a piece')}. {{q}}"
            f"/{hero.name} {d.tense(lexicon.GAIN[2], third)} {n} {d.say('at/for')} {price} {d.say('each/apiece')}. "
            f"{{h}}/If {d.say('a/one/each')} {goods.one} {costs} {price}, {{w}}"
            f"/The price of {d.say('a/one')} {goods.one} is {price}. {{q}}"
            f"/{d.say('What/How much')} "
            f"{d.say('do/would/will')} {n} cost {d.say('at/if each costs/if one costs/if each is')} "
            f"{price}{d.say('|/').replace('|', '')}?/{n}, {price} each. {{h}}"
            f"/{hero.name} sells {n} for {price} each. {much} {does} {she} {d.say('make/earn/get')}?"
            if third or (not third and d.chance(0.8)) else f"{n} at {price} each. {{h}}"
        )  # fmt: skip
        many = d.say(f"{n}/{d.write(x)} {goods.many if x > 1 else goods.one}/{d.write(x)} of them/{d.write(x)}")
        q = d.say(
            f"How much do {many} cost?/What do {many} cost?/How much are {many}?/How much for {many}?"
            f"/What is the price of {many}?/How many {unit} do {many} cost?/How much would {many} cost?"
            f"/How much {does} {name} pay for {many}?/What is the cost of {many}?/{first_up(d.write(x))} {goods.many}?"
        )
        h = d.say(
            f"How much is that?/How much {does} {she} {d.say('pay/spend')}?/What is the total?/How much in all?"
            f"/How much?/How many {unit}?/What does it cost{d.say('| in all/ together').replace('|', '')}?/Total?"
        )
        w = d.say(
            f"how much do {many} cost?/what do {many} cost?/how much are {many}?/how many {unit} are {many}?"
            f"/how much for {many}?"
        )
        return plain.format(q=q, h=h, w=w), work
    if kind < 0.62:
        price, bill = d.number(1, 95), d.pick((5, 10, 20, 20, 50, 100, 30, 40, 60, 100))
        bill = bill if bill >= price else price + d.number(1, 50)
        work.do(d.say("The change/Left/Change"), bill, "-", price)
        paid = d.say(
            f"{m(bill)}/with {m(bill)}" + (f"/a ${bill} bill/with a {bill} dollar bill" if unit == "dollars" else "")
        )
        change = d.say(
            f"How much change {does} {she} get{d.say('| back').replace('|', '')}?/What is the change?/How much change?"
            f"/How much change should {she} get?/How much does {she} get back?/How much {does} {she} have left?"
            f"/How much is left?/What change is due?"
        )
        text = d.say(
            f"{d.say('A/The')} {goods.one} "
            f"costs {m(price)}. {hero.name} {d.say('pays/gives/hands over') if third else d.say('pay/give')} {paid}."
            f"/{hero.name} {d.tense(lexicon.GAIN[2], third)} "
            f"a {goods.one} for {m(price)} and {d.tense(_SPEND[1], third)} with {m(bill)}."
            f"/{hero.name} {has} {m(bill)} and {d.tense(lexicon.GAIN[2], third)} {d.say('a/one')} "
            f"{goods.one} for {m(price)}./{hero.name} {d.tense(_SPEND[1], third)} {m(bill)} "
            f"for a {goods.one} that costs {m(price)}."
        )
        return f"{text} {change}", work
    if kind < 0.74:
        values = [d.number(1, 200) for _ in range(2 if d.chance(0.7) else 3)]
        total = values[0]
        for value in values[1:]:
            total = work.do(d.say("Total/In all/Together"), total, "+", value)
        items = [goods, other, d.noun(_GOODS)][: len(values)]
        said = [
            d.say(f"a {i.one} costs {m(v)}/a {i.one} is {m(v)}/the {i.one} costs {m(v)}")
            for i, v in zip(items, values, strict=True)
        ]
        bought = [f"a {i.one} for {m(v)}" for i, v in zip(items, values, strict=True)]
        listed = first_up(", ".join(said[:-1]) + " and " + said[-1]) + "."
        return d.say(
            f"{listed} {d.say('How much for both/How much do they cost together/What do they cost together/How much together/How much in all/What is the total/How much is that') if len(values) == 2 else d.say('How much in all/What is the total/How much do they cost together')}?"
            f"/{hero.name} {d.tense(lexicon.GAIN[2], third)} "
            f"{', '.join(bought[:-1])} "
            f"and {bought[-1]}. {d.say(f'How much {does} {she} spend/How much {does} {she} pay/What is the total/How much is that/How much in all/How much money {does} {she} spend')}?"
        ), work  # fmt: skip
    if kind < 0.84:
        x, y = d.factors()
        work.do(d.say("In all/So/Total"), x, "*", y)
        (one, many), verb = d.pick(_PERIODS[:4]), d.pick(_EARN)
        rate = d.say(
            f"{m(x)} {d.say(f'a {one}/per {one}/every {one}/each {one}/an {one}' if one == 'hour' else f'a {one}/per {one}/every {one}/each {one}')}"
        ).replace("a hour", "an hour")
        spent = d.chance(0.25)
        verb = _SPEND[0] if spent else verb
        n = f"{d.write(y)} {many if y > 1 else one}"
        text = f"{hero.name} {verb.third if third else verb.plain} {rate}."
        return d.say(
            f"{text} {much} {does} {she} {verb.plain} in {n}?/{text} {much} {does} {d.say(f'{name}/{she}')} "
            f"{verb.plain} in {n}?/{text} {much} will {she} have {'spent ' if spent else ''}after {n}?"
            f"/{text} {much} is that in {n}?/{text[:-1]} for {n}. {much} is that?/{text} How much in {n}?"
            f"/How much {does} {name} {verb.plain} in {n} at {rate}?"
        ), work  # fmt: skip
    if kind < 0.92:
        price, n = d.factors()
        work.do(d.say("The number/So"), price * n, "/", price)
        return d.say(
            f"A {goods.one} costs {m(price)}. How many {goods.many} can {name} buy {d.say('with/for')} {m(price * n)}?"
            f"/{hero.name} {has} {m(price * n)}. {d.say('A/One/Each')} {goods.one} costs {m(price)}. "
            f"How many {d.say(f'{goods.many} can/can')} {she} buy?"
            f"/How many {goods.many} at {m(price)} each can {d.say(f'{name}/you/I')} "
            f"buy {d.say('with/for')} {m(price * n)}?/If a {goods.one} is {m(price)}, how many {goods.many} "
            f"{d.say('do you get for/can you get for/can I buy with')} {m(price * n)}?"
            f"/{d.write(n)} {goods.many} cost {m(price * n)}. {{one}}"
        ).replace(
            f"{d.write(n)} {goods.many} cost {m(price * n)}. {{one}}",
            f"{first_up(goods.many)} cost {m(price)} each. How many can {name} buy with {m(price * n)}?",
        ).replace("{one}", f"Each costs {m(price)}. How many {goods.many} are there?"), work
    x, price = d.between(2, 6), d.between(2, 20)
    cost = work.do("The cost", x, "*", price)
    n, p = count(d.write(x), goods), m(price)
    if d.chance(0.5):
        extra = d.number(1, 40)
        work.do("In all", cost, "+", extra)
        return d.say(
            f"{hero.name} {d.tense(lexicon.GAIN[2], third)} {n} {d.say('at/for')} {p} each and a {other.one} "
            f"for {m(extra)}. {d.say(f'How much {does} {she} pay/What is the total/How much in all/How much {does} {she} spend')}?"
            f"/{first_up(goods.many)} cost {p} each and a {other.one} costs {m(extra)}. "
            f"How much for {n} and one {other.one}?"
        ), work  # fmt: skip
    cash = cost + d.number(1, 50)
    work.do("Left", cash, "-", cost)
    return d.say(
        f"{hero.name} {has} {m(cash)}{d.say('. ' + first_up(she) + ' / and ')}{d.tense(lexicon.GAIN[2], third)} "
        f"{n} {d.say('at/for')} {p} each. {much} {does} {d.say(f'{name}/{she}')} have left?"
        f"/{hero.name} {d.tense(lexicon.GAIN[2], third)} {n} at {p} each and {d.tense(_SPEND[1], third)} "
        f"with {m(cash)}. How much change {does} {she} get?"
    ), work  # fmt: skip
