"""What HumanEval and MBPP share: code out of a model's text, and the permission to run it."""

from __future__ import annotations

import ast
import builtins
import importlib.util
import re
import warnings
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any

from dlmsample.tasks.answers.python import bound, imports, parsed, parses, top_level
from dlmsample.tasks.base import Example, Score
from dlmsample.tasks.benchmark import Benchmark, Folder
from dlmsample.tasks.sandbox import Limits, Run, check, judge

_LONGEST = 100_000
_ABSENT = re.compile(r"^ModuleNotFoundError: No module named '(\w+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Trial:
    """A text's ``program`` and the published ``tests``, which run after ``given``, in a process of their own.

    ``reference`` is published code that has the names which the tests use.
    """

    program: str
    tests: str
    reference: str
    given: str = ""

    @property
    def names(self) -> list[str]:
        """The names that the tests take from the program: those that they neither bind nor find in Python, and those of
        Python's that the reference defines anew.

        Raises: ValueError: the tests are no Python.

        Example:
            >>> Trial("", "assert abs(sum(1, 2) - f(3)) < e", "def sum(a, b): return a + b").names
            ['e', 'f', 'sum']
        """
        tree = parsed(self.tests)
        if tree is None:
            raise ValueError(f"published tests that are no Python: {self.tests[:80]!r}")
        read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - bound(tree)
        reference = parsed(self.reference)
        published = top_level(reference) if reference else set()
        return sorted(name for name in read if name in published or not hasattr(builtins, name))


class ProgramTask(Benchmark):
    """A benchmark whose answers are programs and whose scorer runs them against tests.

    Generated code runs only with ``allow_code_execution=True``, and then only in the sandbox
    (``dlmsample.tasks.sandbox``), for at most ``timeout`` seconds; the examples can be read without. It is imported as
    a module, and the tests run in another process, which sees what it returns as data: a program cannot say that it
    passed. This makes one rule stricter than the official harness: an object of the program's own class is equal to
    nothing but itself, whatever its ``__eq__`` says. Raises: ValueError from ``prepare`` and ``score``: not allowed,
    or no confinement here.
    """

    def __init__(
        self,
        split: str = "test",
        limit: int | None = None,
        *,
        data_dir: Folder | None = None,
        allow_code_execution: bool = False,
        timeout: float = 10.0,
    ) -> None:
        self._accept(allow_code_execution, timeout)
        super().__init__(split, limit, data_dir=data_dir)

    def _accept(self, allow_code_execution: Any, timeout: Any) -> None:
        if not isinstance(allow_code_execution, bool):
            raise ValueError(f"option allow_code_execution must be true or false, got {allow_code_execution!r}")
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout <= 600:
            raise ValueError(f"option timeout is a number of seconds, above 0 and at most 600; got {timeout!r}")
        self.allow_code_execution, self.timeout = allow_code_execution, float(timeout)

    @abstractmethod
    def trial(self, example: Example, text: str) -> Trial:
        """The program of a text with its tests."""

    def prepare(self) -> None:
        """Raises: ValueError: running code is not allowed, or it cannot be confined here."""
        if not self.allow_code_execution:
            raise ValueError(
                f"{self.name} runs generated code, in a sandbox: allow it with allow_code_execution=True "
                "(command line: --allow-code-execution, or --set allow_code_execution=true)"
            )
        check()

    def verdict(self, example: Example, text: str) -> Run:
        """Run a text's program against its tests; says how it ended.

        Raises: ValueError: as ``prepare``; the tests pass to the program what another process cannot get.
        """
        self.prepare()
        return self._verdict(self.trial(example, text))

    def _verdict(self, trial: Trial) -> Run:
        if len(trial.program) > _LONGEST:
            return Run(False, "failed", "the program is too long")
        if not parses(trial.program):
            return Run(False, "failed", "SyntaxError")
        # The published harness runs program and tests in one namespace, so the tests' imports are the program's too.
        program = f"{trial.program}\n\n{imports(trial.tests)}"
        run = judge(program, trial.tests, trial.given, trial.names, Limits(seconds=self.timeout))
        return run if run.passed else replace(run, output=run.output + "".join(map(unreadable, missing(run.output))))

    def score(self, example: Example, text: str) -> Score:
        """All tests pass. Warns of a package that is installed here and cannot be read in the sandbox.

        Raises: as ``verdict``.
        """
        self.prepare()
        trial = self.trial(example, text)
        run = self._verdict(trial)
        for package in missing(run.output) if not run.passed else ():
            if said := unreadable(package):
                warnings.warn(said, RuntimeWarning, stacklevel=2)
        return Score(run.passed, trial.program)


def missing(output: str) -> list[str]:
    """The modules that a program asked for and did not find.

    Example:
        >>> missing("Traceback\\nModuleNotFoundError: No module named 'pandas.core'")
        ['pandas']
    """
    return sorted(set(_ABSENT.findall(output)))


def unreadable(package: str) -> str:
    """What to say of a package that this process can import and the sandbox cannot; empty: this one cannot either."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError, AttributeError):
        spec = None
    if spec is None:
        return ""
    return (
        f"package {package} is installed here, but not where the sandbox may read (a site-packages folder): programs "
        "that import it fail; install it there, not as a path or an editable tree"
    )
