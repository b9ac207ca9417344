"""The word-problem generator: right arithmetic, disjoint splits, purity, difficulty, variety; scorer."""

from __future__ import annotations

import math
import re
from collections import Counter
from random import Random

import pytest

from dlmsample.tasks import Example, Score, load
from dlmsample.tasks.wordproblems import (
    WordProblems,
    draw_plan,
    forms,
    plan_key,
    problem,
    split_of,
    texts,
    words,
)
from dlmsample.tasks.wordproblems.wording import render

NUMBER = {slot: f"(?P<{slot}>[0-9]+)" for slot in "abr"}
FORMS = [
    (sign, re.compile(re.sub(r"\\{(.)\\}", lambda slot: NUMBER.get(slot[1], "[A-Z][A-Za-z ]*"), re.escape(form))))
    for sign, options in forms.STEPS.items()
    for form in options
]
"""Every sentence of a gold chain reads as one of these, (operation, pattern)."""
OPERATIONS = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__, "/": int.__floordiv__}
RANGES = [(5, 8), (2, 8), (2, 2), (3, 4), (8, 8)]


def steps(reference: str) -> list[tuple[str, str, str, str]]:
    """Left operand, operation, right operand and result of each sentence of a gold chain, read by its form.

    (A form that exchanges the operands of + or * reads like the one that does not.)
    """
    found = []
    for sentence in re.findall(r"[^.]+\.", reference.partition("\n#### ")[0]):
        readings = [(sign, form.fullmatch(sentence.strip())) for sign, form in FORMS]
        sign, match = next((sign, match) for sign, match in readings if match)
        found.append((match["a"], sign, match["b"], match["r"]))
    return found


def equations(reference: str) -> tuple[str, ...]:
    """The equations of a gold chain, read back from its text."""
    return tuple(f"{left} {sign} {right} = {result}" for left, sign, right, result in steps(reference))


def sample(split: str, count: int, low: int = 5, high: int = 8, seed: int = 0) -> list[Example]:
    return [problem(split, i, seed, low, high) for i in range(count)]


@pytest.mark.parametrize(("low", "high"), RANGES)
@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_every_chain_computes_its_answer(split: str, low: int, high: int) -> None:
    for example in sample(split, 150, low, high):
        chain, final = example.reference.split("\n#### ")
        found = steps(chain)
        assert low <= len(found) <= high
        assert len(found) == example.meta["steps"]
        for left, operation, right, result in found:
            assert OPERATIONS[operation](int(left), int(right)) == int(result)
            assert operation != "/" or int(left) % int(right) == 0
            assert 1 <= int(result) <= 999
        assert found[-1][-1] == final == example.answer


@pytest.mark.parametrize(("low", "high"), RANGES)
def test_every_number_of_the_chain_comes_from_the_problem_or_an_earlier_step(low: int, high: int) -> None:
    """And every number of the problem is used, so nothing in it is idle or missing."""
    word_numbers = {"doubled": 2, "twice": 2, "half": 2, "tripled": 3, "third": 3, "quarter": 4}
    for example in sample("train", 300, low, high):
        given = Counter(int(n) for n in re.findall(r"[0-9]+", example.prompt))
        given.update(word_numbers[w] for w in re.findall(r"[a-z]+", example.prompt) if w in word_numbers)
        known, used = set(given), Counter()
        results = set()
        for left, _, right, result in steps(example.reference):
            assert {int(left), int(right)} <= known
            used.update(n for n in (int(left), int(right)) if n in given and n not in results)
            results.add(int(result))
            known.add(int(result))
        assert set(given) <= set(used) | results


def test_steps_are_uniform() -> None:
    counts = Counter(example.meta["steps"] for example in sample("train", 4000))
    assert sorted(counts) == [5, 6, 7, 8]
    assert all(850 < n < 1150 for n in counts.values())


def test_arithmetic_is_not_trivial() -> None:
    found = [step for ex in sample("train", 1000) for step in steps(ex.reference)]
    products = sum(operation in "*/" for _, operation, _, _ in found) / len(found)
    long_sums = sum(op in "+-" and int(right) >= 100 for _, op, right, _ in found) / len(found)
    assert 0.3 < products < 0.5
    assert long_sums > 0.2
    assert {op for _, op, _, _ in found} == set("+-*/")


def test_splits_are_disjoint_by_their_plans() -> None:
    """A plan, read back from the text, hashes to the split it was drawn for, at every difficulty and seed."""
    keys: dict[str, set[str]] = {"train": set(), "valid": set(), "test": set()}
    for split, seen in keys.items():
        for low, high in RANGES:
            for seed in (0, 1):
                for index in range(150):  # in the fixed wording, which keeps the plan's order of operands
                    found = equations(problem(split, index, seed, low, high, free_wording=False).reference)
                    assert split_of(found) == split
                    seen.add(plan_key(found))
    assert not keys["train"] & (keys["test"] | keys["valid"])
    assert not keys["test"] & keys["valid"]


def test_split_shares() -> None:
    random = Random(0).random
    counts = Counter(split_of(draw_plan(random, 2 + i % 7).equations) for i in range(8000))
    assert 400 < counts["valid"] < 600
    assert 400 < counts["test"] < 600


def test_the_split_ignores_results_and_nothing_else() -> None:
    assert plan_key(("57 + 23 = 80", "80 / 4 = 20")) == "57 + 23;80 / 4"
    assert len({plan_key((left,)) for left in ("5 + 2 = 7", "5 - 2 = 3", "2 + 5 = 7", "5 + 3 = 8")}) == 4


def test_a_problem_is_a_pure_function_of_its_arguments() -> None:
    task = WordProblems("valid")
    forwards = [task[i] for i in range(20)]
    assert [task[i] for i in reversed(range(20))] == forwards[::-1]
    assert forwards == sample("valid", 20)
    assert [ex.reference for ex in forwards] == [ex.reference for ex in task[:20]]
    assert problem("train", 0) != problem("train", 1)
    assert problem("train", 0) != problem("train", 0, seed=1)
    assert len({ex.prompt for ex in sample("train", 1000)}) == 1000


def test_a_problem_never_changes() -> None:
    """Pinned text: the shipped weights and every published number rest on this stream."""
    assert problem("test", 0, 0, 2, 2, free_wording=False) == Example(
        "In the car, Ella had 29 blocks. Ella found 3 bundles with 6 blocks in each. So how many blocks has Ella got?",
        "47",
        "All bundles: 3 * 6 = 18. With these: 29 + 18 = 47.\n#### 47",
        {"steps": 2},
    )
    free = problem("test", 0, 0, 2, 2)
    assert free.reference == "That is 18, from 3 * 6. That is 47, from 29 + 18.\n#### 47"
    assert WordProblems("test", 1, min_steps=2, max_steps=2)[0] == free


def test_wording_is_varied() -> None:
    """Numbers, names and objects blanked out, sentences still differ widely, and no form dominates."""
    everyone = {name for name, *_ in words.PEOPLE}
    things = {noun for pair in words.OBJECTS for noun in pair}
    skeletons: Counter[str] = Counter()
    problems = sample("train", 1500)
    for example in problems:
        for sentence in re.split(r"(?<=[.?]) ", example.prompt):
            tokens = (
                "N" if w.isdigit() else "NAME" if w in everyone else "THING" if w in things else w
                for w in re.findall(r"\w+", sentence)
            )
            skeletons[" ".join(tokens)] += 1
    assert len(skeletons) > 1500
    assert skeletons.most_common(1)[0][1] < 0.02 * skeletons.total()
    assert len({ex.prompt.split()[0] for ex in problems}) > 60
    assert len(everyone) == len(words.PEOPLE) >= 60
    assert len(set(words.OBJECTS)) == len(words.OBJECTS) >= 60
    assert all(len(forms.EVENTS[kind]) >= 8 for kind in forms.EVENTS)


def test_the_wording_of_the_chain_is_free() -> None:
    """One story has a chain in every combination of its steps' forms, each about as often."""
    for seed in range(10):
        plan = draw_plan(Random(seed).random, 2)
        made = [render(plan, Random(seed).random, Random(i).random) for i in range(3600)]
        counts = Counter(chain for _, chain in made)
        expected = math.prod(len(forms.STEPS[step.split()[1]]) for step in plan.equations)
        assert len({prompt for prompt, _ in made}) == 1
        assert all(a != b for a, b in (step.split()[0:3:2] for step in plan.equations)), "equal operands: fewer chains"
        assert len(counts) == expected
        assert min(counts.values()) * expected / 3600 > 0.6
        assert max(counts.values()) * expected / 3600 < 1.5


def test_the_wording_of_the_chain_changes_nothing_else() -> None:
    for split in ("train", "valid", "test"):
        for index in range(150):
            free, fixed = (problem(split, index, free_wording=choice) for choice in (True, False))
            assert (free.prompt, free.answer, free.meta) == (fixed.prompt, fixed.answer, fixed.meta)
            for ours, plans in zip(steps(free.reference), steps(fixed.reference), strict=True):
                assert ours == plans or (plans[1] in "+*" and ours == (plans[2], plans[1], plans[0], plans[3]))


def test_english_is_well_formed() -> None:
    """Sentences start with a capital or a digit, end in a stop, leave no slot open and double no space."""
    for example in sample("train", 1500, 2, 8):
        assert not re.search(r"[{}]|  |\s$|^\s", example.prompt)
        assert example.prompt[-1] in ".?"
        for sentence in re.split(r"(?<=[.?]) ", example.prompt):
            assert re.match(r"[A-Z0-9]", sentence)
            assert 3 <= len(sentence.split()) <= 20


def test_nobody_trades_with_themselves() -> None:
    everyone = re.compile(rf"\b(?:{'|'.join(words.SHE + words.HE)})\b")
    for example in sample("train", 1500):
        hero = next(iter(everyone.findall(example.prompt)))
        alone = rf"{hero} (?:gave|brought|told) (?:her|him)\b|(?<!belonged )\b(?:to|with|from) {hero}\b"
        assert not re.search(alone, example.prompt), example.prompt


def test_texts_alternate_prompts_and_completions() -> None:
    example = problem("train", 1, 0, 2, 8)
    assert list(texts("train", 2))[2:] == [example.prompt, " " + example.reference]


@pytest.mark.parametrize(
    ("text", "extracted"),
    [
        ("... #### 1234", "1234"),
        ("####1234", "1234"),
        (" so\n#### 1,234\nmore 5", "1234"),
        ("#### $1234.", "1234"),
        ("#### 1234 #### 7", "1234"),
        ("#### or so #### 1234", "1234"),
        ("#### 7 #### 1234", "7"),
        ("#### -1234", "-1234"),
        ("#### $-1,234", "-1234"),
        ("#### 001234", "1234"),
        ("#### 12,34", None),
        ("#### 1,2345", None),
        ("#### 1234.5", None),
        ("#### 1234.5 #### 1234. 5", "1234"),
        ("#### 1234, and 5", "1234"),
        ("#### -0", "0"),
        ("1234", None),
        ("### 1234", None),
        ("####", None),
        ("", None),
        ("#### x1234", None),
        ("🙂\x00####\n٣", None),
    ],
)
def test_scorer(text: str, extracted: str | None) -> None:
    task = load("wordproblems", limit=1)
    gold = Example("", "1234", "")
    assert task.score(gold, text) == Score(extracted == "1234", extracted)


def test_gold_scores_and_anything_else_does_not() -> None:
    task = load("wordproblems", split="valid", limit=50)
    for example in task:
        assert task.score(example, example.reference).correct
        assert task.score(example, example.completion).correct
        assert not task.score(example, example.reference + "0").correct
        assert not task.score(example, "").correct
