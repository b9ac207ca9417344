"""The words that fill the slots of frames: people, things by kind, verbs by meaning, lists, ways to write numbers."""

from __future__ import annotations

from collections.abc import Callable

from dlmsample.tasks.wordproblems.short import lexicon as short
from dlmsample.tasks.wordproblems.short import words
from dlmsample.tasks.wordproblems.short.draw import Draw, Verb, verbs
from dlmsample.tasks.wordproblems.short.words import Noun, Person, nouns, spell

_TOYS = nouns(
    "marble card sticker stamp coin toy ball balloon bead shell stone rock button badge toy_car comic doll puzzle"
    " pebble"
    " trading_card football_card game_card seashell postcard keychain magnet figurine pin domino/dominoes jigsaw"
    " crystal"
    " model_plane lego_brick rubber_duck hair_clip friendship_bracelet bookmark plushie yo-yo"
)
_STATIONERY = nouns(
    "pen pencil crayon marker notebook eraser ruler folder book paper_clip envelope poster paintbrush/paintbrushes"
    " sketch/sketches drawing highlighter glue_stick sheet_of_paper/sheets_of_paper"
)
_HOUSE = nouns(
    "cup plate spoon fork glass/glasses bottle candle towel pillow blanket key light_bulb battery/batteries nail screw"
    " brick tile plank napkin straw bowl mug chair clothes_peg sponge hanger vase cushion lamp tea_light"
)
_CLOTHES = nouns("sock shirt hat scarf/scarves cap dress/dresses ribbon belt sweater T-shirt jacket apron tie")
_SNACKS = nouns(
    "apple orange banana pear plum peach/peaches mango/mangoes lemon strawberry/strawberries cherry/cherries grape"
    " cookie candy/candies cupcake muffin donut brownie chocolate lollipop sandwich/sandwiches egg carrot"
    " potato/potatoes"
    " tomato/tomatoes pancake waffle sweet biscuit pie nut pretzel cracker bun bagel taco dumpling meatball"
    " pastry/pastries"
    " slice_of_pizza/slices_of_pizza chicken_nugget gummy_worm jelly_bean chocolate_bar granola_bar popsicle mint tart"
    " olive pickle rice_cake spring_roll macaron scone cinnamon_roll samosa tangerine apricot raspberry/raspberries"
)
_WILD = nouns(
    "bird duck frog butterfly/butterflies bee squirrel pigeon swan penguin turtle monkey rabbit crow sparrow seagull"
    " dragonfly/dragonflies owl bat flamingo parrot ladybug dolphin seal"
)
NOUNS: dict[str, tuple[Noun, ...]] = {
    "food": _SNACKS + words.FOOD,
    "thing": _TOYS + _STATIONERY + _HOUSE + words.THINGS,
    "toy": _TOYS + _STATIONERY + _CLOTHES,
    "house": _HOUSE + _STATIONERY,
    "animal": _WILD,
    "farm": nouns("cow sheep/sheep goat pig hen chicken horse duck goose/geese donkey turkey llama pony/ponies lamb"),
    "pet": nouns("dog cat fish/fish rabbit hamster parrot turtle guinea_pig mouse/mice snail kitten puppy/puppies"),
    "person": nouns(
        "child/children kid boy girl man/men woman/women student player dancer singer worker guest visitor fan"
        " person/people tourist camper hiker swimmer runner scout pupil adult teenager"
    ),
    "vehicle": nouns("car bus/buses truck bike van taxi motorcycle scooter tractor"),
    "plant": nouns("tree flower rose tulip bush/bushes plant seed sunflower tomato_plant pine apple_tree"
    " daisy/daisies"),
    "goods": _SNACKS[:24] + _TOYS[:20] + _STATIONERY[:12] + _HOUSE[:14] + _CLOTHES,
    "pot": nouns(
        "box/boxes bag basket jar pack packet crate tray bowl shelf/shelves drawer carton bucket plate pile stack tin"
        " sack case chest bin can container bundle tub"
    ),
}  # fmt: skip
_LOOKS = "big small little new old nice red blue green yellow white black brown pink purple orange".split()
_MINE = tuple(
    Person(f"My {role.replace('_', ' ')}", *forms)
    for roles, forms in (
        ("mom mother sister aunt grandma niece daughter wife big_sister", ("she", "her", "her")),
        ("dad father brother uncle grandpa nephew son husband little_brother", ("he", "him", "his")),
        ("friend cousin neighbor teacher classmate best_friend", ("she", "her", "her")),
        ("friend cousin neighbor boss roommate coach", ("he", "him", "his")),
    )
    for role in roles.split()
)
_SOMEBODY = tuple(
    Person(f"A {role}", *forms)
    for role in (
        "boy girl man woman farmer baker teacher cook gardener painter student child shopkeeper coach fisherman nurse"
        " librarian kid postman scientist clown carpenter juggler pirate wizard knight"
    ).split()
    for forms in (
        *([("he", "him", "his")] if role not in ("girl", "woman") else []),
        *([("she", "her", "her")] if role not in ("boy", "man", "fisherman", "postman") else []),
    )
)  # fmt: skip


def hero(d: Draw, *others: Person) -> Person:
    """Whom a question is about: often a name, also I, my sister, a farmer, we."""
    while True:
        kind = d.random()
        found = d.pick(
            words.NAMES if kind < 0.6 else words.OWN[:2] if kind < 0.76 else _MINE if kind < 0.84
            else _SOMEBODY if kind < 0.91 else words.TITLED if kind < 0.94 else words.OWN[2:]
        )  # fmt: skip
        if all(found.name != other.name for other in others):
            return found


def friend(d: Draw, *others: Person) -> Person:
    """Somebody else in the third person, mostly one whom no pronoun confuses with the others."""
    while True:
        found = d.pick(words.NAMES if d.chance(0.75) else _MINE)
        clear = all(found.subject != other.subject for other in others[:1]) or d.chance(0.1)
        if clear and all(found.name != other.name for other in others):
            return found


def noun(d: Draw, kind: str) -> Noun:
    """A thing of a kind, now and then with an adjective or of an invented name."""
    if kind not in ("person", "pot", "vehicle") and d.chance(0.03):
        one = d.invented() + d.say("n/t/k/m/p/l")
        return Noun(one, f"{one}s")
    found = d.pick(NOUNS[kind])
    if kind in ("thing", "toy", "animal", "farm", "goods", "house") and d.chance(0.1):
        look = d.pick(_LOOKS)
        return Noun(f"{look} {found.one}", f"{look} {found.many}")
    return found


def numerals(d: Draw) -> Callable[[int], str]:
    """How this question writes its numbers: digits, small ones in words, all in words, or each as it comes."""
    kind, joint = d.random(), d.say("-/-/ ")
    if kind < 0.7:
        return str
    if kind < 0.82:
        return lambda value: spell(value) if value <= 12 else str(value)
    if kind < 0.93:
        return lambda value: spell(value, joint) if value <= 100 or d.chance(0.5) else str(value)
    return lambda value: spell(value, joint) if value <= 20 and d.chance(0.5) else str(value)


def money(d: Draw) -> Callable[[int], str]:
    """How this question writes amounts of money."""
    kind, number = d.random(), numerals(d)
    if kind < 0.5:
        return lambda value: f"${value}"
    one = "dollar" if kind < 0.82 else d.say("euro/euro/cent/cent/buck/coin/pound/peso")
    return lambda value: f"{number(value)} {one if value == 1 else one + 's'}"


VERBS: dict[str, tuple[Verb, ...]] = {
    "gain": short.GAIN[:17],
    "find": verbs(
        "find finds found;buy buys bought;get gets got;win wins won;receive receives received;pick_up picks_up"
        " picked_up"
        ";collect collects collected;borrow borrows borrowed;order orders ordered"
    ),
    "lose": verbs(
        "lose loses lost;sell sells sold;give_away gives_away gave_away;use uses used;throw_away throws_away threw_away"
        ";break breaks broke;donate donates donated;hand_out hands_out handed_out;drop drops dropped;use_up uses_up"
        " used_up"
        ";trade_away trades_away traded_away;get_rid_of gets_rid_of got_rid_of;misplace misplaces misplaced"
    ),
    "eat": verbs(
        "eat eats ate;eat eats ate;eat eats ate;finish finishes finished;share shares shared;give_away gives_away"
        " gave_away"
        ";sell sells sold;cook cooks cooked;drop drops dropped;throw_out throws_out threw_out;serve serves served"
    ),
    "give": verbs(
        "give gives gave;give gives gave;give gives gave;hand hands handed;send sends sent;pass passes passed"
        ";lend lends lent;sell sells sold;bring brings brought"
    ),
    "take": verbs("take takes took;borrow borrows borrowed;grab grabs grabbed;steal steals stole;win wins won"),
    "make": verbs(
        "make makes made;build builds built;paint paints painted;draw draws drew;sell sells sold;pack packs packed"
        ";finish finishes finished;fix fixes fixed;wash washes washed;count counts counted;wrap wraps wrapped"
    ),
    "own": verbs(
        "have has had;have has had;have has had;own owns owned;collect collects collected;keep keeps kept;hold"
        " holds held"
        ";buy buys bought;bring brings brought;carry carries carried;get gets got"
    ),
    "come": verbs(
        "come come came;arrive arrive arrived;join join joined;show_up show_up showed_up;come_in come_in came_in"
    ),
    "go": verbs("leave leave left;go_away go_away went_away;go_home go_home went_home;walk_out walk_out walked_out"),
    "fly": verbs(
        "fly_away fly_away flew_away;leave leave left;run_off run_off ran_off;disappear disappear disappeared"
        ";move_away move_away moved_away"
    ),
    "move": verbs(
        "run runs ran;walk walks walked;bike bikes biked;drive drives drove;hike hikes hiked;cycle cycles cycled"
        ";jog jogs jogged;travel travels traveled"
    ),
    "spend": verbs("spend spends spent;pay pays paid;spend spends spent;use uses used"),
    "earn": verbs("earn earns earned;save saves saved;make makes made;get gets got;collect collects collected"),
}  # fmt: skip

WORDS: dict[str, tuple[str, ...]] = {
    "color": tuple("red blue green yellow black white brown pink purple orange gray silver".split()),
    "day": words.DAYS,
    "spot": tuple(
        "on the table;in the box;in the basket;on the shelf;in the kitchen;in a drawer;in a jar;in the bag;at home"
        ";in the bowl;on the desk;in the fridge;in the cupboard;on the counter".split(";")
    ),
    "wild": tuple(
        "in a tree;on the roof;in the pond;in the park;on the fence;by the lake;on a branch;in the garden;in the field"
        ";at the zoo;near the river;on the grass;on a wire".split(";")
    ),
    "venue": tuple(
        "at the party;on the bus;in the room;in the park;at the beach;in the pool;in line;on the train;in the cafe"
        ";at the museum;in the gym;on the playground;at the concert;in the classroom;in the elevator;at camp".split(";")
    ),
    "shop": tuple("shop store market bakery stall supermarket kiosk".split()),
    "kin": tuple("mom dad aunt uncle grandma grandpa teacher friend neighbor cousin coach".split()),
    "friends": tuple(
        "friends children kids people students cousins classmates neighbors girls boys teammates brothers"
        " sisters".split()
    ),
    "time": tuple("day week hour month".split()),
    "later": tuple(
        "later;then;after that;the next day;in the afternoon;after lunch;that evening;a bit later;soon after".split(";")
    ),
    "thing": tuple("rope ribbon string wire stick board plank pipe hose scarf tape cable chain".split()),
    "mover": tuple("a train;a car;a bus;a ship;a cyclist;a truck;a runner;a boat;a robot;a drone".split(";")),
    "dist": tuple("miles km kilometers meters".split()),
    "drink": tuple("water juice milk lemonade oil soup paint".split()),
    "vol": tuple("liters cups gallons".split()),
    "mass": tuple("kg pounds grams kilograms".split()),
    "len": tuple("cm meters feet inches".split()),
}


MACROS = {
    "left": "[How many {o} {did} [{N}|{s}] have [left|left over]?|How many {o} does~do {s} have now?|How many {o}"
    " does~do {s} still have?"
    "|How many [{o} |]are left?|How many [{o} |]remain?|How many {o} has~have {s} [left|got left]?|What is left?"
    "|How many are left over?|How many are still there?|So how many {o} are left now?|Tell me how many {o} are left."
    "|Find the number of {o} left.|How many left?|How many {o} left?|How many does~do {s} have left?"
    "|How many {o} does that leave [{h}|]?|Now how many {o} are there?|Can you tell me how many {o} are left?]",
    "now": "[How many {o} {did} [{N}|{s}] have [in all|altogether|in total|then|in the end|]?|How many {o} does~do"
    " {N} have now?"
    "|How many [{o} |]are there [now|in all|altogether]?|How many {o} is that [now|in total|altogether|]?"
    "|How many [now|in all|in total|altogether]?|How many {o} does that make?|How many {o} has~have {s} [got |]now?"
    "|What's the total?|Total?|Can you tell me how many {o} {s} has~have now?|So {s} has~have how many {o} now?"
    "|How many does~do {s} have [now|altogether]?|Find how many {o} {s} has~have now.|What is the total number of"
    " {o}?]",
    "end": "[How many {o} {did} [{N}|{s}] have [in the end|at the end|then|after that|]?|How many {o} does~do [{N}"
    "|{s}] have now?|How many are there now?"
    "|How many {o} are there now?|How many does~do {s} have now?|How many {o} now?|How many now?"
    "|How many {o} {did} {s} end up with?|What number of {o} does~do {s} have now?|Tell me how many {o} {s}"
    " has~have now."
    "|How many {o} has~have {s} got [now|in the end]?|So, how many {o} does~do {s} have?]",
    "first": "[How many {o} {did} [{N}|{s}] have [at first|to begin with|before|at the start|in the beginning"
    "|originally]?"
    "|How many {o} were there [at first|before|to start with|at the beginning]?|How many did {s} have [before|at"
    " first]?"
    "|How many {o} did {s} start with?|What number of {o} did {s} start with?|How many {o} did {s} have before that?]",
    "all": "[How many {o} do {they} have [in all|together|altogether|in total|combined]?|How many {o} are there [in"
    " all|together|altogether]?"
    "|How many [in all|together|altogether|in total]?|How many {o} is that [altogether|in total|]?|What is the total?"
    "|Find the total number of {o}.|How many {o} have {they} [together|in all]?|How many {o} do both have?]",
    "pay": "[How much {did} [{N}|{s}] [pay|spend] [in all|altogether|in total|]?|What is the total [cost|price|]?"
    "|How much is that?"
    "|How much is it [all together|in all]?|How much in all?|How much does it cost [in total|]?|What did it all"
    " cost?|Total cost?]",
    "cash": "[How much money {did} [{N}|{s}] have left?|How much does~do {s} have left?|How much is left?|How much"
    " money is left?"
    "|What is left?|How much money does~do {s} still have?|How much left?|How much has~have {s} got left?|How much"
    " money remains?]",
    "rest": "[How many {o} are [left|left over|still there]?|How many are [left|left over|still there]?|What is left?"
    "|How many [{o} |]remain?|How many {o} are there now?|How many left?|So how many {o} are left?|how many {o} left?"
    "|Tell me how many {o} are left.|Now how many are there?|Can you tell me how many are left?|how many are left now]",
    "plus": "[+|+|plus]",
    "minus": "[-|-|minus]",
    "times": "[*|x|times|×]",
    "by": "[/|÷|divided by|/]",
}
"""Questions that many frames end with, and signs."""

ASK = (
    "[What is {e}?|What's {e}?|{e}|{e}?|{e} = ?|{e} =|how much is {e}?|Calculate {e}.|Can you tell me what {e} is?"
    "|Please compute {e}.|Tell me {e}|Solve {e}|Work out {e}.|I need to know {e}|what does {e} make?]"
)
"""Ways to ask for a value."""
