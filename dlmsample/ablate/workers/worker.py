"""The worker: it loads a checkpoint and decodes units with it, one batch at a time. Every engine uses this one."""

from __future__ import annotations

import gc
import time
import traceback
from array import array
from operator import attrgetter
from typing import Any

import torch

import dlmsample
from dlmsample.ablate.spec import identity
from dlmsample.ablate.spec.cells import Cell
from dlmsample.ablate.workers.units import STATS, Answers, Failure, Reply, Unit, describe, row_seed
from dlmsample.decoding.arguments import EncodedPrompt, at_row, encode_prompt
from dlmsample.decoding.request import Segmentation
from dlmsample.decoding.sampler import Sampler
from dlmsample.policies.registry import policy
from dlmsample.types import RowStats

_figures = attrgetter(*STATS)


class Worker:
    """Decodes units on one device. Between units it keeps the checkpoint and the token ids of its prompts.

    Args:
        device: a torch device, for checkpoints that name none themselves; None: CPU.
        threads: number of threads that torch uses on the CPU; None: leave it as it is.
    """

    def __init__(self, device: str | None = None, threads: int | None = None) -> None:
        self.device = device
        self._label: str | None = None
        self._model: Any = None
        self._broken: dict[str, ValueError] = {}
        self._last: tuple[Cell, Sampler] | None = None  # a Sampler keeps what it captured
        # of the prompts, with the present checkpoint's tokenizer
        self._ids: dict[str, tuple[array[int], list[int]]] = {}
        if threads is not None:
            torch.set_num_threads(threads)

    def ping(self) -> None:
        """Return at once. A caller uses this to learn that the worker has started."""

    def work(self, unit: Unit) -> Reply:
        """Decode a unit. An error does not leave this method: it becomes a :class:`Failure`."""
        try:
            return self.results(unit)
        except Exception as error:  # out of memory, a policy's bug: the other cells go on
            where = traceback.format_exc()
            self._release()
            return Failure(describe(error), where)

    def results(self, unit: Unit) -> Answers:
        """Decode a batch. A row depends on its prompt and its cell alone, not on the other rows."""
        cell = unit.cell
        sampler = self._sampler(cell, len(unit.prompts))
        new = cell.settings.max_new_tokens
        began = time.perf_counter()
        prompts: Any = [
            at_row("example", index, prompt, lambda prompt: self._encoded(prompt, new))
            for index, prompt in zip(unit.indices, unit.prompts, strict=True)
        ]
        out = sampler.generate(prompts, new, seed=[row_seed(cell.seed, index) for index in unit.indices])
        seconds = time.perf_counter() - began
        given = zip(prompts, out.stats, strict=True)
        figures = [(*_figures(stats), positions_forwarded(sampler, prompt, new, stats)) for prompt, stats in given]
        return Answers(out.texts, figures, seconds)

    def _encoded(self, prompt: str, new: int) -> EncodedPrompt:
        """The ids of a prompt. They are kept, since every cell of a task needs them and a chat template is slow."""
        if prompt not in self._ids:
            before, behind = encode_prompt(self._model, prompt, None, new)
            self._ids[prompt] = array("q", before), behind
        before, behind = self._ids[prompt]
        return EncodedPrompt(before.tolist(), behind)

    def _sampler(self, cell: Cell, rows: int) -> Sampler:
        model = self._checkpoint(cell)
        if self._last is not None and self._last[0] == cell and self._last[1].batch_size >= rows:
            return self._last[1]
        self._last = None  # its memory first
        self._last = cell, self._new_sampler(cell, model, rows)
        return self._last[1]

    def _new_sampler(self, cell: Cell, model: Any, rows: int) -> Sampler:
        return Sampler(
            model,
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
                if identity.of_checkpoint(entry) != cell.hashes:
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

    def _release(self) -> None:
        """Free the memory of the checkpoint, before another one is loaded and after an error."""
        self._model = self._label = self._last = None
        self._ids.clear()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def positions_forwarded(sampler: Sampler, prompt: EncodedPrompt, new: int, stats: RowStats) -> int | None:
    """What a row's forwards went over, in positions: the cost that forwards of unlike width have in common.

    Rule: with the exact cache ``nfe · width + prefill · first``, where ``width`` is the active block's and ``first``
    positions precede the first one; without a cache ``nfe`` times the canvas. Policies that read shadows of the
    active block forward it twice.

    Returns:
        None where it is not known: shadows, or blocks that see no later ones, without a cache.
    """
    shadows = "loo_prob" in sampler.policy.needs
    canvas = len(prompt.before) + new + len(prompt.behind)
    if sampler.cache != "exact":
        parts = sampler.model.attention == "block_causal" and sampler.block_length != "all"  # later blocks are unseen
        return None if shadows or parts else stats.nfe * canvas
    first = Segmentation.of(sampler.model, sampler.block_length).first_block(len(prompt.before))
    width = canvas - first if sampler.block_length == "all" else int(sampler.block_length)
    return stats.nfe * width * (1 + shadows) + stats.prefill * first


def _hide_bars() -> None:
    """Keep transformers' bars out of the run's own."""
    from transformers.utils import logging

    logging.disable_progress_bar()
