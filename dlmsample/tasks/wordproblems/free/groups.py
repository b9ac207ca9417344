"""Equal groups: so many of so many, shares with and without a rest, rows, legs, wheels, teams, trips and recipes."""

from __future__ import annotations

from dlmsample.tasks.wordproblems.free.frames import Group, groups

GROUPS = groups("""
@ x=2..30 y=2..30 | In all/Total/So/Together: x * y | x * y
[There are|I see|{N} has~have|{N} bought] {x c} [with|of] {y} {o} each. How many {o} [are there|is that] [in \
all|altogether|]?
{x c}, {y} {o} in each. How many [{o} |]in all?
each {c} has {y o}. How many {o} are in {x c}?
[Each|Every|One] {c} holds {y o}. {N} has~have {x c}. How many {o} does~do {s} have?
How many {o} are in {x c} [of|with] {y}?
How many {o} do you need to fill {x} {cs} with {y} each?
{x} {friends} bring {y o} each. How many {o} are there?
{x} {friends} each have {y o}. How many do they have [together|altogether|in all]?
Every one of {x} {friends} gets {y o}. How many {o} [are needed|is that]?
[Each|Every] [child|guest|kid|person] gets {y o}. There are {x} of them. How many {o} do we need?
{N} wants~want to give {x} {friends} {y} {o} each. How many {o} does~do {s} need?
{N} puts~put {y} {o} in each of {x} {cs}. How many {o} [does~do {s} use|is that]?
{N} [makes~make|uses~use|needs~need] {y o} [a|per|every|each] {time}. How many [{o} |]in {x} {time}s?
{N} sells~sell {y} {o} [a|each|every] {time}. How many {o} does~do {s} sell in {x} {time}s?
for {x} {time}s, {N} bought {y o} [a|every] {time}. How many is that?
There are {x} rows of {y} {o}. How many {o} are there?
{N} plants~plant {x} rows with {y} trees each. How many trees in all?
The [hall|theater|bus|classroom] has {x} rows with {y} seats in each. How many seats [are there|does it have]?
{x} rows and {y} columns of {o}. How many {o}?
chairs stand in {x} rows of {y}. How many chairs [are there|is that]?
A [book|album|notebook] has {x} pages with {y} [pictures|photos|stickers|lines] on each. How many is that?
{x} tables, {y} [chairs|people|kids] at each table. How many [altogether|in all|are there]?
{x} teams of {y} play. How many players [are there|is that|play]?
The building has {x} floors with {y} [rooms|windows|flats] on each. How many are there in the building?
{N} has~have {y o} on each of {x} shelves. How many {o} are on the shelves?
{x} people can ride in one [boat|car|van]. How many can ride in {y} of them?
One [box|crate|bag] weighs {x} [kg|pounds]. How much do {y} weigh?
{N} has~have {x c}. In every {c} there are {y o}. [How many {o} altogether?|How many {o} is that?]
{y o} times {x}. How many {o}?
@ k=2..12 q=2..30 x=k*q | Each/One share/So: x / k | q
{x o} for {k} {friends}. How many [does each get|for each|each]?
{k} {friends} share {x o} [equally|fairly|evenly|]. How many does each [one |]get?
{N} has~have {x o} and {k} {friends}. Every friend gets the same number. How many does each get?
Share {x o} among {k} {friends}. How many each?
divide {x o} equally among {k} {friends}. [How many does each one get?|how many each]
{N} gives~give {x} {o} to {k} {friends}, the same number to each. How many does each get?
{N} puts~put {x} {o} equally into {k} {cs}. How many [go|are] in each {c}?
{x o} in {k} {cs}, all [the same|equal]. How many in [each|one]?
{k} {cs} hold {x o} [in all|together|altogether]. How many does one {c} hold?
If {k} {friends} share {x} {o}, what does each get?
How many {o} does each of {k} {friends} get from {x} {o}?
{x} [students|children|players|people] [make|form|split into|are put in] {k} [equal |]teams. How many are [in each \
team|on a team]?
{x} chairs in {k} [equal |]rows. How many chairs [are in a row|per row]?
{N} read {x} pages in {k} days, the same number each day. How many pages a day?
{N} made {x o} in {k} hours. How many {o} [per|each|in one|an] hour?
A pack of {x} is shared by {k}. How many [for everyone|does everyone get]?
{N} cuts~cut {x} {len} of {thing} into {k} equal pieces. How long is each [piece|one]?
{x} {vol} of {drink} fill {k} equal bottles. How many {vol} are in one bottle?
{N} has~have {x o} to put on {k} shelves evenly. How many go on each shelf?
{k} [buses|cars|vans] carry {x} people, the same number in each. How many people are in one?
{x} people sit at {k} tables, equally many at each. How many are at one table?
One of {k} equal parts of {x} {o} is for {Nh}. How many does~do {s} get?
@ k=2..12 q=2..30 x=k*q | The number/So/Groups: x / k | q
{N} has~have {x o} and puts~put {k} in each {c}. How many {cs} [does~do {s} need|are there|does~do {s} fill]?
{x o}, {k} [in each|per|to a|in a] {c}. How many {cs}?
How many {cs} of {k} can you [make|fill] with {x} {o}?
Every {c} holds {k o}. How many {cs} for {x} {o}?
{x} {o} are packed in {cs} of {k}. How many {cs} [are there|is that]?
{N} gives~give {k} {o} to each friend and uses~use up {x}. How many friends get some?
{x} [students|children|people] form teams of {k}. How many teams [are there|do they make]?
{x} people, {k} in a car. How many cars?
{N} has~have {x o} and eats~eat {k} a day. How many days [will they last|do they last]?
{N} saves~save {k} {o} a day. After how many days does~do {s} have {x}?
{N} reads~read {k} pages a day. How many days for a book of {x} pages?
A {thing} of {x} {len} is cut into pieces of {k} {len}. How many pieces [are there|do you get]?
One bottle holds {k} {vol}. How many bottles for {x} {vol} of {drink}?
{x} seats in rows of {k}. How many rows?
{k} {o} make one set. How many sets are {x} {o}?
How many times can {N} take {k} {o} from {x} {o}?
How many groups of {k} are there in {x} {o}?
It takes {k} {o} to make a [toy|cake|necklace|chain]. How many can {N} make with {x} {o}?
@ k=3..9 q=2..12 r=1..k-1 x=k*q+r | In groups/Shared/That uses: a = q * k; Left/The rest/Left over: x - a | r
{x} {o} are shared equally by {k} {friends}. How many are left over?
{N} shares~share {x} {o} [equally |]among {k} {friends}. [How many remain?|What is left over?|How many {o} are left?]
{N} packs~pack {x} {o} into {cs} of {k}. How many {o} are left [over|without a {c}]?
{x o}, {cs} of {k}. How many are left over?
{k} {friends} divide {x} {o} evenly. How many do not get shared?
What is the remainder of {x} divided by {k}?
{x} students make teams of {k}. How many are without a team?
@ k=3..9 q=2..12 r=1..k-1 m=k*q x=m+r | In full ones/Without the rest/So much: a = x - r; The number/Full/So: a / k \
| q
{N} packs~pack {x} {o} into {cs} of {k}. How many full {cs} are there?
How many full {cs} of {k} can {N} make from {x} {o}?
{x} {o} are shared equally by {k} {friends}, {r} are left over. How many does each get?
{N} has~have {x} {o} and makes~make as many groups of {k} as {s} can. How many groups?
{x} students make teams of {k}. How many whole teams are there?
{N} shares~share {x} {o} [equally |]among {k} {friends}. {r} stay in the {c}. How many did each one get?
@ k=3..9 q=2..10 r=1..k-1 m=k-r x=k*q-r | Rounded up/With free places/Up to: a = x + r; The number/So/Needed: a / k \
| q
{x} people want to cross the river. The boat holds {k}. How many trips are needed?
A van seats {k}. How many vans are needed for {x} people?
{N} must carry {x} {cs}, {k} at a time. How many trips does~do {s} need?
One {c} holds {k o}. How many {cs} are needed for all of {x} {o}?
{x} guests come. {k} fit at one table. How many tables do we need?
An elevator takes {k} people. How many rides for {x} people?
@ x=2..12 y=2..12 z=2..x*y-1 | In all/Together/First: p = x * y; Left/Now/So: p - z | x * y - z | thing food | story
{N} has~have {x c} of {y} {o} and gives~give away {z}. <left>
{N} bought {x} {cs} with {y} {o} each. {z} {o} were broken. How many are good?
There are {x} {cs} with {y} {o} in each. {N} took {z} {o} out. <rest>
{x} {friends} brought {y o} each. {z} were eaten. How many are left?
{x} rows of {y} seats. {z} are taken. How many are free?
A hall has {x} rows with {y} chairs. {z} people come in and sit down. How many chairs are [free|empty]?
{N} planted {x} rows of {y} [trees|flowers|seeds]. {z} did not grow. How many grew?
{N} {make.past} {y} {o} a day for {x} days and {lose.past} {z}. <left>
{x} {cs} of {y} {o}, minus {z}. How many {o} are left?
{N} filled {x} {cs} with {y} {o} each, but {z} fell out. How many {o} are in the {cs} now?
{x} teams of {y} came and {z} players went home. How many players stayed?
{N} wants~want {x} {cs} of {y} {o} but {z} are [missing|still missing]. How many {o} are there?
@ a=2..12 b=2..12 g=2..12 e=2..12 | The first/First: p = a * b; The second/Then: q = g * e; In all/Together/Total: \
p + q | a * b + g * e
{N} has~have {a} {cs} of {b} {o} and {g} {cs2} of {e} {o}. How many {o} does~do {s} have [in all|altogether|]?
{a} {cs} with {b} {o} each and {g} {cs2} with {e} {o} each. How many {o} [in all|are there]?
There are {a} rows of {b} seats and {g} rows of {e} seats. How many seats are there?
{N} worked {a} days for {b} hours and {g} days for {e} hours. How many hours is that?
{N} bought {a} packs of {b} {o} and {g} packs of {e} {o}. How many {o} did {s} buy?
{a} [kids|friends] have {b} {o} each, {g} others have {e} each. How many {o} is that in all?
@ k=2..9 q=2..12 t=k*q x=2..6 y=t/x | In all/First/Together: a = x * y; Each/One share/So: a / k | x * y / k
{N} has~have {x} {cs} of {y} {o} and shares~share them among {k} {friends}. How many does each get?
{x} {cs} with {y} {o} each are shared equally by {k} {friends}. How many for each?
{N} buys~buy {x} packs of {y} {o} and puts~put them equally into {k} {cs}. How many are in one {c}?
There are {x} rows of {y} chairs. {N} puts~put them in {k} equal rows. How many chairs are in each row now?
@ k=2..9 q=2..20 m=k*q z=2..30 x=m+z | Left/First/Without these: a = x - z; Each/One share/So: a / k | q | thing \
food | story
{N} has~have {x o}. {s} keeps~keep {z} and shares~share the rest among {k} {friends}. How many does each get?
{N} had {x o}, ate {z} and split the rest equally between {k} {friends}. How many for each?
{x} {o}, {z} are broken. The others go equally into {k} {cs}. How many in each {c}?
{N} takes~take {z} of {x} {o} and {k} {friends} share the rest. How many does each [friend |]get?
Of {x} children, {z} are sick. The others make {k} equal teams. How many are in each team?
@ k=2..9 q=2..20 x=k*q y=2..30 | Each/One share/First: a = x / k; Now/In all/So: a + y | q + y
{k} {friends} share {x} {o} equally. One of them already had {y}. How many does that one have now?
{F}, {N} and others, {k} people in all, share {x} {o}. {N} had {y} before. How many does~do {s} have now?
{N} gets~get one of {k} equal parts of {x} {o}. {s} already had {y o}. <now>
@ b=2..6 k=2..6 y=2..12 x=b*k | Times/Batches/First: a = x / b; So/Needed/In all: a * y | k * y | food house
A recipe for {b} people needs {y} {o}. How many {o} are needed for {x} people?
{y} {o} are enough for {b} {friends}. How many {o} for {x} {friends}?
{b} [cakes|pies|pizzas] need {y} {o}. How many {o} do {x} need?
{N} makes~make {y} {o} in {b} hours. How many in {x} hours?
{b} {cs} hold {y} {o}. How many {o} do {x} {cs} hold?
For {b} days {N} needs~need {y} {o}. How many does~do {s} need for {x} days?
@ x=2..20 | So/In all/Total: x * 12 | x * 12 | food
How many {o} are [there in|in] {x} dozen?
{N} bought {x} dozen {o}. How many {o} is that?
{x} dozen {o}. How many?
@ x=2..40 | So/In all/Total: x * 2 | x * 2
How many [socks|shoes|gloves|boots|mittens] are in {x} pairs?
{N} has~have {x} pairs of [socks|shoes|gloves|mittens]. How many [single ones |]is that?
{x} pairs of {o}. How many {o}?
@ x=2..8 y=2..x*12-1 | In all/First: a = x * 12; Left/So: a - y | x * 12 - y | food
{N} bought {x} dozen {o} and used {y}. <left>
There are {x} dozen {o}. {y} are bad. How many are good?
""")

_KNOWN = """
@ x=2..30 | So/In all/Total: x * SIZE | x * SIZE
How many SMALL do {x} MANY have [altogether|in all|together|]?
{x} MANY. How many SMALL?
[There are|{N} sees~see|{N} has~have|I counted] {x} MANY. How many SMALL is that?
@ x=2..30 t=x*SIZE | So/The number: t / SIZE | x
I count {t} SMALL. How many MANY are there?
Some MANY have {t} SMALL in all. How many MANY are there?
@ x=2..20 y=2..20 | Both/First: a = x + y; In all/So: a * SIZE | (x + y) * SIZE
There are {x} MANY here and {y} there. How many SMALL do they have in all?
{N} saw {x} MANY yesterday and {y} today. How many SMALL is that?
"""
_MIXED = """
@ x=2..20 y=2..20 | First/These: a = x * SIZE; Others/And: b = y * 2; In all/Total: a + b | x * SIZE + y * 2
How many SMALL do {x} MANY and {y} OTHER have [together|in all]?
{x} MANY and {y} OTHER. How many SMALL?
There are {x} MANY and {y} OTHER. How many SMALL [are there|is that]?
"""
_PARTS = """
legs dogs 4;legs cows 4;legs spiders 8;legs ants 6;legs chairs 4;legs chickens 2;legs cats 4;legs tables 4
legs horses 4;legs sheep 4;legs bees 6;legs people 2;wheels cars 4;wheels bikes 2;wheels tricycles 3;fingers hands 5
corners triangles 3;sides squares 4;ears rabbits 2;wings birds 2;arms octopuses 8;eyes cats 2
""".split("\n")
_WITH_TWO = {"legs": "[birds|hens|people|ducks|chickens]", "wheels": "[bikes|bicycles|motorcycles]"}


def _known() -> tuple[Group, ...]:
    """What everybody knows: how many parts a thing has."""
    found: list[Group] = []
    for part in ";".join(_PARTS).strip(";").split(";"):
        small, many, size = part.split()
        text = _KNOWN + (_MIXED if small in _WITH_TWO and size != "2" else "")
        text = text.replace("SMALL", small).replace("MANY", many).replace("SIZE", size)
        found += groups(text.replace("OTHER", _WITH_TWO.get(small, "")))
    return tuple(found)


KNOWN = _known()
