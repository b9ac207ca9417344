"""Files as training rows: tokenised once into flat arrays, filtered, packed, shuffled anew in each epoch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dlmsample.models.interface import DECODER
from dlmsample.rng import fold
from dlmsample.train.config import TrainConfig, TrainError
from dlmsample.train.config.sections import DataSection
from dlmsample.train.config.start import open_start
from dlmsample.train.data.blank import BlankRows, Blanks
from dlmsample.train.data.encoder import Encoder, make_encoder
from dlmsample.train.data.records import Mistakes, Record, find, read
from dlmsample.train.data.source import Drawn, row_keys, starts

DEFAULT_LENGTH = 2048
"""Tokens of a row where ``data.max_length`` does not say."""
_ORDER, _HELD = 106, 107
_CHUNK = 1024


class CorpusCounts(NamedTuple):
    """What became of the rows that were read."""

    kept: int
    short: int
    long: int
    tokens: int
    """Of the rows kept, an EOS each."""
    dropped_tokens: int
    blank: Blanks = Blanks()
    """Kept or left out, as ``data.blank`` says."""

    def line(self, section: DataSection) -> str:
        """For people, like ``kept 48 of 50 rows: 2 longer than 1800 tokens``."""
        skipped = 0 if self.blank.kept else self.blank.rows
        total = self.kept + self.short + self.long + skipped
        if self.kept == total:
            return f"kept all {total:,} rows" + (f" (limit {section.limit:,})" if total == section.limit else "")
        parts = [
            f"{count:,} {word} than {bound}"
            for count, word, bound in (
                (self.short, "shorter", section.min_tokens),
                (self.long, "longer", section.max_tokens),
            )
            if count
        ]
        if parts:
            parts[0] += " tokens"
        parts += [f"{skipped:,} blank"] if skipped else []
        return f"kept {self.kept:,} of {total:,} rows: {', '.join(parts)}"


class Corpus(NamedTuple):
    """Tokenised rows, one after another."""

    flat: np.ndarray
    """int32 ``[token]``."""
    prompt: np.ndarray
    """int64 ``[row]``; 0 for plain text."""
    answer: np.ndarray
    """int64 ``[row]``, the EOS included."""
    room: np.ndarray
    """int64 ``[row]``: the row itself for plain text, ``max_length`` for prompts with answers."""
    counts: CorpusCounts


def row_length(config: TrainConfig) -> int:
    """Tokens of a row, ``data.max_length``.

    Raises:
        TrainError: more than the model's context.
    """
    assert config.data is not None
    asked, context = config.data.max_length, model_context(config)
    if asked is not None and context is not None and asked > context:
        raise TrainError(f"data.max_length {asked} is more than the model's context of {context}: lower it")
    return asked or min(DEFAULT_LENGTH, context or DEFAULT_LENGTH)


def model_context(config: TrainConfig) -> int | None:
    """The most positions of the model; None where nothing on this machine says it."""
    section = config.model
    if section.shape is not None:
        return section.shape.get("max_position_embeddings")
    if not Path(section.where).is_dir():
        return None
    try:
        opened = open_start(section)
    except (OSError, ValueError):
        return None
    return opened.context(DECODER if opened.family.module_kind == "decoder" else opened.interface(opened.shell()))


def tokenise(config: TrainConfig, encoder: Encoder) -> Corpus:
    """Read, check, encode, filter and (with ``pack``) cut the data of a run.

    Rule of packing: the documents kept, an EOS after each, are one stream in the order they were read; rows are
    its consecutive pieces of ``max_length`` tokens, and the last row holds what is left. No token is lost and
    none stands twice. A row may begin or end within a document, and documents in a row see each other.

    Raises:
        DataError: rows that cannot be trained on, with their lines.
        TrainError: nothing to read, or nothing left.
    """
    assert config.data is not None
    section, length, mistakes = config.data, row_length(config), Mistakes()
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
    kept = short = long = dropped = 0
    left, blanks = section.limit, BlankRows(section.blank)
    for records in _chunks(read(section, mistakes)):
        records = list(_usable(records, encoder, section, mistakes))
        asked = [record.roles for record in records], [record.contents for record in records]
        flat, prompt, answer = encoder.rows(*asked, [record.answer for record in records])
        total = prompt + answer
        blank = blanks.find(records)
        skipped = blank & (section.blank == "skip")
        low, high = total < (section.min_tokens or 0), total > (section.max_tokens or np.inf)
        low, high, keep = low & ~skipped, high & ~skipped, ~(low | high | skipped)
        if left is not None:
            read_to = int(np.searchsorted(np.cumsum(keep), left)) + 1  # rows after the last one kept are not read
            low, high, keep, blank = low[:read_to], high[:read_to], keep[:read_to], blank[:read_to]
            left -= int(keep.sum())
        blanks.add(records, np.flatnonzero(blank), mistakes)
        kept, short, long = kept + int(keep.sum()), short + int(low.sum()), long + int(high.sum())
        dropped += int(total[: len(keep)][~keep].sum())
        chosen = np.flatnonzero(keep)
        plain = np.array([not record.roles for record in records], dtype=bool)
        at = starts(total)
        _check(chosen, records, flat, at, total, section, length, config.geometry.mask_id, mistakes)
        spread = np.repeat(at[chosen] - starts(total[chosen]), total[chosen]) + np.arange(total[chosen].sum())
        room = np.where(plain, total, length)
        parts.append((flat[spread], prompt[chosen], answer[chosen], room[chosen]))
        if left == 0:
            break
    mistakes.check()
    flat, prompt, answer, room = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    counts = CorpusCounts(kept, short, long, len(flat), dropped, blanks.taken())
    if not kept:
        raise TrainError(
            f"no row is left: {counts.line(section)}; change data.min_tokens, data.max_tokens or data.blank"
        )
    if section.pack:
        answer = np.diff(np.append(np.arange(0, len(flat), length), len(flat)))
        prompt, room = np.zeros_like(answer), answer
    return Corpus(flat, prompt, answer, room, counts)


class FileSource:
    """Rows of files: each once in an epoch, in an order that the seed and the epoch's number alone decide.

    Row number i is example ``order(i div n)[i mod n]`` of the n rows; its key is that of (seed, epoch, example).
    The rows held out for validation are drawn by keys too, the same ones for every seed. Arrays are flat, so
    that workers forked from one process share them.

    Raises:
        DataError, TrainError: as :func:`tokenise`; or no row is left for a split.
    """

    def __init__(self, config: TrainConfig, split: str = "train") -> None:
        assert config.data is not None
        self.config, self.encoder = config, make_encoder(config)
        self.corpus = corpus = _kept(config, self.encoder)
        self.start = starts(corpus.prompt + corpus.answer)
        self.examples, lines = self._split(split), [corpus.counts.line(config.data)]
        self.size = len(self.examples)
        if corpus.counts.blank.rows:
            lines.append(corpus.counts.blank.line())
        if config.data.pack:
            lines.append(f"packed into {len(self.start):,} rows of {row_length(config):,} tokens")
        if held := len(self.start) - self.size:
            lines.append(f"{held:,} of {len(self.start):,} rows held out for validation")
        self.summary = tuple(lines)
        self._orders: dict[int, Tensor] = {}
        digest = hashlib.blake2b(digest_size=16)
        for array in corpus[:3]:
            digest.update(np.ascontiguousarray(array).data)
        self.fingerprint = digest.hexdigest()

    def _split(self, split: str) -> Tensor:
        """int64 ``[row]``: the examples of a split, rising."""
        assert self.config.data is not None
        rows, share = len(self.start), self.config.data.held_out
        held = min(rows, max(1, round(rows * share))) if share else 0
        drawn = fold(torch.tensor(0), _HELD, torch.arange(rows)).argsort(stable=True)
        chosen = drawn[:held] if split == "valid" else drawn[held:]
        if not len(chosen):
            raise TrainError(
                f"no row for the {split} split: {rows:,} rows, data.held_out {share:g} of them held out; give more (in "
                "a .txt file an empty line ends a document), or data.held_out=0"
            )
        return chosen.sort().values

    def order(self, epoch: int) -> Tensor:
        """int64 ``[row]``: the examples of an epoch in their order, sorted by a key drawn for each."""
        if epoch not in self._orders:
            keys = fold(torch.tensor(self.config.seed, dtype=torch.int64), _ORDER, epoch, torch.arange(self.size))
            self._orders = {
                epoch: self.examples[keys.argsort(stable=True)]
            }  # one at a time: epochs come one after another
        return self._orders[epoch]

    def rows(self, numbers: Tensor) -> Drawn:
        """See :class:`dlmsample.train.data.source.RowSource`."""
        epoch, place = numbers // self.size, numbers % self.size
        index = torch.empty_like(numbers)
        for number in epoch.unique().tolist():
            index[epoch == number] = self.order(number)[place[epoch == number]]
        at, corpus = index.numpy(), self.corpus
        keys = row_keys(self.config.seed, epoch, index)
        return Drawn(corpus.flat, self.start[at], corpus.prompt[at], corpus.answer[at], corpus.room[at], keys)


_LAST: dict[str, Corpus] = {}
"""The corpus read last, under what it was read from: training and validation rows come from one reading."""


def _kept(config: TrainConfig, encoder: Encoder) -> Corpus:
    assert config.data is not None
    files = [] if config.data.hub else [path for path, _ in find(config.data)]
    stamps = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    facts = (config.data.model_dump(), str(config.tokenizer_folder), config.geometry.eos_ids, row_length(config))
    key = repr((facts, config.geometry.mask_id, stamps))
    if key not in _LAST:
        corpus = tokenise(config, encoder)
        _LAST.clear()
        _LAST[key] = corpus
    return _LAST[key]


def _chunks(records: Iterable[Record]) -> Iterator[list[Record]]:
    """The records by the thousand: the tokenizer works on many at a time. At least one list, maybe empty."""
    source = iter(records)
    yield list(islice(source, _CHUNK))
    while chunk := list(islice(source, _CHUNK)):
        yield chunk


def _usable(records: Iterable[Record], encoder: Encoder, section: DataSection, mistakes: Mistakes) -> Iterator[Record]:
    """The records that the tokenizer can render and that packing allows."""
    for record in records:
        if section.pack and record.roles:
            mistakes.add(record.where, "a prompt with an answer cannot be packed: set data.pack=false")
            continue
        try:
            encoder.form(record.roles)
        except TrainError as error:
            mistakes.add(record.where, str(error))
            continue
        yield record


def _check(
    chosen: np.ndarray,
    records: list[Record],
    flat: np.ndarray,
    at: np.ndarray,
    total: np.ndarray,
    section: DataSection,
    length: int,
    mask: int,
    mistakes: Mistakes,
) -> None:
    """Note the rows that are longer than a training row, and those that hold the mask id."""
    wrong = {}
    if not section.pack:
        remedy = f"raise data.max_length, or leave such rows out with data.max_tokens={length}"
        for r in chosen[total[chosen] > length]:
            wrong[int(r)] = f"{total[r]} tokens (EOS included) do not fit a row of {length}: {remedy}"
    for r in np.searchsorted(at, np.flatnonzero(flat == mask), side="right") - 1:
        wrong.setdefault(int(r), "the text holds the mask token, which only corruption may write")
    for r in sorted(wrong.keys() & set(chosen.tolist())):
        mistakes.add(records[r].where, wrong[r])
