"""The reduction of ``predict`` as one read of the logits, in Triton; :mod:`~dlmsample.kernels.vocabulary` launches it.

One program walks over a stretch of one position's vocabulary, block by block. Each *lane* keeps, of the few ids it
sees of every block, the largest logit and ``Σ_j exp(l_j − largest)``, one exponential per logit; lanes do not talk to
each other until the end. The banned ids and the current token are left out; the latter joins last, as one more id. Then
the lanes are merged to

* the *leader* (largest logit, ties to the lower id) and the runner-up's logit;
* ``others = Σ_j exp(l_j − l_leader)`` over all but the leader: the leader's lane is summed again without it, since a
  total minus the own mass would have no digits left near p = 1. For the entropy the same, weighted with
  ``l_j − l_leader``;
* the leading sample, as its logit, noise and id.

A stretch with a NaN or an infinity that matters is read again with care. With few positions the vocabulary is split,
and ``combine`` merges the parts the same way.
"""

# Triton types what runs when traced, not what is written.
# pyright: reportGeneralTypeIssues=false, reportOperatorIssue=false

from __future__ import annotations

import triton
import triton.language as tl

from dlmsample.kernels.noise import GOLDEN, gumbel, mix

LARGE = tl.constexpr(1e30)  # what an infinite logit becomes, as in ``predict``
LOG2_E = tl.constexpr(1.4426950408889634)
LOWEST = tl.constexpr(-3e38)  # the best of a lane that has seen nothing; finite, so that differences are
NO_ID = tl.constexpr(2**31 - 1)
MOST_NOISE = tl.constexpr(16.7)  # above every Gumbel draw of ``rng``: −log(−log(1 − 2⁻²⁴)) = 16.64


@triton.jit
def _clean(x):
    """NaN and infinities to finite values; finite values stay."""
    x = tl.where(x != x, -LARGE, x)
    x = tl.where(x == float("inf"), LARGE, x)
    return tl.where(x == float("-inf"), -LARGE, x)


@triton.jit
def _mass(x, best):
    """exp(x − best), and x − best kept finite (so that 0 · −inf is no NaN)."""
    return tl.exp2((x - best) * LOG2_E), tl.maximum(x - best, -LARGE)


@triton.jit
def _is_banned(index, mask_id, row, rows, ids, EXCLUDED: tl.constexpr):
    """Whether each id is the mask id or excluded in this row; ``rows [row, k]`` says which of ``ids [k]`` are."""
    banned = index == mask_id
    if EXCLUDED > 0:
        for k in tl.static_range(EXCLUDED):
            flagged = tl.load(rows + row * EXCLUDED + k) != 0
            banned = banned | (flagged & (index == tl.load(ids + k).to(tl.int32)))
    return banned


@triton.jit
def _finish(at, row, count, line, key, leader, best, second, others, weighted, drawn, noise, sample,
            current, rows, ids, shifts, token, results, margin, mask_id, scale,
            EXCLUDED: tl.constexpr, SAMPLE: tl.constexpr, TOP_K: tl.constexpr, ENTROPY: tl.constexpr,
            MARGIN: tl.constexpr):  # fmt: skip
    """Let the current token join and write the numbers of position ``at``."""
    own = _clean(tl.load(line + current).to(tl.float32))
    own = tl.where(_is_banned(current, mask_id, row, rows, ids, EXCLUDED), float("-inf"), own)
    takes = (own > best) | ((own == best) & (current < leader))
    top = tl.maximum(own, best)
    none = top == float("-inf")  # every id is banned
    base = tl.where(none, 0.0, top)
    e_leader, d_leader = _mass(best, base)
    e_own, d_own = _mass(own, base)
    rest = others * e_leader  # all but the leader and the current token
    chosen = tl.where(takes, current, leader)
    odds = tl.where(none, float("inf"), rest + tl.where(takes, e_leader, e_own))
    own_odds = tl.where(e_own > 0, (rest + e_leader) / e_own, float("inf"))

    if ENTROPY:
        total = 1 + odds
        mean = e_leader * weighted + rest * d_leader + e_leader * d_leader + e_own * d_own
        entropy = tl.log(total) - mean / total
        tl.store(results + 4 * count + at, tl.where(none, float("nan"), entropy))
    if MARGIN:
        below = tl.where(takes, best, tl.maximum(second, own))
        e_below, _ = _mass(below, base)
        # float64: margins near 1 would tie in float32
        apart = (1.0 - e_below.to(tl.float64)) / (1.0 + odds.to(tl.float64))
        tl.store(margin + at, tl.where(none, float("nan"), apart))
    if SAMPLE:
        g_own = gumbel(key, current)
        score, s_own = (drawn - base) * scale + noise, (own - base) * scale + g_own
        if TOP_K:
            s_own = tl.where(own - base >= tl.load(shifts + count + at), s_own, float("-inf"))
        takes = (s_own > score) | ((s_own == score) & (current < sample))
        picked = tl.where(none, 0, tl.where(takes, current, sample))
        e_picked, _ = _mass(tl.where(takes, own, drawn), base)
        # Its mass may be taken off the total here: the total still holds the leader's, which is 1.
        away = tl.where(e_picked > 0, (1 + tl.maximum(odds - e_picked, 0.0)) / e_picked, float("inf"))
        odds = tl.where(picked == chosen, odds, away)
        chosen = picked
    tl.store(token + at, chosen.to(tl.int64))
    tl.store(results + at, 1 / (1 + odds))
    tl.store(results + count + at, odds)
    tl.store(results + 2 * count + at, 1 / (1 + own_odds))
    tl.store(results + 3 * count + at, own_odds)


@triton.jit
def _position(pid, logits, current, keys, width, stride_row, stride_pos, stride_current_row, stride_current_pos,
              STEP: tl.constexpr, SAMPLE: tl.constexpr):  # fmt: skip
    """Row of a position, where its logits start, its current token and its key for the vocabulary's draws."""
    row, pos = pid // width, pid % width
    line = logits + row.to(tl.int64) * stride_row + pos.to(tl.int64) * stride_pos
    token = tl.load(current + row.to(tl.int64) * stride_current_row + pos.to(tl.int64) * stride_current_pos)
    key = tl.full((), 0, tl.uint64)
    if SAMPLE:
        key = mix(tl.load(keys + row).to(tl.uint64, bitcast=True) + STEP)
        key = mix(key + (pos.to(tl.uint64) + 1) * GOLDEN)
    return row, line, token.to(tl.int32), key


@triton.jit
def _allowed(x, index, end, now, mask_id, row, rows, ids, EXCLUDED: tl.constexpr):
    """Clean logits; -inf past the end, for the banned ids, and for the current token, which joins last."""
    out = (index >= end) | (index == now) | _is_banned(index, mask_id, row, rows, ids, EXCLUDED)
    return tl.where(out, float("-inf"), _clean(x))


@triton.jit
def _with_care(line, first, end, now, mask_id, row, rows, ids, BLOCK: tl.constexpr, EXCLUDED: tl.constexpr):
    """The same five numbers as the lanes give, from a second read that stumbles over nothing."""
    best, second = tl.full((), float("-inf"), tl.float32), tl.full((), float("-inf"), tl.float32)
    others, weighted = tl.full((), 0.0, tl.float32), tl.full((), 0.0, tl.float32)
    leader = tl.full((), 0, tl.int32)
    for start in range(first, end, BLOCK):
        index = start + tl.arange(0, BLOCK)
        x = tl.load(line + index, mask=index < end, other=0.0).to(tl.float32)
        x = _allowed(x, index, end, now, mask_id, row, rows, ids, EXCLUDED)
        peak = tl.max(x, 0)
        found = tl.min(tl.where(x == peak, index, NO_ID), 0)
        below = tl.max(tl.where(index == found, float("-inf"), x), 0)
        leads = peak > best
        top = tl.maximum(peak, best)
        base = tl.where(top == float("-inf"), 0.0, top)
        e, d = _mass(x, base)
        e = tl.where(index == found, 0.0, e)
        e_old, d_old = _mass(best, base)
        e_new, d_new = _mass(peak, base)
        lost = tl.where(leads, e_old * d_old, e_new * d_new)  # of whoever does not lead
        weighted = e_old * weighted + (e_old * others) * d_old + tl.sum(e * d, 0) + lost
        others = e_old * others + tl.sum(e, 0) + tl.where(leads, e_old, e_new)
        second = tl.where(leads, tl.maximum(best, below), tl.maximum(second, peak))
        leader = tl.where(leads, found, leader)
        best = top
    return best, second, others, weighted, leader


@triton.jit
def scan(logits, current, keys, rows, ids, shifts, token, results, margin, parts, part_ids, count, width, vocab,
         chunk, mask_id, scale, stride_row, stride_pos, stride_current_row, stride_current_pos,
         SPLITS: tl.constexpr, LANES: tl.constexpr, WIDE: tl.constexpr, DEPTH: tl.constexpr, STEP: tl.constexpr,
         EXCLUDED: tl.constexpr, SAMPLE: tl.constexpr, TOP_K: tl.constexpr, ENTROPY: tl.constexpr,
         MARGIN: tl.constexpr):  # fmt: skip
    """One stretch of one position's vocabulary, ``DEPTH`` blocks of ``LANES · WIDE`` ids at the most."""
    BLOCK: tl.constexpr = LANES * WIDE
    at, split = tl.program_id(0) // SPLITS, tl.program_id(0) % SPLITS
    row, line, now, key = _position(
        at, logits, current, keys, width, stride_row, stride_pos, stride_current_row, stride_current_pos, STEP, SAMPLE
    )
    first, end = split * chunk, tl.minimum(split * chunk + chunk, vocab)
    lane = tl.arange(0, LANES)
    inside = lane[:, None] * WIDE + tl.arange(0, WIDE)[None, :]

    bests = tl.full((LANES,), LOWEST, tl.float32)
    sums = tl.full((LANES,), 0.0, tl.float32)  # of exp(l − best of the lane), the best's own 1 included
    weights = tl.full((LANES,), 0.0, tl.float32)
    groups = tl.full((LANES,), 0, tl.int32)  # where the best of the lane was first seen
    drawn = tl.full((), float("-inf"), tl.float32)
    noise, sample = tl.full((), 0.0, tl.float32), tl.full((), 0, tl.int32)

    ahead = tl.load(line + first + inside, mask=first + inside < end, other=float("-inf"))
    for start in range(first, end, BLOCK):
        index = start + inside
        x = ahead.to(tl.float32)
        # Asked for before this block is worked on, so that memory is never waited for.
        ahead = tl.load(line + index + BLOCK, mask=index + BLOCK < end, other=float("-inf"))
        holds = ((mask_id >= start) & (mask_id < start + BLOCK)) | ((now >= start) & (now < start + BLOCK))
        if EXCLUDED > 0:
            for k in tl.static_range(EXCLUDED):
                other = tl.load(ids + k).to(tl.int32)
                holds = holds | ((other >= start) & (other < start + BLOCK))
        if holds:
            out = (index == now) | _is_banned(index, mask_id, row, rows, ids, EXCLUDED)
            x = tl.where(out, float("-inf"), x)

        peaks = tl.max(x, 1)
        tops = tl.maximum(bests, peaks)
        e, d = _mass(x, tops[:, None])
        e_old, d_old = _mass(bests, tops)
        if ENTROPY:
            weights = e_old * (weights + sums * d_old) + tl.sum(e * d, 1)
        sums = e_old * sums + tl.sum(e, 1)
        groups = tl.where(peaks > bests, start, groups)
        bests = tops

        if SAMPLE:
            # Does any noise let the best of a lane win? If not, none has to be made.
            hope = (tl.maximum(peaks, -LARGE) - drawn) * scale + MOST_NOISE > noise
            if tl.max(hope.to(tl.int32), 0) > 0:
                c = _allowed(x, index, end, now, mask_id, row, rows, ids, EXCLUDED)
                # Relative to the best so far, so that the noise keeps its digits at low temperatures.
                base = tl.maximum(tl.max(tl.max(c, 1), 0), drawn)
                score = (c - base) * scale + gumbel(key, index)
                if TOP_K:
                    kept = c - tl.load(shifts + at) >= tl.load(shifts + count + at)
                    score = tl.where(kept, score, float("-inf"))
                high = tl.max(tl.max(score, 1), 0)
                if high > (drawn - base) * scale + noise:
                    sample = tl.min(tl.min(tl.where(score == high, index, NO_ID), 1), 0)
                    drawn = _clean(tl.load(line + sample).to(tl.float32))
                    noise = gumbel(key, sample)

    best = tl.max(bests, 0)
    group = tl.min(tl.where(bests == best, groups + lane * WIDE, NO_ID), 0)
    place = (group - first) % BLOCK
    apart = lane * WIDE != place
    # The leader's lane once more, without the leader.
    index = first + place + tl.arange(0, DEPTH)[:, None] * BLOCK + tl.arange(0, WIDE)[None, :]
    x = tl.load(line + index, mask=index < end, other=0.0).to(tl.float32)
    x = _allowed(x, index, end, now, mask_id, row, rows, ids, EXCLUDED)
    leader = tl.min(tl.min(tl.where(x == best, index, NO_ID), 1), 0)
    x = tl.where(index == leader, float("-inf"), x)
    e, d = _mass(x, best)
    e_lane, d_lane = _mass(bests, best)
    e_lane = tl.where(apart, e_lane, 0.0)
    second = tl.maximum(tl.max(tl.where(apart, bests, LOWEST), 0), tl.max(tl.max(x, 1), 0))
    others = tl.sum(tl.where(apart, e_lane * sums, 0.0), 0) + tl.sum(tl.sum(e, 1), 0)
    weighted = tl.full((), 0.0, tl.float32)
    if ENTROPY:
        weighted = tl.sum(tl.where(apart, e_lane * (weights + sums * d_lane), 0.0), 0) + tl.sum(tl.sum(e * d, 1), 0)
    broken = tl.max((sums != sums).to(tl.int32), 0) > 0
    # Beside a best as low as a cleaned −inf, −inf has a mass.
    if broken | (best < -0.1 * LARGE):
        best, second, others, weighted, leader = _with_care(
            line, first, end, now, mask_id, row, rows, ids, BLOCK, EXCLUDED
        )

    if SPLITS == 1:
        _finish(at, row, count, line, key, leader, best, second, others, weighted, drawn, noise, sample,
                now, rows, ids, shifts, token, results, margin, mask_id, scale,
                EXCLUDED, SAMPLE, TOP_K, ENTROPY, MARGIN)  # fmt: skip
    else:
        part = parts + tl.program_id(0)
        stride = count * SPLITS
        tl.store(part, best)
        tl.store(part + stride, second)
        tl.store(part + 2 * stride, others)
        tl.store(part + 3 * stride, weighted)
        tl.store(part + 4 * stride, drawn)
        tl.store(part + 5 * stride, noise)
        tl.store(part_ids + tl.program_id(0), leader)
        tl.store(part_ids + stride + tl.program_id(0), sample)


@triton.jit
def combine(logits, current, keys, rows, ids, shifts, token, results, margin, parts, part_ids, count, width,
             mask_id, scale, stride_row, stride_pos, stride_current_row, stride_current_pos,
             SPLITS: tl.constexpr, STEP: tl.constexpr, EXCLUDED: tl.constexpr, SAMPLE: tl.constexpr,
             TOP_K: tl.constexpr, ENTROPY: tl.constexpr, MARGIN: tl.constexpr):  # fmt: skip
    """The parts of one position's vocabulary, merged."""
    at = tl.program_id(0)
    row, line, now, key = _position(
        at, logits, current, keys, width, stride_row, stride_pos, stride_current_row, stride_current_pos, STEP, SAMPLE
    )
    part = at * SPLITS + tl.arange(0, SPLITS)
    stride = count * SPLITS
    bests, leaders = tl.load(parts + part), tl.load(part_ids + part)
    sums = tl.load(parts + 2 * stride + part)
    best = tl.max(bests, 0)
    leader = tl.min(tl.where(bests == best, leaders, NO_ID), 0)
    wins = (bests == best) & (leaders == leader)
    base = tl.where(best == float("-inf"), 0.0, best)
    e, d = _mass(bests, base)
    second = tl.max(tl.where(wins, tl.load(parts + stride + part), bests), 0)
    others = tl.sum(e * sums + tl.where(wins, 0.0, e), 0)
    weighted = tl.sum(e * tl.load(parts + 3 * stride + part) + (e * sums) * d + tl.where(wins, 0.0, e * d), 0)
    drawn, noise, sample = best, best, leader
    if SAMPLE:
        logit, extra = tl.load(parts + 4 * stride + part), tl.load(parts + 5 * stride + part)
        samples = tl.load(part_ids + stride + part)
        score = (logit - base) * scale + extra
        high = tl.max(score, 0)
        sample = tl.min(tl.where(score == high, samples, NO_ID), 0)
        here = (score == high) & (samples == sample)
        drawn = tl.max(tl.where(here, logit, float("-inf")), 0)
        noise = tl.max(tl.where(here, extra, float("-inf")), 0)
    _finish(at, row, count, line, key, leader, best, second, others, weighted, drawn, noise, sample,
            now, rows, ids, shifts, token, results, margin, mask_id, scale,
            EXCLUDED, SAMPLE, TOP_K, ENTROPY, MARGIN)  # fmt: skip
