"""How probable an answer is to a masked diffusion model: a Monte-Carlo bound on its log-likelihood."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dlmsample import rng
from dlmsample.models.attention import masks
from dlmsample.models.attention.cached import Body
from dlmsample.models.denoiser import Denoiser

#: Logits that are computed at once, at most, in numbers.
_AT_ONCE = 1 << 27


class Likelihood(NamedTuple):
    """A log-likelihood in nats."""

    value: float  #: the mean over the draws
    error: float  #: its standard error; not a number for a single draw


class Pair(NamedTuple):
    """A context and the answer behind it."""

    context: Sequence[int]
    answer: Sequence[int]


class Noised(NamedTuple):
    """Which positions of the answers are masked, and what each counts; all ``[row, pos]``."""

    masked: Tensor  #: bool
    weight: Tensor  #: float32, L / l of the position's block


@torch.no_grad()
def log_likelihood(
    model: Denoiser, pairs: Sequence[Pair], samples: int = 128, seed: int = 0, batch_size: int = 32
) -> list[Likelihood]:
    """A lower bound on ``log p(answer | context)`` of every pair, estimated from random maskings.

    With L positions, of which a uniformly drawn number l ∈ {1..L} is masked at random places M, the bound is
    ``E[ L/l · Σ_{i∈M} log p(x_i | context, answer without M) ]`` (LLaDA, Appendix on evaluation; all of it is one set
    for bidirectional models). A block-causal model factorises over its blocks, so each block b has draws of its own,
    the blocks before it are given, and what is summed is the bound of ``log p(block b | context, blocks before b)``.
    Blocks of one position make it exact. The n draws of l are spread evenly over {1..L} from a random start, as in the
    published code.

    Draws depend on the seed and the pair alone, so neither batch nor order changes a number (float32, CPU: up to
    rounding). Log-probabilities are those of the whole vocabulary, the mask included, as the published code takes them.

    Args:
        model: any checkpoint.
        pairs: ids of contexts and answers.
        samples: draws per pair, n; the published evaluation takes 128.
        seed: of the draws.
        batch_size: rows in one forward.

    Returns:
        By pair, the mean over the draws and its standard error, the draws' deviation / √n. Because l is spread evenly
        the mean is usually closer than that. An answer without a position has 0.

    Raises:
        ValueError: a pair that does not fit into the model's context, or a number below 1.

    Example:
        >>> import dlmsample as ds
        >>> nano = ds.load("nano")
        >>> context = nano.encode("Ann had 3 pens and got 4. How many pens does Ann have?")
        >>> answers = [nano.encode(text, chat=False) for text in ("3 + 4 = 7", "3 + 4 = 9")]
        >>> right, wrong = log_likelihood(nano, [Pair(context, answer) for answer in answers], samples=16)
        >>> right.value > wrong.value
        True

    Source: arXiv:2502.09992 (Algorithm 3 and the appendix).
    """
    if samples < 1 or batch_size < 1:
        raise ValueError(f"samples and batch_size must be 1 or more, not {samples} and {batch_size}")
    for pair in pairs:
        if len(pair.context) + len(pair.answer) > model.context:
            raise ValueError(
                f"a text of {len(pair.context) + len(pair.answer)} tokens exceeds the context of {model.name} "
                f"({model.context}): shorten it"
            )
    values = torch.zeros(len(pairs), samples, dtype=torch.float64)
    body = Body(model)
    for numbers, draws in _batches(pairs, samples, batch_size):
        rows = [pairs[number] for number in numbers]
        keys = [rng.sequence_key(seed, [*row.context, *row.answer], len(row.context)) for row in rows]
        found = _bound(model, body, rows, torch.tensor(keys), torch.tensor(draws), samples)
        values[torch.tensor(numbers), torch.tensor(draws)] = found.double().cpu()
    means = values.mean(1).tolist()
    errors = (values.std(1) / math.sqrt(samples)).tolist() if pairs and samples > 1 else [math.nan] * len(pairs)
    return [Likelihood(*found) for found in zip(means, errors, strict=True)]


def _batches(pairs: Sequence[Pair], samples: int, size: int) -> Iterator[tuple[list[int], list[int]]]:
    """Numbers of pairs and of draws, in batches of rows that are about equally long."""
    order = sorted(range(len(pairs)), key=lambda i: len(pairs[i].context) + len(pairs[i].answer), reverse=True)
    rows = [(number, draw) for number in order if pairs[number].answer for draw in range(samples)]
    for at in range(0, len(rows), size):
        numbers, draws = zip(*rows[at : at + size], strict=True)
        yield list(numbers), list(draws)


def noise(blocks: Tensor, valid: Tensor, keys: Tensor, draws: Tensor, samples: int) -> Noised:
    """Mask a random number of random positions in every block of every row.

    Args:
        blocks: int64 ``[row, pos]``, the block of each answer position, growing from left to right.
        valid: bool ``[row, pos]``, False behind the answer.
        keys: int64 ``[row]``, randomness of the row's pair.
        draws: int64 ``[row]``, which of the pair's draws the row is.
        samples: draws of each pair.

    Example:
        >>> blocks, valid = torch.tensor([[0, 0, 1, 1]]), torch.ones(1, 4, dtype=torch.bool)
        >>> found = noise(blocks, valid, torch.tensor([5]), torch.tensor([0]), samples=2)
        >>> bool((found.masked * found.weight).sum() == 4)  # l · L/l of both blocks
        True
    """
    place = torch.arange(blocks.shape[1], device=blocks.device).expand_as(blocks)
    blocks = torch.where(valid, blocks, blocks.max() + 1)
    number = blocks - blocks[:, :1]
    size = torch.zeros(len(blocks), int(number.max()) + 1, dtype=torch.long, device=blocks.device)
    size = size.scatter_add(1, number, torch.ones_like(number)).gather(1, number)
    start = (rng.uniform(rng.fold(keys[:, None], 0, blocks)) * size).long().clamp(max=size - 1)
    count = 1 + (start + draws[:, None] * size // samples) % size  # l, of the position's block
    # positions sorted by block and, within it, at random: a block keeps its places, so the first one is known
    score = number + rng.uniform(rng.fold(keys[:, None], 1, draws[:, None], place)).double()
    rank = score.argsort(dim=1, stable=True).argsort(dim=1)
    opens = torch.cat([torch.ones_like(valid[:, :1]), blocks[:, 1:] != blocks[:, :-1]], 1)
    rank = rank - torch.where(opens, place, 0).cummax(1).values
    return Noised((rank < count) & valid, size.float() / count)


def _bound(model: Denoiser, body: Body, rows: list[Pair], keys: Tensor, draws: Tensor, samples: int) -> Tensor:
    """One draw of the bound for every row, float32 ``[row]``."""
    device, causal = model.device, model.attention == "block_causal"
    lengths = torch.tensor([len(row.context) + len(row.answer) for row in rows])
    first = torch.tensor([len(row.context) for row in rows])
    ids = torch.zeros(len(rows), int(lengths.max()), dtype=torch.long)
    for row, pair in zip(ids, rows, strict=True):
        row[: len(pair.context) + len(pair.answer)] = torch.tensor([*pair.context, *pair.answer])
    ids, lengths, first, keys, draws = (t.to(device) for t in (ids, lengths, first, keys, draws))

    # the answers' positions in the canvas, ``[row, pos]``
    spot = first[:, None] + torch.arange(int((lengths - first).max()), device=device)
    valid = spot < lengths[:, None]
    spot = spot.clamp(max=ids.shape[1] - 1)
    blocks = block_index(model, ids.shape[1], first)
    noised = noise(blocks.gather(1, spot) if causal else torch.zeros_like(spot), valid, keys, draws, samples)
    target = ids.gather(1, spot)
    # of positions that come up twice, behind an answer, none is masked
    noisy = ids.masked_fill(torch.zeros_like(ids).scatter_add(1, spot, noised.masked.long()) > 0, model.mask_id)
    states, at = (_two_streams if causal else _whole)(model, body, ids, noisy, blocks, lengths, first)

    row, place = noised.masked.nonzero(as_tuple=True)
    wanted = states[row, at.gather(1, spot)[row, place]]
    logp = torch.cat(
        [
            body.logits(part, ids).float().log_softmax(-1).gather(-1, answer[:, None])[:, 0]
            for part, answer in zip(
                wanted.split(max(1, _AT_ONCE // model.vocab_size)),
                target[row, place].split(max(1, _AT_ONCE // model.vocab_size)),
                strict=True,
            )
        ]
    )
    weighted = logp * noised.weight[row, place]
    return torch.zeros(len(rows), device=device).index_add(0, row, weighted)


def block_index(model: Denoiser, width: int, first: Tensor) -> Tensor:
    """The block of each position ``[row, pos]``, for answers that begin at ``first``, int64 ``[row]``."""
    place = torch.arange(width, device=first.device).expand(len(first), -1)
    if model.block_alignment == "absolute":
        return place // model.block_length
    return ((place - first[:, None]).div(model.block_length, rounding_mode="floor") + 1).clamp(min=0)


def _whole(
    model: Denoiser, body: Body, ids: Tensor, noisy: Tensor, blocks: Tensor, lengths: Tensor, first: Tensor
) -> tuple[Tensor, Tensor]:
    """Hidden states of the noisy canvases, and where among them the prediction of each position stands."""
    place = torch.arange(ids.shape[1], device=ids.device).expand(len(ids), -1)
    mask = masks.bidirectional(place < lengths[:, None])
    states = body(noisy, place, mask, None).last_hidden_state
    return states, (place - int(model.facts.logit_shift)).clamp(min=0)


def _two_streams(
    model: Denoiser, body: Body, ids: Tensor, noisy: Tensor, blocks: Tensor, lengths: Tensor, first: Tensor
) -> tuple[Tensor, Tensor]:
    """The same where blocks see earlier blocks as they are: one forward over noisy and clean canvases."""
    width = ids.shape[1]
    place = torch.arange(width, device=ids.device).expand(len(ids), -1)
    valid = place < lengths[:, None]
    own = blocks.gather(1, first[:, None])
    begin = int(torch.where(blocks == own, place, width).min())  # what precedes every first block is never noisy
    mask = masks.two_stream(blocks[:, begin:], valid[:, begin:], blocks, valid)
    both = torch.cat([noisy[:, begin:], ids], 1), torch.cat([place[:, begin:], place], 1)
    states = body(*both, mask, None).last_hidden_state
    if not model.facts.logit_shift:
        return states, (place - begin).clamp(min=0)
    before = (place - 1).clamp(min=0)
    inside = blocks.gather(1, before) == blocks
    return states, torch.where(inside, (before - begin).clamp(min=0), width - begin + before)
