"""The words of the stories: who, what, where, when, in what. Short, common and regular on purpose."""

from __future__ import annotations


def _split(text: str) -> tuple[str, ...]:
    return tuple(text.split())


SHE = _split(
    "Ada Amy Ana Bella Cara Clara Dana Diya Ella Emma Eva Fatima Grace Hana Ida Ines Iris Jane Julia Kate"
    " Lara Lena Lily Lucy Maria Mary Maya Mei Mia Nina Nora Olga Priya Rosa Ruth Sara Sofia Tara Tina Vera"
    " Yuki Zoe"
)
HE = _split(
    "Adam Ahmed Alan Arjun Ben Carl Chen Dan David Eli Erik Felix Finn Hugo Ivan Jack Jamal James Juan Karim"
    " Kofi Lars Leo Liam Luca Marco Mark Max Milan Noah Omar Oscar Paul Peter Ravi Sam Tim Tom"
    " Victor Will Yusuf"
)
PEOPLE = tuple((name, "she", "her", "her") for name in SHE) + tuple((name, "he", "him", "his") for name in HE)
"""(name, subject, object and possessive pronoun)."""

_REGULAR = _split(
    "apple badge balloon bead bell block book bottle bow bowl bracelet brick button candle cap card carrot"
    " coin cookie crayon cup doll egg feather flag flower fork gem hat jar key kite lamp lemon magnet map"
    " marble mask melon mug muffin nail napkin nut onion orange pear pebble pen pencil photo pie pin"
    " plate plum postcard poster puzzle ribbon ring rose ruler seed shell shirt sock spoon stamp sticker"
    " stone ticket tile towel toy tulip wheel"
)
_IRREGULAR = (("peach", "peaches"), ("brush", "brushes"), ("potato", "potatoes"), ("berry", "berries"))
OBJECTS = tuple((one, one + "s") for one in _REGULAR) + _IRREGULAR
"""(singular, plural)."""

CONTAINERS = _split("bags baskets bins boxes bundles cases crates packs piles rows sacks sets tins trays")
PLACES = _split(
    "beach club fair farm garden gym harbor library market mill museum office park school shop station store"
)
PLACES_INSIDE = _split("attic barn car cellar closet drawer garage hall kitchen shed")
RELATIVES = _split("aunt brother cousin father friend mother neighbor sister teacher uncle")
OPENERS = (
    "Then", "Later,", "Next,", "Soon", "After that,", "After lunch,", "After dinner,", "The next day,",
    "A day later,", "A week later,", "That evening,", "That afternoon,", "The next morning,",
    "Some time later,",
)  # fmt: skip

COMMON = _split(
    "the a of and to in is it you that he was for on are with as his they at be this have from or one had by word"
    " but not what all were we when your can said there use an each which she do how their if will up other about"
    " out many then them these so some her would make like him into time has look two more write go see number no"
    " way could people my than first water been call who oil its now find long down day did get come made may part"
    " city country capital king river song poem story code program python function language model world history"
    " weather today tomorrow red blue green cat dog tree house car love music film email letter friend doctor"
)
"""Words of text that is no problem."""
