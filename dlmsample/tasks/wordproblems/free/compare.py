"""Numbers side by side: more, fewer, times as many, asked from either side; ages; parts of a whole; what is missing."""

from __future__ import annotations

from dlmsample.tasks.wordproblems.free.frames import groups

GROUPS = groups("""
@ x=2..150 y=2..90 | The other/So/More/That is: x + y | x + y
{N} has~have {x o}. {F} has {y} more [{o} |][than {Nh}|than that|]. How many [{o} |]does {F} have?
{F} has {y} more {o} than {N}. {N} has~have {x}. How many [{o} |]does {F} have?
[If|Since] {N} has~have {x o} and {F} has {y} more, how many does {F} have?
{N} has~have {x o}, that is {y} fewer than {F}. How many {o} does {F} have?
{N} has~have {y} fewer {o} than {F}. {N} has~have {x}. How many does {F} have?
{N} has~have {x o}. {s} has~have {y} less than {F}. How many [{o} |]does {F} have?
How many {o} does {F} have if {Fs} has {y} more than {Nh} and {N} has~have {x}?
{N} {make} {x o}. {F} did {y} more. How many did {F} do?
{N} found {x o} and {F} found {y} more than {Nh}. How many did {F} find?
[Today|This week] {N} sold {x o}. [Yesterday|Last week] it was {y} more. How many did {s} sell [then|that time]?
There are {x} {color} {o}. There are {y} more {color2} {o} than {color} ones. How many {color2} {o} are there?
There are {x} {color} {o}, {y} fewer than {color2} ones. How many {color2} {o} are there?
{N} scored {x} points. {F} scored {y} more. What is {F's} score?
my {x} {o} are {y} fewer than {F's}. how many does {F} have?
@ x=5..200 y=2..x-1 | The other/So/Fewer/That is: x - y | x - y
{N} has~have {x o}. {F} has {y} [fewer|less] [{o} |][than {Nh}|]. How many [{o} |]does {F} have?
{F} has {y} [fewer|less] {o} than {N}. {N} has~have {x}. How many [{o} |]does {F} have?
{N} has~have {x o}, {y} more than {F}. How many {o} does {F} have?
{N} has~have {y} more {o} than {F}. {N} has~have {x}. How many does {F} have?
{N} has~have {x o}. {s} has~have {y} more than {F}. How many [{o} |]does {F} have?
{N} has~have {x o}, which is {y} more than {F} has. How many {o} has {F}?
How many {o} does {F} have if {Fs} has {y} fewer than {Nh} and {N} has~have {x}?
If {N} has~have {x o} and that is {y} more than {F} has, how many does {F} have?
There are {x} {color} {o}. There are {y} fewer {color2} {o} than {color} ones. How many {color2} {o} are there?
There are {x} {color} {o}, {y} more than {color2} ones. How many {color2} {o} are there?
{N} scored {x} points, {y} more than {F}. How many points did {F} score?
{N} read {x} pages and {F} read {y} fewer. How many pages did {F} read?
{N} needs~need {y} more {o} to have as many as {F}, who has {x}. How many does~do {N} have?
{N} [won|ran|swam] {x} [rounds|races], {F} {y} fewer. How many is that for {F}?
@ k=2..6 x=2..120 | The other/So/That is/Then: x * k | x * k
{N} has~have {x o}. {F} has {k times} as many. How many [{o} |]does {F} have?
{F} has {k times} as many {o} as {N}. {N} has~have {x}. How many [{o} |]does {F} have?
{N} has~have {x o} and {F} has {k times} that [many|number]. How many does {F} have?
How many {o} does {F} have if {N} has~have {x} and {F} {k times} as many?
{N} has~have {x o} now. [Next year|Tomorrow|Soon] {s} will have {k times} as many. How many will that be?
A small {c} holds {x o}. A big one holds {k times} as many. How many [{o} |]does the big one hold?
{N} picked {x o}, {F} picked {k times} as many. How many did {F} pick?
{F} ran {k times} as far as {N}. {N} ran {x} {dist}. How far did {F} run?
{F} took {k times} as long as {N}, who needed {x} minutes. How many minutes did {F} take?
@ k=2..6 y=2..90 x=k*y | The other/So/That is: x / k | y
{N} has~have {x o}. {s} has~have {k times} as many as {F}. How many [{o} |]does {F} have?
{N} has~have {k times} as many {o} as {F}. {N} has~have {x}. How many does {F} have?
{N} has~have {x o}. {F} has {k part} of that. How many {o} does {F} have?
{N} has~have {x o}, {k times} as many as {F}. How many {o} does {F} have?
{k part} of the {x} {o} are {color}. How many [{o} |]are {color}?
{k part} of {x} {o} [are new|are ripe|were sold|belong to {F}]. How many is that?
If {N} has~have {x o} and that is {k times} what {F} has, how many has {F}?
{N} gave {k part} of {p} {x} {o} to {F}. How many did {F} get?
What is {k part} of {x} {o}?
@ k=2..6 y=2..60 x=k*y | A part/So much/That is: a = x / k; Left/The rest/So: x - a | x - y
{N} has~have {x o} and gives~give {k part} of them to {F}. <left>
{k part} of the {x} {o} are {color}. How many are not {color}?
{N} {have} {x o}. {s} sold {k part} of them. <left>
{F} took {k part} of {x} {o}. <rest>
{k part} of a class of {x} are [girls|boys]. How many are not?
A book has {x} pages. {N} has~have read {k part} of it. How many pages are left?
{N} spent {k part} of {p} {x} dollars. How much is left?
@ x=2..120 y=2..60 | The other/So/First: a = x + y; Together/In all/Both: x + a | x + x + y | thing food | story
{N} has~have {x o}. {F} has {y} more [than {Nh}|]. How many do {they} have [together|in all|altogether]?
{F} has {y} more {o} than {N}. {N} has~have {x}. <all>
{N} has~have {x o} and {F} has {y} more than that. How many {o} [do {they} have together|is that in all|for both]?
{N} has~have {x o}, {y} fewer than {F}. How many do both have together?
On {day} {N} sold {x o} and on {day2} {y} more than on {day}. How many {o} did {s} sell [in all|on both \
days|altogether]?
{N} read {x} pages yesterday and {y} more [pages |]today than yesterday. How many pages did {s} read in [all|both \
days|total]?
There are {x} {color} {o} and {y} more {color2} ones than {color} ones. How many {o} are there in all?
{N} found {x o}. {F} found {y} more than {Nh}. How many did {they} find together?
@ x=5..150 y=2..x-1 | The other/So/First: a = x - y; Together/In all/Both: x + a | x + x - y | thing food | story
{N} has~have {x o}. {F} has {y} [fewer|less]. How many do {they} have [together|in all|altogether]?
{F} has {y} fewer {o} than {N}. {N} has~have {x}. <all>
{N} has~have {x o}, {y} more than {F}. How many do both have together?
On {day} {N} sold {x o} and on {day2} {y} fewer than on {day}. How many {o} did {s} sell altogether?
There are {x} {color} {o} and {y} fewer {color2} ones than {color} ones. How many {o} are there in all?
{N} made {x o}. That is {y} more than {F} made. How many did {they} make together?
@ k=2..5 x=2..90 | The other/So/First: a = x * k; Together/In all/Both: x + a | x + x * k | thing food | story
{N} has~have {x o}. {F} has {k times} as many. How many do {they} have [together|in all|altogether]?
{F} has {k times} as many {o} as {N}. {N} has~have {x}. <all>
{N} has~have {x o} and {F} {k times} as many. How many {o} [have {they} together|do both have|is that in all]?
On {day} {N} sold {x o}, on {day2} {k times} as many. How many {o} did {s} sell in all?
{N} picked {x o} and {F} picked {k times} as many. How many did {they} pick together?
There are {x} {color} {o} and {k times} as many {color2} ones. How many {o} are there altogether?
{N} walked {x} {dist} on {day} and {k times} as far on {day2}. How far did {s} walk in all?
@ k=2..5 x=2..90 | The other/So/First: a = x * k; The difference/More/So: a - x | x * k - x
{N} has~have {x o}. {F} has {k times} as many. How many more does {F} have [than {Nh}|]?
{F} has {k times} as many {o} as {N}. {N} has~have {x}. How many fewer does~do {N} have?
There are {x} {color} {o} and {k times} as many {color2} ones. How many more {color2} {o} are there?
@ k=2..5 x=2..60 y=2..40 | Times/First/So: a = x * k; More/Then/So: a + y | x * k + y
{N} has~have {x o}. {F} has {y} more than {k times} as many. How many {o} does {F} have?
{F} has {y} more than {k times} the number of {o} that {N} has~have. {N} has~have {x}. How many does {F} have?
{N} has~have {x o}, {F} has {k times} as many and {G} has {y} more than {F}. How many {o} does {G} have?
@ x=2..90 y=2..40 z=2..x+y-1 | The second/First/So: a = x + y; The third/Then/So: a - z | x + y - z
{N} has~have {x o}. {F} has {y} more than {Nh}, and {G} has {z} fewer than {F}. How many [{o} |]does {G} have?
{G} has {z} fewer {o} than {F}. {F} has {y} more than {N}. {N} has~have {x}. How many does {G} have?
{N} is~are {x} [years old|]. {F} is {y} years older than {Nh} and {G} is {z} years younger than {F}. How old is {G}?
@ x=5..300 y=2..x-1 | The difference/More/So: x - y | x - y
{N} has~have {x o} and {F} has {y}. How many more {o} does~do {N} have [than {F}|]?
{F} has {y o} and {N} has~have {x}. How many more does~do {N} have?
{N} has~have {x o}, {F} {y}. How many fewer does {F} have?
{N} has~have {x o} and {F} has only {y}. How many more does {F} need to have as many as {N}?
How many more is {x} {o} than {y} {o}?
There are {x} {color} and {y} {color2} {o}. How many more {color} [{o} |]are there [than {color2} ones|]?
There are {y} {color2} and {x} {color} {o}. How many fewer {color2} ones [are there|]?
{N} scored {x} points and {F} {y}. By how many points did {N} win?
The score is {x} to {y}. By how much does the first team lead?
{N} sold {x o} on {day} and {y} on {day2}. How many more did {s} sell on {day}?
There are {x} {o} for {y} {friends}. Each takes one. How many {o} are left over?
{x o} but only {y} {friends} want one. How many are left?
What is the difference between {N's} {x} {o} and {F's} {y}?
One {thing} is {x} {len} long, another is {y} {len} long. How much longer is the [first|longer one]?
{N} is~are {x} years old. {F} is {y}. How [many years|much] older is~are {N}?
[This year|Today] {N} has~have {x o}. [Last year|Yesterday] it was {y}. How many more is that?
@ x=2..70 n=2..30 | Then/So/Later: x + n | x + n
{N} is~are {x} [years old|] now. How old will {s} be in {n} years?
{N} turned {x} today. How old will {s} be {n} years from now?
{n} years ago {N} was {x}. How old is~are {s} now?
{N} was {x} when {F} was born. {F} is {n} now. How old is~are {N}?
{N} is~are {n} years older than {F}. {F} is {x}. How old is~are {N}?
{F} is {x}. {N} is~are {n} years older. What is {N's} age?
{N} was {x} in the year {s} moved here. That was {n} years ago. How old is~are {s} now?
How old will {N} be in {n} years if {s} is~are {x} now?
{N} learned to swim at {x} and has~have been swimming for {n} years. How old is~are {s}?
my {kin} is {x}. how old in {n} years?
@ n=2..30 x=n+1..90 | Then/So/Before/The difference: x - n | x - n
{N} is~are {x} [years old|] now. How old was~were {s} {n} years ago?
In {n} years {N} will be {x}. How old is~are {s} now?
{n} years from now {N} will be {x} years old. What is {N's} age now?
{N} is~are {x} and {F} is {n} years younger. How old is {F}?
{N} is~are {n} years older than {F}. {N} is~are {x}. How old is {F}?
{N} is~are {x}, {F} is {n}. How old was~were {N} when {F} was born?
{N} is~are {n}. In how many years will {s} be {x}?
how old was I {n} years ago if I am {x} now?
{N} is~are {x} and got a dog {n} years ago. How old was~were {s} [then|at that time]?
The house is {x} years old. The tree is {n} years younger. How old is the tree?
{N} is~are {n} years old. {s} can [drive|vote|join] at {x}. How many years does~do {s} have to wait?
@ x=2..60 y=2..60 n=2..12 | One/First/Then: a = x + n; The other/Then/And: b = y + n; Together/The sum/In all: a + \
b | x + n + y + n
{N} is~are {x} and {F} is {y}. [How old will {they} be together|What will be the sum of their ages] in {n} years?
In {n} years, how old will {F} and {N} be together, if {N} is~are {x} and {F} is {y} now?
@ x=2..20 k=2..4 n=2..12 | The older/First/So: a = x * k; Then/In years/So: a + n | x * k + n
{N} is~are {x}. {F} is {k times} as old. How old will {F} be in {n} years?
{F} is {k times} as old as {N}. {N} is~are {x}. How old will {F} be {n} years from now?
{N} is~are {x}, {F} is {k times} as old and {G} is {n} years older than {F}. How old is {G}?
@ x=5..200 y=2..x-1 | The rest/Others/So/Missing: x - y | x - y | thing food | story
{N} has~have {x o}. {y} are {color} and the [rest|others] are {color2}. How many are {color2}?
[Of|Out of] {x} {o}, {y} are {color}. How many are not?
{F} and {N} have {x o} [together|in all]. {N} has~have {y}. How many does {F} have?
Together {F} and {N} have {x o}. {F} has {y} of them. How many does~do {N} have?
In a class of {x} [students|children|kids], {y} are [girls|boys]. How many are not?
There are {x} children. {y} of them are girls. How many boys are there?
{x} {o} in two {cs}. One has {y}. How many are in the other?
{N} needs~need {x o} [but|and] has~have [only |]{y}. How many more does~do {s} need?
{N} needs~need {x o}, has~have {y}. How many are [missing|still needed]?
{N} wants~want to collect {x o}. {s} has~have {y} [already|so far]. How many more [does~do {s} need|to go]?
I have {y} {o} but I need {x}. how many more?
How many more {o} does~do {N} need to have {x} if {s} has~have {y}?
How many {o} must {N} add to {y} to get {x}?
A {c} has room for {x o}. There are {y} in it. How many more fit?
{N} has~have {x o} to {make.plain}. {s} has~have done {y}. How many are left to do?
{y} {o} are here. There should be {x}. How many are missing?
{N} is~are on question {y} of {x}. How many questions come after that?
{y} of {x} seats are taken. How many are free?
The recipe needs {x o}. {N} has~have {y}. How many must {s} buy?
@ y=2..60 z=2..60 r=2..60 x=y+z+r | So far/Together/First: a = y + z; The rest/Missing/Left/So: x - a | r | thing \
food | story
{N} needs~need {x o}. {s} has~have {y} and {F} gives {h} {z}. How many more does~do {s} need?
{N} wants~want {x o}. {s} {find.past} {y} on {day} and {z} on {day2}. How many are still missing?
{x} {o} in all: {y} are {color}, {z} are {color2} and the rest are {color3}. How many are {color3}?
{F}, {G} and {N} have {x o} together. {N} has~have {y} and {F} has {z}. How many does {G} have?
A book has {x} pages. {N} read {y} pages on {day} and {z} on {day2}. How many pages are left?
{N} has~have to {make.plain} {x o}. {s} {make.past} {y} in the morning and {z} in the afternoon. How many are left \
to do?
""")
