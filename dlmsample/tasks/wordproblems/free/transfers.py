"""Several people, or several places, between which things pass; and people, animals and vehicles that come and go."""

from __future__ import annotations

from dlmsample.tasks.wordproblems.free.frames import groups

GROUPS = groups("""
@ x=5..120 y=2..90 z=2..x-1 | Left/So/The rest: x - z | x - z
{N} has~have {x o} and {F} has {y}. {N} gives~give {F} {z}. How many [{o} |]does~do {N} have [now|left]?
{N} had {x o}, {F} had {y}. {N} gave {z} to {F}. How many [{o} |]does~do {N} have [now|left]?
{F} has {y o}. {N} has~have {x}. {F} gets {z} from {Nh}. How many are left for {Nh}?
If {N} has~have {x o} and gives~give {z} of them to {F}, who has {y}, how many does~do {N} keep?
{F} and {N} have {y} and {x} {o}. {N} lends~lend {F} {z}. How many {o} does~do {N} have then?
@ x=5..120 y=2..90 z=2..x-1 | Now/So/In all: y + z | y + z
{N} has~have {x o} and {F} has {y}. {N} gives~give {F} {z}. How many [{o} |]does {F} have [now|then]?
{N} had {x o}, {F} had {y}. {N} gave {z} to {F}. How many [{o} |]does {F} have now?
{F} has {y o}. {N} has~have {x}. {F} gets {z} from {Nh}. How many {o} does {F} have [now|in the end]?
How many {o} does {F} have if {Fs} had {y} and {N} gave {Fo} {z} of {p} {x}?
{N} had {x o} and gave {z} of them to {F}, who already had {y}. How many does {F} have now?
{F} takes {z} of {N's} {x} {o}. {Fs} had {y} before. How many does {F} have now?
@ x=5..120 y=2..90 z=2..x-1 | Together/In all/Total/The sum: x + y | x + y
{N} has~have {x o} and {F} has {y}. {N} gives~give {F} {z}. How many {o} do {they} have [together|in all] now?
{N} had {x o}, {F} had {y}. {N} gave {z} to {F}. How many {o} do the two have together?
{N} has~have {x o}, {F} {y}. {F} gets {z} from {Nh}. How many do both have [together|altogether]?
@ x=20..120 z=2..9 y=2..x-z-z-1 | After that/Now/Left: a = x - z; The other/Then/Now: b = y + z; The \
difference/More/So: a - b | x - z - (y + z)
{N} has~have {x o} and {F} has {y}. {N} gives~give {F} {z}. How many more {o} does~do {N} have [than {F} |]now?
{N} had {x o}, {F} had {y}. Then {N} gave {z} to {F}. What is the difference [now|in the end]?
{N} had {x o} and gave {F} {z}. {F} had {y} before that. How many more than {F} does~do {N} have now?
@ x=2..90 k=2..9 z=2..12 | Together/That is/From them: p = k * z; Now/In all/So: x + p | x + k * z | thing food | \
story
{N} has~have {x o}. {k} {friends} [each give {h} {z}|give {h} {z} each|bring {h} {z} each]. <now>
{N} had {x o}. Then each of {k} {friends} gave {h} {z}. <now>
{k} {friends} each bring {Nh} {z} {o}. {s} already had {x}. <now>
{N} has~have {x o} and gets~get {z} more [every day|each day|a day] for {k} days. <now>
{N} starts~start with {x o} and finds~find {z} a day. How many does~do {s} have after {k} days?
{N} has~have {x o} and buys~buy {k} {cs} [of {z}|with {z} in each|of {z} each]. <now>
{k} {cs} of {z} {o} and {x} [loose|single|more] {o}. How many {o} [is that|are there] [in all|altogether|]?
There are {x o} {spot} and {k} {cs} with {z} {o} each. How many {o} are there [altogether|in all]?
{N} bought {k} {cs} of {z} {o} each. {s} already had {x} at home. <now>
How many {o} are {k} {cs} of {z} and {x} more?
{N} {find} {x o} on {day} and {z} on each of the next {k} days. How many {o} is that?
@ k=2..9 z=2..12 m=k*z x=m..m+60 | Given/Together/That is/In these: q = k * z; Left/The rest/So: x - q | x - k * z \
| thing food | story
{N} has~have {x o} and gives~give {z} to each of {k} {friends}. <left>
{N} had {x o}. {s} gave {k} {friends} {z} each. <left>
{N} had {x o}. {s} gave {z} {o} to [each of {p} {k} {friends}|every one of {k} {friends}]. <left>
{k} {friends} each took {z} of {N's} {x} {o}. <left>
{N} has~have {x o}. {s} uses~use {z} [a day|every day|each day]. How many are left after {k} days?
{N} has~have {x o}. [If {s} eats~eat|When {s} eats~eat] {z} a day, how many are left after {k} days?
{N} fills~fill {k} {cs} with {z} {o} each. {s} had {x} {o}. <left>
There were {x o} {spot}. {k} {friends} took {z} each. How many are [left|still there]?
{N} sold {k} {cs} of {z} {o}. {s} had {x} {o} [at first|before]. <left>
How many of {x} {o} are left after {k} {friends} take {z} each?
{x o}, {k} {friends} get {z} each, how many are left over?
@ x=5..90 y=2..x-1 z=2..30 | Left/First/After that: a = x - y; Now/In the end/So: a + z | x - y + z | thing food | \
story
{N} has~have {x o}. {s} gives~give {F} {y} and gets~get {z} others for them. <end>
{N} has~have {x o}. {s} swaps~swap {y} of them with {F} for {z} others. <end>
{N} had {x o}, gave {y} to {F} and got {z} from {G}. <end>
{N} had {x o}. {F} took {y}, but {G} gave {h} {z}. <end>
{F} took {y} of {N's} {x} {o} and [later |]gave {h} {z} new ones. <end>
{N} lost {y} of {p} {x} {o} in a game and won {z} in the next one. <end>
@ v=2..60 y=v*2 x=2..90 | Half/From the other/That is: a = y / 2; Now/In all/So: x + a | x + y / 2
{N} has~have {x o} and {F} has {y}. {F} gives {h} half of {Fp} {o}. How many does~do {N} have now?
{F} has {y o} and gives half of them to {Nh}. {N} already had {x}. How many {o} does~do {N} have now?
{N} had {x o}. {F} had {y} and gave {Nh} half. <now>
@ k=2..8 q=2..30 t=k*q x=2..t-1 y=t-x | Together/In all/First: a = x + y; Each/One share/So: a / k | (x + y) / k
{N} has~have {x o} and {F} has {y}. {they} put them together and share them equally among {k} {friends}. How many \
does each get?
{N} brings~bring {x o} and {F} {y}. They are [shared|split] equally by {k} people. How many does each [person |]get?
{x} {color} and {y} {color2} {o} are put into {k} {cs}, the same number in each. How many are in each {c}?
{N} has~have {x} {color} {o} and {y} {color2} ones. {s} puts~put them equally into {k} {cs}. How many {o} [are in \
each|go into one {c}]?
{N} picked {x o} and {F} picked {y}. {they} filled {k} {cs} equally. How many {o} are in one {c}?
{k} {friends} share {x} {o} and then {y} more {o} equally. How many does each one get in all?
@ m=4..60 e=2..m-1 x=m+e y=m-e | Together/In all/First: a = x + y; Each/Half/So: a / 2 | m
{N} has~have {x o} and {F} has {y}. {they} put all together and share them equally. How many does each [of them |]get?
{N} has~have {x o}, {F} has {y}. {they} want to have the same number. How many will each have?
{F} and {N} found {y} and {x} {o} and split them evenly. How many {o} for each?
@ x=2..90 y=2..60 | Now/In all/So/Together: x + y | x + y | person | story
[There are|There were] {x o} {venue}. {y} [more |]{T:come}. [How many {o} are there now?|How many are there [in \
all|now]?|how many now]
{x o} are {venue}. {y} more [come|join them|arrive|show up|walk in]. How many {o} are there [now|in all|altogether]?
{y} {o} joined {x} others {venue}. How many {o} are there now?
after {y} {o} came, how many are {venue} if {x} were there before?
{x o} [wait|stand|sit] {venue} and {y} more are coming. How many will there be?
@ x=5..120 y=2..x-1 | Left/Still there/So/The rest: x - y | x - y | person | story
[There are|There were] {x o} {venue}. {y} [of them |]{T:go}. [How many {o} are left?|How many stay?|How many are \
still there?|How many remain?]
{x o} are {venue}. {y} [leave|go home|get tired and leave|have to go]. How many {o} are [still there|left|still \
{venue}]?
{y} of the {x} {o} {venue} are [standing|late|asleep|wearing a hat]. How many are not?
{x} {o} were invited but {y} [did not come|could not come|stayed home|were sick]. How many came?
{x} {o} signed up and {y} did not show up. How many {o} were there?
after {y} of {x} {o} left, how many are {venue}?
of {x} {o} {venue}, {y} are asleep. How many are awake?
@ x=6..60 y=2..x-1 z=2..30 | Left/First/After that: a = x - y; Now/So/In the end: a + z | x - y + z | person | story
A [bus|train|tram|boat] has {x} passengers. At the [next stop|station] {y} get off and {z} get on. How many \
passengers are [on it|there] now?
There are {x} people [on a bus|on the train|in the elevator]. {y} get out and {z} get in. How many people are \
[inside|there] now?
{x} people are {venue}. {y} leave and {z} come. How many people are there now?
{x} people on the bus, {y} got off, {z} got on. how many now?
A bus starts with {x} people. {y} get off at the first stop. {z} get on at the second. How many are on the bus?
There were {x o} {venue}. {y} went home, then {z} others came. How many {o} are there now?
[A class had|A team had|A club had] {x} members. {y} left and {z} joined. How many members does it have now?
{x} cars were parked. {y} drove off and {z} new ones came. How many cars are parked now?
A {shop} had {x} visitors. {y} went out, {z} walked in. How many visitors were inside then?
@ x=3..40 y=2..30 z=2..x+y-1 | Now/First/Then: a = x + y; Left/So/In the end: a - z | x + y - z | person | story
A [bus|train|boat] has {x} passengers. {y} [more |]get on and [then |]{z} get off. How many [passengers |]are on it \
now?
{x} people are {venue}. {y} more come and {z} leave. How many people are there [now|in the end]?
{x o} were {venue}, {y} joined and {z} left. How many {o} are there now?
{x} {o} are {venue}. [Then|{later}] {y} more {T:come}. {z} {T:go} again. How many are there now?
A parking lot has {x} cars. {y} cars come in and {z} go out. How many cars are there?
@ x=3..90 y=2..x-1 | Left/So/Still there/The rest: x - y | x - y | animal farm | story
[There are|There were] {x o} {wild}. {y} [of them |]{T:fly}. [How many {o} are left?|How many stay?|How many {o} \
are still there?|how many remain]
{x o} sat {wild}. {y} {fly.past}. How many {o} [stayed|were left|are still there]?
{x o} are {wild}. A dog scares {y} away. How many {o} are left?
{N} saw {x o} {wild}. {y} {fly.past}. How many did {s} still see?
{y} of {x} {o} {wild} are sleeping. How many are awake?
a cat scared away {y} of {x} {o} {wild}. How many stay?
@ x=2..60 y=2..40 z=2..x+y-1 | Now/First/Then: a = x + y; Left/So/In the end: a - z | x + y - z | animal farm | story
There were {x o} {wild}. {y} more came and then {z} {fly.past}. How many {o} are there now?
{x o} are {wild}. {y} others join them. {later}, {z} {T:fly}. How many {o} are left?
{N} counted {x o} {wild} and {y} {wild2}. Then {z} {fly.past}. How many {o} were left?
{x} {o}, {y} more come, {z} leave. how many?
@ x=2..60 y=2..40 z=2..x+y-1 | Now/First/Then: a = x + y; Left/So/In the end: a - z | x + y - z | farm | story
A farmer had {x o}. {y} were born and {z} were sold. How many {o} does the farmer have now?
A farmer has {x o}, buys {y} more and sells {z}. How many [{o} |]are left?
{N} has~have {x o} on the farm. {y} are born and {z} are sold. How many {o} are there now?
@ x=2..60 y=2..40 z=2..x+y-2 w=2..30 | Now/First: a = x + y; Left/Then: b = a - z; Now/In the end/So: b + w | x + \
y - z + w \
| thing food | story
{N} {have} {x o}. {s} {find1} {y} more, {lose} {z} and [then |]{find2} {w}. <end>
{N} had {x o}. {F} gave {h} {y}, {s} gave {z} to {G} and bought {w} [more|]. <end>
{N} had {x o}. On {day} {s} got {y}, on {day2} {s} lost {z} and on {day3} {s} found {w}. <end>
{x o}, then {y} more, {z} lost, {w} found. how many {o} now?
@ k=2..5 x=2..60 z=2..x*k | The other/First: a = x * k; Together/In all: b = x + a; Left/So: b - z | x + x * k - z
{N} has~have {x o} and {F} has {k times} as many. {they} give away {z} [together|in all]. How many [{o} |]do \
{they} have left?
{N} picked {x o} and {F} picked {k times} as many. {z} were bad. How many {o} were good?
{N} made {x o} on {day} and {k times} as many on {day2}. {s} sold {z}. <left>
@ k=2..6 q=2..20 t=k*q x=2..t/2 y=t-x-x | The other/First: a = x + y; Together/In all: b = x + a; Each/So: b / k \
| (x + x + y) / k
{N} has~have {x o} and {F} has {y} more. {they} share all of them equally among {k} {friends}. How many does each get?
{N} found {x o}. {F} found {y} more than {Nh}. {they} put them all equally into {k} {cs}. How many are in each {c}?
@ v=2..50 x=v*2 y=2..40 z=2..v+y-1 | Half/First: a = x / 2; Now/With these: b = a + y; Left/So: b - z \
| x / 2 + y - z
{N} gave half of {p} {x} {o} to {F}, who already had {y}. {F} then lost {z}. How many [{o} |]does {F} have now?
{N} had {x o}. {s} gave half to {F}, bought {y} and lost {z}. <end>
{N} {have} {x o}. Half of them broke. Then {s} {find} {y} and {lose} {z}. <end>
@ k=2..6 z=2..10 v=2..20 m=k*z x=v*2+m | Given/First: a = k * z; Left/Then: b = x - a; Half/So: b / 2 | v
{N} had {x o}. {s} gave {z} to each of {k} {friends} and half of the rest to {F}. [How many did {F} get?|<left>]
{N} has~have {x o}. {k} {friends} take {z} each and {F} takes half of what is left. How many are left [then|for \
{Nh}|]?
@ k=2..8 z=2..12 x=2..60 w=2..k*z | These/First: a = k * z; Now/In all: b = x + a; Left/So: b - w | x + k * z - w \
| thing food | story
{N} had {x o}, bought {k} {cs} of {z} and gave {w} to {F}. <left>
{N} has~have {x o}. {k} {friends} each give {h} {z} more. Then {s} {lose} {w}. <left>
There were {x o} {spot}. {N} brought {k} {cs} with {z} each and {F} took {w}. How many {o} are {spot} now?
@ a=3..12 b=3..12 g=2..a e=2..b-1 | The first/First: p = a * b; The second/Then: q = g * e; The \
difference/More/So: p - q \
| a * b - g * e
{N} has~have {a} {cs} of {b} {o} and {F} has {g} {cs} of {e}. How many more {o} does~do {N} have?
{N} read {b} pages a day for {a} days and {F} read {e} pages a day for {g} days. How many more pages did {N} read?
{N} made {a} {cs} of {b} {o} and sold {g} {cs} of {e}. How many {o} are left?
@ a=2..6 b=2..12 g=2..20 w=a*b+g+1..a*b+g+40 | The cost/First: p = a * b; In all/Then: q = p + g; The \
change/Left/So: w - q \
| w - (a * b + g) | goods
{N} buys~buy {a} {o} at {$b} each and {a_one2} for {$g}. {s} pays~pay with {$w}. [What is the change?|How much \
change does~do {s} get?]
{N} has~have {$w}. {s} buys~buy {a} {o} for {$b} each and {a_one2} for {$g}. <cash>
{a} {o} cost {$b} each and {a_one2} costs {$g}. How much of {$w} is left if {N} buys~buy all?
""")
