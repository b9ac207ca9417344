"""Code in text: the CommonMark rules, what models do beyond them, and blocks joined by the names they define."""

from __future__ import annotations

import ast
from textwrap import indent
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from dlmsample.tasks.answers.blocks import fenced
from dlmsample.tasks.answers.code import code_of, unfenced
from dlmsample.tasks.answers.python import future_first, parses

F = "def f(x):\n    return x + 1\n"


@pytest.mark.parametrize(
    "text",
    [
        f"```python\n{F}```",
        f"Here is the code: ```python\n{F}```\nIt adds one.",
        f"Use ```f(3)``` like so:\n```\n{F}```",
        f"1. Write it:\n\n   ```python\n{indent(F, '   ')}   ```\n2. Run it.",
        f"- ```python\n{indent(F, '  ')}  ```",
        f"10. a\n    ```python\n{indent(F, '    ')}    ```",
        f"> ```python\n{indent(F, '> ')}> ```",
        f"        ```python\n{indent(F, '        ')}        ```",
        f"~~~python\n{F}~~~",
        "```python\nf(2)\n```\n```python\nf = lambda x: x + 1\n```",
        "```python\nclass Adder:\n    def __call__(self, x):\n        return x + 1\n```\n```python\nf = Adder()\n```",
        f"````python\n{F}````",
        f"`````\n{F}`````",
        f"``` python title='f'\n{F}```",
        f"```Python3\n{F}\n",
        f"```python\n{F.rstrip()}```\nIt adds one.",
        f"<answer>\n```python\n{F}```\n</answer>",
        f"<div>\n```python\n{F}```\n</div>",
        f"```bash\npip install f\n```\n```python\n{F}```",
        f"```text\ndef f(x) is needed\n```\n```python\n{F}```",
        f"```python\ndef f(x):\n    '''Add one.'''\n```\nSolved:\n```python\n{F}```",
        f"```python\nf(1)\n```\n```python\n{F}```\n```python\nf(2)\n```",
        f"```python\n{F}```\nOr, wrong:\n```python\ndef f(x):\n    return 0\n```",
        f"Sure! Here it is.\n\n{F}\nThis adds one to x.",
        f"Sure\n{F}Enjoy",
        f"Note: this works.\n\n{F}\nassert f(1) == 7\nprint(f('a'))",
        f"[BEGIN]\n{F}[DONE]",
        f"[BEGIN]\n```python\n{F}```\n[DONE]",
        f"Sure. The code:\n\n{indent(F, '    ')}\nIt adds one.",
        f"{indent(F, '    ')}\nIt adds one.\n\n    f(2)",
        F,
        F.replace("\n", "\r\n"),
        f"```python\n{F}```".replace("\n", "\r\n"),
        "```python\ndef g(x):\n    return x + 1\n```\nThen:\n```python\ndef f(x):\n    return g(x)\n```",
        "```python\ndef f(x):\n    return g(x)\n```\nwhere\n"
        "```python\nONE = 1\ndef g(x):\n    return x + ONE\nprint(f('a'))\n```",
        "```python\nimport operator as o\n```\n```python\ndef f(x):\n    return o.add(x, 1)\n```",
        "```python\ndef f(x):\n    '''\n    ```\n    f(1)\n    ```\n    '''\n    return x + 1\n```",
        "```python\ndef f(x):\n  '''\n  ```\n  f(1)\n  ```\n  '''\n  return x + 1\n```\nand\n```\nf(2)\n```",
        "```python\n'''\n```python\nf(1)\n```\n'''\ndef f(x):\n    return x + 1\n```",
        "Code:\n\nimport functools\n\n@functools.lru_cache\n"
        "def f(x):\n    '''doc\nat the margin\n'''\n    return x + 1\n\nDone.",
        "Code:\n\ntry:\n    import numpy\nexcept ImportError:\n    numpy = None\n\n"
        "def f(x):\n    return x + 1\n\nDone.",
        "from __future__ import annotations\ndef f(x: Unknown):\n    return x + 1",
        "```python\nimport math\n```\n"
        "```python\nfrom __future__ import annotations\ndef f(x: No):\n    return math.floor(x) + 1\n```",
    ],
)
def test_the_function_is_found(text: str) -> None:
    assert run(code_of(text, "f"))(3) == 4


def run(code: str) -> Any:
    """The function f of a program."""
    space: dict[str, Any] = {}
    exec(compile(future_first("import math\n" + code), "<test>", "exec", dont_inherit=True), space)
    return space["f"]


def test_a_long_chain_of_helpers_takes_no_time() -> None:
    """Each helper needs the one after it, in as many blocks as are looked at."""
    count = 60
    helpers = [f"```\ndef g{n}(x):\n    return g{n + 1}(x)\n```\n" for n in range(count)]
    text = "".join([*helpers, f"```\ndef g{count}(x): return x + 1\n```\n", "```\ndef f(x): return g0(x)\n```"])
    assert run(code_of(text, "f"))(3) == 4


@pytest.mark.filterwarnings("error")
def test_what_python_warns_of_is_python() -> None:
    code = "def f(x):\n    '\\w'\n    return x + (1 is 1)\n"
    assert code_of(f"```python\n{code}```", "f") == code
    assert parses(code)


def test_what_is_no_python_is_no_block() -> None:
    assert fenced("```bash\nls\n```\n```json\n{}\n```\n```\nx\n```\n```py\ny\n```") == ["x\n", "y\n"]
    assert fenced("no block") == []
    assert unfenced("Sure: this.\nYes\n") == ""


def test_a_method_is_no_block() -> None:
    """Its class opens the lines of four spaces, which are no CommonMark block then."""
    text = "It is\n\nclass A:\n\n    def f(self, x):\n        return x\n\nDone."
    assert code_of(text, "f") == text


def test_other_names_are_found_too() -> None:
    text = "```python\nclass Node: pass\n```\n```python\ndef f(x):\n    return x\n```"
    assert "Node" not in code_of(text, "f")
    assert code_of(text, "f", "Node") == "class Node: pass\ndef f(x):\n    return x\n"


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("import re\nfrom __future__ import annotations", 2),
        ("'''doc'''\nx = 1\nfrom __future__ import (\n    annotations,\n    division,\n)\ny = 2", 4),
        ("x = 1\nfrom __future__ import annotations; y = 2", 3),
        ("x = 1", 1),
        ("from __future__ import", 1),
    ],
)
def test_future_comes_first(code: str, lines: int) -> None:
    moved = future_first(code)
    assert len(moved.split("\n")) == lines
    if parses(code):
        compile(moved, "<test>", "exec", dont_inherit=True)


DOCS = ["'''Add one.'''", "'''\n    ```\n    f(1)\n    ```\n    '''", '"""\n    >>> f(1)\n    2\n    """', "# ```"]
BEFORE = [
    "",
    "Sure!",
    "Here is the code:",
    "## Solution",
    "| a | b |\n|---|---|\n| 1 | 2 |",
    "* first\n* second",
    "Use `f`.",
]
AFTER = [
    "",
    "It adds one.",
    "```\n>>> f(1)\n```",
    "```python\nprint(f('a'))\n```",
    "1. done",
    "```bash\npython f.py\n```",
]
CONTAINERS = [("", ""), ("1. ", "   "), ("- ", "  "), ("* ", "  "), ("10) ", "    "), ("> ", "> ")]


@given(
    st.sampled_from(DOCS),
    st.sampled_from(BEFORE),
    st.sampled_from(AFTER),
    st.sampled_from(["```", "````", "~~~", "~~~~~"]),
    st.sampled_from(["", "python", "py", " Python"]),
    st.sampled_from(CONTAINERS),
    st.booleans(),
    st.booleans(),
)
@settings(max_examples=400, deadline=None)
def test_in_any_document(
    doc: str, before: str, after: str, fence: str, info: str, container: tuple[str, str], helper: bool, closed: bool
) -> None:
    """Whatever stands around a block and wherever it stands, its function is found and works."""
    code = f"def f(x):\n    {doc}\n    return {'g(x)' if helper else 'x + 1'}\n"
    first, other = container
    lines = [fence + info, *code.rstrip("\n").split("\n"), *([fence] if closed or after else [])]
    block = "\n".join((first if at == 0 else other) + line for at, line in enumerate(lines))
    parts = [before, "```python\ndef g(x):\n    return x + 1\n```" if helper else "", block, after]
    text = "\n\n".join(part for part in parts if part)
    assert run(code_of(text, "f"))(3) == 4, text


@given(st.text(alphabet="`~ \n>-1.abdef(x):\t'\"#", max_size=120))
@settings(max_examples=400, deadline=None)
def test_blocks_are_commonmarks_where_they_are_python(text: str) -> None:
    """Where every fence opens on a line of its own and holds Python, the blocks are the library's."""
    tokens = [token for token in MarkdownIt("commonmark").parse(text) if token.type == "fence"]
    found = fenced(text)
    if all(parses(token.content) and not token.info for token in tokens) and "<" not in text and not loose(text):
        assert found == [token.content for token in tokens]
    for block in found:
        assert parses(block) in (True, False)
        ast.dump(ast.parse(block)) if parses(block) else None


def loose(text: str) -> bool:
    """Whether a fence may open behind text, or in a block of four spaces."""
    lines = text.split("\n")
    return (
        any("```" in line.lstrip(" >-1.)")[1:] or line.startswith(("    ", "\t")) for line in lines)
        or "    " in text
        or "\t" in text
    )
