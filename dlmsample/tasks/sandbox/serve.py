"""What runs beside an untrusted program, in its own jail: it imports the program as a module and answers questions.

A question names an object (0 is the module), an operation on it and arguments; the answer is a value, or the names of
the exception's classes and its text. The program shares this process and may write any answer itself: an answer is only
data, and its judge lives elsewhere (``verdicts``). Nothing here is worth finding: no test, no expected value,
no secret. Imports nothing of the package but ``wire``.
"""

from __future__ import annotations

import importlib
import importlib.util
import operator
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

wire = importlib.import_module(f"{__package__}.wire" if __package__ else "wire")  # in a jail there is no package

NAME = "solution"
"""The program's module name: what stands under ``if __name__ == "__main__"`` is a demonstration and is not run."""

OPERATIONS: dict[str, Callable[..., Any]] = {
    "getattr": getattr,
    "setattr": setattr,
    "call": lambda function, *arguments, **named: function(*arguments, **named),
    "iter": iter,
    "next": next,
    "len": len,
    "getitem": operator.getitem,
    "bool": bool,
    "str": str,
}


def work(program: str, questions: int, answers: int) -> None:
    """Import the program, then answer until nobody asks any more. Raises: whatever the program raises when imported."""
    module = load(program)
    kept = Kept()
    kept.number(module)
    with open(questions, "rb") as source, open(answers, "wb") as sink:
        while (question := wire.receive(source)) is not None:
            answer = answered(question, kept)
            sys.stdout.flush()
            wire.send(sink, answer)


def load(program: str) -> ModuleType:
    """The program as an imported module that lies in a file of the working folder, so that ``inspect``, ``pickle``,
    forward references of dataclasses and whatever else asks for a module find it."""
    path = os.path.abspath(NAME + ".py")
    with open(path, "w", encoding="utf-8", errors="replace", newline="") as file:
        file.write(program)
    spec = importlib.util.spec_from_file_location(NAME, path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = module
    exec(compile(program, path, "exec", dont_inherit=True), module.__dict__)
    return module


class Kept:
    """The objects that the other side knows by number; each lives as long as this process."""

    def __init__(self) -> None:
        self._objects: list[Any] = []
        self._numbers: dict[int, int] = {}

    def number(self, value: Any) -> int:
        """The number of an object, a new one if need be."""
        if id(value) not in self._numbers:
            self._numbers[id(value)] = len(self._objects)
            self._objects.append(value)
        return self._numbers[id(value)]

    def object(self, number: int) -> Any:
        """The object of a number."""
        return self._objects[number]


def answered(question: dict[str, Any], kept: Kept) -> dict[str, Any]:
    """Do what is asked; the arguments come back where the operation changed them."""
    try:
        arguments = wire.decode(question["arguments"], kept.object)
        named = wire.decode(question["named"], kept.object)
        value = OPERATIONS[question["operation"]](kept.object(question["object"]), *arguments, **named)
        answer = {"value": wire.encode(value, kept.number)}
        after = wire.encode(arguments, kept.number)
        return answer if after == question["arguments"] else {**answer, "arguments": after}
    except BaseException as error:  # of any kind, an exit too: the judge decides what it means
        return {"raised": [kind.__name__ for kind in type(error).__mro__], "text": str(error)[:1000]}
