"""Questions without a story: arithmetic in signs or in words, one to three operations, and numbers to be found."""

from __future__ import annotations

from dlmsample.tasks.wordproblems.free.frames import groups

GROUPS = groups("""
@ x=1..400 y=1..300 | So/The sum/Together: x + y | x + y
= {x} <plus> {y}
= {x} and {y}
= {=x}+{=y}
= the sum of {x} and {y}
= {x} added to {y}
= {y} more than {x}
= the total of {x} and {y}
[Add|Add up|Sum up] {x} and {y}.
[I have|start with|take] {x}[ and I| and|, then] add {y}. [What do I get?|What is the result?|what comes out?]
[What do you get|What happens|What comes out] if you add {y} to {x}?
{x} and {y} [together|in all|added up]?
[Which|What] number is {y} [more|bigger|higher] than {x}?
Count {y} up from {x}.
{x} increased by {y} is what?
If I put {y} on top of {x}, what do I have?
@ x=2..500 y=1..x | So/The difference/Left: x - y | x - y
= {x} <minus> {y}
= {=x}-{=y}
= the difference between {x} and {y}
= {y} less than {x}
= {x} take away {y}
= {x} without {y}
[Subtract|Take] {y} from {x}.
[I have|start with|take] {x}[ and I| and|, then] [take away|subtract] {y}. [What do I get?|What is the result?|What \
is left?]
What is left if you take {y} away from {x}?
[Which|What] number is {y} [less|smaller|lower] than {x}?
How much [bigger|more|larger] is {x} than {y}?
Count {y} down from {x}.
{x} decreased by {y} is what?
How far is it from {y} to {x}?
What do I get when I remove {y} from {x}?
@ x=2..30 y=2..30 | So/The product: x * y | x * y
= {x} <times> {y}
= {=x}*{=y}
= the product of {x} and {y}
= {x} multiplied by {y}
= {x} groups of {y}
Multiply {x} by {y}.
Multiply {x} and {y}.
[start with|take] {x} and multiply by {y}.
What is {x} times as much as {y}?
Take {y} {x} times. [What do you get?|]
What [do you get|comes out] if you multiply {x} by {y}?
Which number is {x times} {y}?
@ y=2..12 q=1..40 x=y*q | So/The result: x / y | q
= {x} <by> {y}
= {=x}/{=y}
= {x} split into {y} equal parts
= {x} shared by {y}
= {y} into {x}
Divide {x} by {y}.
How many times does {y} go into {x}?
How often does {y} fit in {x}?
take {x} and divide it by {y}.
Split {x} into {y} equal [parts|groups]. How big is each?
What [do you get|comes out] when {x} is divided by {y}?
@ y=2..5 q=2..90 x=y*q | So/The part: x / y | q
= {y part} of {x}
Take {y part} of {x}.
How much is {y part} of {x}?
{y part} of {x} is?
@ y=2..5 x=2..150 | So/That is: x * y | x * y
= {y times} {x}
{y times} {x} is?
Which number is {y times} as big as {x}?
@ x=2..150 y=1..x*2-1 | Doubled/First/Twice: a = x * 2; So/Then/Left: a - y | x * 2 - y
Double {x}, then [take away|subtract] {y}.
double {x} and take away {y}. [What is left?|What do you get?|]
[What is|How much is] twice {x} minus {y}?
{y} less than double {x}?
Take twice {x}. Remove {y}. What is left?
What is {y} less than twice {x}?
@ x=2..150 y=1..150 | Doubled/First/Twice: a = x * 2; So/Then/In all: a + y | x * 2 + y
Double {x}, then add {y}.
[What is|How much is] twice {x} plus {y}?
{y} more than double {x}?
[take|start with] {x}, double it and add {y}. [What do you get?|]
What is {y} more than twice {x}?
@ v=2..150 x=v*2 y=1..150 | Half/First: a = x / 2; So/Then/In all: a + y | v + y
Halve {x}, then add {y}.
Half of {x}, plus {y}?
What is {y} more than half of {x}?
[take|start with] half of {x} and add {y}. [What do you get?|]
@ v=3..150 x=v*2 y=1..v-1 | Half/First: a = x / 2; So/Then/Left: a - y | v - y
Halve {x} and [subtract|take away] {y}.
What is half of {x}, minus {y}?
What is {y} less than half of {x}?
take {x}, cut it in half, take away {y}. what is left?
@ x=1..90 y=2..12 z=2..12 | First/The product: p = y * z; So/Then/In all: x + p | x + y * z
= {x} <plus> {y} <times> {z}
= {=x}+{=y}*{=z}
= {x} plus the product of {y} and {z}
Add {x} to {y} times {z}.
@ y=2..12 z=2..12 x=1..90 | First/The product: p = y * z; So/Then/In all: p + x | y * z + x
= {y} <times> {z} <plus> {x}
= {=y}*{=z}+{=x}
Multiply {y} by {z} and add {x}.
[start with|take] {y}, multiply by {z}, then add {x}.
@ y=2..12 z=2..12 x=1..y*z-1 | First/The product: p = y * z; So/Then/Left: p - x | y * z - x
= {y} <times> {z} <minus> {x}
= {=y}*{=z}-{=x}
Multiply {y} by {z} and [subtract|take away] {x}.
[start with|take] {y}, multiply by {z}, then take away {x}.
@ y=2..12 z=2..12 x=y*z..y*z+90 | First/The product: p = y * z; So/Then/Left: x - p | x - y * z
= {x} <minus> {y} <times> {z}
= {=x}-{=y}*{=z}
Take {y} times {z} away from {x}.
@ x=1..30 y=1..30 z=2..12 | First/The bracket: a = x + y; So/Then: a * z | (x + y) * z
= ({=x} + {=y}) [*|x|times|×] {=z}
= ({=x}+{=y})*{=z}
= {=z} [*|x|times|×] ({=x} + {=y})
Add {x} and {y}, then multiply by {z}.
What is {z} times the sum of {x} and {y}?
Add {x} and {y} and multiply the result by {z}.
@ y=1..30 x=y+1..60 z=2..12 | First/The bracket: a = x - y; So/Then: a * z | (x - y) * z
= ({=x} - {=y}) [*|x|times|×] {=z}
= ({=x}-{=y})*{=z}
= {=z} [*|x|times|×] ({=x} - {=y})
Take {y} from {x}, then multiply by {z}.
What is {z} times the difference of {x} and {y}?
@ z=2..9 q=2..20 t=z*q x=1..t-1 y=t-x | First/The bracket: a = x + y; So/Then: a / z | (x + y) / z
= ({=x} + {=y}) [/|÷|divided by] {=z}
= ({=x}+{=y})/{=z}
Add {x} and {y}, then divide by {z}.
@ z=2..9 q=2..30 x=z*q y=1..60 | First: a = x / z; So/Then/In all: a + y | x / z + y
= {x} <by> {z} <plus> {y}
= {=x}/{=z}+{=y}
Divide {x} by {z} and add {y}.
@ z=2..9 q=2..30 x=z*q y=1..q | First: a = x / z; So/Then/Left: a - y | x / z - y
= {x} <by> {z} <minus> {y}
= {=x}/{=z}-{=y}
Divide {x} by {z} and take away {y}.
@ x=1..200 y=1..120 z=1..120 | First/So far/Then: a = x + y; So/In all/Now: a + z | x + y + z
= {x} <plus> {y} <plus> {z}
= {=x}+{=y}+{=z}
= the sum of {x}, {y} and {z}
Add {x}, {y} and {z}.
{x}, {y} and {z} together?
Add up {=x}, {=y}, {=z}
@ x=2..200 y=1..120 z=1..x+y | First/Then/So far: a = x + y; So/Now/Left: a - z | x + y - z
= {x} <plus> {y} <minus> {z}
= {=x}+{=y}-{=z}
Add {y} to {x} and [subtract|take away] {z}.
[start with|take] {x}, add {y}, [subtract|take away|remove] {z}. [What do you get?|What is left?|]
Add {x} and {y}. Then take away {z}. [Result?|What is it?|]
@ x=2..300 y=1..x z=1..120 | First/Then/Left: a = x - y; So/Now: a + z | x - y + z
= {x} <minus> {y} <plus> {z}
= {=x}-{=y}+{=z}
[start with|take] {x}, [subtract|take away|remove] {y}, add {z}. [What do you get?|]
Subtract {y} from {x}, then add {z}.
@ x=6..300 y=1..x/2 z=1..x/2 | First/Then/Left: a = x - y; So/Now/Left: a - z | x - y - z
= {x} <minus> {y} <minus> {z}
= {=x}-{=y}-{=z}
[start with|take] {x}, take away {y}, then take away {z}. [What is left?|]
Take {y} and {z} away from {x}.
@ y=1..150 r=1..150 x=y+r | So/The number/Missing: x - y | r
[What|Which number] plus {y} [is|makes|gives] {x}?
{y} plus what [is|makes|equals|gives] {x}?
[? + {=y} = {=x}|{=y} + ? = {=x}|{=x} = {=y} + ?|{=y} + _ = {=x}|x + {=y} = {=x}. What is x?|{=y} + x = {=x}, x = ?]
I think of a number and add {y}. [I get|The result is] {x}. [What is it?|What is my number?|Which number is it?]
What must I add to {y} to get {x}?
How much is missing from {y} to {x}?
The sum of two numbers is {x}. One [of them |]is {y}. What is the other?
if {y} more than a number is {x}, what is the number?
@ y=1..150 r=1..150 x=y+r | So/The number/At first: y + r | x
[What|Which number] minus {y} [is|gives|leaves] {r}?
[? - {=y} = {=r}|_ - {=y} = {=r}|x - {=y} = {=r}. What is x?|{=r} = x - {=y}. Find x.]
I think of a number and [take away|subtract] {y}. [I get|The result is] {r}. [What is it?|What is my number?]
from which number must I take {y} to get {r}?
if {y} less than a number is {r}, what is the number?
@ y=2..12 r=2..40 x=y*r | So/The number: x / y | r
[What|Which number] times {y} [is|makes|gives] {x}?
{y} times what [is|makes|equals|gives] {x}?
[? * {=y} = {=x}|{=y} * ? = {=x}|{=y} x _ = {=x}|{=y} * n = {=x}. What is n?|n * {=y} = {=x}, n = ?]
I think of a number and multiply it by {y}. I get {x}. What is [it|my number]?
if {y} times a number is {x}, what is the number?
""")
