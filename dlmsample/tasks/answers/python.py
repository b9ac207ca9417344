"""Python read without being run: what a program defines, uses and imports."""

from __future__ import annotations

import ast
import builtins
import re
import threading
import warnings
from collections.abc import Iterator
from functools import lru_cache

FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
_BUILTIN = frozenset(dir(builtins))
_lock = threading.Lock()


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
    elif isinstance(node, (*FUNCTION, ast.ClassDef)) or (isinstance(node, ast.ExceptHandler) and node.name):
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
        if not isinstance(node, (*FUNCTION, ast.ClassDef, ast.Lambda)):
            waiting += ast.iter_child_nodes(node)
    return found


def imports(code: str) -> str:
    """The import statements at the top level of a program, a line each.

    Example:
        >>> imports("import math\\nx = 1\\nfrom re import (\\n    sub)")
        'import math\\nfrom re import sub\\n'
    """
    body = tree.body if (tree := parsed(code)) else []
    return "".join(f"{ast.unparse(node)}\n" for node in body if isinstance(node, ast.Import | ast.ImportFrom))


def future_first(code: str) -> str:
    """The program with its ``from __future__`` lines at its start, where alone they are allowed.

    Example:
        >>> future_first("import math\\nfrom __future__ import annotations\\nx = 1")
        'from __future__ import annotations\\nimport math\\nx = 1'
    """
    tree = parsed(code) if "__future__" in code else None
    if tree is None:
        return code
    lines = [line.encode() for line in re.split(r"\r\n?|\n", code)]
    first: list[str] = []
    for node in reversed(tree.body):
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            first.insert(0, ast.unparse(node))
            start, end = node.lineno - 1, node.end_lineno or node.lineno
            before, after = lines[start][: node.col_offset], lines[end - 1][node.end_col_offset :]
            lines[start:end] = [before + b"pass" + after] if before or after.strip() else []
    return "\n".join([*first, *(line.decode() for line in lines)])


def defines(code: str, name: str) -> bool:
    """Whether a line of the code begins to define ``name``, as a function, a class or a variable.

    Example:
        >>> defines("def f(x): return x", "f"), defines("f = len", "f"), defines("def ff(x): return f == x", "f")
        (True, True, False)
    """
    word = re.escape(name)
    begins = rf"^(?:(?:async[ \t]+)?def[ \t]+{word}\b|class[ \t]+{word}\b|{word}[ \t]*=(?!=))"
    return re.search(begins, code, re.MULTILINE) is not None


def parses(code: str) -> bool:
    """Whether it is Python, told without running it."""
    return parsed(code) is not None


@lru_cache(maxsize=128)
def parsed(code: str) -> ast.Module | None:
    """The syntax tree of a program, which is not to be changed; None: it is no Python.

    What Python warns of (an escape that it does not know) is nobody's business here, and no error either.

    Example:
        >>> parsed("x = '\\\\w'") is None, parsed("x =") is None
        (False, True)
    """
    try:
        with _lock, warnings.catch_warnings():  # whose filters are the process's own
            warnings.simplefilter("ignore")
            return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
