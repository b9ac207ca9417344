"""Training data addressed by step: item s is the whole batch of step s, so resuming is exact."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dlmsample.rng import fold, uniform
from dlmsample.train.config import TrainConfig, TrainError
from dlmsample.train.config.sections import WindowSection
from dlmsample.train.data.encoder import Encoder
from dlmsample.train.data.source import Drawn, RowSource, TaskSource, row_keys

__all__ = ["MicroBatch", "Steps", "batches", "draw_windows", "input_lengths", "make_source", "round_up", "row_keys"]

_LONG, _WINDOW, _KIND, _BLOCK = 102, 103, 104, 105
"""Counters that separate the data's draws from each other and (being > 100) from the objectives'."""
_ROUND = 32


class MicroBatch(NamedTuple):
    """One micro-batch as NumPy arrays: they cross from a worker through its pipe, without shared memory."""

    tokens: np.ndarray
    """int32 ``[row, pos]``: prompt, answer window, padding; pos is a multiple of 32."""
    prompt: np.ndarray
    """int32 ``[row]`` prompt length."""
    answer: np.ndarray
    """int32 ``[row]`` answer length, its EOS included."""
    window: np.ndarray
    """int32 ``[row]`` window length."""
    block: np.ndarray
    """int32 ``[row]`` block length."""
    keys: np.ndarray
    """int64 ``[row]`` one key per sequence."""
    noisy: int
    """The longest window, rounded up to a multiple of 32."""


def make_source(config: TrainConfig, split: str = "train") -> RowSource:
    """Where a run's rows come from ("train"), or its validation rows ("valid"); files are read, checked and
    tokenised here.

    Raises:
        TrainError: no such task, or data that cannot be trained on.
    """
    if config.data is None:
        return TaskSource(config, split)
    from dlmsample.train.data.corpus import FileSource

    return FileSource(config, split)


def input_lengths(prompt: np.ndarray, window: np.ndarray, block: np.ndarray, attention: str) -> np.ndarray:
    """int ``[row]``: positions of the model's input (see :func:`dlmsample.train.data.layout.layout`)."""
    if attention == "bidirectional":
        return prompt + window
    return window + prompt + (window - 1) // block * block


def draw_windows(
    keys: Tensor, answers: Tensor, options: WindowSection, own: int, least: int, room: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Window and block lengths, int64 ``[row]``, each from its row's key.

    Rule: W uniform in ``[max(answer, window_min), window_max]``, or up to ``long_window_max`` with probability
    ``long_window_share`` (an answer longer than that is its own window), and at most ``room``. B: the model's
    ``own`` with probability ``own_share``, W itself with ``all_share``, else a log-uniform integer in
    ``[least, W]``.

    Args:
        keys: int64 ``[row]``.
        answers: int64 ``[row]`` answer lengths, the EOS included.
        options: how windows and blocks are drawn.
        own: the model's block length.
        least: the shortest block.
        room: int64 ``[row]``, the longest window of each row; the answer itself for plain text. None: no limit.

    Source: ours; a window that ends at random keeps EOS from telling where a whole-answer canvas ends.
    """
    long = uniform(fold(keys, _LONG)) < options.long_window_share
    top = torch.where(long, options.long_window_max, options.window_max)
    top = (top if room is None else top.minimum(room)).maximum(answers)
    least_window = answers.clamp(min=options.window_min).minimum(top)
    window = least_window + (uniform(fold(keys, _WINDOW)).double() * (top - least_window + 1)).long()
    window = window.minimum(top)
    kind = uniform(fold(keys, _KIND))
    low = window.clamp(max=least)
    spread = torch.log((window + 1) / low.double())
    drawn = (low * torch.exp(uniform(fold(keys, _BLOCK)).double() * spread)).long()
    drawn = drawn.maximum(low).minimum(window)
    block = torch.where(kind < options.own_share, own, drawn)
    return window, torch.where(kind >= 1 - options.all_share, window, block)


class Steps(Dataset[list[MicroBatch]]):
    """Item s: the micro-batches of step s, rows ``s * batch .. (s + 1) * batch`` of the source.

    Rows are sorted by length before they are cut into micro-batches, so that padding is small. With several
    processes, process ``rank`` of ``world`` takes every ``world``-th row.

    Args:
        config: the run.
        pad: the padding id.
        rank: this process.
        world: processes.
        source: where rows come from; None: what the configuration says.
        split: "train" or "valid", where ``source`` is None.
    """

    def __init__(
        self,
        config: TrainConfig,
        pad: int,
        rank: int = 0,
        world: int = 1,
        source: RowSource | None = None,
        split: str = "train",
    ) -> None:
        if config.batch_size % (config.micro_batches * world):
            raise TrainError(
                f"batch_size must be a multiple of {config.micro_batches} micro-batches x {world} processes"
            )
        self.config, self.pad, self.rank, self.world = config, pad, rank, world
        self.source = make_source(config, split) if source is None else source

    @property
    def encoder(self) -> Encoder:
        """The run's text encoder."""
        return self.source.encoder

    def __len__(self) -> int:
        return self.config.steps

    def __getitem__(self, step: int) -> list[MicroBatch]:
        config, geometry = self.config, self.config.geometry
        first = step * config.batch_size
        drawn = self.source.rows(torch.arange(first + self.rank, first + config.batch_size, self.world))
        room = None if drawn.room is None else torch.from_numpy(drawn.room - drawn.prompt)
        answers = torch.from_numpy(drawn.answer)
        least = geometry.min_block_length
        sizes = draw_windows(drawn.keys, answers, config.windows, geometry.block_length, least, room)
        window, block = (size.numpy() for size in sizes)
        total = input_lengths(drawn.prompt, window, block, geometry.attention)
        order = np.argsort(total, kind="stable")
        return [
            collate(drawn, part, window, block, geometry.eos_ids[0], self.pad)
            for part in np.split(order, config.micro_batches)
        ]


def collate(drawn: Drawn, rows: np.ndarray, window: np.ndarray, block: np.ndarray, eos: int, pad: int) -> MicroBatch:
    """The micro-batch of these rows (int indices): prompt, answer, EOS up to the window's end, padding.

    Args:
        drawn: rows of a batch.
        rows: which of them.
        window: int64 ``[row]`` of the whole batch.
        block: int64 ``[row]`` of the whole batch.
        eos: fills the rest of a window.
        pad: fills the rest of a row.
    """
    prompt = drawn.prompt[rows]
    written, end = prompt + drawn.answer[rows], prompt + window[rows]
    at = np.arange(round_up(int(end.max())))
    inside = drawn.start[rows][:, None] + np.minimum(at, written[:, None] - 1)
    filler = np.where(at < end[:, None], eos, pad)
    tokens = np.where(at < written[:, None], drawn.flat[inside], filler).astype(np.int32)
    return MicroBatch(
        tokens=tokens,
        prompt=prompt.astype(np.int32),
        answer=drawn.answer[rows].astype(np.int32),
        window=window[rows].astype(np.int32),
        block=block[rows].astype(np.int32),
        keys=drawn.keys.numpy()[rows],
        noisy=round_up(int(window[rows].max())),
    )


def round_up(length: int) -> int:
    """The next multiple of 32: few distinct shapes, and none that attention kernels dislike."""
    return -(-length // _ROUND) * _ROUND


def _same(item: list[MicroBatch]) -> list[MicroBatch]:
    return item


def _quiet(worker: int) -> None:
    """One process per core already: the tokenizer must not start threads of its own."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"


def batches(steps: Steps, start: int, stop: int) -> Iterator[list[MicroBatch]]:
    """The batches of steps ``start .. stop``, in order, made by the configuration's workers."""
    workers = steps.config.workers
    loader = DataLoader(
        steps,
        batch_size=None,
        sampler=range(start, stop),  # type: ignore[arg-type]
        num_workers=workers,
        collate_fn=_same,
        worker_init_fn=_quiet,
        prefetch_factor=4 if workers else None,
    )
    return iter(loader)
