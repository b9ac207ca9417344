"""What runs the tests, in a jail of its own: it asks the program in the other jail and compares here.

The tests and what they expect are in this process alone. The program's values arrive as data (``wire``). An object that
is no data stays where it is and is represented by a :class:`Remote`, which can be called, passed on, iterated over and
given attributes, but which is equal to nothing but itself: no ``__eq__`` of the program is ever asked. Imports nothing
of the package but ``wire``.
"""

from __future__ import annotations

import builtins
import importlib
from collections import deque
from collections.abc import Iterator
from typing import Any, BinaryIO

wire = importlib.import_module(f"{__package__}.wire" if __package__ else "wire")  # in a jail there is no package


class ProgramError(Exception):
    """The program raised something of its own, or ended."""


class Untransferable(TypeError):
    """A test passes a value that another process cannot get."""


class Link:
    """Questions to the program's process, one at a time."""

    def __init__(self, questions: BinaryIO, answers: BinaryIO) -> None:
        self.questions, self.answers = questions, answers
        self.remotes: dict[int, Remote] = {}

    def ask(self, number: int, operation: str, *arguments: Any, **named: Any) -> Any:
        """The value of an operation on the object with that number. Raises: what the operation raised."""
        question = {
            "object": number,
            "operation": operation,
            "arguments": wire.encode(list(arguments), self._number),
            "named": wire.encode(named, self._number),
        }
        try:
            wire.send(self.questions, question)
            answer = wire.receive(self.answers)
        except OSError:
            answer = None
        if answer is None:
            raise ProgramError("the program ended before its answer")
        if "raised" in answer:
            raise _error(answer["raised"], answer.get("text"))
        if "arguments" in answer:
            for ours, theirs in zip(arguments, wire.decode(answer["arguments"], self.remote), strict=True):
                _change(ours, theirs)
        return wire.decode(answer["value"], self.remote)

    def remote(self, number: Any) -> Remote:
        """The one stand-in for the program's object of that number."""
        if type(number) is not int:
            raise ValueError("no number of an object")
        return self.remotes.setdefault(number, Remote(self, number))

    def _number(self, value: Any) -> int:
        if isinstance(value, Remote):
            return object.__getattribute__(value, "_number")
        if isinstance(value, _Steps):
            return self._number(value.remote)
        raise Untransferable(f"a test passes a {type(value).__name__}, which another process cannot get")


class Remote:
    """An object of the program; equal to itself alone."""

    _link: Link
    _number: int

    def __init__(self, link: Link, number: int) -> None:
        object.__setattr__(self, "_link", link)
        object.__setattr__(self, "_number", number)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._link.ask(self._number, "getattr", name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._link.ask(self._number, "setattr", name, value)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._link.ask(self._number, "call", *arguments, **named)

    def __iter__(self) -> Iterator[Any]:
        found = self._link.ask(self._number, "iter")
        return _Steps(found) if isinstance(found, Remote) else iter(found)

    def __next__(self) -> Any:
        return self._link.ask(self._number, "next")

    def __len__(self) -> int:
        return self._link.ask(self._number, "len")

    def __getitem__(self, key: Any) -> Any:
        return self._link.ask(self._number, "getitem", key)

    def __bool__(self) -> bool:
        return self._link.ask(self._number, "bool") is True

    def __str__(self) -> str:
        return str(self._link.ask(self._number, "str"))


class _Steps:
    """An iterator of the program, stepped from here."""

    def __init__(self, remote: Remote) -> None:
        self.remote = remote

    def __iter__(self) -> _Steps:
        return self

    def __next__(self) -> Any:
        return next(self.remote)


def _error(kinds: Any, text: Any) -> Exception:
    """The first built-in class of what was raised, so that a test may expect it; an exit is no success either."""
    for name in kinds if isinstance(kinds, list) else []:
        kind = getattr(builtins, name, None) if isinstance(name, str) else None
        if isinstance(kind, type) and issubclass(kind, Exception):
            error = kind.__new__(kind)
            error.args = (str(text),)
            return error
    return ProgramError(f"{kinds}: {text}")


def _change(ours: Any, theirs: Any) -> None:
    """Make a list, dict, set, deque or bytearray hold what the program left in it."""
    if type(ours) is not type(theirs):
        return
    if isinstance(ours, list | bytearray):
        ours[:] = theirs
    elif isinstance(ours, dict | set):
        ours.clear()
        ours.update(theirs)
    elif isinstance(ours, deque):
        ours.clear()
        ours.extend(theirs)


def work(tests: str, given: str, names: list[str], questions: int, answers: int) -> None:
    """Run ``given`` and then ``tests`` in one namespace, in which ``names`` are those of the program.

    A name that ``given`` defines stays ``given``'s; one that the program lacks is not defined. Raises: whatever fails.
    """
    with open(questions, "wb") as sink, open(answers, "rb") as source:
        program = Link(sink, source).remote(0)
        space: dict[str, Any] = {"__name__": "tests"}
        exec(compile(given, "<given>", "exec", dont_inherit=True), space)
        for name in names:
            try:
                found = getattr(program, name)
            except AttributeError:
                space.pop(name, None)
            else:
                space.setdefault(name, found)
        exec(compile(tests, "<tests>", "exec", dont_inherit=True), space)
