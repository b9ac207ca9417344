"""Where a unit is run: one checkpoint in memory, one batch at a time. Used by every engine alike."""

from __future__ import annotations

import gc
import time
import traceback
from typing import Any

import torch

import dlmsample
from dlmsample import rng
from dlmsample.ablate import fingerprint
from dlmsample.ablate.cells import Cell
from dlmsample.ablate.records import ExampleResult
from dlmsample.ablate.units import Outcome, Unit
from dlmsample.registry import policy
from dlmsample.sampler import Sampler
from dlmsample.tasks import Example, Task
from dlmsample.tasks import load as load_task

#: Figures that a result takes over from :class:`dlmsample.RowStats`.
_FIGURES = ("steps", "nfe", "prefill", "tokens", "fills", "replaces", "remasks", "forced", "finish_reason")


class Bench:
    """Runs units on one device and keeps the checkpoint and the tasks between them.

    Args:
        device: a torch device, for checkpoints that name none; None: CPU.
        threads: of torch, on the CPU; None: as they are.
    """

    def __init__(self, device: str | None = None, threads: int | None = None) -> None:
        self.device = device
        self._label: str | None = None
        self._model: Any = None
        self._broken: dict[str, ValueError] = {}
        self._tasks: dict[str, Task] = {}
        self._examples: dict[tuple[str, int], Example] = {}
        if threads is not None:
            torch.set_num_threads(threads)

    def ping(self) -> None:
        """Answer, once there is something that can."""

    def work(self, unit: Unit) -> Outcome:
        """Run a unit; whatever goes wrong is an outcome too."""
        try:
            return Outcome(unit, self.results(unit))
        except Exception as error:  # out of memory, a policy's bug: the other cells go on
            where = traceback.format_exc()
            self._release()
            return Outcome(unit, [], describe(error), where)

    def results(self, unit: Unit) -> list[ExampleResult]:
        """Decode and score a batch. A row depends on its example, its cell and nothing else."""
        cell = unit.cell
        task = self._task(cell)
        examples = [self._example(cell.task.label, task, index) for index in unit.indices]
        sampler = self._sampler(cell, len(examples))
        began = time.perf_counter()
        out = sampler.generate(
            [example.prompt for example in examples],
            cell.settings.max_new_tokens,
            seed=[row_seed(cell.seed, index) for index in unit.indices],
        )
        share = (time.perf_counter() - began) / len(examples)
        rows = zip(unit.indices, examples, out.texts, out.stats, strict=True)
        found = []
        for index, example, text, stats in rows:
            score = task.score(example, text)
            found.append(
                ExampleResult(
                    index=index,
                    prompt=example.prompt,
                    reference=example.reference,
                    answer=example.answer,
                    text=text.encode("utf-8", "replace").decode("utf-8"),  # a store takes no half of a character
                    extracted=score.extracted,
                    correct=score.correct,
                    wall_seconds=share,
                    **{name: getattr(stats, name) for name in _FIGURES},
                )
            )
        return found

    def _sampler(self, cell: Cell, rows: int) -> Sampler:
        return Sampler(
            self._checkpoint(cell),
            policy(cell.policy_name, **cell.options),
            cell.settings.block_length,
            cell.settings.temperature,
            cell.top_p,
            cell.top_k,
            rows,
        )

    def _checkpoint(self, cell: Cell) -> Any:
        label, entry = cell.checkpoint.label, cell.checkpoint
        if label in self._broken:
            raise self._broken[label]
        if label != self._label:
            self._release()
            _hide_bars()
            try:
                if fingerprint.of_checkpoint(entry) != cell.prints:
                    raise ValueError(f"the files of checkpoint {label} are not those that the run began with")
                self._model = dlmsample.load(
                    entry.model,
                    adapter=entry.adapter,
                    head=entry.head,
                    device=entry.device or self.device,
                    dtype=entry.dtype,
                )
            except ValueError as error:  # a mistake stays one: not read again for each of its cells
                self._broken[label] = error
                raise
            self._label = label
        return self._model

    def _task(self, cell: Cell) -> Task:
        entry = cell.task
        if entry.label not in self._tasks:
            self._tasks[entry.label] = load_task(entry.name, entry.split, entry.limit, **entry.options)
        return self._tasks[entry.label]

    def _example(self, label: str, task: Task, index: int) -> Example:
        """Kept, as every cell of the task asks for it again."""
        if (label, index) not in self._examples:
            self._examples[label, index] = task[index]
        return self._examples[label, index]

    def _release(self) -> None:
        """Forget the checkpoint before another one, or a smaller batch of it, needs the memory."""
        self._model = self._label = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _hide_bars() -> None:
    """Keep transformers' bars out of the run's own."""
    from transformers.utils import logging

    logging.disable_progress_bar()


def row_seed(seed: int, index: int) -> int:
    """The seed of an example: of the cell's and its index alone, so that no batch split can matter.

    Example:
        >>> row_seed(0, 1) == row_seed(0, 1) != row_seed(1, 1) != row_seed(0, 2)
        True
    """
    return rng.sequence_key(seed, [index])


def describe(error: BaseException) -> str:
    """An error in one line; a user's mistake without its class."""
    said = " ".join(str(error).split())[:300]
    return said if isinstance(error, ValueError) and said else f"{type(error).__name__}: {said}".removesuffix(": ")
