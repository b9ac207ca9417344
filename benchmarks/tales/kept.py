"""What is kept of a teacher's text: its whole sentences up to the first that is no part of a plain text.

A text is cut, not only taken or left: behind the last whole sentence if the teacher did not come to its end, and before
the first sentence with other characters, a list, talk about the text itself, a moral, flowery or too many words, or
hardly a new one. What stands before is natural text as it was written. A text of a few words is left out, and one that
goes in circles.
"""

from __future__ import annotations

import re
from typing import NamedTuple

TYPESET = str.maketrans(
    {"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"', "\u2014": "-", "\u2013": "-", "\u2026": "..."}
)
#: Behind a whole sentence, where the next may begin.
ENDS = re.compile(r"(?<!\bMr)(?<!\bMrs)(?<!\bDr)[.!?]+\"?(?= |$)")
LEAST, MOST = 20, 200  #: words
REPEATED = 0.15  #: share of groups of four words that stood there before, at most
DIFFERENT = 0.5  #: share of words that did not stand there before, at least
FRESH = 0.2  #: the same, of a sentence behind the first words
_OF_IT = r"(this|the|our) (story|text|article|lesson|sentence|paragraph) "
_ABOUT = (
    r"(here is|here's) an?|sure[,!]|as an ai|in conclusion|in summary|young (children|readers)|(picture|school) book",
    _OF_IT + r"(is|was|of|uses|teaches|shows|tells|about|begins|starts|ends)|children's book|everyday words|the reader",
    r"once upon a time|i'm here to help|(been|am) (trained|tasked|programmed)|language model|formatting|paragraph",
    r"this example|(add|create|write|tell)(ed)? a (short )?story|fictional",
)
_MORAL = (
    r"the moral|reminds? us|reminder|(valuable|important) lesson|learned (that|the importance)|taught (us|\w+) that",
    r"the importance of|remember,|from that day|and so,",
)
_FLOWERY = (
    r"ethereal|tapestry|shimmer\w*|otherworldly|testament|symphon\w+|enchant\w*|majestic|kaleidoscope|mesmeri\w+|realms?",
    r"essence|embrac\w+|profound\w*|intricate\w*|unwavering|captivat\w+|crucial|vital|ecosystems?|foster\w*|enhanc\w+",
    r"sustainab\w+|culinary|haven|vibrant|bustling|innovative",
)
#: Why a text ends before a sentence.
FAULTS = {
    "characters": re.compile(r"[^A-Za-z0-9 .,;:!?'\"\-()$%&]|\b[A-Z]{4,}|\S{25,}"),
    "list": re.compile(r"^\"?(\d+[.)]|[-*] |Title|Note|Step \d)|: (\d+\.|[-*] )|( [-*] .*){3}|:$"),
    "about": re.compile(rf"\b({'|'.join(_ABOUT)})\b", re.IGNORECASE),
    "flowery": re.compile(rf"\b({'|'.join(_FLOWERY)})\b|(\S+ ){{35}}", re.IGNORECASE),
    "moral": re.compile(rf"\b({'|'.join(_MORAL)})", re.IGNORECASE),
}


class Verdict(NamedTuple):
    """What became of a text."""

    text: str | None
    reason: str  #: why it was left out, or was cut; "whole" if neither


def sentences(text: str) -> list[str]:
    """The whole sentences of a text on one line; what was said in quotes stays together.

    Example:
        >>> sentences('Mr. Hill came. "Sit down. Wait!" he said. Then')
        ['Mr. Hill came.', '"Sit down. Wait!" he said.']
    """
    found, begun = list[str](), 0
    for end in (match.end() for match in ENDS.finditer(text)):
        part = text[begun:end].strip()
        following = text[end:].lstrip()[:1]
        if part.count('"') % 2 == 0 and not (part.endswith('"') and following.islower()):
            found.append(part)
            begun = end
    return found


def judge(text: str, ended: bool = True) -> Verdict:
    """The text as it is kept, and why it is not kept whole.

    Example:
        >>> judge("Here is a story.")
        Verdict(text=None, reason='about')
    """
    line = " ".join(text.translate(TYPESET).split())
    parts = sentences(line)
    reason = "whole" if ended and parts and len(" ".join(parts)) == len(line) else "not ended"
    kept, told = list[str](), set[str]()
    for part in parts:
        words = re.findall(r"[\w']+", part.lower())
        fault = next((name for name, pattern in FAULTS.items() if pattern.search(part)), None)
        if fault is None and len(told) >= LEAST and len({*words} - told) < FRESH * len(words):
            fault = "nothing new"
        told |= {*words}
        if fault is not None:
            reason = fault
            break
        kept.append(part)
    line = " ".join(kept)
    words = line.lower().split()
    if not LEAST <= len(words) <= MOST:
        return Verdict(None, "short" if reason == "whole" and len(words) < LEAST else reason)
    if not line.lstrip('"')[0].isupper():
        return Verdict(None, "beginning")
    groups = list(zip(words, words[1:], words[2:], words[3:], strict=False))
    if len(groups) - len({*groups}) > REPEATED * len(words) or len({*words}) < DIFFERENT * len(words):
        return Verdict(None, "repeats")
    return Verdict(line, reason)


def opening(text: str, words: int = 16) -> str:
    """By which two texts count as one: the first words, which are more than a request may bring."""
    return " ".join(text.lower().split()[:words])
