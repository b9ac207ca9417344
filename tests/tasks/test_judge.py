"""The judge decides outside the program's process: what a program can do to the verdict, and what tests can ask."""

from __future__ import annotations

import json
from collections import Counter, OrderedDict, deque, namedtuple
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlmsample.tasks.sandbox import Limits, Run, SandboxError, check, judge, parent, wire

TESTS = "assert f(2) == 'expected 4741'\nassert abs(f(3) - 9) < 1e-6\nassert f([1]) == ['x']"
Judged = Callable[..., Run]


@pytest.fixture(scope="module", params=[True, False], ids=["namespaces", "user id alone"])
def judged(request: pytest.FixtureRequest) -> Judged:
    """Judges a program that has a function f."""
    try:
        check()
        parent._prove(request.param)
    except SandboxError as error:
        pytest.skip(str(error))
    return lambda program, tests=TESTS, given="": parent._judge(
        program, tests, given, ["f"], Limits(seconds=20.0), request.param
    )


FORGERIES = {
    "exits": "import os\nos._exit(0)",
    "exits when called": "import os\ndef f(x): os._exit(0)",
    "leaves politely when called": "import sys\ndef f(x): sys.exit(0)",
    "says so": "def f(x):\n    print('passed', flush=True)",
    "is equal to all": """
class Equal:
    def __eq__(self, other): return True
    def __sub__(self, other): return 0
    __hash__ = None
def f(x): return Equal()""",
    "is a number equal to all": """
class Equal(int):
    def __eq__(self, other): return True
    def __sub__(self, other): return 0
    __hash__ = None
def f(x): return Equal(7)""",
    "changes Python": """
import builtins
builtins.abs = lambda x: 0
builtins.AssertionError = ValueError
def f(x): return 0""",
    "searches frames for words of the right length": """
import os, re, sys, gc
found = set()
frame = sys._getframe()
while frame:
    found |= set(re.findall(r"\\b[0-9a-f]{32}\\b", repr((frame.f_locals, frame.f_globals))))
    frame = frame.f_back
for thing in gc.get_objects():
    try:
        found |= set(re.findall(r"\\b[0-9a-f]{32}\\b", repr(thing)[:100000]))
    except BaseException:
        pass
for number in range(3, 64):
    for word in found:
        try:
            os.write(number, b"." + word.encode())
        except OSError:
            pass
os._exit(0)""",
    "answers before it is asked": """
import os, json
for number in range(3, 64):
    try:
        os.write(number, b'{"value": true}\\n' * 50)
    except OSError:
        pass
def f(x): return True""",
    "answers with what is no answer": """
import os
for number in range(3, 64):
    try:
        os.write(number, b'[]\\n{"value": {"object": []}}\\n{"value": {"eval": ["1"]}}\\n')
    except OSError:
        pass
def f(x): return True""",
    "searches for what is expected": """
import gc
def f(x):
    for thing in gc.get_objects():
        for part in gc.get_referents(thing):
            if isinstance(part, str) and part.startswith("expected ") and part[9:].isdigit():
                return part
    return {3: 9}.get(x, ["x"]) if isinstance(x, int) else ["x"]""",
    "changes the process that answers": """
import sys
for module in list(sys.modules.values()):
    for name in ("encode", "answered"):
        if hasattr(module, name) and getattr(module, "__file__", "").count("sandbox"):
            setattr(module, name, lambda *a, **k: {"value": True})
def f(x): return True""",
    "ends its neighbours": """
import os, signal
def f(x):
    for number in range(1, 4000):
        if number != os.getpid():
            try:
                os.kill(number, signal.SIGKILL)
            except OSError:
                pass
    return True""",
}


@pytest.mark.parametrize("program", FORGERIES.values(), ids=FORGERIES)
def test_a_verdict_cannot_be_forged(judged: Judged, program: str) -> None:
    assert not judged(program).passed


def test_the_same_tests_pass_for_a_program_that_is_right(judged: Judged) -> None:
    done = judged("def f(x): return {2: 'expected 4741', 3: 9}[x] if isinstance(x, int) else ['x']")
    assert done == Run(True, "passed", "")


@pytest.mark.parametrize("mark", [b"!", b".", b"?", b".?"])
def test_a_program_cannot_say_that_it_was_not_run(judged: Judged, mark: bytes) -> None:
    program = f"import os\nfor n in range(3, 64):\n    try: os.write(n, {mark!r} + b'x')\n    except OSError: pass"
    assert judged(program).reason == "failed"


def test_it_is_a_module(judged: Judged) -> None:
    program = '''
from __future__ import annotations
import enum, inspect, pickle, sys, typing
from dataclasses import dataclass, fields

@dataclass
class Node:
    """A node."""
    value: int
    left: Node | None = None

class Colour(enum.Enum):
    RED = 1

def f(x):
    assert typing.get_type_hints(Node)["left"] == typing.Optional[Node]
    assert pickle.loads(pickle.dumps([Node(1), Colour.RED, f])) == [Node(1), Colour.RED, f]
    assert inspect.getsource(Node.__init__.__class__ and f).startswith("def f(x)")
    assert "class Node" in inspect.getsource(Node)
    assert sys.modules[__name__].f is f
    return [field.name for field in fields(Node)]

if __name__ == "__main__":
    raise SystemExit
'''
    done = judged(program, "assert f(1) == ['value', 'left']")
    assert done.passed, done.output


def test_what_tests_can_ask(judged: Judged) -> None:
    program = """
import collections, decimal, math
class Node:
    def __init__(self, value):
        self.value, self.left = value, None
def double(xs):
    xs += xs
def f(kind, *given, **named):
    return globals()[kind](*given, **named)
def fails(kind):
    raise kind("so")
class Own(KeyError): pass
def own(): raise Own("mine")
def depth(node):
    return 1 + depth(node.left) if node else 0
def steps(n):
    for i in range(n):
        yield i
def same(x): return x
def big(): return 10 ** 5000
def kinds(): return (1, 2.5, None, {3}, frozenset([4]), b"5", {"six": [7, (8,)]}, 2j, range(9), decimal.Decimal("1.10"))
def counter(text): return collections.Counter(text)
def nan(): return math.nan, -0.0, math.inf
"""
    tests = r"""
root = f("Node", 1)
root.left = f("Node", 2)
assert f("depth", root) == 2 and root.value == 1 and root.left.value == 2
assert root.left is root.left and root != f("Node", 1) and root == root
xs = [1]
assert f("double", xs) is None and xs == [1, 1]
assert list(f("steps", 3)) == [0, 1, 2] and next(f("steps", 3)) == 0 and set(f("steps", 2)) == {0, 1}
assert f("big") == 10 ** 5000
value = f("kinds")
from decimal import Decimal
assert value == (1, 2.5, None, {3}, frozenset([4]), b"5", {"six": [7, (8,)]}, 2j, range(9), Decimal("1.10"))
assert [type(part) for part in value] == [type(part) for part in f("same", value)]
assert f("counter", "aab") == {"a": 2, "b": 1} and f("same", [f, xs, int]) == [f, xs, int]
nan, zero, big = f("nan")
assert nan != nan and str(zero) == "-0.0" and big == float("inf")
assert f("dict", one=1) == {"one": 1}
for kind in (ValueError, KeyError, ZeroDivisionError):
    try:
        f("fails", kind)
    except kind as error:
        assert "so" in str(error)
    else:
        raise SystemError
try:
    f("own")
except KeyError:
    pass
assert f("same", "\ud800é\u2028") == "\ud800é\u2028"
"""
    done = judged(program.replace("globals()[kind]", "(globals().get(kind) or dict)"), tests)
    assert done.passed, done.output


def test_given_code_is_the_tests_own_and_names_that_are_missing_stay_so(judged: Judged) -> None:
    given_code = "import math\ndef helper(x): return x + 1\n"
    tests = "assert f(1) == helper(0) and math.floor(1.5) == 1"
    right = "import math\ndef helper(x): return 0\ndef f(x): return x"
    assert parent._judge(right, tests, given_code, ["f", "helper", "math"], Limits()).passed
    without = parent._judge(
        "def helper(x): 0\ndef f(x): return x", tests, given_code, ["f", "helper", "math"], Limits()
    )
    assert "NameError: name 'math' is not defined" in without.output
    assert not judged("def g(x): return x", "assert f(1) == 1").passed


def test_what_cannot_be_passed_is_said(judged: Judged) -> None:
    with pytest.raises(SandboxError, match="a test passes a function, which another process cannot get"):
        judged("def f(g): return g(1)", "assert f(lambda x: x) == 1")


@pytest.mark.parametrize("tests", ["while True: pass", "import time; time.sleep(100)"])
def test_endless_tests_are_stopped(tests: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parent, "_JUDGE_SECONDS", 0.5)
    try:
        assert judge("x = 1", tests, limits=Limits(seconds=0.5)).reason == "timeout"
    except SandboxError as error:
        pytest.skip(str(error))


def test_output_of_both_is_kept(judged: Judged) -> None:
    done = judged("print('of the program')\ndef f(x): return x", "assert f(1) == 2, 'of the tests'")
    assert "of the program" in done.output
    assert "AssertionError: of the tests" in done.output


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
    | st.complex_numbers(allow_nan=False) | st.fractions() | st.decimals(allow_nan=False),
    lambda parts: st.lists(parts)
    | st.lists(parts).map(tuple)
    | st.lists(parts).map(deque)
    | st.sets(st.integers() | st.text())
    | st.frozensets(st.integers() | st.text())
    | st.dictionaries(st.integers() | st.text() | st.tuples(st.integers()), parts),
    max_leaves=20,
)  # fmt: skip


@given(PLAIN)
@settings(max_examples=150, deadline=None)
def test_plain_data_comes_back_equal_and_of_its_type(value: Any) -> None:
    def refuse(thing: Any) -> int:
        raise AssertionError(type(thing))

    back = wire.decode(json.loads(json.dumps(wire.encode(value, refuse))), refuse)
    assert back == value
    assert typed(back) == typed(value)


def typed(value: Any) -> Any:
    """The types all the way down."""
    parts = list(value.items()) if isinstance(value, dict) else value
    inner = [typed(part) for part in parts] if isinstance(parts, list | tuple | deque) else []
    return type(value), inner


def test_subclasses_travel_as_what_they_are() -> None:
    pair = namedtuple("pair", "a b")

    class Text(str): ...

    class Number(int): ...

    for value, plain in [
        (pair(1, 2), (1, 2)),
        (Text("x"), "x"),
        (Number(3), 3),
        (Counter("aa"), {"a": 2}),
        (OrderedDict(a=1), {"a": 1}),
        ({1: 2}.keys(), {1: 2}.keys()),
        (Fraction(1, 3), Fraction(1, 3)),
        (Decimal("1.0"), Decimal(1)),
    ]:
        back = wire.decode(wire.encode(value, lambda thing: -1), lambda number: None)
        assert back == plain
        assert type(back) is type(plain)


@pytest.mark.parametrize(
    "data",
    [
        {"eval": ["1"]},
        {},
        {"tuple": 1},
        {"int": "x"},
        {"type": "print"},
        {"type": "os"},
        {"a": 1, "b": 2},
        {"set": [[]]},
    ],
)
def test_what_is_no_value_is_refused(data: Any) -> None:
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
        wire.decode(data, lambda number: None)
