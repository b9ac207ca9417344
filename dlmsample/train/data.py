"""Training data addressed by step: item s is the whole batch of step s, so resuming is exact."""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dlmsample.rng import fold, uniform
from dlmsample.train.config import TaskSection, TrainConfig, TrainError, WindowSection

_MIX, _LONG, _WINDOW, _KIND, _BLOCK = 101, 102, 103, 104, 105
"""Counters that separate the data's draws from each other and (being > 100) from the objectives'."""
_CONTENT = "dlmsampleprompttext"
_ROUND = 32


class Rows(NamedTuple):
    """One micro-batch as NumPy arrays: they cross from a worker through its pipe, without shared memory."""

    tokens: np.ndarray
    """int32 ``[row, pos]``: prompt, answer window, padding; pos is a multiple of 32."""
    prompt: np.ndarray
    """int32 ``[row]`` prompt length."""
    window: np.ndarray
    """int32 ``[row]`` window length."""
    block: np.ndarray
    """int32 ``[row]`` block length."""
    keys: np.ndarray
    """int64 ``[row]`` one key per sequence."""
    noisy: int
    """The longest window, rounded up to a multiple of 32."""


def row_keys(seed: int, epoch: int, indices: Tensor) -> Tensor:
    """One int64 key per sequence, a function of (seed, epoch, example index) alone."""
    return fold(torch.tensor(seed, dtype=torch.int64), epoch, indices)


def input_lengths(prompt: np.ndarray, window: np.ndarray, block: np.ndarray, attention: str) -> np.ndarray:
    """int ``[row]``: positions of the model's input (see :func:`dlmsample.train.streams.layout`)."""
    if attention == "bidirectional":
        return prompt + window
    return window + prompt + (window - 1) // block * block


def draw_windows(keys: Tensor, answers: Tensor, options: WindowSection, own: int, least: int) -> tuple[Tensor, Tensor]:
    """Window and block lengths, int64 ``[row]``, each from its row's key.

    Rule: W uniform in ``[answer, window_max]``, or up to ``long_window_max`` with probability
    ``long_window_share`` (an answer longer than that is its own window). B: the model's ``own`` with
    probability ``own_share``, W itself with ``all_share``, else a log-uniform integer in ``[least, W]``.

    Args:
        keys: int64 ``[row]``.
        answers: int64 ``[row]`` answer lengths, the EOS included.

    Source: ours; a window that ends at random keeps EOS from telling where a whole-answer canvas ends.
    """
    long = uniform(fold(keys, _LONG)) < options.long_window_share
    top = torch.where(long, options.long_window_max, options.window_max).maximum(answers)
    window = (answers + (uniform(fold(keys, _WINDOW)).double() * (top - answers + 1)).long()).minimum(top)
    kind = uniform(fold(keys, _KIND))
    low = window.clamp(max=least)
    spread = torch.log((window + 1) / low.double())
    drawn = (low * torch.exp(uniform(fold(keys, _BLOCK)).double() * spread)).long()
    drawn = drawn.maximum(low).minimum(window)
    block = torch.where(kind < options.own_share, own, drawn)
    return window, torch.where(kind >= 1 - options.all_share, window, block)


def problem_function(section: TaskSection) -> Callable[..., Any]:
    """The generator of a task, after checking that it takes the options."""
    module, _, attribute = section.name.partition(":")
    try:
        path = module if attribute else f"dlmsample.tasks.{module}"
        function = getattr(importlib.import_module(path), attribute or "problem")
    except (ImportError, AttributeError) as error:
        raise TrainError(f"unknown task {section.name!r} ({error})") from None
    known = inspect.signature(function).parameters
    for options in (section.options, *(part.options for part in section.mix if part.name is None)):
        for key in options:
            if key not in known:
                raise TrainError(f"task {section.name}: unknown option {key!r}; known: {', '.join(known)}")
    return function


class Encoder:
    """Text to ids with a folder's tokenizer: the chat template around a prompt, EOS after an answer."""

    def __init__(self, folder: Path, eos: int) -> None:
        from tokenizers import Tokenizer
        from transformers import AutoTokenizer

        if not (folder / "tokenizer.json").is_file():
            raise TrainError(f"no tokenizer.json in {folder}: set model.tokenizer to a tokenizer folder")
        self.eos, self.fast = eos, Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.fast.encode_special_tokens = True  # text never makes special ids
        outer = AutoTokenizer.from_pretrained(str(folder))
        # Rendering the template once and splicing is several times faster than once per example.
        text = _CONTENT
        if outer.chat_template:
            message = [{"role": "user", "content": _CONTENT}]
            text = str(outer.apply_chat_template(message, tokenize=False, add_generation_prompt=True))
        self.before, self.after = text.split(_CONTENT)

    def prompts(self, texts: list[str]) -> list[list[int]]:
        return self._encode([self.before + text + self.after for text in texts])

    def answers(self, texts: list[str]) -> list[list[int]]:
        return [[*ids, self.eos] for ids in self._encode(texts)]

    def _encode(self, texts: list[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self.fast.encode_batch_fast(texts, add_special_tokens=False)]


class Steps(Dataset[list[Rows]]):
    """Item s: the micro-batches of step s, rows ``s * batch .. (s + 1) * batch`` of the task's train split.

    Rows are sorted by length before they are cut into micro-batches, so that padding is small. With several
    processes, process ``rank`` of ``world`` takes every ``world``-th row.
    """

    def __init__(self, config: TrainConfig, pad: int, rank: int = 0, world: int = 1) -> None:
        if config.batch_size % (config.micro_batches * world):
            raise TrainError(
                f"batch_size must be a multiple of {config.micro_batches} micro-batches x {world} processes"
            )
        self.config, self.pad, self.rank, self.world = config, pad, rank, world
        self.problem = problem_function(config.task)

    @cached_property
    def encoder(self) -> Encoder:
        return Encoder(self.config.tokenizer_folder, self.config.geometry.eos_ids[0])

    def __len__(self) -> int:
        return self.config.steps

    def __getitem__(self, step: int) -> list[Rows]:
        config = self.config
        first = step * config.batch_size
        indices = torch.arange(first + self.rank, first + config.batch_size, self.world)
        keys = row_keys(config.seed, 0, indices)
        examples = self._examples(indices.tolist(), uniform(fold(keys, _MIX)).tolist())
        prompts = self.encoder.prompts([example.prompt for example in examples])
        answers = self.encoder.answers([example.completion for example in examples])
        lengths = torch.tensor([len(ids) for ids in answers])
        geometry = config.geometry
        window, block = draw_windows(keys, lengths, config.windows, geometry.block_length, geometry.min_block_length)
        prompt = np.array([len(ids) for ids in prompts])
        total = input_lengths(prompt, window.numpy(), block.numpy(), geometry.attention)
        return [
            self._collate(part, prompts, answers, window.numpy(), block.numpy(), keys.numpy())
            for part in np.split(np.argsort(total, kind="stable"), config.micro_batches)
        ]

    def _examples(self, indices: list[int], draws: list[float]) -> list[Any]:
        task, out = self.config.task, []
        parts = [
            (part.share, self.problem, {**task.options, **part.options})
            if part.name is None
            else (part.share, problem_function(TaskSection(name=part.name)), part.options)
            for part in task.mix
        ]
        for index, draw in zip(indices, draws, strict=True):
            function, options = self.problem, task.options
            for share, other, changed in parts:
                if draw < share:
                    function, options = other, changed
                    break
                draw -= share
            out.append(function("train", index, **options))
        return out

    def _collate(
        self,
        rows: np.ndarray,
        prompts: list[list[int]],
        answers: list[list[int]],
        window: np.ndarray,
        block: np.ndarray,
        keys: np.ndarray,
    ) -> Rows:
        prompt = np.array([len(prompts[r]) for r in rows], dtype=np.int32)
        width = round_up(int((prompt + window[rows]).max()))
        tokens = np.full((len(rows), width), self.pad, dtype=np.int32)
        for line, r in zip(tokens, rows, strict=True):
            start = len(prompts[r])
            line[:start] = prompts[r]
            line[start : start + window[r]] = self.encoder.eos
            line[start : start + len(answers[r])] = answers[r]
        narrow = [array[rows].astype(np.int32) for array in (window, block)]
        return Rows(tokens, prompt, narrow[0], narrow[1], keys[rows], round_up(int(window[rows].max())))


def round_up(length: int) -> int:
    """The next multiple of 32: few distinct shapes, and none that attention kernels dislike."""
    return -(-length // _ROUND) * _ROUND


def _same(item: list[Rows]) -> list[Rows]:
    return item


def _quiet(worker: int) -> None:
    """One process per core already: the tokenizer must not start threads of its own."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"


def batches(steps: Steps, start: int, stop: int) -> Iterator[list[Rows]]:
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
