"""A batch's update compiled by ``torch.compile``: five to eight kernels beside the vocabulary's, where there were 130.

Beside a captured forward of a few milliseconds, that many kernels of two microseconds each are what is left to gain.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from dlmsample.decoding.step import Change, Remembered, Rows, Settings, active_block, advance, tree_map
from dlmsample.models.attention.base import Features, Layout
from dlmsample.models.fusion.compiling import compile_apart
from dlmsample.support.text import one_line
from dlmsample.types import Block, EditInfo, Prediction

#: Updates kept compiled in a process; one takes seconds to compile, and a grid has many policies.
KEPT = 64

_LOG = logging.getLogger("dlmsample")


def compiled_update(settings: Settings, width: int, one_prompt_block: bool, backend: Any = "inductor") -> Compiled:
    """The update of a policy in blocks of ``width``; the one made before, where all is equal but the batch.

    Example:
        >>> import dlmsample as ds
        >>> settings = Settings(ds.T2T(), 2, torch.tensor([1]), 0.0, 1.0, None, cached=True)
        >>> compiled_update(settings, 32, True) is compiled_update(settings._replace(policy=ds.T2T()), 32, True)
        True
    """
    ids = tuple(None if t is None else (len(t), t.device) for t in _tensors(settings))
    fixed: Any = settings._replace(eos_ids=None, special=None, tokenless=None, table=None)  # type: ignore[arg-type]
    try:
        hash(settings.policy)
    except TypeError:  # a field of it is a list, or such
        return Compiled(fixed, width, one_prompt_block, backend)
    return _made(fixed, ids, width, one_prompt_block, backend)


class Compiled:
    """:func:`~dlmsample.decoding.step.advance`, compiled, and the writing of what comes out over what was.

    It is compiled when it is first called, once for one row and once for any number of more, of any length. Every
    integer is that of the plain update. Floats may differ in their last bits where the plain one promises no more: the
    head's sigmoid, the running sum of ``entropy_bound`` and, without the vocabulary's kernel, the sums over the
    vocabulary and the logarithms of samples. On a GPU candidates and probabilities come from that kernel, which stays
    as it is. What cannot be compiled runs plainly, and a line in the log says why.

    Args:
        settings: without tensors, which are given with every call.
        width: positions of a block.
        one_prompt_block: see :class:`~dlmsample.models.attention.base.Layout`.
        backend: of ``torch.compile``.
    """

    def __init__(self, settings: Settings, width: int, one_prompt_block: bool, backend: Any = "inductor") -> None:
        self._plain = _updating(settings, width, one_prompt_block)
        self._compiled: Callable[..., Any] | None = compile_apart(
            self._plain, f"update_{settings.policy.name}", fullgraph=True, backend=backend
        )
        self._name = settings.policy.name
        self._ran = set[bool]()  # with one row, with more

    def __call__(self, rows: Rows, layout: Layout, features: Features, settings: Settings) -> tuple[Tensor, Change]:
        """Advance ``rows``, which must have a state, where they are; what every row did, and the change.

        Of the change's block, ``step`` and ``key`` are not to be read: one is written over, the other not computed.
        """
        given = (rows, layout.first, layout.length, features, *_tensors(settings))
        if self._compiled is not None:
            _any_size(rows, layout, features)
            many = len(rows.start) > 1
            try:
                result = self._compiled(*given)
                self._ran.add(many)
                return _change(*result)
            except torch.OutOfMemoryError:
                raise
            except Exception as e:  # a compiler may stumble over anything
                if many in self._ran:  # this is no compiler's, and rows may have been written
                    raise
                said = one_line(e, 200)
                _LOG.warning("the update of %s cannot be compiled, it runs kernel by kernel: %s", self._name, said)
                self._compiled = None
        return _change(*self._plain(*given))


def with_state(rows: Rows, layout: Layout, settings: Settings, features: Features | None = None) -> Rows:
    """Rows that remember something of their policy, though nothing that is read: every block begins anew.

    ``features`` are of the first forward, for policies that need ``kl``.
    """
    state = settings.policy.init(active_block(rows, layout, settings))
    if features is not None and "kl" in settings.policy.needs:
        state = Remembered(state, features.logits)
    return rows._replace(state=state)


@lru_cache(KEPT)
def _made(settings: Settings, ids: Any, width: int, one_prompt_block: bool, backend: Any) -> Compiled:
    return Compiled(settings, width, one_prompt_block, backend)


def _change(
    outcome: Tensor, block: Any, after: Tensor, pred: Any, start: Tensor, step: Tensor, info: Any
) -> tuple[Tensor, Change]:
    why = None if info is None else EditInfo(*info)
    return outcome, Change(Block(*block), after, Prediction(*pred), start, step, why)


def _updating(settings: Settings, width: int, one_prompt_block: bool) -> Callable[..., tuple[Any, ...]]:
    def update(
        rows: Rows,
        first: Tensor,
        length: Tensor,
        features: Features,
        eos_ids: Tensor,
        special: Tensor | None,
        tokenless: Tensor | None,
        table: Tensor | None,
    ) -> tuple[Any, ...]:
        layout = Layout(first, length, width, one_prompt_block)
        whole = settings._replace(eos_ids=eos_ids, special=special, tokenless=tokenless, table=table)
        new, outcome, change = advance(rows, layout, features, whole)
        tree_map(lambda old, now: old if old is now else old.copy_(now), rows, new)
        # named tuples made here cannot be returned by compilers before torch 2.12
        block, pred = change.block._replace(key=rows.key), change.pred
        info = None if change.info is None else tuple(change.info)
        return outcome, tuple(block), change.after, tuple(pred), change.start, change.step, info

    return update


def _tensors(settings: Settings) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
    return settings.eos_ids, settings.special, settings.tokenless, settings.table


def _any_size(rows: Rows, layout: Layout, features: Features) -> None:
    """What is compiled is to hold for any number of rows, of any length; one row is a case of its own."""
    mark = torch._dynamo.maybe_mark_dynamic
    if len(rows.start) > 1:
        tree_map(lambda t: mark(t, 0), (tuple(rows), layout[:2], tuple(features)))
    for tensor in (rows.canvas, rows.before):
        mark(tensor, 1)
