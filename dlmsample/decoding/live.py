"""A batch that somebody else drives, forward by forward: for rows that come and go, as in a server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dlmsample.decoding.batch import RunningBatch
from dlmsample.decoding.captured.pool import Pool
from dlmsample.decoding.request import Extent
from dlmsample.decoding.sampler import Sampler


class LiveBatches:
    """Opens batches for the rows of one sampler; they give what :meth:`Sampler.generate` gives.

    Args:
        sampler: what is the same for all rows.
        longest: positions of a canvas, at most.
        new_tokens: answer positions of a canvas; decides the width of its block with ``block_length="all"``.
        alternatives: whether recorded events have entropy and the most probable tokens.

    Example:
        >>> import dlmsample as ds
        >>> from dlmsample.decoding.request import Request
        >>> sampler = ds.Sampler(ds.load("nano"), ds.Unmask(tokens_per_step=8))
        >>> with LiveBatches(sampler, 64, 16).open() as batch:
        ...     batch.admit([Request(0, [5, 6, *[sampler.model.mask_id] * 16], key=1)])
        ...     done = [batch.forward(), batch.forward()]
        >>> [[number for number, _ in rows] for rows in done]
        [[], [0]]
    """

    def __init__(self, sampler: Sampler, longest: int, new_tokens: int, alternatives: bool = False) -> None:
        self.sampler = sampler
        self._config = sampler.config(record="alternatives" if alternatives else False)
        width = new_tokens if isinstance(sampler.block_length, str) else sampler.block_length
        self._extent = Extent(width, longest)
        self._pool = Pool(sampler.graphs, sampler.batch_size)

    @contextmanager
    def open(self) -> Iterator[RunningBatch]:
        """A batch without rows, of at most ``batch_size`` of them."""
        with self._pool.slots(self._config, self.sampler.batch_size, self._extent) as slots:
            yield RunningBatch(slots, ahead=False)
