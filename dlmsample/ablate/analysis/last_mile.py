"""Last-mile corruption: the chain of thought reaches the gold result, the final answer does not state it."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

_NUMBER = re.compile(r"(?:(?<![\w.)])[-−])?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?")
_MARK = re.compile(r"####|<answer>")  # what opens the final answer; the first one counts
_PHRASE = re.compile(r"\\boxed|answer\s*(?:is|:)|答案", re.IGNORECASE)  # said along the way too; the last one counts
_STEP = re.compile(r"[。！？\n]|[.!?](?=\s|$)")  # where a step of the chain ends


@lru_cache(maxsize=1 << 13)  # each answer is asked for by its seed, its configuration and its line in the CSV
def last_mile(text: str, gold: str) -> bool | None:
    """Whether the chain of thought of an answer that was scored as wrong had reached ``gold``.

    Rule: the chain is what stands before the final answer (the first ``####`` or ``<answer>``, else the last
    ``\\boxed``, "answer is", "answer:" or 答案; all of the text where there is none); its last sentence or line with a
    number in it holds the gold number. T2M (arXiv:2604.18738, Sec. 6.4) judged this by hand; a rule misses garbled
    chains and takes an operand of the last step for its result.

    Returns:
        None where ``gold`` is no number: there is no result to look for.

    Example:
        >>> last_mile("So: 3 + 4 = 7. Then: 7 * 2 = 14. #### 4", "14"), last_mile("So: 3 + 4 = 7. #### 8", "14")
        (True, False)
        >>> last_mile("It is blue.", "blue") is None
        True
    """
    wanted = _NUMBER.fullmatch(gold.strip())
    if wanted is None:
        return None
    numbers = next((found for step in reversed(_STEP.split(_chain(text))) if (found := _NUMBER.findall(step))), [])
    return _value(wanted[0]) in map(_value, numbers)


def _chain(text: str) -> str:
    if mark := _MARK.search(text):
        return text[: mark.start()]
    phrases = list(_PHRASE.finditer(text))
    return text[: phrases[-1].start()] if phrases else text


def _value(number: str) -> Decimal:
    return Decimal(number.replace(",", "").replace("−", "-"))
