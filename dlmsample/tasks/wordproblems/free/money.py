"""Money: prices, change, budgets, savings, wages, rebates, and what is still missing."""

from __future__ import annotations

from dlmsample.tasks.wordproblems.free.frames import groups

GROUPS = groups("""
@ x=2..20 y=2..30 | The cost/In all/So/Total: x * y | x * y | goods
{N} buys~buy {x o} for {$y} each. <pay>
{N} bought {x o} at {$y} each. <pay>
{x o}, {$y} each. [How much?|What is the total?|how much in all]
{a_one} costs {$y}. How much [do|would] {x} [of them|{o}|] cost?
[One|Each|Every] {one} [costs|is|is sold for] {$y}. [How much do {x} {o} cost?|What do {x} cost?|How much for \
{x}?|{N} buys~buy {x}. <pay>]
How much do {x o} cost [if|when] one [costs|is] {$y}?
how much is {x} times {$y}?
What is the price of {x o} at {$y} each?
If one {one} is {$y}, how much are {x} [{o}|of them|]?
{N} sells~sell {x o} for {$y} each. How much [money |]does~do {s} [get|make|earn]?
{N} sold {x o}. Each [buyer paid|was|cost] {$y}. How much [money did {s} make|did {s} get|is that]?
{N} earns~earn {$y} [a day|every day|per day]. How much [money |]is that [in|for|after] {x} days?
{x} tickets cost {$y} each. How much for all?
{x} {friends} pay {$y} each. How much [money |]is that [in all|together|altogether]?
{x} {friends} each give {Nh} {$y}. How much [money |]does~do {s} get?
The {shop} sells {o} for {$y} [each|a piece|apiece]. {N} wants~want {x}. How much [will {s} pay|money does~do {s} \
need]?
Entry is {$y} per person. {x} people go in. How much do they pay [in all|together]?
@ x=2..20 y=2..40 | In all/So/Total: x * y | x * y
{N} earns~earn {$y} an hour and works~work {x} hours. How much [money |]does~do {s} [make|earn|get]?
{N} works~work {x} hours for {$y} an hour. How much does~do {s} [make|earn]?
{N} saves~save {$y} [a week|every week|each week]. How much [will {s} have|does~do {s} have|is that] after {x} weeks?
{N} gets~get {$y} a day for [walking the dog|washing cars|helping]. How much in {x} days?
{N} put {$y} in {p} piggy bank every {time} for {x} {time}s. How much is in it now?
for {x} months {N} paid {$y} a month. How much [did {s} pay|is that]?
The rent is {$y} a day. How much is it for {x} days?
{x} hours at {$y} an hour. how much?
{N} mowed {x} lawns for {$y} each. How much did {s} earn?
Parking costs {$y} per hour. {N} parks~park for {x} hours. How much does~do {s} pay?
@ y=2..90 x=y+1..y+60 | The change/Left/Change/So: x - y | x - y | goods | story
{N} pays~pay {$x} for {a_one} that costs {$y}. [How much change does~do {s} get?|What is the change?|How much \
does~do {s} get back?]
{a_one} costs {$y}. {N} gives~give [the clerk|the seller|{F}] {$x}. How much [change |]does~do {s} get back?
{N} bought {a_one} for {$y} and paid with {$x}. [What was the change?|How much change did {s} get?|How much money \
did {s} get back?]
{N} has~have {$x} and buys~buy {a_one} for {$y}. <cash>
{N} had {$x}. {s} spent {$y} on [{a_one}|{o}|lunch|a ticket]. <cash>
{N} has~have {$x}. {s} spends~spend {$y}. <cash>
had {$x}, spent {$y}, how much left?
[Out of|From] {$x}, {N} spent {$y}. <cash>
How much is left of {$x} after [buying {a_one} for|paying|spending] {$y}?
How much change [from|for] {$x} if {a_one} costs {$y}?
{N} gave {$y} of {p} {$x} to {F}. <cash>
{N} lost {$y} of {$x}. <cash>
{a_one} costs {$x}. {N} has~have [only |]{$y}. How much [more does~do {s} need|is missing|more money does~do {s} \
need]?
{N} wants~want {a_one} for {$x} [and|but] has~have {$y}. How much [more |]must {s} save?
{N} needs~need {$x} and has~have saved {$y}. How much is [missing|still missing|left to save]?
{a_one} costs {$x} and {a_one2} {$y}. How much more is the {one}?
{a_one} [was|used to be] {$x} and is {$y} now. How much cheaper is it [now|]?
the price fell from {$x} to {$y}. By how much?
The price rose from {$y} to {$x}. By how much did it [rise|go up]?
{N} has~have {$x} and {F} has {$y}. How much more does~do {N} have?
{N} bought {a_one} for {$y} and sold it for {$x}. [How much did {s} gain?|What was the profit?|How much money did \
{s} make?]
{a_one} [costs|is] {$x}, with a coupon {$y} less. How much do you pay?
{a_one} costs {$x}. Today it is {$y} [off|cheaper|less]. What is the [new price|price today]?
{N} owes~owe {F} {$x} and pays~pay back {$y}. How much does~do {s} still owe?
@ x=2..120 y=2..90 | In all/Total/Together/Now: x + y | x + y | goods | story
{N} buys~buy {a_one} for {$x} and {a_one2} for {$y}. <pay>
{a_one} costs {$x} and {a_one2} costs {$y}. How much [are both|do they cost together|for both|is it together]?
{a_one} is {$x}, {a_one2} is {$y}. [How much for both?|What is the total?|how much together]
{N} spent {$x} on {o} and {$y} on {o2}. How much [did {s} spend|is that] [in all|altogether|]?
{N} has~have {$x} and {F} has {$y}. How much [money |]do {they} have together?
{N} had {$x} and [earned|found|got|saved] {$y} [more|]. How much [money |]does~do {s} have now?
{N} has~have {$x}. {p} {kin} gives {h} {$y}. How much does~do {s} have now?
{N} has~have {$y} left after spending {$x}. How much did {s} have [at first|before]?
{N} spent {$x} and has~have {$y} left. How much [money |]did {s} have [before|at first|to begin with]?
{N} earned {$x} on {day} and {$y} on {day2}. How much is that [in all|together|]?
The {one} costs {$x}, shipping is {$y}. [What is the total?|How much is it in all?|What do I pay?]
{a_one} costs {$x}. {a_one2} costs {$y} more. How much is the {one2}?
{a_one} costs {$x}, {$y} less than {a_one2}. How much is the {one2}?
the price was {$x} and went up by {$y}. what is it now?
{N} got back {$y} after paying for {a_one} of {$x}. How much did {s} give the clerk?
a meal is {$x} and the tip is {$y}. How much in all?
{N} sold {a_one} for {$x} and {a_one2} for {$y}. How much [money did {s} get|did {s} make]?
@ y=2..60 z=2..60 x=y+z..y+z+60 | First/Left/After that: a = x - y; Left/Then/So/Now: a - z | x - y - z | goods | \
story
{N} has~have {$x}. {s} buys~buy {a_one} for {$y} and {a_one2} for {$z}. <cash>
{N} had {$x}, spent {$y} on {o} and {$z} on {o2}. <cash>
{N} had {$x}. {s} spent {$y} [on {day}|in the morning] and {$z} [on {day2}|later]. <cash>
{N} pays~pay with {$x} for {a_one} of {$y} and {a_one2} of {$z}. What is the change?
{N} gave {F} {$y} and {G} {$z} of {p} {$x}. <cash>
started with {$x}, paid {$y}, then {$z}. how much left
@ x=2..90 y=2..90 z=2..x+y-1 | Now/First/Then: a = x + y; Left/Now/In the end/So: a - z | x + y - z | goods | story
{N} had {$x}. {s} earned {$y} and spent {$z}. How much does~do {s} have [now|left]?
{N} has~have {$x}. {F} gives {h} {$y}. {s} buys~buy {a_one} for {$z}. <cash>
{N} saved {$x} in May and {$y} in June. {s} spent {$z}. <cash>
{N} got {$x} from {p} {kin} and {$y} from {p} {kin2}. {s} paid {$z} for {a_one}. <cash>
The price of {a_one} was {$x}. It went up {$y} and then down {$z}. What is the price now?
{a_one} costs {$x} and {a_one2} {$y}. With a coupon you save {$z}. How much do you pay [in all|]?
@ x=2..9 y=2..15 z=x*y+1..x*y+50 | The cost/First/In all: a = x * y; The change/Left/So: z - a | z - x * y | goods \
| story
{N} buys~buy {x o} at {$y} each and pays~pay with {$z}. [How much change does~do {s} get?|What is the change?]
{N} has~have {$z}. {s} buys~buy {x o} for {$y} each. <cash>
{N} had {$z} and bought {x} {o}. Each cost {$y}. <cash>
{o} cost {$y} each. {N} buys~buy {x} and gives~give {$z}. How much does~do {s} get back?
{x o} cost {$y} each. {N} has~have {$z}. How much is left [after that|if {s} buys~buy them]?
{N} has~have {$z} and spends~spend {$y} a day. How much is left after {x} days?
How much of {$z} is left if {N} buys~buy {x} {o} at {$y} each?
@ x=2..9 y=2..20 z=2..60 | The cost/First/These: a = x * y; In all/Total/So: a + z | x * y + z | goods
{N} buys~buy {x o} for {$y} each and {a_one2} for {$z}. <pay>
{x} {o} at {$y} each and {a_one2} for {$z}. [How much in all?|What is the total?|how much?]
{N} has~have {$z} and saves~save {$y} a week. How much does~do {s} have after {x} weeks?
{N} earned {$y} an hour for {x} hours and got a tip of {$z}. How much did {s} get [in all|]?
A taxi ride is {$z} plus {$y} per mile. How much is a ride of {x} miles?
{a_one} costs {$y} and {a_one2} {$z}. How much for {x} {o} and one {one2}?
{N} bought {x} {o} at {$y} each. {s} has~have {$z} left. How much did {s} have at first?
@ a=2..9 b=2..15 g=2..9 e=2..15 | The first/First/These: p = a * b; The second/Others/And: q = g * e; In \
all/Total/Together: p + q | a * b + g * e | goods
{N} buys~buy {a} {o} for {$b} each and {g} {o2} for {$e} each. <pay>
{a} {o} at {$b} and {g} {o2} at {$e}. How much in all?
{o} cost {$b} each and {o2} {$e} each. How much are {a} {o} and {g} {o2}?
Tickets are {$b} for adults and {$e} for children. How much for {a} adults and {g} children?
{a} adults pay {$b} each and {g} kids pay {$e} each. How much is that [in all|altogether]?
@ y=2..20 q=2..30 x=y*q | The number/So: x / y | q | goods
{a_one} costs {$y}. How many [{o} |]can [{N}|I|you|we] buy [with|for] {$x}?
{N} has~have {$x}. {o} cost {$y} each. How many [{o} |]can {s} [buy|get|afford]?
How many {o} [at|for] {$y} each can {N} buy with {$x}?
I have {$x}, {one} {$y}. how many can I buy?
{N} spent {$x} on {o} at {$y} each. How many did {s} buy?
{o} are {$y} each. {N} paid {$x}. How many [{o} |]did {s} get?
{N} saves~save {$y} a week. In how many weeks will {s} have {$x}?
How many weeks must {N} save {$y} a week to buy {a_one} for {$x}?
{N} earns~earn {$y} an hour. How many hours for {$x}?
with {$x} how many {o} at {$y} can I get?
{N} sold {o} for {$y} each and got {$x}. How many did {s} sell?
@ k=2..12 q=2..40 x=k*q | Each/One/So/One share: x / k | q | goods
{k} {o} cost {$x}. How much does one cost?
{N} paid {$x} for {k} {o}. [How much was each?|What did one cost?|What is the price of one?]
{k} {friends} share the cost of {$x} [equally|evenly|]. How much does each pay?
{k} {friends} earned {$x} and split it equally. How much does each get?
{N} earned {$x} in {k} hours. How much [per|an|in one] hour?
{N} saved {$x} in {k} weeks, the same each week. How much [a|per] week?
a {$x} bill is split {k} ways. how much each?
{N} sold {k} {o} for {$x} [in all|altogether]. How much was one?
A pack of {k} {o} costs {$x}. What is the price per {one}?
@ k=2..8 q=2..12 x=k*q z=2..12 | Each/One/First: a = x / k; So/In all: a * z | q * z | goods
{k} {o} cost {$x}. How much do {z} [{o} |]cost?
If {k} {o} are {$x}, what is the price of {z}?
{N} gets~get {$x} for {k} hours of work. How much for {z} hours?
{k} tickets cost {$x}. What do {z} tickets cost?
@ y=2..12 q=2..12 m=y*q z=2..40 x=m+z | Left/First/After that: a = x - z; The number/So: a / y | q | goods
{N} has~have {$x} and spends~spend {$z} on {a_one2}. How many {o} at {$y} each can {s} buy with the rest?
{N} had {$x}, paid {$z} for {a_one2} and spent the rest on {o} for {$y} each. How many {o} did {s} buy?
{a_one2} costs {$z} and {a_one} costs {$y}. {N} has~have {$x} and buys~buy one {one2}. How many {o} can {s} buy then?
{N} has~have {$z}. {a_one} costs {$x}. {s} saves~save {$y} a week. How many weeks does~do {s} need?
@ x=2..9 b=2..12 e=b+1..b+12 | Each/Gain/One: a = e - b; In all/So: a * x | (e - b) * x | goods
{N} buys~buy {o} for {$b} and sells~sell them for {$e}. How much does~do {N} gain with {x} {o}?
{N} bought {x} {o} for {$b} each and sold them for {$e} each. [What is the profit?|How much did {N} gain?]
""")
