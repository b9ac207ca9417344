"""What HumanEval and MBPP share: code out of a model's text, and the permission to run it."""

from __future__ import annotations

import ast
import re
from abc import abstractmethod
from typing import Any

from dlmsample.tasks.base import Example, Score
from dlmsample.tasks.benchmark import Benchmark, Folder
from dlmsample.tasks.sandbox import Limits, Run, check, run

_FENCE = re.compile(r"^[ \t]{0,8}```[^\n`]*+$", re.MULTILINE)
_LONGEST = 100_000


def fenced(text: str) -> list[str]:
    """The contents of Markdown code blocks, in order; one that is never closed reaches to the end.

    Example:
        >>> fenced("Sure:\\n```python\\nx = 1\\n```\\nand\\n```\\ny = 2")
        ['x = 1\\n', 'y = 2']
    """
    fences = list(_FENCE.finditer(text))
    ends = [fence.start() for fence in fences[1::2]] + [len(text)]
    return [text[fence.end() + 1 : end] for fence, end in zip(fences[::2], ends, strict=False)]


def code_of(text: str, name: str | None = None) -> str:
    """The code in a text: the first block that defines ``name`` (None: the first block), else the first block, else
    what stands between ``[BEGIN]`` and ``[DONE]``, else the whole text.

    Example:
        >>> code_of("```\\nf(1)\\n```\\n```python\\ndef f(x):\\n    return x\\n```", "f")
        'def f(x):\\n    return x\\n'
    """
    blocks = fenced(text)
    for block in blocks:
        if name is None or defines(block, name):
            return block
    if blocks:
        return blocks[0]
    return text.partition("[BEGIN]")[2].partition("[DONE]")[0] if "[BEGIN]" in text else text.partition("[DONE]")[0]


def defines(code: str, name: str) -> bool:
    """Whether a line of the code begins the function ``name``.

    Example:
        >>> defines("def f(x): return x", "f"), defines("def ff(x): return x", "f")
        (True, False)
    """
    return re.search(rf"^(?:async )?def {re.escape(name)}\b", code, re.MULTILINE) is not None


def parses(code: str) -> bool:
    """Whether it is Python, told without running it."""
    try:
        ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


class ProgramTask(Benchmark):
    """A benchmark whose answers are programs and whose scorer runs them against tests.

    Generated code runs only with ``allow_code_execution=True``, and then only in the sandbox
    (``dlmsample.tasks.sandbox``), for at most ``timeout`` seconds; the examples can be read without. Errors: ValueError
    from ``prepare`` and ``score``: not allowed, or no confinement here.
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
    def program(self, example: Example, text: str) -> tuple[str, str]:
        """The code taken from a text, and the whole program that tests it."""

    def prepare(self) -> None:
        """Errors: ValueError: running code is not allowed, or it cannot be confined here."""
        if not self.allow_code_execution:
            raise ValueError(
                f"{self.name} runs generated code, in a sandbox: allow it with allow_code_execution=True "
                "(command line: --allow-code-execution, or --set allow_code_execution=true)"
            )
        check()

    def verdict(self, example: Example, text: str) -> Run:
        """Run a text's program with its tests; says how it ended. Errors: as ``prepare``."""
        self.prepare()
        code, program = self.program(example, text)
        if len(code) > _LONGEST:
            return Run(False, "failed", "the program is too long")
        if not parses(program):
            return Run(False, "failed", "SyntaxError")
        return run(program, Limits(seconds=self.timeout))

    def score(self, example: Example, text: str) -> Score:
        """All tests pass. Errors: as ``prepare``."""
        return Score(self.verdict(example, text).passed, self.program(example, text)[0])
