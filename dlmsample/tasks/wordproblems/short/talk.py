"""Text that is no question with numbers, and the sentence that helps whoever typed it."""

from __future__ import annotations

from dlmsample.tasks.wordproblems import everyday, words
from dlmsample.tasks.wordproblems.short.draw import Draw

EXAMPLE = "Ann had 3 pens and got 4. How many?"
HELLO = f"Hello! I solve short problems with whole numbers, such as: {EXAMPLE}"
SELF = f"I am nano, a small model that solves problems with whole numbers, such as: {EXAMPLE}"
OTHER = f"I only solve problems with whole numbers, such as: {EXAMPLE}"

_HELLO = (
    "Hello!;Hello;Hi;hi;Hi!;Hey;Hey there;hello;Good morning;Good morning!;Good evening;Good "
    "afternoon.;Hi there;How are you?;Hello, how are you?"
    ";How are you doing?;Hi nano;Hello nano!;hey;yo;Greetings;Thank you.;Thanks!;thanks;Bye;Goodbye!;good "
    "night;What's up?;Nice to meet you."
).split(";")
_SELF = (
    "Who are you?;What are you?;What can you do?;who are you;What is your "
    "name?;Tell me about yourself.;What is nano?;Are you a robot?;help;Help;Help me"
    ";Can you help me?;What do you do?;how does this work?;Who made you?;What "
    "should I type?;Are you human?;What are you good at?;Can you talk?;help!"
    ";How do you work?;what can i ask you?;What can I ask?;Introduce yourself.;test;testing"
).split(";")
_TALK = (
    "What is the {w} of {w}?;Who is the {w} of the {w}?;Tell me about {w}.;Write "
    "a {w} about {w}.;Write a {w} {w} that will {w} the {w}.;Explain {w} to me."
    ";Why is the {w} {w}?;Where is {w}?;What is {w}?;Translate {w} {w} {w}.;{w} "
    "{w} {w};Please {w} the {w} and {w}.;Can you {w} a {w}?;The {w} {w} on the"
    " {w}.;Do you like {w}?;Is {w} a {w}?;When was the {w} {w}?;Who {w} the {w}?;How "
    "do I {w} a {w}?;I {w} the {w}.;Once upon a time there was a {w};My {w} is"
    " {w}.;What does {w} mean?;Give me a {w} for {w}.;{w}?;{w};Sing a {w}.;Tell me "
    "a {w}.;Which {w} is the best?;Describe a {w} {w}.;How far is {w}?;I like"
    " {w} and {w}.;The capital of {w} is;Let's {w}!;What day is it?;What time "
    "is it?;Why?;How?;ok;yes;no;What?;Who won the {w}?;Should I {w} or {w}?"
).split(";")


def talk(d: Draw) -> tuple[str, str]:
    """A text, and the answer that it deserves."""
    kind = d.random()
    if kind < 0.16:
        return d.pick(_HELLO), HELLO
    if kind < 0.32:
        return d.pick(_SELF), SELF
    if kind < 0.75:
        text = d.pick(_TALK)
        while "{w}" in text:
            text = text.replace("{w}", _word(d), 1)
        return text, OTHER
    if kind < 0.88:
        text = " ".join([_word(d) for _ in range(d.between(1, 20))])
        return text + d.say("?/.|/|").replace("|", ""), OTHER
    return everyday.letters(d.random), OTHER


def _word(d: Draw) -> str:
    return d.invented() if d.chance(0.25) else d.pick(words.COMMON)
