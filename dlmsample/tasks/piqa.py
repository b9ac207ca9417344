"""PIQA: which of two ways to reach a goal works (Bisk et al. 2019, arXiv:1911.11641)."""

from __future__ import annotations

import re
from pathlib import Path

from dlmsample.tasks.answers.marks import after_phrase, answer_tag, last_boxed
from dlmsample.tasks.base import Example, Score
from dlmsample.tasks.benchmark import Benchmark, Folder, Hub, Row, pick_text, read_rows

# A letter that opens a text or follows "answer is"; the article "A" is followed by a word and does not count, and what
# follows a letter that is talked about ("(A) is wrong") is a statement.
_VERB = r"\s(?:is|was|would|will|seems|may|might|could|can|has|does|doesn't|isn't|won't)\b"
_TALKED_ABOUT = rf"(?!\W{{0,4}}(?:,[^,.\n]{{1,100}},|\s\([^()\n]{{1,200}}\))?{_VERB})"
_OPENING = re.compile(
    rf"[\s*_(\[\"'`$#>]*+(?:(?:option|choice|solution)[\s*_(]++)?\(?([AB])(?!\w|'\w)(?!\s++[a-z]){_TALKED_ABOUT}", re.I
)
_BAD = r"incorrect|wrong|worse|worst|inappropriate|unsuitable|invalid|false|less|impractical|unsafe"
_NOT = r"(?:(?:is|was|would|will|does|did|can|could|may|might)(?:\snot|n['\u2019]t|not)|won['\u2019]t|fails)\b"
# A letter that is marked as a choice, anywhere; not one of which something is denied ("(A) does not hold").
_MARKED = re.compile(
    r"(?:\(([AB])\)|\*\*([AB])\b|\b(?:[Oo]ption|[Cc]hoice|[Ss]olution)\s([AB])\b|(?:\n|^)\s?([AB])[.):])"
    rf"(?!\W{{0,4}}\s(?:{_NOT}|(?:is|was)\s(?:{_BAD})))"
)

_NOUN = r"(?:option|choice|solution|answer|method|way|approach|one)"
_AFTER_A = (
    r"because|since|as|for|over|and|is|isn't|was|wasn't|would|wouldn't|seems|sounds|here"
    r"|does|doesn't|fails|could|couldn't|won't|can't|cannot"
)
_LETTER = (
    rf"(?:(?:the\s)?{_NOUN}\s)?[*(\"'`]{{0,3}}(?P<letter>"
    rf"[Bb](?!\w|'\w)|A(?!\w|'\w)(?!\s(?!(?:{_AFTER_A})\b)[a-z])|a(?!\w|'\w)(?!\s\w))"
)
_GOOD = r"correct|right|best|better|preferable|appropriate|suitable|safer|safest|valid|true|ideal|more|most|answer"
_WORKS = r"work|hold|help|fit|do|suit|last|be|make|achieve|solve|stick|function"
_STATEMENTS = (
    # It's B; therefore B; not A but B; the correct answer - B.
    re.compile(
        rf"\b(?:it['\u2019]s|it\sis|so|thus|therefore|hence|but|instead|answer\s[-\u2013\u2014])[,:]?\s(?P<no>not\s)?{_LETTER}"
        r"(?=[)*\"'`]{0,3}(?:[.!;,]|$))",
        re.IGNORECASE,
    ),
    # A would not work.
    re.compile(
        rf"(?<!nor\s)(?<!neither\s)(?<!\w){_LETTER}[*)\"'`]{{0,3}}\s"
        rf"(?:(?:would|will|does|can|could|may|might)(?P<no>\snot|n['\u2019]t|not)\s(?:{_WORKS})|(?P<bad>fails))\b",
        re.IGNORECASE,
    ),
    # The correct option is B.
    re.compile(
        rf"\b(?:{_GOOD})\s{_NOUN}\s?(?:is|was|would\sbe|should\sbe|:)\s?:?\s?(?P<no>not\s)?{_LETTER}", re.IGNORECASE
    ),
    # I choose B.
    re.compile(
        r"(?P<no>\b(?:not|never)\s|n't\s)?\b(?:choose|chose|pick|picked|select|selected|prefer|recommend|go(?:ing)?\swith)\s"
        + _LETTER,
        re.IGNORECASE,
    ),
    # B is the correct choice; option A (a tin can) is not right.
    re.compile(
        rf"(?<!nor\s)(?<!neither\s)(?<!\w){_LETTER}[*)\"'`]{{0,3}}(?:\s\([^()\n]{{0,200}}\)|,[^,.\n]{{0,100}},)?\s"
        rf"(?:is|was|would\sbe|seems|sounds)(?P<no>\snot|n't)?\s(?:to\sbe\s)?(?:clearly\s|definitely\s|the\s|a\s|an\s|much\s){{0,3}}"
        rf"(?:(?P<good>{_GOOD})|(?P<bad>{_BAD}))\b",
        re.IGNORECASE,
    ),
)


def stated(text: str) -> str | None:
    """The letter that sentences of a text choose: the last one that is called right, else the other one where exactly
    one is called wrong; None: no sentence does.

    Example:
        >>> stated("The correct option is B."), stated("A is incorrect."), stated("B is not right, so I choose A.")
        ('B', 'B', 'A')
    """
    found = [match for pattern in _STATEMENTS for match in pattern.finditer(" ".join(text.split()))]
    right: dict[bool, list[str]] = {True: [], False: []}
    for match in sorted(found, key=lambda match: match.start()):
        holds = (match["no"] is None) == (match.groupdict().get("bad") is None)
        right[holds].append(match["letter"].upper())
    if right[True]:
        return right[True][-1]
    wrong = set(right[False])
    return None if len(wrong) != 1 else "B" if wrong == {"A"} else "A"


def choice(text: str, first: str, second: str) -> str | None:
    r"""``"A"``, ``"B"``, or None: which of the two solutions a text chooses.

    In this order: a letter in the last ``<answer>`` or ``\boxed{}``; a letter after the last "answer is" or "answer:";
    a letter at the very start ("B", "B.", "(B)", "Option B", not the article "A cup"); a sentence that calls one of the
    letters right or wrong (see ``stated``); the first letter that is marked as a choice; the one solution whose words
    stand in the text.

    Example:
        >>> choice("(B) because it holds", "a", "b"), choice("The answer is **A**.", "a", "b")
        ('B', 'A')
        >>> choice("A cup of rice.", "A cup of rice.", "A cup of milk."), choice("Both work.", "x", "y")
        ('A', None)
    """
    for part in (answer_tag(text), last_boxed(text), after_phrase(text), text):
        found = _OPENING.match(part.removeprefix("\\text{")) if part else None
        if found:
            return found[1].upper()
    letter = stated(text)
    if letter:
        return letter
    marked = _MARKED.search(text)
    if marked:
        return next(letter for letter in marked.groups() if letter)
    said, one, two = (" ".join(part.lower().split()).strip(" .") for part in (text, first, second))
    has_one, has_two = bool(one) and one in said, bool(two) and two in said
    return None if has_one == has_two else "A" if has_one else "B"


class PIQA(Benchmark):
    """PIQA: physical common sense, two choices; answers are public for train and valid (1,838 questions).

    Prompt: zero-shot generation, OpenCompass's. Scorer: the chosen letter (see ``choice``) is the right one; a text
    without a choice is wrong. SGT2T (arXiv:2606.17175) prints 82.37 -> 84.00 % for LLaDA2.1-mini, with a prompt that it
    does not print.

    Example:
        >>> choice("B", "bedding of paper", "bedding of jeans")
        'B'
    """

    name = "piqa"
    splits = ("train", "valid")
    source = "ybisk.github.io/piqa, AFL 3.0"
    scorer = "chosen letter"
    files = {"train": ("train.jsonl",), "valid": ("valid.jsonl",)}
    needs = (("goal",), ("sol1",), ("sol2",), ("label",))
    hub = Hub("ybisk/piqa", {"train": "train", "valid": "validation"}, revision="refs/convert/parquet")

    def __init__(self, split: str = "valid", limit: int | None = None, *, data_dir: Folder | None = None) -> None:
        super().__init__(split, limit, data_dir=data_dir)

    def read(self, path: Path) -> list[Row]:
        """The questions with their labels, which lie beside them in ``{split}-labels.lst``, a line each."""
        rows = read_rows(path)
        if rows and "label" in rows[0]:
            return rows
        labels = path.with_name(f"{path.stem}-labels.lst")
        if not labels.is_file():
            raise ValueError(f"{path} has no labels: put {labels.name} beside it")
        right = labels.read_text(encoding="utf-8-sig").split()
        if len(right) != len(rows) or set(right) - {"0", "1"}:
            raise ValueError(f"{labels} must hold 0 or 1 for each of the {len(rows)} rows of {path.name}")
        return [{**row, "label": int(label)} for row, label in zip(rows, right, strict=True)]

    def build(self, row: Row) -> Example:
        """Goal and solutions, the letter, the letter with its solution; ``meta`` holds both solutions."""
        first, second = pick_text(row, "sol1"), pick_text(row, "sol2")
        prompt = f"{row['goal']}\nA. {first}\nB. {second}\nAnswer:"
        answer = {"0": "A", "1": "B"}[str(row["label"])]
        solutions = (first, second)
        return Example(prompt, answer, f"{answer}. {solutions[int(row['label'])]}", {"solutions": solutions})

    def score(self, example: Example, text: str) -> Score:
        """The chosen letter is the right one."""
        first, second = example.meta.get("solutions", ("", ""))
        found = choice(text, first, second)
        return Score(found == example.answer, found)
