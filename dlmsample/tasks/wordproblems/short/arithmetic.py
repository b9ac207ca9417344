"""Questions without a story: one to three operations in signs or in words."""

from __future__ import annotations

from dlmsample.tasks.wordproblems.short.draw import Draw, first_up
from dlmsample.tasks.wordproblems.short.work import UnfitError, Work

_SIGNS = {"+": "+/+/plus/and", "-": "-/-/minus/–/less", "*": "*/x/×/times/*/multiplied by", "/": "///÷/divided by/over"}
_ASKS = (
    "What is {e}?;What is {e}?;{e};{e} = ?;{e} =;{e}?;How much is {e}?;Calculate "
    "{e}.;What's {e}?;{e} equals?;Compute {e}.;Solve {e}.;Work out {e}.;"
    "{e} is what?;{e} makes?;Tell me {e}.;Find {e}.;Can you tell me what {e} is?;What "
    "does {e} equal?;what is {e};Please calculate {e}.;{e} =?;"
    "What do you get for {e}?;What does {e} make?;how much is {e};Evaluate {e}.;{e} "
    "equals what?;The answer to {e} is?;Do you know {e}?;How many is {e}?"
).split(";")
_WORDS = {
    "+": "the sum of {a} and {b};{a} added to {b};{a} more than {b};adding {a} and {b};{a} "
    "and {b} together;the total of {a} and {b};{a} increased by {b};"
    "{b} more than {a}",
    "-": "the difference between {a} and {b};{b} less than {a};{b} subtracted from "
    "{a};{a} take away {b};{a} decreased by {b};{b} from {a};{a} reduced by {b};"
    "the difference of {a} and {b};{b} fewer than {a};{a} without {b};{b} taken from {a}",
    "*": "the product of {a} and {b};{a} multiplied by {b};{a} times {b};{a} groups of {b};{a} lots of {b};{a} by {b}",
    "/": "{a} divided by {b};the quotient of {a} and {b};{a} split into {b} equal parts;{a} shared by {b};{a} over {b}",
}
_ORDERS = {
    "+": "Add {a} and {b}.;Add {a} to {b}.;Start with {a} and add {b}.;Take {a} "
    "and add {b}.;Sum {a} and {b}.;What do {a} and {b} make?;"
    "What do you get when you add {a} and {b}?;Begin with {a}. Add {b}.;Put "
    "{a} and {b} together.;If you add {b} to {a}, what do you get?;"
    "What number is {b} more than {a}?;How much are {a} and {b} together?;Increase {a} by {b}.;Count on {b} from {a}.",
    "-": "Subtract {b} from {a}.;Take {b} from {a}.;Take {b} away from {a}.;Take away "
    "{b} from {a}.;What is left if you take {b} from {a}?;Start with {a} and"
    " take away {b}.;{a} take away {b}.;What number is {b} less than {a}?;Start "
    "at {a}. Subtract {b}.;What remains of {a} after {b} is taken away?;"
    "How much more is {a} than {b}?;How much bigger is {a} than {b}?;Decrease "
    "{a} by {b}.;By how much is {a} larger than {b}?;Reduce {a} by {b}.",
    "*": "Multiply {a} by {b}.;Multiply {a} and {b}.;What do you get if you multiply {a} "
    "by {b}?;{a} times {b}.;Take {a} {b} times.;"
    "What is {b} times as much as {a}?;Count {a} {b} times.;What number is {b} times {a}?",
    "/": "Divide {a} by {b}.;Split {a} by {b}.;Share {a} equally by {b}.;How many "
    "times does {b} go into {a}?;How often does {b} fit into {a}?;"
    "How many {b}s are in {a}?;What do you get if you divide {a} by {b}?;Divide {a} into {b} equal parts.",
}
_DEEDS = {
    "+": "add {}/add {}/plus {}", "-": "subtract {}/take away {}/take {} away", "*": "multiply by {}/times "
                                                                                     "{}", "/": "divide by {}",
}  # fmt: skip


def bare(d: Draw) -> tuple[str, Work]:
    """One operation."""
    work, sign = Work(), d.say("+/+/-/-/*/|").replace("|", "/")
    a, b = _operands(d, sign)
    work.do(d.say("So/The sum" if sign == "+" else "So/The difference" if sign == "-" else "So"), a, sign, b)
    x, y, kind = d.write(a), d.write(b), d.random()
    if kind < 0.45:
        op = d.pick((_SIGNS[sign] if sign != "/" else "/;/;÷;divided by;over;:").split(";" if sign == "/" else "/"))
        tight = len(op) == 1 and d.chance(0.3) and not d.spelled
        return _ask(d, f"{x}{op}{y}" if tight else f"{x} {op} {y}"), work
    if kind < 0.65:
        return _ask(d, d.pick(_WORDS[sign].split(";")).format(a=x, b=y)), work
    if kind < 0.85:
        return first_up(d.pick(_ORDERS[sign].split(";")).format(a=x, b=y)), work
    return _fraction(d)


def _operands(d: Draw, sign: str) -> tuple[int, int]:
    if sign in "*/":
        a, b = d.factors()
        return (a * b, a) if sign == "/" else (a, b)
    a, b = d.number(0, 900), d.number(0, 900)
    return (max(a, b), min(a, b)) if sign == "-" else (a, b)


def _ask(d: Draw, e: str) -> str:
    ask = d.pick(_ASKS).format(e=e)
    return first_up(ask) if not ask.startswith(("what", "how")) and d.chance(0.9) else ask


def _fraction(d: Draw) -> tuple[str, Work]:
    """Half, double, a third, twice."""
    work = Work()
    if d.chance(0.5):
        y, word = d.pick(
            (
                (2, "half of"),
                (2, "half of"),
                (2, "one half of"),
                (3, "a third of"),
                (3, "one third of"),
                (4, "a quarter of"),
                (4, "one fourth of"),
                (5, "a fifth of"),
                (10, "a tenth of"),
                (3, "1/3 of"),
                (2, "1/2 of"),
                (4, "1/4 of"),
            )
        )
        x = y * d.number(1, 999 // y // 2)
        work.do("So", x, "/", y)
        return _ask(d, f"{word} {d.write(x)}"), work
    y, word = d.pick(
        (
            (2, "double"),
            (2, "twice"),
            (2, "two times"),
            (3, "triple"),
            (3, "three times"),
            (4, "four times"),
            (10, "ten times"),
            (5, "five times"),
            (2, "the double of"),
        )
    )
    x = d.number(1, 999 // y // 2)
    work.do("So", x, "*", y)
    if d.chance(0.3):
        e = {2: "Double", 3: "Triple"}.get(y, word.capitalize())
        return f"{e} {d.write(x)}{d.say('.|').split('|')[0] if d.chance(0.5) else ''}", work
    return _ask(d, f"{word} {d.write(x)}"), work


def several(d: Draw) -> tuple[str, Work]:
    """Two or three operations, with precedence and brackets."""
    work, kind = Work(), d.random()
    times = d.say("*/x/times/×/*/*")
    if kind < 0.4:
        n = 3 if d.chance(0.7) else 4
        value = d.number(1, 200)
        text = d.write(value)
        same = d.chance(0.15)
        first = value
        for _ in range(n - 1):
            minus = not same and d.chance(0.4)
            y = first if same else d.number(1, 100)
            value = work.do(d.say("So/Now/Then"), value, "-" if minus else "+", y)
            text += f" {d.say('-/minus/-') if minus else d.say('+/plus/+')} {d.write(y)}"
        if d.chance(0.2):
            text = text.replace(" + ", "+").replace(" - ", "-")
        if "-" not in text and "minus" not in text and d.chance(0.3):
            numbers = text.replace("+", " ").replace("plus", " ").split()
            if all("-" not in number for number in numbers):
                listed = ", ".join(numbers[:-1]) + " and " + numbers[-1]
                return d.say(
                    f"Add {listed}./What is the sum of {listed}?/What do {listed} make?/{listed} together?"
                    f"/How much are {listed} together?/Find the total of {listed}."
                ), work
        return _ask(d, text), work
    a, b, c = d.between(2, 30), d.between(2, 12), d.between(2, 30)
    sign = d.say("+/-")
    if kind < 0.6:  # a + b * c, and the other way round
        product = work.do("First", b, "*", c)
        word = d.say("+/plus") if sign == "+" else d.say("-/minus")
        if d.chance(0.5):
            work.do("So", a, sign, product)
            return _ask(d, f"{a} {word} {b} {times} {c}"), work
        work.do("So", product, sign, a)
        return _ask(d, f"{b} {times} {c} {word} {a}"), work
    if kind < 0.75:
        inner = work.do("First", a, sign, c)
        work.do("So", inner, "*", b)
        return _ask(
            d,
            d.say(f"({a} {sign} {c}) * {b}/({a} {sign} {c}) x {b}/({a}{sign}{c})*{b}")
            if d.chance(0.6)
            else f"{b} * ({a} {sign} {c})",
        ).replace("  ", " "), work
    if kind < 0.87:
        q, by = d.factors()
        inner = work.do("First", q * by, "/", by)
        work.do("So", inner, sign, a)
        return _ask(d, f"{q * by} {d.pick(('/', '÷', 'divided by'))} {by} {sign} {a}"), work
    return _chain(d, work)


def _chain(d: Draw, work: Work) -> tuple[str, Work]:
    """Start with a number, do this, then that."""
    start = value = d.number(2, 200)
    deeds: list[str] = []
    for phrase in ("First", "So"):
        sign = d.say("+/-/+/-/*/|").replace("|", "/")
        y = d.between(2, 6) if sign in "*/" else d.number(1, 60)
        if sign == "/" and value % y:
            raise UnfitError
        value = work.do(phrase, value, sign, y)
        deeds.append(d.say(_DEEDS[sign]).format(d.write(y)))
    first, then = deeds
    return d.say(
        f"Start with {d.write(start)}, {first}, then {then}. What do you get?"
        f"/Take {d.write(start)}, {first} and {then}."
        f"/Begin with {d.write(start)}. {first_up(first)}. {first_up(then)}. What is the result?"
        f"/I think of {d.write(start)}, {first} and then {then}. What do I get?"
        f"/{d.write(start)}: {first}, then {then}."
    ), work


def unknown(d: Draw) -> tuple[str, Work]:
    """A number is missing: in signs or in words."""
    work, sign = Work(), d.say("+/-/+/-/*")
    if sign == "*":
        a, b = d.factors()
    else:
        a, b = d.number(1), d.number(1)
        a = max(a, b) if sign == "-" else a
    result = {"+": a + b, "-": a - b, "*": a * b}[sign]
    first = d.chance(0.5)
    back = {
        "+": ("-", result, b if first else a),
        "-": ("+", result, b) if first else ("-", a, result),
        "*": ("/", result, b if first else a),
    }[sign]
    if back[2] == 0:
        raise UnfitError
    work.do("So", back[1], back[0], back[2])
    mark = d.say("?/?/x/_/__/n/y/a number")
    x, y = (mark, str(b)) if first else (str(a), mark)
    shown = (
        d.say(f"{x} {sign} {y} = {result}/{x} {sign} {y} = {result}/{result} = {x} {sign} {y}")
        if mark != "a number"
        else ""
    )
    if shown and d.chance(0.65):
        what = "x" if mark == "x" else "n" if mark == "n" else "y" if mark == "y" else ""
        if what:
            return (
                f"{shown}{d.say(f', what is {what}?/. What is {what}?/. Find {what}./, {what} = ?/. Solve for {what}.')}",
                work,
            )
        return (
            f"{shown}{d.say('|/. What is missing?/. Which number is missing?/. Fill in the number.|').replace('|', '')}",
            work,
        )
    if first:
        words = {
            "+": f"plus {b} is {result}/plus {b} makes {result}/and {b} make {result}",
            "-": f"minus {b} is {result}/less {b} leaves {result}",
            "*": f"times {b} is {result}/multiplied by {b} gives {result}",
        }[sign]
        did = {"+": f"add {b}", "-": f"subtract {b}/take away {b}", "*": f"multiply it by {b}"}[sign]
        told = {
            "+": f"{b} more than a number is {result}",
            "-": f"{b} less than a number is {result}",
            "*": f"{b} times a number is {result}",
        }[sign]
        return d.say(
            f"What number {d.say(words)}?/Which number {d.say(words)}?/A number {d.say(words)}. What is the number?"
            f"/I think of a number, {d.say(did)} and get {result}. What is the number?"
            f"/I have a number. I {d.say(did)} and get {result}. Which number is it?/{told}. What is the number?"
        ), work
    words = {
        "+": f"What must be added to {a} to get {result}?/What do I add to {a} to get {result}?"
        f"/{a} plus what is {result}?/How much must you add to {a} to make {result}?"
        f"/How many more than {a} is {result}?/The sum of two numbers is {result}. One is {a}. What is the other?",
        "-": f"What must be taken from {a} to get {result}?/{a} minus what is {result}?"
        f"/What do you subtract from {a} to get {result}?",
        "*": f"{a} times what is {result}?/What times {a} is {result}?/By what must you multiply {a} to get {result}?",
    }[sign]
    return d.say(words), work
