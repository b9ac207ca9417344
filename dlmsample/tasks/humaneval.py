"""HumanEval: complete a Python function from its docstring (Chen et al. 2021, arXiv:2107.03374)."""

from __future__ import annotations

import re

from dlmsample.tasks.answers.code import code_of
from dlmsample.tasks.answers.python import defines, future_first
from dlmsample.tasks.base import Example
from dlmsample.tasks.benchmark import Hub, Row
from dlmsample.tasks.programs import ProgramTask, Trial

_PROMPT = "Complete the following python code:\n{prompt}"
_OUTSIDE = re.compile(r"^(?=[^\s#)\]}])", re.MULTILINE)


def body(text: str) -> str:
    """The indented lines that continue a function: the text up to its first line that stands outside of it.

    The first line is indented where a stripped text lost its indentation.

    Example:
        >>> body("return x + 1\\n    # done\\nprint(f(1))")
        '    return x + 1\\n    # done\\n'
    """
    kept = text.strip("\n")
    if kept[:1] not in (" ", "\t"):
        kept = "    " + kept.lstrip()
    outside = _OUTSIDE.search(kept, 1)
    return kept[: outside.start()] if outside else kept


def completed(prompt: str, entry_point: str, text: str) -> str:
    """The program that a text makes of a prompt: the text's own function after what stands before the prompt's, or
    the prompt with the text as the function's body.

    Example:
        >>> completed("import re\\ndef f(x):\\n", "f", "```python\\ndef f(x):\\n    return x\\n```")
        'import re\\ndef f(x):\\n    return x\\n'
        >>> completed("def f(x):\\n", "f", "    return x\\nprint(1)")
        'def f(x):\\n    return x\\n'
    """
    code = code_of(text, entry_point)
    if not defines(code, entry_point):
        return prompt + body(code)
    return future_first(preamble(prompt, entry_point) + code)


def preamble(prompt: str, entry_point: str) -> str:
    """What stands before the function in a prompt: imports and helpers.

    Example:
        >>> preamble("import re\\ndef f(x):\\n", "f")
        'import re\\n'
    """
    start = re.search(rf"^def {re.escape(entry_point)}\b", prompt, re.MULTILINE)
    return prompt[: start.start()] if start else ""


class HumanEval(ProgramTask):
    """HumanEval: 164 functions, each with unit tests.

    Prompt: zero-shot, OpenCompass's. Scorer: the official one, ``check(entry_point)`` on the completed program runs to
    its end (pass@1), here in a sandbox and with ``timeout`` seconds (official: 3). A text may hold the whole function,
    in a Markdown block or not, or only its body. D3IM/SCOPE (arXiv:2606.01026) prints 14.0, 26.8 and 32.9 % for
    LLaDA-8B-Instruct at 64, 128 and 256 steps, with a prompt that it does not print.

    Example:
        >>> completed("def add(a, b):\\n", "add", "return a + b")
        'def add(a, b):\\n    return a + b'
    """

    name = "humaneval"
    splits = ("test",)
    source = "openai/human-eval, MIT"
    scorer = "official unit tests, in a sandbox"
    files = {"test": ("HumanEval.jsonl", "HumanEval.jsonl.gz")}
    needs = (("task_id",), ("prompt",), ("entry_point",), ("canonical_solution",), ("test",))
    hub = Hub("openai/openai_humaneval", {"test": "test"})

    def build(self, row: Row) -> Example:
        """The function's head, its published body as the answer, the whole as a block; ``meta`` holds the tests."""
        reference = f"```python\n{row['prompt']}{row['canonical_solution']}\n```"
        meta = {key: row[key] for key in ("task_id", "prompt", "entry_point", "test")}
        return Example(_PROMPT.replace("{prompt}", row["prompt"]), row["canonical_solution"], reference, meta)

    def trial(self, example: Example, text: str) -> Trial:
        """The completed function against the published ``check``, which uses the prompt's own helpers."""
        prompt, name, tests = (example.meta[key] for key in ("prompt", "entry_point", "test"))
        return Trial(completed(prompt, name, text), f"{tests}\n\ncheck({name})\n", prompt, preamble(prompt, name))
