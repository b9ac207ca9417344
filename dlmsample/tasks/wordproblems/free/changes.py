"""A number of things that changes: gains, losses, several of them, halves, and what was there before."""

from __future__ import annotations

from dlmsample.tasks.wordproblems.free.frames import groups

GROUPS = groups("""
@ x=3..200 y=2..x-1 | Left/The rest/So/Left: x - y | x - y | thing food | story
{N} {have} {x o}. [{s}|{N}] {lose} [{y}|{y o}|{y} of them]. <left>
{N} {have} {x o} [and|, but|, then] {lose} {y}. <left>
{x o}, {y} [gone|lost|sold|given away|used|thrown away]. [How many left?|How many {o} are left?|What is left?]
[If|When|Suppose] {N} has~have {x o} and loses~lose {y}, how many {o} [are left|does~do {s} have|remain]?
How many {o} [are left|will be left|remain] if {N} has~have {x} and {y} [are lost|get lost|break|are taken away]?
How many {o} does~do {N} have left if {s} had {x} and {lose.past} {y}?
[From|Out of|Of] {x o}, {y} [are lost|were sold|are broken|are gone|were used up]. <rest>
[{y}|{y o}] of {N's} {x} {o} [are gone|got lost|were stolen|broke]. <left>
there were {x o} {spot}. {N} took {y} [of them |]away. <rest>
I had {x o}. {y} of them [broke|went missing|disappeared|were taken|fell down]. [How many are left?|How many do I \
still have?|how many now]
{N} was~were [carrying|holding] {x o} when {y} of them fell. How many did {s} still hold?
{N} had {x o} but needed only [some of them and gave {y} back|some and returned {y}]. How many did {s} keep?
{N} lost {y} of {p} {x} {o}. <left>
{N} {have} {x o} for sale. {y} [are|were] sold [by noon|today|in the morning|already]. How many [{o} |]are not sold \
yet?
[After|Since] {N} lost {y} of {p} {x} {o}, how many {o} does~do {s} have?
take {y} {o} away from {x} {o}. How many {o} [are left|remain|do you have]?
A {c} [held|had|contained] {x o}. {y} were taken out. How many {o} are [left|still] in the {c}?
{N} [put|left] {x o} {spot}. [Someone|Somebody|{F}] took {y}. How many [{o} |]are still {spot}?
my {x} {o} [minus|less] the {y} {o} [I lost|I gave to {F}|that broke]. How many?
{N} {have} {x} [{o}|of these {o}]. {y} [are|were] [no good|broken|damaged|too old]. How many are [good|still \
good|fine]?
{N} planned to give out {x o} and has~have given out {y} [so far|already]. How many [more |]are left to give out?
[Yesterday|This morning|Last week|On {day}] {N} had {x o}. Since then {s} has~have lost {y}. <left>
{N} threw away {y} of the {x} {o} {spot}. How many {o} are still there?
@ x=3..90 y=2..x-1 | Left/The rest/So/Left: x - y | x - y | food | story
{N} {have} {x o}. [{s}|{N}|{F}] ate {y}. <left>
{N} baked {x o} and {eat} {y}. <left>
[There are|There were|We had] {x o} {spot}. [The kids|The children|The guests|My friends] [eat|ate] {y}. <rest>
had {x o}, ate {y}, how many left?
{x o} minus {y} {o} [eaten|that we ate]. How many?
Mom made {x o}. We ate {y} [for breakfast|for lunch|at dinner|last night]. <rest>
{N} {have} {x o}. {s} ate {y} of them [for lunch|at school|on the way home|after dinner]. <left>
{N} [brought|took] {x o} to [school|work|the park|the picnic] and came home with {y}. How many [{o} |]were eaten?
The dog ate {y} of [our|my|the|{F's}] {x} {o}. <rest>
{x o} were {spot}. Now there are only {y}. How many were [taken|eaten]?
How many {o} are left if you eat {y} of {x}?
{N} {have} {x o} in {p} [lunchbox|bag|basket] and {eat} {y} [at noon|before class|on the bus]. <left>
@ x=2..200 y=2..150 | Now/In all/Together/So/Total: x + y | x + y | thing food | story
{N} {have} {x o}. [{s}|{N}|Then {s}] {find} {y} more. <now>
{N} {have} {x o} and {find} [{y}|{y} more|another {y}]. <now>
{N} {have} {x o}. {F} {F:give} {h} {y} [more|] . <now>
{N} {have} {x o}. {F} {F:give} {y} more to {Nh}. <now>
I have {x o} [and|, then] get {y} more. [how many now|How many do I have?|How many is that?|How many {o} do I have \
now?]
There [are|were] {x o} {spot}. {N} added {y} more. How many [{o} |]are there now?
[If|Suppose] {N} has~have {x o} and gets~get {y} more, how many {o} does~do {s} have [then|in all|]?
How many {o} does~do {N} have if {s} had {x} and [got|found|bought] {y} more?
{x o} plus {y} [more|more {o}]. How many [{o} |]is that?
got {x o}, then [another {y}|{y} more]. how many [in total|altogether|now]?
{N} already has~have {x o}. [{F} brings|{F} sends|A friend gives] {h} {y}. <now>
{N} made {x o} [yesterday|on {day}|in the morning] and {y} [today|on Sunday|in the evening]. How many {o} did {s} \
make [in all|altogether|]?
[After|When] {N} bought {y} {o}, how many {o} did {s} have if there were {x} before?
{N} {have} {x o} and wants~want to buy {y} more. How many will {s} have [then|after that]?
{N} {have} {x o} at home and {y} [at school|in the car|at work|in {p} bag]. How many {o} is that?
[On {day}|In spring|Last year] {N} had {x o}. Since then {s} has~have [got|found|collected|bought] {y} more. <now>
A {c} held {x o} before {N} put in {y} more. How many {o} are in the {c} now?
{N's} {x} {o} were not enough, so {s} bought {y} more. <now>
For [{p} birthday|Christmas|the party] {N} got {x o} from {F} and {y} from {G}. How many {o} did {s} get?
Add {y} {o} to {x} {o}. How many {o} [do you have|are there]?
{N} counted {x o}, then found {y} [{o} |]that {s} had missed. How many [{o} |]are there really?
@ x=2..120 y=2..90 z=2..x+y-1 | Now/Then/At first: a = x + y; Left/Now/In the end/Left: a - z | x + y - z | thing \
food | story
{N} {have} {x o}. {s} {find} {y} more and [then |]{lose} {z}. <end>
{N} {have} {x o}. {s} {find} {y} [more|]. {later}, {s} {lose} {z}. <end>
{N} {have} {x o}, {find} {y} more, then {lose} {z}. <end>
{x o}, plus {y}, minus {z}. How many {o}?
{N} {have} {x o}. {F} {F:give} {h} {y} [more|]. [Then |]{N} {lose} {z} [of them|]. <end>
{N} had {x o}, {F} had {y} and {they} put them together. Then {z} [broke|got lost|were sold]. <rest>
{N} has~have {x} {color} {o} and {y} {color2} {o}. {s} gives~give away {z}. <left>
How many {o} does~do {N} have if {s} starts~start with {x}, gets~get {y} and loses~lose {z}?
{N} made {x o} [in the morning|on {day}] and {y} [in the afternoon|the next day]. {s} sold {z}. <left>
There were {x o} {spot}. {N} put {y} more there and {F} took {z}. How many {o} are {spot} now?
started with {x o}, got {y}, gave away {z}. how many now?
{N} bought {x o} [at the {shop}|on {day}] and {y} more [later|the next day|online]. {s} used {z}. <left>
My {kin} gave me {x o} and my {kin2} gave me {y}. I lost {z}. [How many do I have left?|How many {o} do I have?]
@ x=4..120 y=2..x-1 z=2..90 | Left/At first/Then: a = x - y; Now/In the end/So: a + z | x - y + z | thing food | story
{N} {have} {x o}. {s} {lose} {y}. Then {s} {find} {z} [more|new ones|]. <end>
{N} {have} {x o}, {lose} {y} and {find} {z}. <end>
{N} {have} {x o}. {s} {lose} {y}, but [then |{later} |]{F} {F:give} {h} {z}. <end>
{N} {give} {y} of {p} {x} {o} to {F} and {find} {z} new ones. <end>
{x o}, minus {y}, plus {z}. How many {o}?
If {N} has~have {x o}, loses~lose {y} and finds~find {z}, how many {o} does~do {s} have?
First {N} had {x o}. After losing {y} {s} bought {z} [more|new ones]. <end>
lost {y} of my {x} {o} but then got {z} [more|new ones]. how many do I have now?
{N} {have} {x o} {spot}. {F} took {y}, then {G} brought {z} new ones. <end>
The {shop} had {x o}. It sold {y} and [got|ordered|received] {z} more. How many {o} does the {shop} have now?
{N} traded {y} of {p} {x} {o} for {z} [new|other|bigger] {o}. How many {o} does~do {s} have now?
@ x=9..200 y=2..x/2 z=2..x/3 | Left/Then/First/After that: a = x - y; Left/Now/In the end/Then: a - z | x - y - z | \
thing food | story
{N} {have} {x o}. {s} {lose} {y} and [then |]{z} more. <left>
{N} {have} {x o}. {s} {give} {y} to {F} and {z} to {G}. <left>
{N} {have} {x o}. {F} {F:take} {y} and {G} {F:take} {z}. <left>
{N} {give} {F} {y} and {G} {z} of {p} {x} {o}. <left>
{N} {lose1} {y} of {x} {o} [on {day}|in the morning|first] and {lose2} {z} {later}. <left>
had {x o}, gave {y} to {F} and {z} to {G}, how many left?
{x o}: {y} are {color}, {z} are {color2} and the [rest|others] are {color3}. How many are {color3}?
{N} has~have {x o}. {y} are {color} and {z} are {color2}. The rest are {color3}. How many {color3} {o} does~do {s} \
have?
[Out of|Of] {x o}, {y} [are broken|were lost] and {z} were [sold|given away]. How many are left?
How many {o} are left of {x} if {N} uses~use {y} today and {z} tomorrow?
{N} {have} {x o}. [Yesterday|On {day}] {s} lost {y}. [Today|The next day] {s} lost {z} more. <left>
@ x=2..120 y=2..90 z=2..90 | So far/Now/Together/First: a = x + y; In all/Total/Now/Altogether: a + z | x + y + z | \
thing food | story
{N} {have} {x o}. {s} {find} {y} [more |][and|, then] {z} more. <now>
{N} {have} {x o}. {F} {F:give} {h} {y} and {G} {F:give} {h} {z}. <now>
{N} {find1} {x o} on {day}, {y} on {day2} and {z} on {day3}. How many {o} is that [in all|altogether|]?
{N} has~have {x} {color}, {y} {color2} and {z} {color3} {o}. <now>
{N} found {x o} {later}, {y} the day after and {z} on {day}. How many {o} did {s} find?
{x o} here, {y} there and {z} {spot}. How many {o} [in all|altogether|]?
{N} [made|picked|sold|counted] {x o} in the morning, {y} at noon and {z} in the evening. [Total?|How many was \
that?|How many {o} in all?|How many {o} that day?]
One {c} has {x o}, another has {y} and the last one has {z}. How many {o} are there?
There are {x o} in the first {c}, {y} in the second and {z} in the third. How many {o} are there [in all|altogether]?
{F}, {G} and {N} have {x}, {y} and {z} {o}. <all>
{N} has~have {x o}, {F} has {y} and {G} has {z}. [How many do the three of them have?|How many {o} do all three \
have together?|How many in all?|How many {o} are there together?]
@ v=2..150 x=v*2 | Half/Left/So/Half: x / 2 | x / 2 | thing food | story
{N} {have} {x o} and {lose} half [of them|]. <left>
{N} {have} {x o}. {s} {give} half of them to {F}. [<left>|How many {o} {did} {F} get?|How many did {F} get?]
{N} {have} {x o}. {F} took half. <left>
Half of {N's} {x} {o} are {color}. How many [{o} |]are {color}?
half of {x} {o} [are gone|is how many|got lost]. [How many are left?|how many?]
[There are|There were] {x o} {spot}. Half [of them |]are {color}. How many are not {color}?
{N} wants~want to share {p} {x} {o} equally with {F}. How many {did} each [of them |]get?
{F} and {N} split {x o} [in half|evenly|fifty-fifty|equally]. How many does each get?
{F} has half as many {o} as {Nh}. {N} has~have {x}. How many {o} does {F} have?
I ate half of my {x} {o}. How many are left?
What is half of {x} {o}?
Only half of the {x} {o} [work|are good|are ripe|are full]. How many is that?
@ v=4..90 x=v*2 y=2..v-1 | Half/First/Left: a = x / 2; Left/Now/Then/In the end: a - y | x / 2 - y | thing food | \
story
{N} {have} {x o}. {s} {give} half to {F} and {lose} {y} [more|]. <left>
{N} {have} {x o}, {lose1} half [of them |]and then {lose2} {y} [more|]. <left>
{N} {have} {x o}. {s} lost half of them. [Then|{later}] {F} took {y}. <left>
[Half of|Half] the {x} {o} were sold on {day} and {y} more on {day2}. How many [{o} |]are left?
{F} took half of my {x} {o} and I lost {y}. How many [do I have|are left]?
@ v=2..90 x=v*2 y=2..90 | Half/First/Left: a = x / 2; Now/In all/Then/In the end: a + y | x / 2 + y | thing food | \
story
{N} {have} {x o}. {s} {give} half to {F} [and|, then] {find} {y} [more|new ones]. <end>
{N} {lose} half of {p} {x} {o}. Then {s} {find} {y} more. <end>
{N} has~have {y} more {o} than half of {F's} {x} {o}. How many {o} does~do {N} have?
@ k=2..5 x=2..90 y=2..60 | Now/Then/So: a = x * k; Now/In all/In the end: a + y | x * k + y
{N} {have} {x o}. The next day {s} has~have {k times} as many. Then {s} {find} {y} more. <end>
{N} had {x o}. The number grew to {k times} as many, and then {s} got {y} more. <end>
{F} has {x o}. {N} has~have {k times} as many and then {find} {y} more. How many {o} does~do {N} have?
{N} has~have {y} more than {k times} as many {o} as {F}. {F} has {x}. How many {o} does~do {N} have?
@ y=2..90 z=2..90 | At first/Before/So/The start: z + y | z + y | thing food | story
After [giving away|losing|selling|using] {y} {o}, {N} has~have {z} left. <first>
{N} [gave away|lost|sold] {y} {o} and [has~have|had] {z} left. <first>
{N} had some {o}. {s} {lose.past} {y} and now {s} has~have {z}. <first>
{N} {lose.past} {y} of {p} {o}. {z} are left. <first>
{N} has~have {z} {o} left after giving {y} to {F}. <first>
There are {z} {o} left after {N} took {y}. How many were there [before|at first|to begin with]?
I gave away {y} {o} and have {z} left. how many did I have [at first|before]?
{z} {o} are left. {y} [were sold|were eaten|are gone|were taken|got lost]. How many [were there|{o} were there] [at \
first|before|in the beginning]?
How many {o} did {N} have [at first|before] if {s} {lose.past} {y} and {z} [are left|remain]?
{F} took {y} of {N's} {o}, so {s} has~have only {z} now. <first>
some {o} were {spot}. {N} took {y} and {z} stayed there. How many {o} were {spot} at first?
{N} had a {c} of {o}. {y} are gone and {z} are still there. How many {o} were in the {c} [before|at first]?
{N} has~have used {y} {o} and {z} are left. How many {o} were in the {c}?
@ y=2..90 x=2..90 z=x+y | At first/Before/So/The start: z - y | x | thing food | story
After [getting|buying|finding] {y} more {o}, {N} has~have {z}. <first>
{N} {find.past} {y} {o} and now {s} has~have {z}. <first>
{N} had some {o}. {F} gave {h} {y} more and now {s} has~have {z}. <first>
{N} has~have {z} {o} now. {y} of them are [new|from {F}|a present]. How many did {s} have before?
Now {N} has~have {z} {o}, because {F} gave {h} {y}. <first>
I got {y} {o} today and have {z} now. how many did I have yesterday?
How many {o} did {N} have before {s} got {y} more, if {s} has~have {z} now?
someone put {y} more {o} {spot}, so now there are {z}. How many {o} were there before?
with the {y} {o} from {F}, {N} has~have {z} {o} [in all|altogether]. How many {o} are not from {F}?
@ z=2..90 y=2..90 x=z+y | The change/So/The difference/Missing: x - z | y | thing food | story
{N} had {x o}. {s} {lose.past} some and now {s} has~have {z}. How many did {s} {lose.plain}?
{N} had {x o}. Now {s} has~have [only|just|] {z}. How many [are gone|are missing|did {s} lose]?
{N} had {z o}. {s} {find.past} some and now {s} has~have {x}. How many did {s} {find.plain}?
{N} had {z o} [yesterday|before|in the morning] and has~have {x} [now|today]. How many [are new|more is that|did \
{s} get]?
{N} gave {F} some of {p} {x} {o} and kept {z}. How many {o} did {F} get?
there were {x o} {spot}. Then {N} took some and {z} were left. How many did {s} take?
How many {o} did {N} lose if {s} had {x} and {z} are left?
{x o} {spot} [yesterday|this morning], {z} [today|now]. How many are [gone|missing]?
{N} had {z o} and after {p} birthday {s} had {x}. How many {o} did {s} get?
{N} started with {z} {o} and ended with {x}. How many did {s} get [in between|]?
{N} brought {x o} to the {shop} and came back with {z}. How many were sold?
""")
