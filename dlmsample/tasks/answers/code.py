"""The code that a model's text gives as its answer: blocks, joined by the names that they define, or code in prose."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from textwrap import dedent

from dlmsample.tasks.answers.blocks import fenced
from dlmsample.tasks.answers.python import FUNCTION, bound, defines, free, parsed, parses, top_level

_TOP = re.compile(r"[^\s#)\]}]")
_GOES_ON = re.compile(r"@|(?:async|class|def|for|if|try|while|with)\b|\w+ *=")
_HEAD = re.compile(r"(?:@|(?:async|class|def|for|if|else|elif|try|except|finally|while|with)\b.*:\s*(?:#|$))")
_TRIES = 8
"""How many statements' beginnings are put together to make one statement."""


def unfenced(text: str) -> str:
    """The statements that stand in prose without any mark: imports, functions, classes, assignments and the like.

    Example:
        >>> print(unfenced("Sure: here it is.\\n\\ndef f(x):\\n    return x + 1\\n\\nIt adds one."))
        def f(x):
            return x + 1
    """
    kept: list[str] = []
    lines = re.split(r"\r\n?|\n", text)
    starts = [at for at, line in enumerate(lines) if _TOP.match(line)]
    ends = [*starts[1:], len(lines)]
    first = 0
    while first < len(starts):
        # A decorator, a try, a docstring with lines at the margin need what follows them; prose never becomes Python.
        most = _TRIES if _GOES_ON.match(lines[starts[first]]) else 1
        for last in range(first, min(first + most, len(starts))):
            piece = "\n".join(lines[starts[first] : ends[last]]).rstrip()
            if (tree := parsed(piece)) is not None:
                if not all(map(_is_prose, tree.body)):
                    kept.append(piece)
                first = last
                break
        first += 1
    return "\n".join(kept)


def indented(text: str, name: str) -> str | None:
    """The code that defines ``name`` in lines of four spaces behind an empty one: CommonMark's block without a fence.

    Example:
        >>> indented("Here:\\n\\n    def f(x):\\n        return x\\n\\nDone.", "f")
        'def f(x):\\n    return x'
    """
    above, stretch = "", list[str]()
    for line in [*re.split(r"\r\n?|\n", text.expandtabs(4)), "."]:
        if line.startswith("    ") or not line.strip():
            stretch.append(line)
            continue
        code = dedent("\n".join(stretch)).strip("\n")
        behind_empty = not above or not stretch[:1] or not stretch[0].strip()
        if behind_empty and not _HEAD.match(above) and defines(code, name) and parses(code):
            return code
        above, stretch = line, []
    return None


def _is_prose(node: ast.stmt) -> bool:
    """What words parse as ("Sure", "Note: this"), and what only shows the code at work (a print, an assertion)."""
    if isinstance(node, ast.Expr):
        return not (isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Attribute))
    return isinstance(node, ast.Assert) or (isinstance(node, ast.AnnAssign) and node.value is None)


def _is_word(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Name)


def code_of(text: str, *names: str) -> str:
    """The code in a text that defines ``names``, the first of which is the function that is asked for.

    In this order: the first block that defines it with a body of its own, else the first block that defines it, else
    the whole text or the code in its prose (see ``unfenced``, ``indented``) that does, else the first block, else the
    whole text.
    Of a text with ``[BEGIN]`` and ``[DONE]`` the whole is what stands between them. What the code uses, or ``names``
    asks for, and does not define is put before it from the other blocks, statement by statement.

    Example:
        >>> print(code_of("```\\ndef g(x): return x\\ng(1)\\n```\\n```python\\ndef f(x):\\n    return g(x)\\n```", "f"))
        def g(x): return x
        def f(x):
            return g(x)
        <BLANKLINE>
    """
    blocks = [_closed(block) for block in fenced(text)]
    chosen = _choose(blocks, names[0]) if names else None
    if chosen is None and names and defines(text, names[0]):
        whole = _between(text)
        tree = parsed(whole)
        bare = unfenced(text) if tree is None or any(map(_is_word, tree.body)) else whole
        chosen = bare if defines(bare, names[0]) else None
    if chosen is None and names:
        chosen = indented(text, names[0])
    if chosen is None:
        chosen = blocks[0] if blocks else _between(text)
    others = [block for block in blocks if block is not chosen]
    return "".join(f"{helper}\n" for helper in _helpers(chosen, names, others)) + chosen


def _between(text: str) -> str:
    return text.partition("[BEGIN]")[2].partition("[DONE]")[0] if "[BEGIN]" in text else text.partition("[DONE]")[0]


def _closed(block: str) -> str:
    """Without the fence at the end of its last line of code, and what follows."""
    before = block.partition("```")[0]
    return before if before != block and not parses(block) and parses(before) else block


def _choose(blocks: list[str], name: str) -> str | None:
    able = [block for block in blocks if defines(block, name)]
    return next((block for block in able if not _is_head(block, name)), able[0] if able else None)


def _is_head(block: str, name: str) -> bool:
    """Whether its function is a head and a docstring alone, as in the question."""
    if (tree := parsed(block)) is None:
        return False
    bodies = [node.body for node in tree.body if isinstance(node, FUNCTION) and node.name == name]
    return bool(bodies) and all(_is_nothing(node) for node in bodies[-1])


def _is_nothing(node: ast.stmt) -> bool:
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _helpers(chosen: str, names: Iterable[str], others: list[str]) -> list[str]:
    """The statements of other blocks that define what is missing, and what those miss, in their order."""
    if not others or (tree := parsed(chosen)) is None:
        return []
    statements = [(node, block) for block in others if (its := parsed(block)) for node in its.body]
    places: dict[str, list[int]] = {}
    for at, (node, _) in enumerate(statements):
        for name in top_level(ast.Module([node], [])):
            places.setdefault(name, []).append(at)
    waiting = list((free(tree) | set(names)) - bound(tree))
    wanted: set[int] = set()
    while waiting:
        for at in places.pop(waiting.pop(), ()):
            if at not in wanted:
                wanted.add(at)
                waiting += free(statements[at][0])
    return [_source(*statements[at]) for at in sorted(wanted)]


def _source(node: ast.stmt, block: str) -> str:
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    return "\n".join(re.split(r"\r\n?|\n", block)[first - 1 : node.end_lineno])
