"""Sentence forms by kind of event, and the forms of a step of the gold chain by operation.

Slots: {s} {h} {p} the hero as subject (name or pronoun), object, possessive; {N} the hero's name; {F}
somebody else; {o} {one} the objects, plural and singular; {x} {y} the event's numbers; {c} what the groups
come in; {place} {inside} {kin} as in words.py; {q} a comparison such as "23 more cards than". A form of
groups that says itself what they come in is a pair: the form, and that word.
"""

from __future__ import annotations

Form = str | tuple[str, str]

OPENINGS = (
    "{N} had {x} {o}.",
    "{N} owned {x} {o}.",
    "At first, {N} had {x} {o}.",
    "{N} kept {x} {o} in the {inside}.",
    "{N} went to the {place} with {x} {o}.",
    "{N} started the week with {x} {o}.",
    "There were {x} {o} in the {inside}, and all belonged to {N}.",
    "In the {inside}, {N} had {x} {o}.",
    "{N} got {x} {o} from {p} {kin}.",
    "{N} counted {x} {o} at the {place}.",
    "One morning, {N} had {x} {o} to work with.",
    "{N} collected {o} and had {x} of them.",
)

OPENINGS_GROUPS: tuple[Form, ...] = (
    "{N} had {x} {c} of {y} {o} each.",
    "{N} owned {x} {c} with {y} {o} in each.",
    "At first, {N} had {x} {c}, each with {y} {o}.",
    "{N} kept {x} {c} of {y} {o} each in the {inside}.",
    "{N} went to the {place} with {x} {c} of {y} {o} each.",
    "{N} started the week with {x} {c}, and each held {y} {o}.",
    ("{N} collected {y} {o} a day for {x} days.", "days"),
    ("{N} got {y} {o} from each of {x} friends.", "friends"),
)

EVENTS: dict[str, tuple[Form, ...]] = {
    "gain": (
        "{s} bought {x} more {o} at the {place}.",
        "{s} found {x} more {o} in the {inside}.",
        "{F} gave {h} {x} more {o}.",
        "{s} picked up another {x} {o}.",
        "{s} got {x} {o} as a present from {F}.",
        "{s} won {x} {o} in a game at the {place}.",
        "{x} more {o} came in the mail for {h}.",
        "{s} collected {x} extra {o} with {F}.",
        "{F} brought {h} {x} new {o}.",
        "{s} received {x} {o} from {p} {kin}.",
        "{s} added {x} {o} from the {place}.",
        "{p} {kin} sent {h} {x} {o}.",
    ),
    "lose": (
        "{s} gave {x} {o} to {F}.",
        "{s} sold {x} of the {o} at the {place}.",
        "{s} lost {x} {o} on the way to the {place}.",
        "{F} took {x} of the {o}.",
        "{s} threw out {x} old {o}.",
        "{s} used {x} {o} for a school project.",
        "{s} left {x} {o} at the {place}.",
        "{s} sent {x} of the {o} to {p} {kin}.",
        "{x} of the {o} were lost at the {place}.",
        "{s} traded {x} {o} away to {F}.",
        "{s} put {x} {o} aside for {p} {kin}, who took them.",
        "{s} gave away {x} of {p} {o}.",
    ),
    "multiply": (
        "the number of {o} grew to {x} times as many.",
        "{s} worked hard and had {x} times as many {o}.",
        "with help from {F}, {s} had {x} times as many {o}.",
        "{p} collection of {o} grew to {x} times its size.",
        "{s} traded all the {o} for {x} times as many.",
        "{F} swapped all the {o} for {x} times as many.",
        "the pile of {o} became {x} times as large.",
        "{s} came back from the {place} with {x} times as many {o}.",
    ),
    "divide": (
        "{s} split the {o} into {x} equal piles and kept one.",
        "{s} shared the {o} equally among {x} people and kept one share.",
        "{s} kept only one of {x} equal parts of the {o}.",
        "{x} people, {s} among them, shared the {o} equally.",
        "{s} made {x} equal groups of {o} and gave away all but one.",
        "{s} put the {o} evenly into {x} {c} and took one home.",
        "{F} told {h} to keep one of {x} equal parts of the {o}.",
        "{s} packed the {o} equally in {x} {c} and sold all but one.",
    ),
    "gain_groups": (
        "{s} bought {x} {c} of {y} {o} each.",
        "{s} found {x} {c} with {y} {o} in each.",
        "{F} gave {h} {x} {c} of {y} {o} each.",
        "{x} {c} came from {p} {kin}, each with {y} {o}.",
        "{s} got {x} more {c} at the {place}, each with {y} {o}.",
        "{s} filled {x} {c} with {y} new {o} each.",
        "{s} picked up {x} {c}, and each held {y} {o}.",
        ("{x} friends each gave {h} {y} {o}.", "friends"),
        ("{s} collected {y} more {o} a day for {x} days.", "days"),
        ("{s} won {x} games and got {y} {o} for each.", "games"),
        ("{s} got {y} {o} from each of {x} children.", "children"),
    ),
    "lose_groups": (
        "{s} sold {x} {c} of {y} {o} each.",
        "{s} gave {x} {c} of {y} {o} each to {F}.",
        "{s} sent away {x} {c} with {y} {o} in each.",
        "{F} took {x} {c}, each with {y} {o}.",
        "{s} left {x} {c} of {y} {o} each at the {place}.",
        "{s} lost {x} {c}, and each held {y} {o}.",
        "{s} traded away {x} {c} of {y} {o} each.",
        ("{s} gave {y} {o} to each of {x} friends.", "friends"),
        ("{s} used {y} {o} a day for {x} days.", "days"),
        ("{x} children took {y} {o} each.", "children"),
        ("{s} lost {x} games and paid {y} {o} for each.", "games"),
    ),
    "compare": (
        "{F} had {q} {s} and gave {h} all of them.",
        "{F}, who had {q} {s}, gave them all to {h}.",
        "{F} brought {q} {s} had, and they put all the {o} together.",
        "{s} met {F}, who had {q} {s}, and took them all.",
        "{F} owned {q} {s} did and left them all to {h}.",
        "{s} got everything that {F} had, which was {q} {s} had.",
        "{F} came with {q} {s} had and added them all.",
        "{p} {kin} sent {F} over with {q} {s} had, all for {h}.",
    ),
}
"""Clauses that may follow an opener such as "Then"; without one their first letter is raised."""

MULTIPLY_BY = {
    2: (
        "the number of {o} doubled.",
        "{s} doubled the number of {o}.",
        "{s} got twice as many {o} in total.",
    ),
    3: ("the number of {o} tripled.", "{s} tripled the number of {o}."),
}
DIVIDE_BY = {
    2: ("{s} gave half of the {o} to {F}.", "{s} kept half of the {o} and sold the rest."),
    3: ("{s} kept one third of the {o}.", "only one third of the {o} stayed with {h}."),
    4: ("{s} kept one quarter of the {o}.", "only one quarter of the {o} stayed with {h}."),
}
"""More forms, for one number each."""

COMPARISONS = {
    "more": "{x} more {o} than",
    "fewer": "{x} fewer {o} than",
    "times": "{x} times as many {o} as",
}

QUESTIONS = (
    "How many {o} did {s} have in the end?",
    "How many {o} does {N} have now?",
    "How many {o} are there now?",
    "How many {o} did {N} have after all this?",
    "What is the number of {o} {N} has now?",
    "Find out how many {o} {N} has.",
    "In total, how many {o} did {N} end up with?",
    "How many {o} is that for {N}?",
    "So how many {o} has {N} got?",
    "Can you tell how many {o} {N} had at the end?",
)

MONEY = (
    "{s} sold all the {o} for ${x} each. How many dollars did {N} get?",
    "Each {one} was worth ${x}. How many dollars were all the {o} worth?",
    "{s} sold every {one} for ${x}. How much money did {s} make?",
    "At ${x} for each {one}, how many dollars can {N} get?",
    "The price of one {one} is ${x}. What are all the {o} worth in dollars?",
    "If one {one} costs ${x}, how many dollars do all the {o} cost?",
    "{F} paid ${x} for each {one}. How many dollars did {s} get?",
    "How many dollars does {N} make by selling all the {o} for ${x} each?",
)

SHARES = (
    "{s} packed the {o} equally in {x} {c}. How many {o} does one of the {c} hold?",
    "The {o} go evenly into {x} {c}. How many {o} are in each?",
    "{x} children share the {o} equally. How many {o} does each one get?",
    "If {s} splits the {o} into {x} equal parts, how many {o} are in one part?",
)
"""Questions that are themselves the last step, a division."""

CHAIN = {
    "opening": ("At first",),
    "gain": ("More {o}",),
    "lose": ("Fewer {o}",),
    "multiply": ("Grows to",),
    "divide": ("One share",),
    "gain_groups": ("All {c}", "With these"),
    "lose_groups": ("All {c}", "Without these"),
    "more": ("{F} has", "Together"),
    "fewer": ("{F} has", "Together"),
    "times": ("{F} has", "Together"),
    "money": ("In dollars",),
}
"""The phrase {k} that may introduce each equation of an event, always the same for the same kind."""

STEPS = {
    "+": (
        "{k}: {a} + {b} = {r}.",
        "{k}: {r} = {a} + {b}.",
        "{k}: {b} + {a} = {r}.",
        "{b} more than {a} is {r}.",
        "{a} and {b} is {r}.",
        "That is {r}, from {a} + {b}.",
    ),
    "-": (
        "{k}: {a} - {b} = {r}.",
        "{k}: {r} = {a} - {b}.",
        "{r} is left of {a} without {b}.",
        "{a} without {b} is {r}.",
        "That is {r}, from {a} - {b}.",
    ),
    "*": (
        "{k}: {a} * {b} = {r}.",
        "{k}: {r} = {a} * {b}.",
        "{k}: {b} * {a} = {r}.",
        "{a} times {b} is {r}.",
        "{b} times {a} is {r}.",
        "That is {r}, from {a} * {b}.",
    ),
    "/": (
        "{k}: {a} / {b} = {r}.",
        "{k}: {r} = {a} / {b}.",
        "{a} shared by {b} is {r}.",
        "{a} over {b} is {r}.",
        "That is {r}, from {a} / {b}.",
    ),
}
"""One form per step is drawn at random. They differ in length and in the order of the operands {a} {b} and the
result {r}: every token of a step depends on the others, and committing several at once may tear a step apart.
"""
