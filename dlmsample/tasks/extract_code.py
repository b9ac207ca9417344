r"""Code in a model's text: blocks by the CommonMark rules, joined by the names that they define. Nothing is run."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from textwrap import dedent

from markdown_it import MarkdownIt
from markdown_it.token import Token

# Models put an opening fence on the line after an <answer> tag or behind a word: neither HTML nor inline text matters.
_MARKDOWN = MarkdownIt("commonmark").disable(["inline", "html_block", "reference"])
_OPENS_BEHIND_TEXT = re.compile(r"(?<!`)(`{3,})[ \t]*[\w.+#-]*[ \t]*$")
_CLOSES = re.compile(r"[ \t]*(`{3,}|~{3,})[ \t]*$")
_PYTHON = ("", "python", "py", "python3", "py3", "ipython", "ipython3", "pycon")
_TRIES = 8
"""How many fences of a text are given another reading than CommonMark's: each costs one more look at the rest."""
_BLOCKS = 64
"""How many blocks of a text are looked at."""

_TOP = re.compile(r"[^\s#)\]}]")
_GOES_ON = re.compile(r"@|(?:async|class|def|for|if|try|while|with)\b|\w+ *=")
_BUILTIN = frozenset(dir(builtins))


def fenced(text: str) -> list[str]:
    """The contents of the fenced blocks that may be Python, in order, by the CommonMark rules (markdown-it).

    So a fence has three or more backticks or tildes, ends with as many, may stand in a list, and one that is never
    closed reaches to the end. Beyond the rules: a fence of backticks may open behind text on its line; and where what
    it holds is no Python, because a docstring holds a fence, it goes on to the closing fence with which it is.

    Example:
        >>> fenced("Sure: ```python\\nx = 1\\n```\\n1. and\\n   ~~~~\\n   y = 2")
        ['x = 1\\n', 'y = 2']
    """
    found: list[str] = []
    lines = re.split(r"\r\n?|\n", text)
    for tries in reversed(range(_TRIES + 1)):
        rest = _read(lines, found, tries)
        if rest is None:
            break
        lines = lines[rest:]
    return found


def _read(lines: list[str], found: list[str], tries: int) -> int | None:
    """Add the blocks of the lines; a number: up to the first one that is not CommonMark's, and the line after it.

    With ``tries`` 0 there are only CommonMark's.
    """
    for token in _MARKDOWN.parse("\n".join(lines)):
        if len(found) >= _BLOCKS:
            return None
        if token.map is None:
            continue
        start, end = token.map
        if token.type == "fence" and _python(token):
            longer = None if not tries or parses(token.content) else _longer(lines, start, end)
            if longer is not None:
                found.append(_inside(lines, start, longer))
                return longer + 1
            found.append(token.content)
        elif tries and token.type in ("inline", "code_block"):
            opening = next((at for at in range(start, min(end, len(lines))) if _opens(lines[at])), None)
            if opening is not None:
                closing = next((at for at in range(opening + 1, len(lines)) if _CLOSES.match(lines[at])), len(lines))
                found.append(_inside(lines, opening, closing))
                return closing + 1
    return None


def _python(token: Token) -> bool:
    return (token.info.split() or [""])[0].strip("{}.").lower() in _PYTHON


def _opens(line: str) -> bool:
    """A fence at the end of a line opens a block unless it closes code that began on the same line."""
    return _OPENS_BEHIND_TEXT.search(line) is not None and len(re.findall("`{3,}", line)) % 2 == 1


def _inside(lines: list[str], opening: int, closing: int) -> str:
    return dedent("".join(line + "\n" for line in lines[opening + 1 : closing]))


def _longer(lines: list[str], start: int, end: int) -> int | None:
    """The closing fence after ``end`` with which the block of ``start`` is Python; None: there is none."""
    closings = islice((at for at in range(end, len(lines)) if _CLOSES.match(lines[at])), _TRIES)
    return next((at for at in closings if parses(_inside(lines, start, at))), None)


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
            if parses(piece):
                if not all(map(_is_prose, ast.parse(piece).body)):
                    kept.append(piece)
                first = last
                break
        first += 1
    return "\n".join(kept)


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
    the whole text or the code in its prose (see ``unfenced``) that does, else the first block, else the whole text.
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
        bare = whole if parses(whole) and not any(map(_is_word, ast.parse(whole).body)) else unfenced(text)
        chosen = bare if defines(bare, names[0]) else None
    if chosen is None:
        chosen = blocks[0] if blocks else _between(text)
    others = [block for block in blocks if block is not chosen and parses(block)]
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
    if not parses(block):
        return False
    bodies = [node.body for node in ast.parse(block).body if isinstance(node, _FUNCTION) and node.name == name]
    return bool(bodies) and all(_is_nothing(node) for node in bodies[-1])


_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


def _is_nothing(node: ast.stmt) -> bool:
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _helpers(chosen: str, names: Iterable[str], others: list[str]) -> list[str]:
    """The statements of other blocks that define what is missing, and what those miss, in their order."""
    if not others or not parses(chosen):
        return []
    tree = ast.parse(chosen)
    missing = (free(tree) | set(names)) - bound(tree)
    statements = [(node, block) for block in others for node in ast.parse(block).body]
    wanted: set[int] = set()
    grown = True
    while missing and grown:
        grown = False
        for at, (node, _) in enumerate(statements):
            if at not in wanted and missing & top_level(ast.Module([node], [])):
                wanted.add(at)
                missing |= free(node)
                grown = True
    return [_source(*statements[at]) for at in sorted(wanted)]


def _source(node: ast.stmt, block: str) -> str:
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    return "\n".join(re.split(r"\r\n?|\n", block)[first - 1 : node.end_lineno])


def free(tree: ast.AST) -> set[str]:
    """The names that a tree reads and nowhere binds, without Python's own.

    Example:
        >>> sorted(free(ast.parse("def f(x): return g(x) + len(y)")))
        ['g', 'y']
    """
    read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return read - bound(tree) - _BUILTIN


def bound(tree: ast.AST) -> set[str]:
    """The names that a tree binds anywhere: by assignment, definition, import, as an argument."""
    return {name for node in ast.walk(tree) for name in _binds(node)}


def _binds(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        yield node.id
    elif isinstance(node, (*_FUNCTION, ast.ClassDef)) or (isinstance(node, ast.ExceptHandler) and node.name):
        yield str(node.name)
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.alias):
        yield node.asname or node.name.partition(".")[0]


def top_level(tree: ast.Module) -> set[str]:
    """The names that a module has once it is imported, as far as they can be read from it.

    Example:
        >>> sorted(top_level(ast.parse("import a.b as c\\ndef f(x): y = 1\\nz, w = 1, 2")))
        ['c', 'f', 'w', 'z']
    """
    found: set[str] = set()
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        found.update(_binds(node))
        if not isinstance(node, (*_FUNCTION, ast.ClassDef, ast.Lambda)):
            waiting += ast.iter_child_nodes(node)
    return found


def imports(code: str) -> str:
    """The import statements at the top level of a program, a line each.

    Example:
        >>> imports("import math\\nx = 1\\nfrom re import (\\n    sub)")
        'import math\\nfrom re import sub\\n'
    """
    if not parses(code):
        return ""
    return "".join(f"{ast.unparse(n)}\n" for n in ast.parse(code).body if isinstance(n, ast.Import | ast.ImportFrom))


def future_first(code: str) -> str:
    """The program with its ``from __future__`` lines at its start, where alone they are allowed.

    Example:
        >>> future_first("import math\\nfrom __future__ import annotations\\nx = 1")
        'from __future__ import annotations\\nimport math\\nx = 1'
    """
    if "__future__" not in code or not parses(code):
        return code
    lines = [line.encode() for line in re.split(r"\r\n?|\n", code)]
    first: list[str] = []
    for node in reversed(ast.parse(code).body):
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            first.insert(0, ast.unparse(node))
            start, end = node.lineno - 1, node.end_lineno or node.lineno
            before, after = lines[start][: node.col_offset], lines[end - 1][node.end_col_offset :]
            lines[start:end] = [before + b"pass" + after] if before or after.strip() else []
    return "\n".join([*first, *(line.decode() for line in lines)])


def defines(code: str, name: str) -> bool:
    """Whether a line of the code begins the function ``name``.

    Example:
        >>> defines("def f(x): return x", "f"), defines("def ff(x): return x", "f")
        (True, False)
    """
    return re.search(rf"^(?:async[ \t]+)?def[ \t]+{re.escape(name)}\b", code, re.MULTILINE) is not None


def parses(code: str) -> bool:
    """Whether it is Python, told without running it."""
    try:
        ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
