"""MATH-500: equivalence by math-verify, and a helper process that survives what it is asked."""

from __future__ import annotations

import importlib.util
import json
import os
import threading
import time
from pathlib import Path

import pytest

from dlmsample.tasks import Example, load
from dlmsample.tasks.equivalence import helper
from dlmsample.tasks.math500 import Math500, final_expression

needs_library = pytest.mark.skipif(importlib.util.find_spec("math_verify") is None, reason="needs math-verify")


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Math500:
    folder = tmp_path_factory.mktemp("math500")
    row = {"problem": "Half?", "solution": "It is \\boxed{\\frac{1}{2}}.", "answer": "\\frac{1}{2}", "level": 1}
    (folder / "test.jsonl").write_text(json.dumps(row) + "\n")
    loaded = load("math500", data_dir=folder)
    assert isinstance(loaded, Math500)
    return loaded


def gold(answer: str) -> Example:
    return Example("", answer, "")


@needs_library
def test_the_reference_is_correct(task: Math500) -> None:
    task.prepare()
    assert task[0].meta == {"level": 1}
    assert task.score(task[0], task[0].reference).correct
    assert not task.score(task[0], "").correct


@needs_library
@pytest.mark.parametrize(
    ("answer", "text", "correct"),
    [
        (r"\frac{1}{2}", r"\boxed{0.5}", True),
        (r"\frac{1}{2}", r"\boxed{\dfrac12}", True),
        (r"\frac{1}{2}", r"<answer>\frac{2}{4}</answer>", True),
        (r"\frac{1}{2}", r"Therefore it is $\frac{1}{2}$.", True),
        (r"\frac{1}{2}", r"\boxed{2}", False),
        (r"\frac{1}{2}", r"\boxed{\frac{1}{2}} is wrong: \boxed{3}", False),
        (r"2\sqrt{5}", r"\boxed{\sqrt{20}}", True),
        (r"\left( 3, \frac{\pi}{2} \right)", r"\boxed{(3, \pi/2)}", True),
        (r"\left( 3, \frac{\pi}{2} \right)", r"\boxed{(\pi/2, 3)}", False),
        ("3, 5, 7", r"\boxed{7, 5, 3}", True),
        ("x^2+2x+1", r"\boxed{(x+1)^2}", True),
        (r"\text{even}", r"\boxed{\text{even}}", True),
        ("70000", r"\boxed{70,\!000}", True),
        (r"90^\circ", r"\boxed{90}", True),
        (r"\frac{1}{2}", r"<answer>\[ \frac{1}{2} \]</answer>", True),
        (r"\frac{1}{2}", r"<answer>\( \frac{1}{2} \).</answer>", True),
        (r"\frac{1}{2}", r"<answer>$$\frac{1}{2}$$</answer>", True),
        (r"\frac{1}{2}", r"<answer>It is \( \frac{1}{2} \)</answer>", True),
        ("5", "**5**", True),
        ("5", "So the answer is **5**.", True),
        ("5", "<answer>**5**</answer>", True),
        ("5", r"\boxed{\text{Answer: }5}", True),
        ("5", r"\boxed{\text{Answer: 5}}", True),
        ("5", r"\boxed{\text{The final answer is } 5}", True),
        ("x+1", "<answer>Answer: x + 1</answer>", True),
        ("5", r"<answer>5</answer>, since \boxed{6} is too much", True),
        ("6", r"<answer>5</answer>, since \boxed{6} is too much", False),
        (r"\$36", r"\boxed{\$36}", True),
        (r"\$36", r"<answer>\[ 36 \]</answer>", True),
        ("52_8", r"\boxed{52_8}", True),
        ("52_8", r"\boxed{52_{8}}", True),
        ("52_8", r"\boxed{52_{\text{eight}}}", True),
        ("52_8", r"\boxed{52 \text{ (base 8)}}", True),
        ("52_8", r"\boxed{6_8 \cdot 7_8 = 52_8}", True),
        ("52_8", r"so $6_8 \cdot 7_8 = 52_8$.", True),
        ("52_8", r"\boxed{52_3}", False),
        ("52_8", r"\boxed{52}", False),
        ("52_8", r"\boxed{42}", False),
        ("42", r"\boxed{42_8}", False),
        ("42", r"\boxed{42_{10}}", True),
        ("2^{-99}", r"\boxed{\frac{1}{2^{99}}}", True),
        ("2^{-99}", r"\boxed{2^{-98}}", False),
        (r"\frac{1}{2^{98}}", r"\boxed{\frac{1}{2^{99}}}", False),
        (r"1+2^{-99}", r"\boxed{1+2^{-98}}", False),
        ("10^{-20}", r"\boxed{10^{-19}}", False),
        ("10^{-20}", r"\boxed{x = 10^{-19}}", False),
        ("10^{-20}", r"\boxed{x = 10^{-20}}", True),
        ("0.0000001", r"\boxed{0.0000002}", False),
        (r"\frac{\pi}{10^{20}}", r"\boxed{\pi \cdot 10^{-20}}", True),
        (r"\frac{\pi}{10^{20}}", r"\boxed{\pi \cdot 10^{-19}}", False),
        ("(2^{-99}, 1)", r"\boxed{(2^{-98}, 1)}", False),
        (r"\begin{pmatrix} 2^{-99} \\ 1 \end{pmatrix}", r"\boxed{\begin{pmatrix} 2^{-98} \\ 1 \end{pmatrix}}", False),
        (r"50\%", r"\boxed{50}", True),
        (r"\frac{1}{3}", r"\boxed{0.333333}", True),
    ],
)
def test_equivalence(answer: str, text: str, correct: bool, task: Math500) -> None:
    assert task.score(gold(answer), text).correct is correct


@needs_library
@pytest.mark.parametrize("base", range(2, 17))
def test_a_number_in_another_base_is_another_number(base: int, task: Math500) -> None:
    """Every base against every other, with the same digits; the base must be named, and any spelling will do."""
    digits = "101"
    for other in range(2, 17):
        for said in (
            f"{digits}_{other}",
            f"{digits}_{{{other}}}",
            rf"{digits}_{{\text{{{other}}}}}",
            f"({digits})_{{{other}}}",
        ):
            assert task.score(gold(f"{digits}_{{{base}}}"), rf"\boxed{{{said}}}").correct is (base == other)
    assert not task.score(gold(f"{digits}_{base}"), rf"\boxed{{{digits}}}").correct
    assert task.score(gold(str(int(digits, base))), rf"\boxed{{{digits}_{{{base}}}}}").correct


@needs_library
@pytest.mark.parametrize("base", [2, 3, 10])
def test_powers_are_told_apart_however_small(base: int, task: Math500, full: bool) -> None:
    """Neighbouring powers differ, in each way of writing them; the same one is equal in all."""
    for power in range(1, 121, 7 if full else 17):
        ways = [
            rf"{base}^{{-{power}}}",
            rf"\frac{{1}}{{{base}^{{{power}}}}}",
            rf"\left(\frac{{1}}{{{base}}}\right)^{{{power}}}",
        ]
        for way in ways:
            assert task.score(gold(way), rf"\boxed{{{ways[power % 3]}}}").correct
            for near in (power - 1, power + 1):
                assert not task.score(gold(way), rf"\boxed{{{base}^{{-{near}}}}}").correct


@needs_library
def test_what_never_returns_is_wrong_and_the_next_is_judged(task: Math500, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helper, "SECONDS", 1.0)
    before = time.monotonic()
    for text in (r"\boxed{9^{9^{9^{9^9}}}}", r"\boxed{10^{10^{10}}!}", r"\boxed{" + "(" * 900 + "1" + ")" * 900 + "}"):
        assert not task.score(gold("7"), text).correct
    assert not task.score(gold("7"), "\\boxed{" + "1+" * 5000 + "1}").correct
    assert not task.score(gold("7"), "$" * 5000).correct
    assert time.monotonic() - before < 30
    monkeypatch.undo()
    assert task.score(gold("7"), r"\boxed{7}").correct


@needs_library
def test_a_helper_that_died_is_replaced(task: Math500) -> None:
    assert task.score(gold("7"), r"\boxed{7}").correct
    helper._running[0].process.kill()
    helper._running[0].process.wait()
    assert task.score(gold("7"), r"\boxed{7}").correct


@needs_library
def test_threads_and_forked_processes_get_right_answers(task: Math500) -> None:
    verdicts: dict[int, bool] = {}

    def judge(number: int) -> None:
        verdicts[number] = task.score(gold(str(number)), rf"\boxed{{{number % 3}}}").correct

    threads = [threading.Thread(target=judge, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verdicts == {number: number < 3 for number in range(6)}


def test_without_the_library_it_is_asked_for(task: Math500, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helper, "_running", [])
    monkeypatch.setattr(helper.importlib.util, "find_spec", lambda name: None)
    for attempt in (task.prepare, lambda: task.score(gold("1"), r"\boxed{1}")):
        with pytest.raises(ValueError, match=r"pip install 'dlmsample\[tasks\]'"):
            attempt()


def test_marks() -> None:
    assert final_expression(r"\boxed{} <answer>\boxed{}</answer>") is None
    assert final_expression("x") is None
    assert os.path.exists(Path(helper.__file__).with_name("worker.py"))
