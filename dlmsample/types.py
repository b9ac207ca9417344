"""The values that flow between the stages: Prediction -> Policy -> Update, and what a run returns."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

from torch import Tensor

from dlmsample.support.text import short


class Prediction(NamedTuple):
    """What the model says of the active block, reduced to numbers per position; all ``[row, pos]``, float32.

    Probabilities are the model's softmax at temperature 1 without the mask id. ``odds`` is the odds *against*,
    ``Σ_{j≠x} exp(l_j − l_x)``: the reverse order of the probability, but without its ties near 1.
    """

    token: Tensor  #: int64, the candidate x̂ (argmax, or a sample); never the mask id
    prob: Tensor  #: c, probability of the candidate
    odds: Tensor  #: odds against the candidate
    current_prob: Tensor  #: q, probability of the token standing there (0 for a mask)
    current_odds: Tensor  #: odds against the token standing there
    entropy: Tensor | None = None  #: nats; only when the policy needs it
    margin: Tensor | None = None  #: top-1 minus top-2 probability; only when the policy needs it
    error: Tensor | None = None  #: P_error of the correction head; only when the policy needs it
    loo_prob: Tensor | None = None  #: q, the token itself unseen ("leave one out"); only when the policy needs it
    gap: Tensor | None = None  #: top-1 minus top-2 logit; only when the policy needs it
    kl: Tensor | None = None  #: nats, KL(now ‖ the block's last forward), +inf at its first; only when needed
    asked: Tensor | None = None  #: ``[row, pos, k]``, log-probabilities of the ids that the policy asked for
    listed: Tensor | None = None  #: what the policy's table says of the candidate; only where it has a table


class Alternatives(NamedTuple):
    """What else the positions of the active block could have held, by the model's softmax without the mask id."""

    tokens: Tensor  #: int64 ``[row, pos, k]``, the most probable ones first
    probs: Tensor  #: float32 ``[row, pos, k]``
    entropy: Tensor  #: float32 ``[row, pos]``, nats


class Block(NamedTuple):
    """The active block as a policy sees it: one row per sequence, each at its own block and step.

    A prompt's tail, given text, or the padding after a short block may stand in it: ``editable`` says what may change.
    The number of positions depends on the batch: count with ``size`` or ``nominal``, never with the tensors' shape.
    """

    tokens: Tensor  #: int64 ``[row, pos]``, as the forward saw them
    editable: Tensor  #: bool ``[row, pos]``
    step: Tensor  #: int64 ``[row]``, policy updates made in this block so far
    start: Tensor  #: int64 ``[row]``, first answer position of the block, counted from the answer's first
    stop: Tensor  #: int64 ``[row]``, one past its last answer position
    total: Tensor  #: int64 ``[row]``, answer positions of the whole canvas
    key: Tensor  #: int64 ``[row]``, randomness of this row, block and step
    eos_ids: Tensor  #: int64 ``[k]``
    mask_id: int
    nominal: Tensor | None = (
        None  #: int64 ``[row]``, the block length of the row, in positions; None: the tensors' width
    )

    @property
    def masked(self) -> Tensor:
        """bool ``[row, pos]``: editable positions that hold the mask id."""
        return self.editable & (self.tokens == self.mask_id)

    @property
    def visible(self) -> Tensor:
        """bool ``[row, pos]``: editable positions that hold a token."""
        return self.editable & (self.tokens != self.mask_id)

    @property
    def size(self) -> Tensor:
        """int64 ``[row]``: the number of editable positions, the papers' n."""
        return self.editable.sum(-1)

    def is_eos(self, tokens: Tensor) -> Tensor:
        """bool, shaped like ``tokens``."""
        return (tokens[..., None] == self.eos_ids).any(-1)

    def is_full(self, tokens: Tensor) -> Tensor:
        """bool ``[row]``: no editable position would be masked if these were the block's tokens, ``[row, pos]``."""
        return ~(self.editable & (tokens == self.mask_id)).any(-1)


class EditInfo(NamedTuple):
    """Why a policy replaced or remasked tokens, for the trace; read only where a visible token changed."""

    reason: Tensor | int  #: int64 ``[row, pos]``, index into the policy's ``reasons``; one int where all are the same
    score: Tensor  #: float32 ``[row, pos]``, the number that decided, such as the standing token's probability


class Update(NamedTuple):
    """What one policy step decided."""

    tokens: Tensor  #: int64 ``[row, pos]``, the block's next tokens (mask id = masked)
    done: Tensor  #: bool ``[row]``, the block is finished
    info: EditInfo | None = None  #: why tokens were replaced or remasked; a policy may leave it out
    prob: Tensor | None = None  #: float32 ``[row, pos]``, of the tokens it placed, where some are no candidates


EventKind = Literal["fill", "replace", "remask"]
CacheKind = Literal["exact", "none", "prefix", "dual"]
"""Of keys and values: the block cache of block-causal models; none; Fast-dLLM's approximations for the others."""


@dataclass(frozen=True)
class Event:
    """One change of one position.

    ``probability`` is the new token's for a fill or a replacement, the old token's for a remask, both from the forward
    that led to the change.
    """

    kind: EventKind
    step: int  #: the row's policy updates before this one, over all blocks
    block: int  #: counted from the row's first active block
    position: int  #: counted from the answer's first position; in a text with masks the number of the mask
    old: int
    new: int
    probability: float
    reason: str | None = None  #: what asked for a replacement or remask, one of the policy's ``reasons``
    score: float | None = None  #: the number that ``reason`` compared with its threshold
    entropy: float | None = None  #: of the forward that led to the change, nats; only with ``record="alternatives"``
    others: tuple[tuple[int, float], ...] = ()  #: its most probable tokens and their probabilities; likewise


@dataclass(frozen=True)
class RowStats:
    """What a row cost and did; docs/explanation/counting.md defines each figure."""

    steps: int  #: policy updates, one forward each
    nfe: int  #: steps + forwards that only wrote a finished block to the cache, or asked for an answer's length
    prefill: int  #: forwards over the prompt before the first step (0 or 1)
    tokens: int  #: generated tokens up to the first EOS, EOS excluded, or up to a stop string; or masks of a text
    fills: int  #: masks that became tokens
    replaces: int  #: tokens that became other tokens
    remasks: int  #: tokens that became masks
    edits_per_100: float  #: 100 · (replaces + remasks) / max(tokens, 1); edits behind the answer's EOS count
    tokens_per_forward: float  #: tokens / max(nfe, 1)
    forced: bool  #: masks were left at the bound on steps, or when the policy said done, and were filled as it stood
    finish_reason: Literal["eos", "length", "stop"]  #: an EOS; the canvas is full without one; a stop string

    def asdict(self) -> dict[str, Any]:
        """The figures as a plain dict."""
        return asdict(self)


@dataclass(frozen=True)
class Answer:
    """One prompt's result, of :meth:`dlmsample.Sampler.stream`."""

    number: int  #: of the prompt, counted from 0
    tokens: list[int]  #: generated ids before the first EOS, or up to a stop string
    text: str | None  #: None without a tokenizer
    stats: RowStats
    trace: list[Event] | None = None  #: only with ``record=True``
    cache: CacheKind = "none"  #: what it was decoded with


@dataclass(frozen=True)
class Draft:
    """An answer while it is decoded, of :func:`dlmsample.watch`."""

    number: int  #: of the prompt, counted from 0
    forwards: int  #: so many its answer has had (``nfe``)
    tokens: list[int]  #: of every answer position, the mask id where it is still masked
    settled: int  #: so many of them are in finished blocks, which nothing changes any more
    text: str | None  #: of these, before the first EOS; of the last draft the whole answer's; None without a tokenizer
    confidence: list[float | None]
    """Probability of each token by the latest forward that saw it, of a mask's candidate; None: not seen yet."""
    events: list[Event]  #: what changed since the draft before
    answer: Answer | None = None  #: the last draft of a prompt has it


@dataclass(frozen=True)
class Output:
    """The result of :meth:`dlmsample.Sampler.generate` or ``fill``, one entry per prompt or text, in their order."""

    tokens: list[list[int]]  #: generated ids before the first EOS, or up to a stop string; of a text those at its masks
    stats: list[RowStats]
    trace: list[list[Event]] | None = None  #: only with ``record=True``, else None; ``events`` says so
    decoded: list[str] | None = None  #: what ``texts`` gives; None without a tokenizer
    cache: CacheKind = "none"  #: what it was decoded with
    ended: list[int | None] | None = None  #: of ``generate``: the EOS behind each answer, None where there is none

    def __repr__(self) -> str:
        rows, forwards = len(self.tokens), sum(stats.nfe for stats in self.stats)
        first = "" if not self.decoded else f", the first {short(self.decoded[0], 60)!r}"
        return f"Output({rows} {'row' if rows == 1 else 'rows'}{first}, {forwards} forwards, cache {self.cache!r})"

    @property
    def events(self) -> list[list[Event]]:
        """What ``trace`` holds: of every row its events in order.

        Raises:
            ValueError: nothing was recorded.
        """
        if self.trace is None:
            raise ValueError("no trace was recorded: pass record=True")
        return self.trace

    @property
    def texts(self) -> list[str]:
        """The generated texts; of ``fill`` the whole texts.

        Raises:
            ValueError: the model has no tokenizer.
        """
        if self.decoded is None:
            raise ValueError("the model has no tokenizer to make text: read `.tokens`")
        return self.decoded

    @property
    def text(self) -> str:
        """The only text, where one prompt was given.

        Raises:
            ValueError: there are several, or the model has no tokenizer.
        """
        if len(self.texts) != 1:
            raise ValueError(f"there are {len(self.texts)} texts: read `.texts`")
        return self.texts[0]
