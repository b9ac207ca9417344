"""Training data addressed by step: item s is the whole batch of step s, so resuming is exact."""

from __future__ import annotations

import os
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dlmsample.rng import draw
from dlmsample.train.config import TrainConfig, TrainError
from dlmsample.train.config.sections import WindowSection
from dlmsample.train.data.encoder import Encoder
from dlmsample.train.data.layout import MicroBatch, cut
from dlmsample.train.data.source import RowSource, TaskSource

_LONG, _WINDOW, _KIND, _BLOCK = 102, 103, 104, 105
"""Counters that separate the data's draws from each other and (being > 100) from the objectives'."""


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
    draws = draw(keys[:, None], torch.tensor([_LONG, _WINDOW, _KIND, _BLOCK], device=keys.device))
    is_long, place, kind, log_place = draws.unbind(1)
    long = is_long < options.long_window_share
    top = torch.where(long, options.long_window_max, options.window_max)
    top = (top if room is None else top.minimum(room)).maximum(answers)
    least_window = answers.clamp(min=options.window_min).minimum(top)
    window = least_window + (place.double() * (top - least_window + 1)).long()
    window = window.minimum(top)
    low = window.clamp(max=least)
    spread = torch.log((window + 1) / low.double())
    drawn = (low * torch.exp(log_place.double() * spread)).long()
    drawn = drawn.maximum(low).minimum(window)
    block = torch.where(kind < options.own_share, own, drawn)
    return window, torch.where(kind >= 1 - options.all_share, window, block)


class BatchSteps(Dataset[list[MicroBatch]]):
    """Item s: the micro-batches of step s, rows ``s * batch .. (s + 1) * batch`` of the source.

    With several processes, process ``rank`` of ``world`` takes every ``world``-th row.

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
        self.config, self.geometry, self.pad, self.rank, self.world = config, config.geometry, pad, rank, world
        self.source = make_source(config, split) if source is None else source

    @property
    def encoder(self) -> Encoder:
        """The run's text encoder."""
        return self.source.encoder

    def __len__(self) -> int:
        return self.config.steps

    def __getitem__(self, step: int) -> list[MicroBatch]:
        config, geometry = self.config, self.geometry
        first = step * config.batch_size
        drawn = self.source.rows(torch.arange(first + self.rank, first + config.batch_size, self.world))
        room = None if drawn.room is None else torch.from_numpy(drawn.room - drawn.prompt)
        answers = torch.from_numpy(drawn.answer)
        least = geometry.min_block_length
        sizes = draw_windows(drawn.keys, answers, config.windows, geometry.block_length, least, room)
        window, block = (size.numpy() for size in sizes)
        return cut(drawn, window, block, config.micro_batches, geometry, self.pad)


class _Careful(Dataset[list[MicroBatch] | TrainError]):
    """Gives a mistake in place of a batch: raised in a worker it would come back with that worker's traceback."""

    def __init__(self, steps: BatchSteps) -> None:
        self.steps = steps

    def __getitem__(self, step: int) -> list[MicroBatch] | TrainError:
        try:
            return self.steps[step]
        except TrainError as error:
            return error


def _same(item: list[MicroBatch] | TrainError) -> list[MicroBatch] | TrainError:
    return item


def _quiet(worker: int) -> None:
    """One process per core already: the tokenizer must not start threads of its own."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"


def batches(steps: BatchSteps, start: int, stop: int) -> Iterator[list[MicroBatch]]:
    """The batches of steps ``start .. stop``, in order, made by the configuration's workers.

    Raises:
        TrainError: a task makes a row that cannot be trained on.
    """
    workers = steps.config.workers
    loader = DataLoader(
        _Careful(steps),
        batch_size=None,
        sampler=range(start, stop),  # type: ignore[arg-type]
        num_workers=workers,
        collate_fn=_same,
        worker_init_fn=_quiet,
        prefetch_factor=4 if workers else None,
    )
    for batch in loader:
        if isinstance(batch, TrainError):
            raise batch
        yield batch
