"""TriviaQA: trivia questions with many accepted names for the answer (Joshi et al. 2017, arXiv:1705.03551)."""

from __future__ import annotations

import re
import string

from dlmsample.tasks.answers.marks import after_phrase, answer_tag, last_boxed
from dlmsample.tasks.base import Example, Score
from dlmsample.tasks.benchmark import Benchmark, Hub, Row, pick

_PROMPT = (
    "Answer these questions, your answer should be as simple as possible, "
    "start your answer with the prompt 'The answer is '.\nQ: {question}?"
)
_ARTICLE = re.compile(r"\b(?:an|a|the)\b")
_FONT = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mbox|emph)\s?\{([^{}]*+)\}")
_PUNCTUATION = dict.fromkeys(map(ord, string.punctuation + "‘’´`"), " ")


def normalised(text: str) -> str:
    """The official normal form: lower case, punctuation to spaces, no English articles, single spaces.

    Example:
        >>> normalised("The  Cotswold_Hills, (England)!")
        'cotswold hills england'
    """
    return " ".join(_ARTICLE.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def short_answer(text: str) -> str | None:
    r"""What a text gives as its answer; None: it is empty.

    In this order: the last ``\boxed{}``, the last ``<answer>``, the rest of the line after the last "answer is" or
    "answer:", the first line that is not empty (an "A:" before it is dropped).

    Example:
        >>> short_answer("The answer is Mark Twain."), short_answer("\nA: Mark Twain\nHe wrote it.")
        ('Mark Twain.', 'Mark Twain')
    """
    marked = last_boxed(text) or answer_tag(text) or after_phrase(text)
    if marked:
        said = plain(last_boxed(marked) or marked)
        return after_phrase(said) or said or None
    line = text.lstrip().partition("\n")[0].strip()
    return line.removeprefix("A:").strip() or None


def plain(marked: str) -> str:
    r"""Without LaTeX's fonts and signs around words.

    Example:
        >>> plain(r"$\text{\textit{Mark} Twain}$")
        'Mark Twain'
    """
    for _ in range(3):
        marked = _FONT.sub(r"\1", marked)
    return marked.replace("\\", "").strip("$ ")


def aliases(row: Row) -> list[str]:
    """All accepted answers of a row, in any of the published forms; the first is the name that people would give.

    Example:
        >>> aliases({"answer": {"value": "X", "aliases": ["Ex", "X"], "normalized_aliases": ["ex", "x"]}})
        ['X', 'Ex', 'ex', 'x']
    """
    given = pick(row, "golden_answers", "answer", "Answer")
    if isinstance(given, dict):
        low = {key.lower().replace("_", ""): entry for key, entry in given.items()}
        lists = (low.get(key) or [] for key in ("aliases", "normalizedaliases", "humananswers"))
        given = [*([low["value"]] if "value" in low else []), *(name for part in lists for name in part)]
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ValueError("a row's answers are no list of texts: correct the file")
    return list(dict.fromkeys(names))


class TriviaQA(Benchmark):
    r"""TriviaQA without evidence documents: the model answers from memory.

    Prompt: zero-shot, OpenCompass's, a question mark added where there is none. Scorer: official exact match, that is
    the answer (see ``short_answer``) equals an alias after the official normalisation; a sentence that merely
    contains the name is wrong. ``test`` is FlashRAG's name for the 11,313 unfiltered dev questions, the ones with
    public answers. T2M (arXiv:2604.18738) prints 43.71 -> 44.98 % for LLaDA2.1-mini, with a prompt that it does not
    print.

    Example:
        >>> normalised("the Cotswolds.") in map(normalised, ["Cotswolds", "Cotswold Hills"])
        True
    """

    name = "triviaqa"
    splits = ("train", "valid", "test")
    source = "mandarjoshi90/triviaqa (FlashRAG or official form), Apache-2.0"
    scorer = "official exact match of normalised aliases"
    files = {
        "train": ("train.jsonl", "unfiltered-web-train.json"),
        "valid": ("dev.jsonl", "unfiltered-web-dev.json"),
        "test": ("test.jsonl", "test_subsample.jsonl", "unfiltered-web-dev.json"),
    }
    needs = (("question", "Question"), ("golden_answers", "answer", "Answer"))
    hub = Hub(
        "mandarjoshi/trivia_qa",
        {"train": "train", "valid": "validation", "test": "validation"},
        "unfiltered.nocontext",
    )

    def build(self, row: Row) -> Example:
        """Question, the first alias, "The answer is ..."; ``meta`` holds all aliases."""
        names = aliases(row)
        question = _plain(pick(row, "question", "Question")).removesuffix("?").rstrip()
        prompt = _PROMPT.replace("{question}", question)
        return Example(prompt, names[0], f"The answer is {names[0]}.", {"aliases": names})

    def score(self, example: Example, text: str) -> Score:
        """The short answer is one of the aliases, all in normal form; an answer that normalises to nothing is none."""
        found = short_answer(text)
        said = normalised(found or "")
        accepted = {normalised(name) for name in (example.answer, *example.meta.get("aliases", ()))}
        return Score(bool(said) and said in accepted, found)


def _plain(question: str) -> str:
    """Without the quotes of a CSV field that were left in some published rows."""
    quoted = len(question) > 2 and question[0] == question[-1] == '"' and '""' in question
    return question[1:-1].replace('""', '"') if quoted else question
