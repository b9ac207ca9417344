"""Time, distance, speed, calendars, heights, temperatures, weights, areas and averages."""

from __future__ import annotations

from dlmsample.tasks.wordproblems.free.frames import groups

GROUPS = groups("""
@ x=2..30 y=2..60 | So/In all/Total: y * x | x * y
{mover} [goes|travels|drives|moves] {y} {dist} [an|per|every|each] hour. How far [does it go |]in {x} hours?
{mover} goes {y} {dist} per hour for {x} hours. How far [is that|does it go]?
How far does {mover} go in {x} hours at {y} {dist} [an|per] hour?
{N} [reads~read|writes~write|types~type] {y} pages [a|each|every|per] day. How many pages [is that |]in {x} days?
{N} [runs~run|walks~walk|jogs~jog|bikes~bike] {y} {dist} [a|every|each] day. How [far|many {dist}] in {x} days?
{N} can {make.plain} {y} {o} an hour. How many in {x} hours?
A machine makes {y} {o} [a minute|per minute|every minute]. How many [does it make |]in {x} minutes?
{y} {dist} a day, {x} days. how far?
{N} swims~swim {y} laps in each of {x} lessons. How many laps is that?
Each lap is {y} meters. {N} runs~run {x} laps. How [far|many meters] is that?
{N} does~do {y} push-ups [every morning|every day|a day]. How many in {x} days?
A lesson takes {y} minutes. How long do {x} lessons take?
One [cake|page|shirt|lap] takes {Nh} {y} minutes. How [long|many minutes] for {x}?
{N} drinks~drink {y} glasses of water a day. How many in {x} days?
Water drips at {y} drops a minute. How many drops in {x} minutes?
A step is {y} cm. How far are {x} steps?
@ y=2..30 q=2..20 x=y*q | The time/So/The number: x / y | q
{mover} goes {y} {dist} per hour. How [long|many hours] for {x} {dist}?
How many hours does {mover} need for {x} {dist} at {y} {dist} an hour?
{N} reads~read {y} pages a day. In how many days will {s} finish {x} pages?
{N} [walks~walk|runs~run] {y} {dist} a day. How many days until {s} has~have done {x} {dist}?
a machine makes {y} {o} an hour. How many hours for {x} {o}?
{N} types~type {y} words a minute. How [long|many minutes] for {x} words?
a tank of {x} liters loses {y} liters a day. In how many days is it empty?
a film of {x} minutes, {N} watches~watch {y} minutes a day. How many days?
@ k=2..10 q=2..60 x=k*q | Each/In one/So: x / k | q
{mover} goes {x} {dist} in {k} hours. How far does it go in one hour?
{N} read {x} pages in {k} days. How many pages [a|per|each] day [on average|]?
{x} {dist} in {k} hours. how many {dist} [per|an] hour?
{N} ran {x} {dist} in {k} days, the same every day. How far each day?
What is the speed of {mover} that goes {x} {dist} in {k} hours?
a machine makes {x} {o} in {k} minutes. How many [a|per] minute?
@ x=2..200 y=2..120 | In all/Total/Now/So: x + y | x + y
{N} {move} {x} {dist} [and then|, then|and] {y} [more|{dist} more]. How far [{did} {s} {move.plain}|is that] [in \
all|altogether|]?
{N} {move} {x} {dist} on {day} and {y} on {day2}. How far is that [in all|together|]?
{N} {move} {x} {dist} in the morning and {y} {dist} in the [evening|afternoon]. How many {dist} [in all|is \
that|altogether]?
{N} read {x} pages [yesterday|on {day}] and {y} [pages |]today. How many pages [in all|is that|did {s} read]?
{N} worked {x} minutes and [then |]{y} more. How many minutes is that?
The film is {x} minutes long. The break is {y} minutes. How long [is it all|are both together]?
It takes {x} minutes to get to school and {y} to come back. How long is the [way there and back|whole trip]?
{N} slept {x} minutes, got up, and slept another {y} minutes. How long did {s} sleep?
The [temperature|water level] was {x} and [rose|went up|rose by|climbed] {y}. What is it now?
It was {x} degrees in the morning and got {y} degrees warmer. How warm is it [now|]?
A [plant|tree|flower] was {x} cm tall and grew {y} cm. How tall is it now?
{N} was~were {x} cm tall and grew {y} cm. How tall is~are {s} [now|]?
{N} weighed {x} {mass} and gained {y}. What does~do {s} weigh now?
A box weighs {x} {mass} and another {y} {mass}. How much [do they weigh together|is that together|do both weigh]?
{N} is~are on floor {x} and goes~go up {y} floors. [What floor is~are {s} on|On which floor is~are {s}] [now|]?
{N} is~are on page {x} and reads~read {y} more pages. [What page is~are {s} on|On which page is~are {s}]?
A tank holds {x} liters of water. {N} adds~add {y} [liters|more]. How much water is in it [now|]?
{N} scored {x} points [in the first game|first] and {y} [in the second|after that]. [How many points in all?|What \
is {p} score?]
Today is day {x} of the year. Which day [of the year |]is it in {y} days?
A {thing} is {x} {len} long. {N} ties~tie {y} {len} to it. How long is it [now|]?
One {thing} is {x} {len}, another is {y} {len}. How long are they together?
{N} had {x} points and won {y} more. How many points [has~have {s} now|now]?
The score was {x}. Then {N} made {y} points. [New score?|What is the score now?]
@ x=5..300 y=2..x-1 | Left/Now/So/The rest: x - y | x - y
{N} has~have to {move.plain} {x} {dist}. {s} has~have done {y}. How many {dist} [are left|to go|are still to go]?
A road is {x} {dist} long. {N} has~have {move.past} {y} {dist}. How many {dist} are left?
The [trip|flight|film|lesson|game] takes {x} minutes. {y} minutes have passed. How many minutes are left?
{N} read {y} of {x} pages. How many [pages |]are left [to read|]?
A book has {x} pages. {N} is~are on page {y}. How many pages [are left|come after that|are still to read]?
The temperature was {x} [degrees |]and [fell|dropped|went down|fell by] {y} degrees. What is it now?
It was {x} degrees at noon and {y} degrees colder at night. How [warm|many degrees] was it at night?
It is {x} degrees here and {y} degrees there. What is the difference?
A candle was {x} cm. It burned down {y} cm. How long is it [now|]?
A {thing} is {x} {len} long. {N} cuts~cut off {y} {len}. How [long is the rest|much is left|long is it now]?
{N} weighed {x} {mass} and lost {y}. What does~do {s} weigh now?
{N} is~are on floor {x} and goes~go down {y} floors. [What floor is~are {s} on|On which floor is~are {s}] [now|]?
A tank has {x} liters. {y} [leak out|are used|flow out]. How many liters are [left|in it now]?
{N} has~have {x} {vol} of {drink} and uses~use {y}. How much is left?
{N} has~have {x} points and loses~lose {y}. How many points [has~have {s} now|now|are left]?
A full {c} weighs {x} {mass}. Empty it weighs {y} {mass}. How much do the things in it weigh?
{N} is~are {x} cm tall. {F} is {y} cm tall. How much taller is~are {N}?
One tower is {x} meters high, the other {y}. How much higher is the first [one|]?
There are {x} days in the month. {y} have passed. How many [days |]are left?
{N} ran {x} meters and {F} ran {y}. How much farther did {N} run?
The bus comes in {x} minutes. {N} waited {y} minutes. How many more minutes?
The phone is at {x} percent and loses {y}. What is it at now?
{N} needs~need {x} minutes and {F} needs {y}. How many minutes faster is {F}?
@ x=1..9 n=2..12-x y=x+n | The difference/So/The time: y - x | n
{N} [works~work|sleeps~sleep|plays~play|reads~read|studies~study] from {x} to {y} o'clock. How many hours is that?
The party starts at {x} and ends at {y}. How [long|many hours] [is it|does it last]?
The shop is open from {x} to {y} o'clock. How many hours is it open?
It is {x} o'clock. {N} goes~go to bed at {y}. In how many hours is that?
The train leaves at {x} and arrives at {y}. How many hours does it [take|need]?
@ x=1..8 n=2..12-x | Then/So/The time: x + n | x + n
It is {x} o'clock. What time [is it|will it be] in {n} hours?
The film starts at {x} and lasts {n} hours. When does it end?
{N} began at {x} o'clock and worked for {n} hours. When did {s} stop?
what hour is {n} hours after {x} o'clock?
@ x=2..60 y=2..60 | Two sides/First/Half way: a = x + y; Around/So/In all: a * 2 | (x + y) * 2
A [rectangle|garden|field|yard] is {x} {len} long and {y} {len} wide. [What is the perimeter?|How long is the fence \
around it?]
The sides of a rectangle are {x} and {y}. What is its perimeter?
{N} walks~walk once around a field of {x} by {y} meters. How far is that?
perimeter of a {x} by {y} rectangle?
How much fence is needed around a garden that is {x} by {y} {len}?
@ x=2..200 | Around/So/In all: x * 4 | x * 4
A square has sides of {x} {len}. What is [the|its] perimeter?
{N} walks~walk around a square [park|field] with sides of {x} meters. How far is it?
What is the perimeter of a square with side {x}?
@ x=2..40 y=2..24 | The area/So: x * y | x * y
A [rectangle|room|garden|wall|carpet] is {x} [meters|feet] long and {y} wide. What is [the|its] area?
What is the area of a rectangle with sides {x} and {y}?
area of a {x} by {y} rectangle?
A floor is {x} tiles long and {y} tiles wide. How many tiles [are there|does it have|is that]?
A [chocolate bar|board|grid|sheet] has {x} rows and {y} columns. How many squares [are there|does it have]?
@ m=3..90 e=1..m-1 x=m+e y=m-e | Together/The sum/First: a = x + y; The average/So/Half: a / 2 | m
What is the average of {x} and {y}?
{N} scored {x} and {y}. What is {p} average?
find the mean of {x} and {y}.
{N} read {x} pages on {day} and {y} on {day2}. What is the average [per day|]?
Which number is halfway between {y} and {x}?
@ m=6..60 e=1..4 f=1..5 x=m-e y=m+f z=m+e-f | First/Two of them: a = x + y; Together/The sum: b = a + z; The \
average/So: b / 3 | m
What is the average of {x}, {y} and {z}?
{N} scored {x}, {y} and {z} points. What is {p} average [score|]?
find the mean of {x}, {y} and {z}
{N} sold {x} {o} on {day}, {y} on {day2} and {z} on {day3}. How many is that [on average|per day on average]?
@ x=2..10 y=2..20 z=x*y+1..x*y+90 | Done/First/So far: a = x * y; Left/The rest/So: z - a | z - x * y
A book has {z} pages. {N} reads~read {y} pages a day. How many pages are left after {x} days?
{N} has~have to {move.plain} {z} {dist} and does~do {y} a day. How many {dist} are left after {x} days?
A tank has {z} liters and loses {y} liters [an hour|every hour]. How many liters are left after {x} hours?
The road is {z} {dist} long. {mover} goes {y} {dist} an hour. How far is it still after {x} hours?
a candle of {z} mm burns {y} mm an hour. How long is it after {x} hours?
{N} has~have {z} {vol} of {drink} and fills~fill {x} bottles with {y} {vol} each. How many {vol} are left?
@ x=2..12 y=2..15 z=2..90 | Growth/First/More: a = x * y; Now/Then/So: z + a | z + x * y
A plant is {z} cm tall and grows {y} cm a week. How tall is it after {x} weeks?
It is {z} degrees and gets {y} degrees warmer every hour. How warm is it after {x} hours?
{N} has~have run {z} {dist} and runs~run {y} more each day. How many {dist} after {x} more days?
{N} can do {z} push-ups and does~do {y} more every week. How many can {s} do after {x} weeks?
A tank has {z} liters. {y} liters flow in every minute. How much is in it after {x} minutes?
@ x=2..120 | There and back/So/In all: x * 2 | x * 2
The school is {x} {dist} away. {N} goes~go there and back. How far is that?
It is {x} minutes to the {shop}. How many minutes is it there and back?
One way is {x} {dist}. How far is a round trip?
""")

_UNIT = """
@ x=2..16 | So/In all/Total: x * SIZE | x * SIZE
How many SMALL are [there in|in] {x} BIG?
{x} BIG. How many SMALL is that?
[{N} waited|The trip takes|It took|{N} was~were gone] {x} BIG. How many SMALL is that?
@ q=2..16 x=q*SIZE | So/The number: x / SIZE | q
How many BIG are {x} SMALL?
{x} SMALL is how many BIG?
Turn {x} SMALL into BIG.
@ x=2..9 y=2..6 | First/That is: a = x * SIZE; In all/So: a + y | x * SIZE + y
How many SMALL are {x} BIG and {y} SMALL?
{N} [was~were away|waited|worked|traveled] {x} BIG and {y} SMALL. How many SMALL is that?
@ x=2..9 y=2..6 | First/That is: a = x * SIZE; Left/So: a - y | x * SIZE - y
How many SMALL are {x} BIG minus {y} SMALL?
{N} [has~have|had] {x} BIG to [wait|go]. {y} SMALL have passed. How many SMALL are left?
"""
_UNITS = (("days", "weeks", 7), ("hours", "days", 24), ("minutes", "hours", 60), ("months", "years", 12),
          ("seconds", "minutes", 60))  # fmt: skip
for _small, _big, _size in _UNITS:
    GROUPS += groups(_UNIT.replace("SMALL", _small).replace("BIG", _big).replace("SIZE", str(_size)))
