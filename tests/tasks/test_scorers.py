"""What counts as correct in each benchmark, on hand-made rows in the published formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlmsample.tasks import Example, Task, load, piqa, triviaqa
from dlmsample.tasks.countdown import evaluate, solve

ROWS: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "gsm8k": ("test.jsonl", [{"question": "2 * 9?", "answer": "2 * 9 = <<2*9=18>>18\n#### 18"}]),
    "cmath": (
        "cmath_dev.jsonl",
        [{"input": "几页？", "golden": "9", "grade": 1}, {"input": "几分之几？", "golden": "2/6"}],
    ),
    "triviaqa": (
        "test.jsonl",
        [{"id": "t", "question": '"Who wrote ""Tom Sawyer""?"', "golden_answers": ["Mark Twain", "Twain, Mark"]}],
    ),
    "piqa": (
        "valid.jsonl",
        [{"goal": "Make a pillow.", "sol1": "Use a tin can.", "sol2": "Use a trash bag.", "label": 1}],
    ),
    "countdown": ("countdown_cd3_test.jsonl", [{"input": "30,100,93", "output": "23"}]),
}


def one(name: str, folder: Path, index: int = 0, **options: Any) -> tuple[Task, Example]:
    file, rows = ROWS[name]
    (folder / file).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    task = load(name, data_dir=folder, **options)
    return task, task[index]


@pytest.mark.parametrize("name", ROWS)
def test_the_reference_is_correct_and_silence_is_not(name: str, tmp_path: Path) -> None:
    task, example = one(name, tmp_path)
    task.prepare()
    assert task.score(example, example.reference).correct
    assert task.score(example, example.completion).correct
    for text in ("", " ", "\n\n", "\\boxed{}", "I do not know"):
        assert not task.score(example, text).correct


def test_gsm8k(tmp_path: Path) -> None:
    task, example = one("gsm8k", tmp_path)
    assert (example.answer, example.prompt.endswith("\n\n2 * 9?")) == ("18", True)
    for text in ("\\boxed{18}", "#### 18", "it is $18.00.", "<answer>\n\\boxed{18}\n</answer>"):
        assert task.score(example, text).correct
    for text in ("\\boxed{17} or 18 - 1", "#### 19\n18", "180"):
        assert not task.score(example, text).correct


@pytest.mark.parametrize(
    ("index", "text", "correct"),
    [
        (0, "还剩9页", True),
        (0, "答案是\\boxed{9}。", True),
        (0, "99-90=9\n答：还剩9页，共1本", True),
        (0, "答：9页，8页，7页", False),
        (0, "答案是9.0。", True),
        (0, "答案是9.2。", False),
        (0, "答案是9。\r\n", True),
        (1, "答案是$\\frac{2}{6}$", True),
        (1, "答案是6分之2", True),
        (1, "答案是1/3。", True),
        (1, "答案是0.334。", True),
        (1, "答案是1/0。", False),
    ],
)
def test_cmath(index: int, text: str, correct: bool, tmp_path: Path) -> None:
    task, example = one("cmath", tmp_path, index)
    assert task.score(example, text).correct is correct


def test_cmath_strict_takes_the_last_number_alone(tmp_path: Path) -> None:
    text = "还剩9页，共1本"
    for strict in (False, True):
        task, example = one("cmath", tmp_path, strict=strict)
        assert task.score(example, text).correct is not strict
    with pytest.raises(ValueError, match="true or false"):
        one("cmath", tmp_path, strict="yes")


@pytest.mark.parametrize(
    ("text", "correct"),
    [
        ("The answer is Mark Twain.", True),
        ("A: mark  twain", True),
        ("Mark Twain\nHe also wrote other books.", True),
        ("\\boxed{\\text{Mark Twain}}", True),
        ("\\boxed{\\textbf{Mark} \\text{Twain}}", True),
        ("\\boxed{\\mathrm{Mark\\ Twain}}", True),
        ("The answer is \\text{Mark Twain}.", True),
        ("<answer>\\boxed{\\text{Mark Twain}}</answer>", True),
        ("\\boxed{\\text{Samuel}}", False),
        ("\\boxed{\\text{}}", False),
        ("\\boxed{Twain, Mark}", True),
        ("The answer is the American author Mark Twain.", False),
        ("The answer is Samuel.", False),
        ("The answer is the.", False),
    ],
)
def test_triviaqa(text: str, correct: bool, tmp_path: Path) -> None:
    task, example = one("triviaqa", tmp_path)
    assert example.prompt.endswith('\nQ: Who wrote "Tom Sawyer"?')
    assert task.score(example, text).correct is correct


def test_triviaqa_reads_the_official_form(tmp_path: Path) -> None:
    answer = {"Value": "X", "Aliases": ["Ex"], "NormalizedAliases": ["ex"], "HumanAnswers": ["Mister X"]}
    data = {"Data": [{"Question": "Who?", "Answer": answer}]}
    (tmp_path / "unfiltered-web-dev.json").write_text(json.dumps(data))
    task = load("triviaqa", split="valid", data_dir=tmp_path)
    assert [task.score(task[0], said).correct for said in ("x", "EX", "mister x", "y")] == [True, True, True, False]


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("B", "B"),
        (" b.", "B"),
        ("(A) Use it", "A"),
        ("**B**", "B"),
        ("Answer: B. Use a trash bag.", "B"),
        ("The answer is (A).", "A"),
        ("The answer is option B", "B"),
        ("\\boxed{\\text{B}}", "B"),
        ("<answer>A</answer>", "A"),
        ("I think that (B) works, not (A)", "B"),
        ("Solution A would be better", "A"),
        ("Reasons...\nB. Use a trash bag", "B"),
        ("A tin can is hard, so use a trash bag.", "B"),
        ("use a tin can", "A"),
        ("A good question", None),
        ("Neither", None),
        ("A tin can? Use a tin can. Or use a trash bag.", None),
        ("C", None),
        ("The correct option is B.", "B"),
        ("The correct choice is (A).", "A"),
        ("The best solution would be **B**.", "B"),
        ("the better one is b.", "B"),
        ("I choose B.", "B"),
        ("I would pick option A because it holds.", "A"),
        ("I'd go with B, since a can is hard.", "B"),
        ("I would not choose A.", "B"),
        ("B is the correct choice.", "B"),
        ("Option A is incorrect. Option B is correct.", "B"),
        ("Option B is correct. Option A is incorrect.", "B"),
        ("(A) is wrong; (B) is right.", "B"),
        ("**A** is not correct, **B** is.", "B"),
        ("A is incorrect.", "B"),
        ("Option B (use a trash bag) is the right one.", "B"),
        ("Solution A, a tin can, is not the best choice.", "B"),
        ("B is better than A", "B"),
        ("The correct option is not A.", "B"),
        ("The correct option is a tin can.", None),
        ("I choose A tin can, or a trash bag", None),
        ("Neither A nor B is correct.", None),
        ("A and B are both right.", None),
        ("A is incorrect. B is incorrect.", None),
        ("B. Option A is correct for cats only.", "B"),
        ("A is correct... no: B is correct.", "B"),
        ("Option (A) doesn't work; go for (B).", "B"),
        ("(A) does not hold. (B)", "B"),
        ("Option A is not safe; option B", "B"),
        ("A. is wrong", None),
        ("A would not work, therefore B.", "B"),
        ("Solution B fails.", "A"),
        ("Option A doesn't work.", "B"),
        ("Option B would work", "B"),
        ("It's B.", "B"),
        ("it is option b", "B"),
        ("not A but B", "B"),
        ("Correct answer - B", "B"),
        ("### B", "B"),
        ("<ANSWER>B</ANSWER> or A", "B"),
        ("So a tin can is hard, but a bag is not", None),
        ("<answer>B</answer> is better than \\boxed{A}", "B"),
    ],
)
def test_piqa(text: str, chosen: str | None, tmp_path: Path) -> None:
    task, example = one("piqa", tmp_path)
    score = task.score(example, text)
    assert (score.extracted, score.correct) == (chosen, chosen == "B")


_CALLS = [
    "{}",
    "({})",
    "**{}**",
    "Option {}",
    "option {}",
    "Solution {}",
    "The choice {}",
    "Option {} (see above)",
    "'{}'",
]
_RIGHT = ["is correct", "is the right one", "is the better choice", "would be the best option", "is more suitable"]
_WRONG = ["is incorrect", "is wrong", "is not correct", "is the worse choice", "isn't right", "would be less practical"]
_PICKS = [
    "I choose {}.",
    "So I would pick {}",
    "I'd go with {}!",
    "The correct option is {}.",
    "The best choice is: {}",
]


@pytest.mark.parametrize("chosen", ["A", "B"])
@pytest.mark.parametrize("call", _CALLS)
def test_piqa_in_every_wording(chosen: str, call: str) -> None:
    """Whatever the letter is called and whichever side is spoken of first, the one that is called right is chosen."""
    this, other = call.format(chosen), call.format({"A": "B", "B": "A"}[chosen])
    for right in _RIGHT:
        assert piqa.choice(f"{this} {right}.", "x", "y") == chosen
        for wrong in _WRONG:
            assert piqa.choice(f"{other} {wrong}. {this} {right}.", "x", "y") == chosen, (right, wrong)
            assert piqa.choice(f"{this} {right}, {other} {wrong}.", "x", "y") == chosen, (right, wrong)
    for wrong in _WRONG:
        assert piqa.choice(f"{other} {wrong}.", "x", "y") == chosen, wrong
    for pick in _PICKS:
        assert piqa.choice(f"Let us see. {pick.format(this)}", "x", "y") == chosen, pick
        assert piqa.choice(pick.format(this), "x", "y") == chosen, pick


@given(st.lists(st.sampled_from(["mark", "Twain", "the", "&", "O'Hara", "no. 5", "é"]), min_size=1, max_size=4))
def test_triviaqa_in_every_font(words: list[str]) -> None:
    name = " ".join(words)
    if not triviaqa.normalised(name):
        return
    assert triviaqa.short_answer(rf"\boxed{{\text{{The answer is {name}}}}}") == name.strip()
    for font in ("{}", r"\text{{{}}}", r"\textbf{{{}}}", r"\mathrm{{{}}}", r"$\text{{{}}}$", r"\text{{\textit{{{}}}}}"):
        for mark in (r"\boxed{{{}}}", "<answer>{}</answer>", "The answer is {}", "so\nAnswer: {}"):
            found = triviaqa.short_answer(mark.format(font.format(name)))
            assert triviaqa.normalised(found or "") == triviaqa.normalised(name), (font, mark, found)


def test_piqa_labels_lie_beside_the_questions(tmp_path: Path) -> None:
    questions = tmp_path / "valid.jsonl"
    questions.write_text('{"goal": "g", "sol1": "x", "sol2": "y"}\n' * 2)
    with pytest.raises(ValueError, match=r"put valid-labels\.lst beside it"):
        load("piqa", data_dir=tmp_path)
    (tmp_path / "valid-labels.lst").write_text("0\n1\n")
    assert [example.answer for example in load("piqa", data_dir=tmp_path)] == ["A", "B"]
    for wrong in ("0\n", "0\n2\n"):
        (tmp_path / "valid-labels.lst").write_text(wrong)
        with pytest.raises(ValueError, match="0 or 1 for each of the 2 rows"):
            load("piqa", data_dir=tmp_path)


@pytest.mark.parametrize(
    ("text", "correct"),
    [
        ("\\boxed{30 - (100 - 93)}", True),
        ("\\boxed{30 - (100 - 93) = 23}", True),
        ("\\boxed{$30 + 93 - 100$}", True),
        ("<answer>30+93-100</answer>", True),
        ("<answer>30+93-100</answer> and not \\boxed{30+93+100}", True),
        ("<answer>\\boxed{30+93+100}</answer> and not \\boxed{30+93-100}", False),
        ("\\boxed{30 + 93 − 100}", True),
        ("\\boxed{23}", False),
        ("\\boxed{30 + 93 - 100 + 0}", False),
        ("\\boxed{30 + 30 + 93 - 100 - 30}", False),
        ("\\boxed{93 - 70}", False),
        ("\\boxed{30 + 93 + 100}", False),
        ("\\boxed{__import__('os').getpid()}", False),
        ("\\boxed{30 ** 93 ** 100}", False),
        ("\\boxed{30 // 93 % 100}", False),
        ("\\boxed{1/(1-1)}", False),
        ("\\boxed{(((((}", False),
        ("\\boxed{030+93-100}", False),
        ("30 + 93 - 100", False),
    ],
)
def test_countdown(text: str, correct: bool, tmp_path: Path) -> None:
    task, example = one("countdown", tmp_path)
    assert example.prompt.endswith("\n\nNumbers: [30, 100, 93]\nTarget: 23")
    assert task.score(example, text).correct is correct


def test_countdown_is_exact() -> None:
    assert evaluate("1/3 + 1/3 + 1/3")[0] == 1
    assert evaluate("-(2) * +3")[0] == -6
    assert solve([92, 1, 1], 46) == "92 / (1 + 1)"
    assert solve([1, 1, 1], 50) is None
    for bad in ("", "1" * 201, "(" * 100 + ")" * 100, "1 2", "1.5", "x"):
        with pytest.raises(ValueError, match=r"."):
            evaluate(bad)


def test_sudoku(tmp_path: Path) -> None:
    solution = "3142243142131324"
    (tmp_path / "4x4_test_sudoku.csv").write_text(f"Puzzle,Solution\n3102200002100320,{solution}\n")
    task = load("sudoku", data_dir=tmp_path)
    example = task[0]
    assert "3102200002100320" in example.prompt
    for text in (
        example.reference,
        f"1111111111111111 was wrong; {solution}",
        "<answer>\n3 1 4 2\n2 4 3 1\n4 2 1 3\n1 3 2 4\n</answer>",
        f"\\boxed{{{solution}}}",
    ):
        assert task.score(example, text).correct
    for text in ("", "3102200002100320", solution[:-1], solution + "1", "2143143242133421", "4" * 16, solution[::-1]):
        assert not task.score(example, text).correct
