"""``torch.compile`` for functions that are made more than once from the same source."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from types import FunctionType
from typing import Any

import torch

from dlmsample.kernels.support import constant_when_compiled

_NUMBER = count()


def compile_apart(function: Any, name: str, **options: Any) -> Callable[..., Any]:
    """Compile a copy of a function, apart from all other functions that come from the same ``def``.

    ``torch.compile`` keeps its books by code object: how often something was compiled anew, until it gives up, and
    which sizes were seen to change. Two closures of one ``def`` share their code object, hence their books, and code
    objects that differ in nothing count as one. The copy therefore has a code object with a name of its own.

    Args:
        function: written in Python.
        name: what it is called in the compiler's messages; a number is added.
        options: of ``torch.compile``.

    Example:
        >>> def adding(n):
        ...     def add(x):
        ...         return x + n
        ...     return add
        >>> add_two = compile_apart(adding(2), "add", backend="eager")
        >>> add_two(torch.tensor(1))
        tensor(3)
    """
    constant_when_compiled()
    code = function.__code__.replace(co_name=f"{name}_{next(_NUMBER)}")
    copy = FunctionType(code, function.__globals__, code.co_name, function.__defaults__, function.__closure__)
    copy.__kwdefaults__ = function.__kwdefaults__
    return torch.compile(copy, **options)
