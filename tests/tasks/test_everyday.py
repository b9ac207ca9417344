"""Everyday text: right arithmetic, splits kept apart, an answer to anything, and it always returns."""

from __future__ import annotations

import re

import pytest

from dlmsample.tasks.wordproblems import plan_key, split_of, wording
from dlmsample.tasks.wordproblems import problem as long_problem
from dlmsample.tasks.wordproblems.everyday import OTHER, problem
from tests.tasks.test_wordproblems import OPERATIONS, equations, steps

COUNT = 6000


def test_stories_and_sums_compute_their_answers() -> None:
    kinds = {0: 0, 1: 0, 2: 0, 3: 0}
    for index in range(COUNT):
        example = problem("train", index)
        kinds[example.meta["steps"]] += 1
        if example.meta["steps"] == 0:
            assert example.reference == OTHER
            continue
        found = steps(example.reference)
        assert len(found) == example.meta["steps"]
        for left, sign, right, result in found:
            assert OPERATIONS[sign](int(left), int(right)) == int(result)
            assert sign != "/" or int(left) % int(right) == 0
        assert found[-1][-1] == example.answer == example.reference.partition("\n#### ")[2]
    assert all(count > COUNT / 20 for count in kinds.values())


def test_a_text_is_a_pure_function_of_its_arguments() -> None:
    assert [problem("train", i) for i in range(50)] == [problem("train", i) for i in range(50)]
    assert len({problem("train", i, seed).prompt for i in range(50) for seed in (0, 1)}) > 90


def test_other_text_is_as_varied_as_what_people_type() -> None:
    texts = [ex.prompt for ex in (problem("train", i) for i in range(COUNT)) if ex.reference == OTHER]
    assert len(set(texts)) > 0.7 * len(texts)
    assert sum(bool(re.search(r"[^\x00-\x7f]", text)) for text in texts) > 0.05 * len(texts)


def test_its_problems_keep_out_of_the_other_splits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans, written out plainly, hash to train, and none is a plan of a held-out problem."""
    with monkeypatch.context() as plainly:
        plainly.setattr(wording, "explain", lambda phrase, equation, vary: f"{equation}.")
        examples = [problem("train", i) for i in range(COUNT)]
    drawn = set()
    for example in examples:
        if example.reference != OTHER:
            chain = tuple(example.reference.partition("\n")[0].removesuffix(".").split(". "))
            assert split_of(chain) == "train"
            drawn.add(plan_key(chain))
    for split in ("valid", "test"):
        for index in range(500):
            fixed = long_problem(split, index, 0, 2, 3, free_wording=False)
            assert plan_key(equations(fixed.reference)) not in drawn
