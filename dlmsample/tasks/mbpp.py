"""MBPP: short Python functions from a sentence and three assertions (Austin et al. 2021, arXiv:2108.07732)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dlmsample.tasks.answers.code import code_of
from dlmsample.tasks.answers.python import defines, future_first, imports
from dlmsample.tasks.base import Example
from dlmsample.tasks.benchmark import Folder, Hub, Row, pick
from dlmsample.tasks.programs import ProgramTask, Trial

_PROMPT = (
    "You are an expert Python programmer, and here is your task: {text} Your code should pass these tests:\n\n{tests}\n"
)
#: The paper's numbering: task ids of each split, both ends included.
_IDS = {"prompt": (1, 10), "test": (11, 510), "valid": (511, 600), "train": (601, 974)}
_FILES = {
    "full": ("mbpp.jsonl",),
    "sanitized": ("mbpp_sanitized.jsonl", "sanitized-mbpp.jsonl", "sanitized-mbpp.json"),
}


class MBPP(ProgramTask):
    """MBPP: 974 tasks (``version="full"``; 500 of them test), or the 427 hand-verified ones (``"sanitized"``).

    Prompt: zero-shot, the paper's, which shows all tests; its ``[BEGIN]`` is left out. Scorer: the published assertions
    run to their end after the text's first code block (pass@1), in a sandbox. D3IM/SCOPE (arXiv:2606.01026) prints
    20.4, 29.4 and 39.2 % for LLaDA-8B-Instruct at 64, 128 and 256 steps, with 3 shots: not comparable with this prompt.

    Example:
        >>> code_of("[BEGIN]\\ndef f(): return 1\\n[DONE]").strip()
        'def f(): return 1'
    """

    name = "mbpp"
    splits = ("prompt", "train", "valid", "test")
    source = "google-research/mbpp, CC BY 4.0"
    scorer = "published assertions, in a sandbox"
    needs = (("text", "prompt"), ("test_list", "test"), ("code",), ("task_id",))

    def __init__(
        self,
        split: str = "test",
        limit: int | None = None,
        *,
        data_dir: Folder | None = None,
        version: str = "full",
        allow_code_execution: bool = False,
        timeout: float = 10.0,
    ) -> None:
        if version not in _FILES:
            raise ValueError(f"option version of task mbpp must be full or sanitized, got {version!r}")
        files = {own: _FILES[version] for own in self.splits}  # noqa: C420 (pyright takes fromkeys' values for None)
        if version == "full":
            files["test"] += ("mbpp_test.jsonl",)
        self.version, self.files = version, files
        hub_splits = {"prompt": "prompt", "train": "train", "valid": "validation", "test": "test"}
        self.hub = Hub("google-research-datasets/mbpp", hub_splits, version)
        super().__init__(split, limit, data_dir=data_dir, allow_code_execution=allow_code_execution, timeout=timeout)

    def keep(self, row: Row) -> bool:
        """The task id lies in the split's range."""
        first, last = _IDS[self.split]
        return first <= int(row["task_id"]) <= last

    def build(self, row: Row) -> Example:
        """Sentence and tests, the published code as the answer and, as a block, the reference; ``meta``: the tests."""
        tests = pick(row, "test_list", "test")
        prompt = _PROMPT.replace("{tests}", "\n".join(tests)).replace("{text}", pick(row, "text", "prompt"))
        code = row["code"].replace("\r\n", "\n")
        meta: dict[str, Any] = {"task_id": row["task_id"], "tests": list(tests), "setup": _setup(row)}
        return Example(prompt, code, f"```python\n{code}\n```", meta)

    def trial(self, example: Example, text: str) -> Trial:
        """The code against the published setup and assertions."""
        tests = "\n".join([example.meta["setup"], *example.meta["tests"], ""])
        wanted = Trial("", tests, example.answer, imports(example.answer))
        code = future_first(code_of(text, *_called_first(wanted.names, example.answer)))
        return replace(wanted, program=code)


def _called_first(names: list[str], reference: str) -> list[str]:
    """Functions before the other names: the first one is what a text is searched for."""
    return sorted(names, key=lambda name: not defines(reference, name))


def _setup(row: Row) -> str:
    """Imports and definitions that the assertions use, in either version's field."""
    return "\n".join([*row.get("test_imports", ()), row.get("test_setup_code", "") or ""])
