"""Logits of the active block -> numbers per position, once. The only place that computes over the vocabulary."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from dlmsample.kernels.support import DTYPES, runs_kernels
from dlmsample.rng import SAMPLE, fold, gumbel
from dlmsample.types import Alternatives, Prediction

_MOST_EXCLUDED = 16  # the kernel compares every id with each of them
_LARGE = 1e30  # what an infinite logit becomes: still dominates, but differences stay finite


def predict(
    logits: Tensor,
    current: Tensor,
    mask_id: int,
    *,
    key: Tensor | None = None,
    temperature: float = 0.0,
    top_p: float = 1.0,
    top_k: int | None = None,
    excluded: tuple[Tensor, Tensor] | None = None,
    divided: tuple[Tensor, Tensor] | None = None,
    never: Tensor | None = None,
    needs: Collection[str] = (),
    error: Tensor | None = None,
    shadow: Tensor | None = None,
    asked: Tensor | None = None,
    previous: Tensor | None = None,
    table: Tensor | None = None,
) -> Prediction:
    """Reduce logits to candidate, confidence, current-token probability and what else the policy needs.

    The mask id, and the excluded ids, get logit -inf first. With ``l`` the float32 logits and ``x`` a token,
    ``odds(x) = Σ_{j≠x} exp(l_j − l_x)`` and ``p(x) = 1 / (1 + odds(x))``: no softmax is materialised. The
    candidate is the argmax (ties to the lower id), or, at ``temperature > 0``, a sample from ``softmax(l /
    temperature)`` after top-k, then top-p; its confidence is always that of the untempered softmax (a decision;
    LLaDA2.x uses the tempered one).

    On an NVIDIA GPU with Triton, and without top-p, one kernel does this in one read of the logits; :func:`plain` is
    the same in plain torch. ``gap`` and ``kl`` read the logits once more.

    Args:
        logits: ``[row, pos, vocab]``, any float dtype.
        current: int64 ``[row, pos]``, the tokens the forward saw.
        mask_id: never a candidate.
        key: int64 ``[row]``, needed when ``temperature > 0``.
        temperature: 0 is greedy.
        top_p: nucleus mass in (0, 1].
        top_k: keep the k largest logits (and whatever ties with the k-th); None keeps all.
        excluded: (bool ``[row]``, int64 ids ``[k]``): rows in which these ids are no candidates.
        divided: (float ``[row]``, int64 ids ``[k]``): the logits of these ids are divided by the row's number.
        never: int64 ids ``[n]`` that are candidates in no row, like the mask id.
        needs: any of ``entropy``, ``margin``, ``error``, ``loo_prob``, ``gap``, ``kl``.
        error: float ``[row, pos]`` error logit of the correction head.
        shadow: ``[row, pos, vocab]``, logits of each position that did not see the position's own token.
        asked: int64 ``[row, pos, k]``, ids whose log-probabilities are wanted; -inf for ids that are no candidates.
        previous: the logits of the forward before, shaped as these; for ``kl``.
        table: float32 ``[id]``, a number for each id; the last entry for every id beyond.

    Returns:
        :class:`~dlmsample.types.Prediction`, every field ``[row, pos]``.

    Example:
        >>> import torch
        >>> p = predict(torch.tensor([[[0.0, 2.0, 9.0]]]), torch.tensor([[0]]), mask_id=2)
        >>> p.token.item(), round(p.prob.item(), 4), round(p.current_prob.item(), 4)
        (1, 0.8808, 0.1192)
    """
    if divided is not None:
        logits = _divide(logits, *divided)
    banned = _banned(current, excluded, never)
    few = banned is None or len(banned[1]) <= _MOST_EXCLUDED
    if top_p >= 1 and few and _has_kernel(logits):
        from dlmsample.kernels.vocabulary import reduce  # needs Triton

        pred = reduce(
            logits,
            current,
            mask_id,
            key=key,
            counter=SAMPLE,
            temperature=temperature,
            top_k=top_k,
            excluded=banned,
            needs=needs,
        )
    else:
        pred = plain(
            logits,
            current,
            mask_id,
            key=key,
            temperature=temperature,
            top_p=top_p,
            top_k=top_k,
            excluded=excluded,
            never=never,
            needs=needs,
        )
    more: dict[str, Tensor] = {}
    if "error" in needs and error is not None:
        more["error"] = torch.sigmoid(error.float())
    if "loo_prob" in needs and shadow is not None:
        more["loo_prob"] = predict(
            shadow, current, mask_id, excluded=excluded, divided=divided, never=never
        ).current_prob
    if asked is not None:
        more["asked"] = _log_probs(logits, pred, asked, mask_id, excluded, never)
    if table is not None:
        more["listed"] = table[pred.token.clamp(max=len(table) - 1)]
    if "gap" in needs:
        top2 = _cleaned(logits, mask_id, excluded, never).topk(2, dim=-1).values
        more["gap"] = top2[..., 0] - top2[..., 1]
    if "kl" in needs and previous is not None:
        log_p, log_q = (_cleaned(given, mask_id, excluded, never).log_softmax(-1) for given in (logits, previous))
        more["kl"] = torch.where(log_p > -torch.inf, log_p.exp() * (log_p - log_q), 0.0).sum(-1)
    return pred._replace(**more)


def _banned(
    current: Tensor, excluded: tuple[Tensor, Tensor] | None, never: Tensor | None
) -> tuple[Tensor, Tensor] | None:
    """The ids that are no candidates beside the mask id, and in which rows each is none: bool ``[row, k]``, ``[k]``."""
    parts = [] if excluded is None else [(excluded[0][:, None].expand(-1, len(excluded[1])), excluded[1])]
    if never is not None:
        parts.append((torch.ones_like(current[:, :1], dtype=torch.bool).expand(-1, len(never)), never))
    if not parts:
        return None
    rows, ids = zip(*parts, strict=True)
    return torch.cat(rows, 1), torch.cat(ids)


def _cleaned(logits: Tensor, mask_id: int, excluded: tuple[Tensor, Tensor] | None, never: Tensor | None) -> Tensor:
    """float32 logits, finite but for -inf at ids that are no candidates."""
    vocab = torch.arange(logits.shape[-1], device=logits.device)
    banned = (vocab == mask_id)[None]
    if excluded is not None:
        rows, ids = excluded
        banned = banned | (rows[:, None] & torch.isin(vocab, ids))
    if never is not None:
        banned = banned | torch.isin(vocab, never)
    return _finite(logits).masked_fill(banned[:, None], -torch.inf)


def _finite(logits: Tensor) -> Tensor:
    return logits.float().nan_to_num(nan=-_LARGE, posinf=_LARGE, neginf=-_LARGE)


def _log_probs(
    logits: Tensor,
    pred: Prediction,
    asked: Tensor,
    mask_id: int,
    excluded: tuple[Tensor, Tensor] | None,
    never: Tensor | None,
) -> Tensor:
    """Log-probabilities ``[row, pos, k]`` of some ids, from the candidate's: no sum over the vocabulary is needed."""
    last = logits.shape[-1] - 1
    found = _finite(logits.gather(-1, torch.cat([pred.token[..., None], asked], -1).clamp(max=last)))
    log_p = found[..., 1:] - found[..., :1] - pred.odds.log1p()[..., None]
    banned = (asked == mask_id) | (asked > last)  # ids beyond the logits have no token
    if excluded is not None:
        rows, ids = excluded
        banned = banned | (rows[:, None, None] & torch.isin(asked, ids))
    if never is not None:
        banned = banned | torch.isin(asked, never)
    return log_p.masked_fill(banned, -torch.inf)


def _divide(logits: Tensor, by: Tensor, ids: Tensor) -> Tensor:
    """float32 logits, those of ``ids [k]`` divided by ``by [row]``."""
    logits = logits.float()
    return logits.index_copy(-1, ids, logits.index_select(-1, ids) / by.float()[:, None, None])


def _has_kernel(logits: Tensor) -> bool:
    """Whether the kernel can take these logits: it has no gradient, and reads the vocabulary in wide loads."""
    return (
        logits.is_cuda
        and logits.dtype in DTYPES
        and logits.stride(-1) == 1
        and not logits.requires_grad
        and runs_kernels(logits.device)
    )


def plain(
    logits: Tensor,
    current: Tensor,
    mask_id: int,
    *,
    key: Tensor | None = None,
    temperature: float = 0.0,
    top_p: float = 1.0,
    top_k: int | None = None,
    excluded: tuple[Tensor, Tensor] | None = None,
    never: Tensor | None = None,
    needs: Collection[str] = (),
) -> Prediction:
    """:func:`predict` in plain torch, on any device: what it means, and what the kernel is tested against.

    Args and Returns: those of :func:`predict`; without ``error``, which needs no vocabulary.

    Example:
        >>> plain(torch.tensor([[[0.0, 2.0, 9.0]]]), torch.tensor([[0]]), mask_id=2).token.item()
        1
    """
    logits = _cleaned(logits, mask_id, excluded, never)
    best = logits.amax(-1, keepdim=True)
    if temperature > 0:
        assert key is not None, "sampling needs a key per row"
        token = _sample(logits, key, temperature, top_p, top_k)
    else:
        token = logits.argmax(-1)
    mass = torch.exp(logits - best)
    odds, current_odds = _odds(mass, token), _odds(mass, current)

    entropy = margin = None
    if "entropy" in needs:
        log_p = logits - best - mass.sum(-1, keepdim=True).log()
        entropy = -(log_p.exp() * log_p.clamp(min=-_LARGE)).sum(-1)
    if "margin" in needs:
        # float64: margins near 1 would tie in float32, and ties are decided by the position
        top2 = mass.topk(2, dim=-1).values.double() / mass.double().sum(-1, keepdim=True)
        margin = top2[..., 0] - top2[..., 1]
    return Prediction(
        token=token,
        prob=1 / (1 + odds),
        odds=odds,
        current_prob=1 / (1 + current_odds),
        current_odds=current_odds,
        entropy=entropy,
        margin=margin,
    )


def alternatives(
    logits: Tensor,
    mask_id: int,
    count: int,
    excluded: tuple[Tensor, Tensor] | None = None,
    never: Tensor | None = None,
) -> Alternatives:
    """The most probable tokens of every position and the entropy of all of them; for the trace, no policy sees it.

    Args:
        logits: ``[row, pos, vocab]``, any float dtype.
        mask_id: counted out.
        count: tokens of each position.
        excluded: as for :func:`predict`.
        never: as for :func:`predict`.

    Example:
        >>> found = alternatives(torch.tensor([[[0.0, 0.0, 9.0]]]), mask_id=2, count=2)
        >>> found.tokens.tolist(), found.probs.tolist(), round(found.entropy.item(), 4)
        ([[[0, 1]]], [[[0.5, 0.5]]], 0.6931)
    """
    probs = _cleaned(logits, mask_id, excluded, never).softmax(-1)
    top = probs.topk(min(count, logits.shape[-1]), dim=-1)
    return Alternatives(top.indices, top.values, torch.special.entr(probs).sum(-1))


def _odds(mass: Tensor, token: Tensor) -> Tensor:
    """Odds against ``token`` from unnormalised masses; its own mass is left out, not subtracted, to keep precision."""
    index = token[..., None]
    rest = mass.scatter(-1, index, 0.0).sum(-1)
    return (rest / mass.gather(-1, index)[..., 0]).nan_to_num(nan=torch.inf, posinf=torch.inf)


def _sample(logits: Tensor, key: Tensor, temperature: float, top_p: float, top_k: int | None) -> Tensor:
    """Gumbel-max sample of every position, with noise that depends on (key, position, token id) alone."""
    # Shifted first, so that no temperature, however small, overflows the best logit.
    logits = (logits - logits.amax(-1, keepdim=True)) / max(temperature, 1e-30)
    if top_k is not None and top_k < logits.shape[-1]:
        kth = logits.topk(top_k, dim=-1).values[..., -1:]
        logits = logits.masked_fill(logits < kth, -torch.inf)
    if top_p < 1:
        ordered, order = torch.sort(logits, dim=-1, descending=True, stable=True)
        p = torch.softmax(ordered, -1)
        before = p.cumsum(-1) - p
        drop = torch.zeros_like(before, dtype=torch.bool).scatter(-1, order, before >= top_p)
        drop = drop & (logits < ordered[..., :1])  # the most probable token always stays
        logits = logits.masked_fill(drop, -torch.inf)
    positions = torch.arange(logits.shape[1], device=logits.device)[:, None]
    vocab = torch.arange(logits.shape[-1], device=logits.device)
    noise = gumbel(fold(key[:, None, None], SAMPLE, positions, vocab))
    return (logits + noise).argmax(-1)
