"""The words of short questions: many more people and things than the long problems know, and invented ones."""

from __future__ import annotations

from typing import NamedTuple

from dlmsample.tasks.wordproblems import words


class Noun(NamedTuple):
    """A thing that is counted."""

    one: str
    many: str


class Person(NamedTuple):
    """Who does something: the name, the pronouns, and whether verbs take an s (not after I, you, we, they)."""

    name: str
    subject: str
    object: str
    possessive: str
    third: bool = True


def nouns(text: str) -> tuple[Noun, ...]:
    """Nouns with a regular plural, or written ``one/many``; an underscore stands for a space."""
    found = []
    for word in text.split():
        one, _, many = word.replace("_", " ").partition("/")
        found.append(Noun(one, many or one + "s"))
    return tuple(found)


FOOD = nouns(
    "apple banana orange pear plum lemon melon cherry/cherries cookie candy/candies muffin egg carrot potato/potatoes"
    " tomato/tomatoes sandwich/sandwiches onion grape nut pie cake pancake roll bun donut cupcake cracker chocolate"
    " biscuit peanut pretzel waffle bagel olive pepper lollipop burger taco mushroom cucumber pizza sausage walnut fig"
    " sweet peach/peaches strawberry/strawberries blueberry/blueberries berry/berries ice_cream fish_stick chip"
    " loaf/loaves bread pea bean radish/radishes mango/mangoes kiwi date cheese_stick gummy_bear gumdrop treat snack"
)
THINGS = nouns(
    "pen pencil book marble card sticker stamp coin toy ball balloon box/boxes button bead block shell stone rock key"
    " hat sock shirt shoe ring ribbon flower rose tulip candle cup plate spoon fork knife/knives glass/glasses bottle"
    " jar can bag basket brick tile nail screw chair table lamp clock picture photo poster postcard letter envelope"
    " ticket crayon marker brush/brushes notebook folder magazine comic puzzle game doll teddy_bear toy_car kite drum"
    " badge medal trophy/trophies token chip gem feather leaf/leaves seed plant pot pillow towel blanket scarf/scarves"
    " glove coat dress/dresses belt bow bracelet necklace watch/watches phone tablet battery/batteries disc/discs tape"
    " stick rope string paper sheet bandage napkin straw match/matches log plank pipe wheel tire bike sign flag map"
    " globe mug bowl pan tray bucket bin shovel hammer tool paint dice peg pin clip magnet lock bell whistle mask cap"
    " trading_card baseball_card paper_clip rubber_band jump_rope action_figure building_block golf_ball light_bulb"
)
ANIMALS = nouns(
    "dog cat bird fish/fish duck frog rabbit mouse/mice horse cow sheep/sheep goat pig hen chicken goose/geese bee ant"
    " butterfly/butterflies snail turtle monkey lion tiger bear elephant fox/foxes wolf/wolves deer/deer owl squirrel"
    " puppy/puppies kitten lamb crab whale penguin seal snake lizard spider parrot pigeon swan hamster beetle worm"
)
PEOPLE = nouns(
    "child/children kid boy girl man/men woman/women student pupil player dancer singer worker "
    "guest visitor fan person/people"
    " friend teacher doctor nurse swimmer runner passenger customer soldier tourist neighbor baby/babies teenager"
)
VEHICLES = nouns("car bus/buses truck train boat ship plane bicycle van taxi bike scooter tractor")
CONTAINERS = nouns(
    "bag box/boxes basket jar pack packet crate tray bowl shelf/shelves drawer case carton bucket plate bundle row"
    " pile stack set tin can sack pocket page album bin pot cup drawer cage table team group room table bench/benches"
)
COLORS = tuple(
    "red blue green yellow black white brown pink purple orange gray golden silver big small large little new old"
    " tall short round long sweet fresh wooden broken shiny plain empty ripe clean dirty".split()
)
PLACES = tuple(
    "in the box;in a jar;in the basket;on the table;on the shelf;in the room;at home;in the kitchen;in the garden;"
    "in the drawer;in a bag;at the shop;on the desk;in the store;on the floor;in the bowl;at school;in the pile;"
    "in the yard;in the office;on the plate;in the tray".split(";")
)
HABITATS = tuple(
    "on the farm;in the pond;on a branch;in a tree;in the park;at the zoo;in the field;on the roof;in the lake;"
    "on the fence;in a cage;by the river;in the barn;in the forest;on the lawn;in the tank".split(";")
)
VENUES = tuple(
    "on the bus;in the room;at the party;in the park;in class;at the beach;in the pool;on the train;in line;"
    "at the table;in the hall;on the team;in the club;on the playground;in the theater;at the museum".split(";")
)
DAYS = tuple("Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split())

_SHE = words.SHE + tuple(
    "Ann Anna Alice Amanda Amber Angela Ava Beth Carla Carol Chloe Claire "
    "Daisy Debbie Donna Dora Eliza Ellen Elsa Emily"
    " Erin Eve Faith Fiona Gina Gloria Hannah Hazel Heidi Helen Holly Isabel "
    "Ivy Jasmine Jenny Jill Joan Jo Judy June Karen"
    " Katie Kelly Kim Laura Leila Linda Lisa Lola Lori Lucia Maggie Mandy Megan Mila Molly Monica Nadia Nancy Naomi"
    " Nicole Noor Pam Paula Penny Rachel Rita Robin Rosie Sally Sandra Sarah Sasha Selma Sophie Stella Sue Susan Tanya"
    " Tess Tina Uma Violet Wanda Wendy Yara Zara".split()
)
_HE = words.HE + tuple(
    "Aaron Alex Ali Andy Arthur Bill Bob Brad Brian Bruno Chris Cody Colin Dave "
    "Derek Diego Dylan Eddie Emil Eric Ethan Evan"
    " Frank Fred Gary George Greg Hans Harry Henry Ian Isaac Jake Jason Jay Jeff Jerry Jim Joe Joel John Jon Jose Josh"
    " Keith Ken Kevin Kyle Larry Lee Logan Louis Luke Martin Matt Mike Mohamed Nate Ned Neil Nick Oliver Omid Owen Pat"
    " Pedro Phil Ray Rick Rob Roger Ron Ross Roy Ryan Scott Sean Simon Steve Ted Terry Theo Todd Tony Troy Tyler Vic"
    " Vincent Walter Wes Zack".split()
)
_SURNAMES = tuple(
    "Brown Smith Jones Lee Green White King Young Hill Baker Wood Clark Gray Rossi Kim Singh Lopez".split()
)
_ROLES_SHE = tuple("mom mother sister aunt grandma cousin daughter niece friend neighbor teacher".split())
_ROLES_HE = tuple("dad father brother uncle grandpa cousin son nephew friend neighbor boss".split())
_TRADES = tuple(
    "farmer baker teacher cook shopkeeper librarian gardener coach driver painter builder tailor florist waiter clerk"
    " worker artist mechanic fisherman butcher girl boy man woman king queen child student scout".split()
)

NAMES = tuple(Person(n, "she", "her", "her") for n in _SHE) + tuple(Person(n, "he", "him", "his") for n in _HE)
TITLED = tuple(
    Person(f"{title} {name}", *forms)
    for name in _SURNAMES
    for title, forms in (
        ("Mr.", ("he", "him", "his")),
        ("Mrs.", ("she", "her", "her")),
        ("Ms.", ("she", "her", "her")),
    )
)
ROLES = (
    tuple(Person(f"{p} {r}", "she", "her", "her") for r in _ROLES_SHE for p in ("My", "His", "The"))
    + tuple(Person(f"{p} {r}", "he", "him", "his") for r in _ROLES_HE for p in ("My", "Her", "The"))
    + tuple(
        Person(f"{p} {t}", *forms)
        for t in _TRADES
        for p, forms in (
            ("The", ("he", "him", "his")),
            ("A", ("she", "her", "her")),
            ("The", ("she", "her", "her")),
            ("A", ("he", "him", "his")),
        )
    )
)
OWN = (
    Person("I", "I", "me", "my", False),
    Person("I", "I", "me", "my", False),
    Person("You", "you", "you", "your", False),
    Person("We", "we", "us", "our", False),
    Person("They", "they", "them", "their", False),
)

SYLLABLES = tuple(
    "ba be bo da de do fa fi go gu ha hi jo ka ke ki ko la le li lo ma me "
    "mi mo na ne no pa pe po ra re ri ro sa se so ta"
    " te ti to va vi wa we zo zu bli dra fle gri plo sno tri".split()
)
NUMBERS = tuple(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen twenty".split()
)
TENS = tuple("_ _ twenty thirty forty fifty sixty seventy eighty ninety".split())


def spell(value: int, joint: str = "-") -> str:
    """A number to 999 in words.

    Example:
        >>> spell(0), spell(47), spell(312), spell(600)
        ('zero', 'forty-seven', 'three hundred twelve', 'six hundred')
    """
    if value >= 100:
        rest = value % 100
        return f"{NUMBERS[value // 100]} hundred" + (f" {spell(rest, joint)}" if rest else "")
    if value <= 20:
        return NUMBERS[value]
    return TENS[value // 10] + (f"{joint}{NUMBERS[value % 10]}" if value % 10 else "")
