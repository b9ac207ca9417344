"""The state of a batch as tensors, and the pure function that advances it by one forward; no host sync here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dlmsample import rng
from dlmsample.models.attention.base import Features, Layout
from dlmsample.policies.base import Asked, Policy
from dlmsample.predict import alternatives, predict
from dlmsample.types import Alternatives, Block, EditInfo, Prediction, Update

#: What a tick did to a row, read back by the host: it stays in its block; it moved on to the next one; it is finished;
#: its block is done and one more forward writes it to the cache.
STAYS, MOVED, FINISHED, WRITES = 0, 1, 2, 3


class Counts(NamedTuple):
    """Running figures ``[row]``, int64 but for the last two, bool; see :class:`~dlmsample.types.RowStats`."""

    steps: Tensor
    nfe: Tensor
    fills: Tensor
    replaces: Tensor
    remasks: Tensor
    forced: Tensor
    eos: Tensor  #: an EOS ended the row


class Rows(NamedTuple):
    """Everything a batch remembers between forwards; the row is the first axis of every tensor."""

    canvas: Tensor  #: int64 ``[row, pos]``, with a block's width of spare positions at the end
    before: Tensor  #: int64 ``[row, pos]``, editable positions of the row before this one; where it rises, one stands
    key: Tensor  #: int64 ``[row]``, randomness of the row
    start: Tensor  #: int64 ``[row]``, first position of the active block
    step: Tensor  #: int64 ``[row]``, updates made in the active block
    entering: Tensor  #: bool ``[row]``, the next forward is the first of its block
    writing: Tensor  #: bool ``[row]``, the next forward only writes the finished block to the cache
    finished: Tensor  #: bool ``[row]``
    counts: Counts
    state: Any  #: the policy's (see :class:`Remembered`), or None before the first forward
    growth: Any = None  #: where answers grow, a :class:`~dlmsample.decoding.grow.canvas.Growth`


class Remembered(NamedTuple):
    """In place of a policy's state where the policy needs ``kl``."""

    policy: Any  #: its state
    logits: Tensor  #: ``[row, pos, vocab]``, as the last forward gave them: 2 to 4 bytes for each id and position


class Settings(NamedTuple):
    """What stays the same over a run."""

    policy: Policy
    mask_id: int
    eos_ids: Tensor  #: int64 ``[k]``
    temperature: float
    top_p: float
    top_k: int | None
    cached: bool
    special: Tensor | None = None  #: int64 ``[k]``, ids that are no candidates at any step
    whole: bool = False  #: all editable positions of a row are in one block, whose length is their number
    gaps: bool = False  #: between blocks to decode lie some with nothing to decode
    needs: frozenset[str] | None = None  #: the policy's; None: asked of it at every step
    table: Tensor | None = None  #: float32 ``[id]``, the policy's
    vocabulary: int | None = None  #: ids from here on have no token and are not looked at; None: all have one
    tokenless: Tensor | None = None  #: int64 ``[k]``, ids below that have no token either
    alternatives: int = 0  #: how many of the most probable tokens of each position go into the trace

    @property
    def needed(self) -> frozenset[str]:
        """What the policy needs of predictions."""
        return self.policy.needs if self.needs is None else self.needs


class Decision(NamedTuple):
    """What a policy made of the active blocks, whatever becomes of their rows then; ``[row, pos]`` and ``[row]``."""

    state: Any  #: the policy's
    tokens: Tensor  #: int64, the blocks' next tokens
    done: Tensor  #: bool, the policy is done with the block, or at its bound
    forced: Tensor  #: bool, masks were left in a block that is done, and were filled as it stood
    pred: Prediction
    update: Update  #: the policy's own
    others: Alternatives | None = None  #: only where they are asked for


class Change(NamedTuple):
    """What a tick did to the active blocks, for the trace; ``[row, pos]`` and ``[row]``."""

    block: Block  #: as the forward saw it
    after: Tensor
    pred: Prediction
    start: Tensor  #: first canvas position of the block
    step: Tensor  #: the row's updates before this one, over all blocks
    info: EditInfo | None = None  #: the policy's
    others: Alternatives | None = None  #: only where they are asked for


def tree_map(f: Callable[..., Any], first: Any, *rest: Any) -> Any:
    """Apply ``f`` to the tensors of equally shaped NamedTuples; what is no tensor or tuple stays.

    Example:
        >>> from dlmsample.types import Update
        >>> one, two = Update(torch.tensor(1), torch.tensor(2)), Update(torch.tensor(3), torch.tensor(4))
        >>> tree_map(lambda a, b: a + b, one, two)
        Update(tokens=tensor(4), done=tensor(6), info=None, prob=None)
    """
    if isinstance(first, Tensor):
        return f(first, *rest)
    if isinstance(first, tuple):
        parts = (tree_map(f, *parts) for parts in zip(first, *rest, strict=True))
        return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)
    if first is None or isinstance(first, (int, float)):
        return first
    raise TypeError(f"a policy's state is a NamedTuple of tensors with the row first, not a {type(first).__name__}")


def behind(rows: Rows, more: Rows) -> Rows:
    """Rows, and more of them behind; the newcomers' policy state is a filler, for it is made on entering a block."""
    both = tree_map(lambda a, b: torch.cat([a, b]), rows._replace(state=None), more._replace(state=None))
    count = len(more.start)
    state = tree_map(lambda t: torch.cat([t, t[:1].expand(count, *t.shape[1:])]), rows.state)
    return both._replace(state=state)


def active_block(rows: Rows, layout: Layout, settings: Settings) -> Block:
    """The block each row stands at, as a policy sees it."""
    positions = rows.start[:, None] + torch.arange(layout.width + 1, device=rows.start.device)
    before = rows.before.gather(1, positions)
    total = rows.before[:, -1]
    return Block(
        tokens=rows.canvas.gather(1, positions[:, :-1]),
        editable=(before[:, 1:] > before[:, :-1]) & ~rows.finished[:, None],
        step=rows.step,
        start=before[:, 0],
        stop=before[:, -1],
        total=total,
        key=rng.fold(rows.key, (rows.start - layout.first) // layout.width, rows.step),
        eos_ids=settings.eos_ids,
        mask_id=settings.mask_id,
        nominal=total if settings.whole else None,
    )


def decide(
    state: Any,
    block: Block,
    features: Features,
    settings: Settings,
    updating: Tensor,
    previous: Tensor | None = None,
    since: Tensor | int = 0,
) -> Decision:
    """What the policy makes of the active blocks from one forward; whatever drives it, this is the step.

    1. ``predict`` reduces the logits; ids without a token, and those the policy excludes, are no candidates.
    2. The policy steps. Only editable positions change, and only those of rows that are ``updating``, bool ``[row]``.
    3. A row at the policy's bound, or declared done, fills masks that are left with the candidates: it is forced.

    ``previous``: the logits of the forward before, for policies that need ``kl``; the bound counts from step ``since``.
    """
    policy = settings.policy
    logits = features.logits[..., : settings.vocabulary]
    shadow = None if features.shadow is None else features.shadow[..., : settings.vocabulary]
    previous = logits if previous is None else previous[..., : settings.vocabulary]
    current = block.tokens if settings.vocabulary is None else block.tokens.clamp(max=settings.vocabulary - 1)
    asked = policy.asks(state, block)
    excluded, divided = _of_some_rows(asked, block, settings)
    pred = predict(
        logits,
        current,
        settings.mask_id,
        key=block.key,
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=settings.top_k,
        excluded=excluded,
        divided=divided,
        never=settings.tokenless,
        needs=settings.needed,
        error=features.error,
        shadow=shadow,
        asked=asked.ids,
        previous=previous,
        table=settings.table,
    )
    if pred.kl is not None:
        pred = pred._replace(kl=torch.where(block.step[:, None] > 0, pred.kl, torch.inf))
    next_state, update = policy.step(state, block, pred)

    state = _choose(updating, next_state, state)
    tokens = torch.where(block.editable & updating[:, None], update.tokens, block.tokens)
    left = block.editable & (tokens == settings.mask_id)
    at_bound = block.step - since + 1 >= policy.max_steps(block)
    done = updating & (update.done | at_bound)
    forced = done & left.any(-1)  # a mask left in a block that is done would leak into the output
    tokens = torch.where(left & forced[:, None], pred.token, tokens)
    others = None
    if settings.alternatives:
        others = alternatives(logits, settings.mask_id, settings.alternatives, excluded, settings.tokenless)
    return Decision(state, tokens, done, forced, pred, update, others)


def advance(rows: Rows, layout: Layout, features: Features, settings: Settings) -> tuple[Rows, Tensor, Change]:
    """One policy update for every row that needs one, from one forward.

    1. Rows entering a block get a fresh policy state.
    2. :func:`decide` gives the blocks' next tokens. Rows that finished or only wrote their cache change nothing.
    3. A finished block whose last forward saw other tokens gets one more forward, which writes the cache; else the
       row moves on.
    4. A row finishes with the last block that has editable positions, or with a block that holds an EOS. A block
       without any is passed over, or, where there is a cache, only written to it.

    Returns:
        the rows; int8 ``[row]`` STAYS, MOVED, FINISHED or WRITES; the change, for the trace.
    """
    block = active_block(rows, layout, settings)
    state, held = settings.policy.init(block), rows.state
    previous = held.logits if isinstance(held, Remembered) else None
    if held is not None:
        state = _choose(rows.entering, state, held.policy if isinstance(held, Remembered) else held)

    updating = ~(rows.writing | rows.finished)
    since = 0 if rows.growth is None else rows.growth.since
    decided = decide(state, block, features, settings, updating, previous, since)
    state, tokens, done, forced, pred, update, others = decided
    changed = tokens != block.tokens

    is_eos = (block.is_eos(tokens) & block.editable).any(-1)
    ends = done & (is_eos | (block.stop >= block.total))
    writing = done & ~ends & changed.any(-1) if settings.cached else torch.zeros_like(done)
    moves = (done & ~ends & ~writing) | rows.writing
    start = rows.start + layout.width * moves
    if settings.gaps:
        start, writing = _over_gap(rows, layout, settings, moves, start, writing)

    fills = (changed & (block.tokens == settings.mask_id)).sum(-1)
    remasks = (changed & (tokens == settings.mask_id)).sum(-1)
    counts = Counts(
        steps=rows.counts.steps + updating,
        nfe=rows.counts.nfe + ~rows.finished,
        fills=rows.counts.fills + fills,
        replaces=rows.counts.replaces + (changed.sum(-1) - fills - remasks),
        remasks=rows.counts.remasks + remasks,
        forced=rows.counts.forced | forced,
        eos=rows.counts.eos | (ends & is_eos),
    )
    row = torch.arange(len(tokens), device=tokens.device)[:, None]
    place = rows.start[:, None] + torch.arange(layout.width, device=tokens.device)
    after = rows._replace(
        canvas=rows.canvas.index_put((row, place), tokens),
        start=start,
        step=torch.where(moves, 0, rows.step + updating),
        entering=moves,
        writing=writing,
        finished=rows.finished | ends,
        counts=counts,
        state=Remembered(state, features.logits) if "kl" in settings.needed else state,
    )
    outcome = torch.where(after.finished, FINISHED, torch.where(moves, MOVED, writing * WRITES)).to(torch.int8)
    if update.prob is not None:
        pred = pred._replace(prob=update.prob)
    # copies, for the caller may keep its rows at fixed addresses and write the new ones over them
    change = Change(block, tokens, pred, rows.start.clone(), rows.counts.steps.clone(), update.info, others)
    return after, outcome, change


def _of_some_rows(
    asked: Asked, block: Block, settings: Settings
) -> tuple[tuple[Tensor, Tensor] | None, tuple[Tensor, Tensor] | None]:
    """``excluded`` and ``divided`` of :func:`~dlmsample.predict.predict`: what holds of some rows and some ids."""
    if settings.special is not None:  # in texts with masks an EOS ends nothing, and is as little a candidate as others
        return (torch.ones_like(block.step, dtype=torch.bool), settings.special), None
    excluded = None if asked.no_eos is None else (asked.no_eos, settings.eos_ids)
    divided = None if asked.eos_divisor is None else (asked.eos_divisor, settings.eos_ids)
    return excluded, divided


def _over_gap(
    rows: Rows, layout: Layout, settings: Settings, moves: Tensor, start: Tensor, writing: Tensor
) -> tuple[Tensor, Tensor]:
    """Where rows that move on stand next, and which only write: a block without editable positions is not decoded."""
    seen = rows.before.gather(1, start[:, None])[:, 0]
    next_one = torch.searchsorted(rows.before, seen[:, None] + 1)[:, 0] - 1  # the first editable position from there on
    block = layout.first + (next_one - layout.first) // layout.width * layout.width
    if settings.cached:
        return start, writing | (moves & (block > start))
    return torch.where(moves, block, start), writing


def _choose(mask: Tensor, yes: Any, no: Any) -> Any:
    """Row by row, the tensors of ``yes`` where ``mask [row]``, else those of ``no``."""
    return tree_map(lambda a, b: torch.where(mask.view(-1, *[1] * (a.dim() - 1)), a, b), yes, no)
