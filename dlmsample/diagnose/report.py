"""What :func:`dlmsample.diagnose.diagnose` returns: plain numbers, None where there was nothing to count."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class TokenShare:
    """``count`` of ``total`` tokens, with a 95 % interval over examples (see :mod:`dlmsample.diagnose.intervals`)."""

    value: float | None  #: count / total
    low: float | None  #: None below two examples
    high: float | None
    count: int
    total: int


@dataclass(frozen=True)
class Stress:
    """Wrong-commit stress test (D3IM, arXiv:2606.01026, Sec. 4.2): see :mod:`dlmsample.diagnose.stress`."""

    mask_rate: float
    commit_rate: float  #: share of the masked that is committed, the most confident first
    masked: int  #: tokens masked
    wrong: TokenShare  #: wrong among the committed
    preserved: TokenShare  #: wrong commits that the next forward's argmax repeats
    recovered: TokenShare  #: wrong commits where it is gold
    kept: TokenShare  #: right commits that it repeats


@dataclass(frozen=True)
class Calibration:
    """Confidence of masked tokens at one mask rate, before anything is committed."""

    mask_rate: float
    positions: int
    accuracy: float | None  #: share of positions whose argmax is gold
    confidence: float | None  #: mean probability of the argmax
    ece: float | None  #: see :func:`dlmsample.diagnose.calibration.expected_calibration_error`


@dataclass(frozen=True)
class Stuck:
    """Stuck set (T2M, arXiv:2604.18738, Def. 1) on the canvas of the stress test."""

    epsilon: float  #: the standing token's probability is below it, and
    edit_threshold: float  #: so is every token's below this one
    visible: TokenShare  #: stuck among the visible answer tokens
    wrong: TokenShare  #: stuck among the wrong of them


@dataclass(frozen=True)
class ErrorDetection:
    """A correction head on visible answer tokens after FCA's corruption, flagged at P_error > 0.5."""

    positions: int
    positive_rate: float | None  #: wrong among all
    auc: float | None  #: None where all are right or all wrong
    precision: float | None  #: None where nothing is flagged
    recall: float | None  #: None where nothing is wrong
    f1: float | None  #: None where nothing is flagged and nothing wrong
    flagged: float | None  #: flagged among all


@dataclass(frozen=True)
class Move:
    """An edit: a position that had been written takes another token, or one of its former tokens again."""

    answer: int  #: which answer, from 0
    position: int  #: in the answer, from 0
    step: int
    old: int  #: token id
    new: int  #: token id
    returns: bool  #: the position had the new token before


@dataclass(frozen=True)
class Trajectory:
    """The edits of recorded answers; see :mod:`dlmsample.diagnose.trajectory`."""

    moves: tuple[Move, ...]
    returns: TokenShare  #: edits that return to a former token, of all edits
    positions: TokenShare  #: positions with such an edit, of all edited positions


@dataclass(frozen=True)
class Diagnosis:
    """Every diagnostic of one model, and on what it was taken."""

    model: str
    adapter: str | None
    head: str | None
    attention: str
    block_length: int | None  #: None: the whole answer is one canvas (bidirectional)
    dtype: str
    examples: int
    seed: int
    stress: Stress
    stuck: Stuck
    calibration: tuple[Calibration, ...]
    detection: ErrorDetection | None  #: None without a head

    def asdict(self) -> dict[str, Any]:
        """Nested plain dicts and lists, fit for JSON."""
        return {**asdict(self), "calibration": [asdict(row) for row in self.calibration]}
