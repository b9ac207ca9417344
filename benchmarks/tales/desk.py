"""What is done beside the teacher, in processes of its own: requests become ids, and answers become texts."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.tales.kept import judge
from benchmarks.tales.requests import request

MULTIPLE = 16  #: lengths of prompts are padded to it, so that a compiled teacher meets few of them
_open: dict[str, Any] = {}


class Text(NamedTuple):
    """One answer, judged."""

    text: str | None
    reason: str
    tokens: int  #: of the teacher's, in what is kept and was sampled
    sampled: int  #: tokens up to the end


class Inline(Executor):
    """Works at once, in this process."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """The result, there already."""
        done: Future[Any] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


def sit(teacher: Path) -> Any:
    """Get the teacher's tokenizer, once a process."""
    if _open.get("teacher") != teacher:
        import transformers

        tokenizer = transformers.AutoTokenizer.from_pretrained(teacher, padding_side="left")
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        _open.update(teacher=teacher, tokenizer=tokenizer)
    return _open["tokenizer"]


def asked(teacher: Path, first: int, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Requests by number as ids and mask, ``[row, position]``, padded on the left.

    Each ends in the beginning of its answer.
    """
    tokenizer = sit(teacher)
    said = [request(number, seed) for number in range(first, first + count)]
    chats = tokenizer.apply_chat_template([one.chat() for one in said], add_generation_prompt=True, tokenize=False)
    whole = [chat + one.start for chat, one in zip(chats, said, strict=True)]
    told = tokenizer(whole, add_special_tokens=False, padding=True, pad_to_multiple_of=MULTIPLE, return_tensors="np")
    return told["input_ids"], told["attention_mask"]


def judged(teacher: Path, first: int, seed: int, answers: np.ndarray, ends: frozenset[int]) -> list[Text]:
    """What becomes of the answers to the requests from ``first`` on, ids ``[row, position]``."""
    tokenizer = sit(teacher)
    rows = list[list[int]]()
    for ids in answers.tolist():
        stop = next((at for at, token in enumerate(ids) if token in ends), len(ids))
        rows.append(ids[:stop])
    found = list[Text]()
    for at, (ids, said) in enumerate(zip(rows, tokenizer.batch_decode(rows, skip_special_tokens=True), strict=True)):
        start = request(first + at, seed).start
        if start.endswith((".", "!", "?")):
            said = " " + said.lstrip()
        verdict = judge(start + said, ended=len(ids) < answers.shape[1])
        share = (len(verdict.text) - len(start)) / max(1, len(said)) if verdict.text else 0.0
        found.append(Text(*verdict, round(min(1.0, share) * len(ids)), len(ids)))
    return found
