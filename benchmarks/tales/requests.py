"""What a teacher is asked to write: stories, facts and moments of everyday life, put together from short lists.

Every request is drawn from its number and a seed alone, so that a sample can be cut into parts and gone on with.
"""

from __future__ import annotations

import random


def _each(lines: str) -> tuple[str, ...]:
    """What stands between semicolons."""
    return tuple(" ".join(part.split()) for part in lines.split(";"))


WHO = _each(
    """
    a small dog; an old cat; a shy rabbit; a hungry fox; a brave mouse; a tired horse; a young bear; a clever
    crow; a lost duck; a slow turtle; two little birds; a friendly cow; a white goat; a wet frog; a girl called
    Anna; a boy called Tom; a baker; a farmer; a teacher; a nurse; a fisherman; a painter; a bus driver; a
    grandmother; a grandfather; twin sisters; three friends; a new neighbour; a postman; a girl who loves books; a
    boy who cannot sleep; a child with a red kite; a mother and her son; a gardener; a musician; a young doctor;
    an old sailor; a shoemaker; a shopkeeper; a family of five; a class of children
    """
)
WHERE = _each(
    """
    in a small village; by the sea; in the forest; on a farm; at school; in a quiet park; in the kitchen; on a
    snowy hill; in the garden; at the market; on a train; in an old house; near a river; in the city; at the lake;
    in a library; on the beach; at a birthday party; in a tall tree; under a bridge; at night; in the rain; on a
    boat; in the mountains; at the bus stop; in a warm bakery; on an island; in spring
    """
)
WHAT = _each(
    """
    who finds a key; who loses a hat; who helps a friend; who learns to swim; who bakes bread; who is afraid; who
    shares the last apple; who plants a seed; who gets lost; who makes a new friend; who tells the truth; who
    wants to fly; who builds a small house; who hears a strange noise; who waits for the snow; who is late; who
    breaks a cup; who writes a letter; who finds a box; who sings a song; who mends a broken chair; who sees the
    moon; who catches a fish; who gives away a toy; who cannot find the door; who runs a race; who paints a
    picture; who misses the bus; who saves a bird; who says sorry; who wakes up too early
    """
)
THING = _each(
    """
    the sun; the moon; a river; a mountain; the sea; an island; snow; rain; wind; a cloud; ice; fire; a tree; a
    flower; a seed; grass; an apple; bread; milk; honey; salt; soup; an egg; a potato; a dog; a cat; a horse; a
    cow; a bee; an ant; a fish; a bird; an owl; a whale; a spider; a snake; a chair; a table; a lamp; a clock; a
    bicycle; a train; a boat; a bridge; a road; a house; a door; a teacher; a doctor; a baker; a farmer; a school;
    a market; a library; a hospital; a garden; a farm; winter; summer; morning; night; sleep; a dream; a friend; a
    family; music; a book; a letter; money
    """
)
MOMENT = _each(
    """
    a walk in the park; a cold winter morning; breakfast at home; a day at the beach; a visit to a friend; a trip
    by train; an evening by the fire; a rainy afternoon; a lesson at school; a picnic by the river; shopping at
    the market; cooking dinner; washing the dog; the first day of school; a walk home in the dark; a game of
    football; feeding the ducks; a birthday; working in the garden; waiting for the bus
    """
)
MOOD = ("happy", "quiet", "sad", "funny", "calm", "busy", "warm", "strange", "long", "lucky")


def request(number: int, seed: int = 0) -> str:
    """The request with this number: six stories, two facts and two moments in ten.

    Example:
        >>> request(0) == request(0), request(0) == request(1)
        (True, False)
    """
    draw = random.Random(f"{seed}/{number}")
    kind, sentences = draw.randrange(10), draw.choice(("four", "five", "six", "seven", "eight"))
    if kind < 6:
        about = f"{draw.choice(WHO)} {draw.choice(WHERE)} {draw.choice(WHAT)}"
        return f"Write a short {draw.choice(MOOD)} story of {sentences} simple sentences about {about}. Only the story."
    if kind < 8:
        one, two = draw.sample(THING, 2)
        about = draw.choice((f"what {one} is", f"why {one} matters", f"how {one} and {two} differ", f"{one} and {two}"))
        return f"Tell a child in {sentences} short, simple sentences about this: {about}. No list."
    moment = f"a {draw.choice(MOOD)} moment: {draw.choice(MOMENT)}, with {draw.choice(WHO)}"
    return f"Describe in {sentences} simple sentences {moment}. Only the text."
