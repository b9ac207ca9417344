"""Against code that is not ours: diffusers' block-refinement and entropy-bound schedulers on the same logits.

Both sides step one block through a scripted table of logits. Settings are matched so that the rules coincide,
and every place where they do not is named where it is met:

* *mask id*: diffusers lets it be a candidate; in the tables its logit is so low that it has no mass.
* *schedule*: the fallback commits the schedule's count of the step. ``block`` steps or more make that count 1
  for as long as masks can be left, ``block / k`` steps make it k: our ``min_commit`` (its own ``minimal_topk``
  is read and never used).
* *0.0*: ``editing_threshold=0.0`` means off; the smallest positive number means what our 0.0 means.
* *prompt*: ``prompt_mask`` is one for all rows, and protects from edits only; so rows with a prompt's tail go
  one by one.
* *ties*: a float32 softmax has ties near 1 that our odds do not have (shown below); tables keep clear of them,
  of ties between tokens, and of the thresholds by more than rounding.
* *temperature*: above 0 its confidence is the tempered softmax's and its generator another: greedy only.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import dlmsample as ds
from dlmsample.policies import fill
from dlmsample.policies.base import Policy
from dlmsample.predict import predict
from dlmsample.types import Block
from tests.toys import EOS, MASK

diffusers = pytest.importorskip("diffusers", minversion="0.42")

VOCAB, BLOCK = 40, 16
BANNED = -1e4  # exp of it is 0 in float32: diffusers then agrees that the mask id is no candidate
NEARLY_OFF = 1e-30  # the smallest threshold diffusers takes for "on"
MANY_STEPS = 4 * BLOCK


def table(
    seed: int, rows: int, steps: int, levels: tuple[float, ...] = (), dtype: torch.dtype = torch.float32
) -> Tensor:
    """Logits ``[step, row, pos, vocab]``; confidences spread over (0, 1), 1e-5 or more from ``levels``."""
    g = torch.Generator().manual_seed(seed)

    def draw() -> Tensor:
        scale = 0.5 + 5 * torch.rand(steps, rows, BLOCK, 1, generator=g)
        logits = torch.randn(steps, rows, BLOCK, VOCAB, generator=g) * scale
        logits[..., MASK] = BANNED
        return logits.to(dtype)

    logits = draw()
    while True:
        first, second = logits.double().softmax(-1).topk(2, dim=-1).values.unbind(-1)
        bad = (first - second < 1e-5) | (1 - first < 1e-5)
        for level in levels:
            bad |= (first - level).abs() < 1e-5
        if not bad.any():
            return logits
        logits = torch.where(bad[..., None], draw(), logits)


def canvas(seed: int, rows: int, tail: int = 0) -> tuple[Tensor, Tensor]:
    """A block ``[row, pos]`` with a prompt's tail and some positions already filled; what is editable."""
    g = torch.Generator().manual_seed(seed)
    words = torch.randint(3, VOCAB, (rows, BLOCK), generator=g)
    editable = (torch.arange(BLOCK) >= tail).expand(rows, -1)
    filled = (torch.rand(rows, BLOCK, generator=g) < 0.2) | ~editable
    return torch.where(filled, words, MASK), editable


def block_of(tokens: Tensor, editable: Tensor, step: int) -> Block:
    rows = len(tokens)
    column = torch.zeros(rows, dtype=torch.long)
    return Block(
        tokens=tokens,
        editable=editable,
        step=column + step,
        start=column,
        stop=column + editable[0].sum(),
        total=column + editable[0].sum(),
        key=torch.arange(rows),
        eos_ids=torch.tensor([EOS]),
        mask_id=MASK,
    )


def ours(policy: Policy, logits: Tensor, tokens: Tensor, editable: Tensor) -> tuple[list[Tensor], Tensor]:
    """The block after every step, and ``[step, row]`` what the policy said of *done*; rows that are done step on."""
    state, after, done = policy.init(block_of(tokens, editable, 0)), [], []
    for step, now in enumerate(logits):
        block = block_of(tokens, editable, step)
        state, update = policy.step(state, block, predict(now, tokens, MASK, needs=policy.needs))
        tokens = update.tokens
        after.append(tokens)
        done.append(update.done)
    return after, torch.stack(done)


def scheduler(steps: int = MANY_STEPS) -> Any:
    made = diffusers.BlockRefinementScheduler(block_length=BLOCK)
    made.set_timesteps(steps, block_length=BLOCK)
    return made


def theirs(logits: Tensor, tokens: Tensor, editable: Tensor, steps: int = MANY_STEPS, **options: Any) -> list[Tensor]:
    """The block after every step of ``BlockRefinementScheduler``."""
    assert (editable == editable[0]).all(), "it knows one prompt mask for all rows"
    made, after = scheduler(steps), []
    for step, now in enumerate(logits):
        out = made.step(now, step, tokens, mask_token_id=MASK, prompt_mask=~editable[0], **options)
        tokens = out.prev_sample
        after.append(tokens)
    return after


def agree(one: list[Tensor], two: list[Tensor]) -> None:
    for step, (a, b) in enumerate(zip(one, two, strict=True)):
        assert torch.equal(a, b), f"step {step}"


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("min_commit", [1, 2, 4])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.7, 0.95])
def test_threshold_fill(rows: int, min_commit: int, threshold: float) -> None:
    """A schedule of 16 / k steps asks for k tokens at every step; it clamps to its last entry after that."""
    for seed in range(8):
        logits = table(seed, rows, BLOCK, (threshold,))
        tokens, editable = canvas(seed, rows)
        policy = ds.Unmask(threshold=threshold, min_commit=min_commit)
        filled, done = ours(policy, logits, tokens, editable)
        agree(filled, theirs(logits, tokens, editable, BLOCK // min_commit, threshold=threshold))
        full = torch.stack([(t != MASK).all(-1) for t in filled])
        assert torch.equal(done, full)
        assert full[-1].all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize(
    ("policy", "editing"),
    [
        (ds.T2T.quality(), 0.5),
        (ds.T2T(fill_threshold=0.9, edit_threshold=0.2), 0.2),
        (ds.T2T(fill_threshold=0.3, edit_threshold=0.9), 0.9),
        (ds.T2T.speed(), NEARLY_OFF),  # trap "0.0"
        (ds.T2T(edit_threshold=None), None),
    ],
    ids=repr,
)
def test_t2t(policy: ds.T2T, editing: float | None, rows: int, dtype: torch.dtype) -> None:
    """Fill and edit from the same forward, edits at what was visible before the fill, also once it is full."""
    levels = (policy.fill_threshold, policy.edit_threshold or 0.0)
    edits = 0
    for seed in range(6):
        logits = table(seed, rows, BLOCK + 8, levels, dtype)
        tokens, editable = canvas(seed, rows)
        mine, _ = ours(policy, logits, tokens, editable)
        agree(mine, theirs(logits, tokens, editable, threshold=policy.fill_threshold, editing_threshold=editing))
        for before, after in zip([tokens, *mine], mine, strict=False):
            edits += int(((before != MASK) & (before != after)).sum())
    assert (edits > 0) == (editing is not None), "the comparison is empty unless edits happen"


@pytest.mark.parametrize("tail", [1, 7, 15])
def test_a_prompts_tail_in_the_block(tail: int) -> None:
    """Trap "prompt": neither side edits it. (No mask stands in it: diffusers would fill one, we would not.)"""
    policy = ds.T2T(fill_threshold=0.6, edit_threshold=0.3)
    for seed in range(6):
        logits = table(seed, 1, 2 * BLOCK, (0.6, 0.3))
        tokens, editable = canvas(seed, 1, tail)
        mine, _ = ours(policy, logits, tokens, editable)
        agree(mine, theirs(logits, tokens, editable, threshold=0.6, editing_threshold=0.3))
        assert torch.equal(mine[-1][:, :tail], tokens[:, :tail])


def _their_end(
    logits: Tensor, tokens: Tensor, editable: Tensor, fill_level: float, editing: float | None, post_limit: int
) -> int:
    """The step after which LLaDA2Pipeline's loop leaves the block (its lines, with the scheduler's own verdict)."""
    made, step_idx, post, nobody = scheduler(), 0, 0, torch.zeros(1, dtype=torch.bool)
    for step, now in enumerate(logits):
        masks = bool((tokens == MASK).any())
        post += not masks
        out = made.step(
            now,
            step_idx,
            tokens,
            mask_token_id=MASK,
            prompt_mask=~editable[0],
            threshold=fill_level,
            editing_threshold=editing,
        )
        tokens = out.prev_sample
        step_idx += masks
        if not made.check_block_should_continue(
            step_idx, masks, editing is not None and editing > 0, out.editing_transfer_index, post, post_limit, nobody
        ):
            return step
    raise AssertionError("it did not leave the block")


@pytest.mark.parametrize("limit", [1, 3, 16])
@pytest.mark.parametrize("calm", [False, True])
def test_t2t_leaves_a_block_when_they_do(limit: int, calm: bool) -> None:
    """Its ``max_post_steps`` is checked *after* the forward with ``>``: m there is our m + 1.

    Rows go one by one: over a batch it goes on until no row has masks or edits. ``calm`` repeats the last logits,
    so that edits cease; otherwise the limit ends the block (or a forward that happens to edit nothing). With a
    schedule as short as the fills it would leave a block on its last fill, without the forward that examines it;
    MANY_STEPS avoids that.
    """
    level = 0.95 if calm else 0.5
    policy = ds.T2T(fill_threshold=level, edit_threshold=0.3, max_post_steps=limit)
    ends = set()
    for seed in range(10):
        logits = table(seed, 3, BLOCK + 20, (level, 0.3))
        if calm:
            logits = logits[torch.arange(BLOCK + 20).clamp(max=5)]
        tokens, editable = canvas(seed, 3)
        _, done = ours(policy, logits, tokens, editable)
        for row in range(3):
            one = slice(row, row + 1)
            end = _their_end(logits[:, one], tokens[one], editable[one], level, 0.3, limit - 1)
            assert done[:, row].nonzero()[0].item() == end
            ends.add(end)
    assert len(ends) > 1


def test_with_editing_off_they_make_one_forward_more() -> None:
    """Divergence: their loop asks "did this forward see masks": a full block costs one that changes nothing."""
    for seed in range(5):
        logits = table(seed, 1, 2 * BLOCK, (0.5,))
        tokens, editable = canvas(seed, 1)
        _, done = ours(ds.T2T(fill_threshold=0.5, edit_threshold=None), logits, tokens, editable)
        assert _their_end(logits, tokens, editable, 0.5, None, 16) == done[:, 0].nonzero()[0].item() + 1


def test_zero_edits_nothing_there_and_everything_here() -> None:
    """Divergence: ``editing_threshold=0.0``, S mode of LLaDA2.1, is silently off in diffusers."""
    logits = table(0, 2, BLOCK + 4, (0.5,))
    tokens, editable = canvas(0, 2)
    off = theirs(logits, tokens, editable, threshold=0.5, editing_threshold=0.0)
    agree(off, theirs(logits, tokens, editable, threshold=0.5, editing_threshold=None))
    agree(off, ours(ds.T2T(fill_threshold=0.5, edit_threshold=None), logits, tokens, editable)[0])
    mine, _ = ours(ds.T2T(fill_threshold=0.5, edit_threshold=0.0), logits, tokens, editable)
    for before, after, now in zip([tokens, *mine], mine, logits, strict=False):
        visible = before != MASK
        assert torch.equal(after[visible], now.argmax(-1)[visible])
    assert not torch.equal(off[-1], mine[-1])


def test_the_mask_id_is_a_candidate_there() -> None:
    """Divergence: where the mask id is the argmax they "fill" with it, for ever; we take the next best."""
    logits = table(1, 1, BLOCK)
    logits[..., MASK] = 30
    tokens, editable = canvas(1, 1)
    assert torch.equal(theirs(logits, tokens, editable, threshold=0.9)[-1], tokens)
    mine, done = ours(ds.Unmask(threshold=0.9), logits, tokens, editable)
    assert (mine[-1] != MASK).all()
    assert done[-1].all()


def test_their_confidence_ties_near_one() -> None:
    """Divergence: float32 softmax calls both positions 1.0, ``topk`` then takes either; odds tell them apart."""
    logits = torch.zeros(1, 1, BLOCK, VOCAB)
    logits[..., MASK] = BANNED
    logits[..., 3, 7], logits[..., 11, 9] = 40.0, 45.0
    tokens = torch.full((1, BLOCK), MASK)
    editable = torch.ones(1, BLOCK, dtype=torch.bool)
    out = scheduler().step(logits[0], 0, tokens, mask_token_id=MASK, threshold=1.0)
    assert out.sampled_probs[0, 3] == out.sampled_probs[0, 11] == 1.0
    mine, _ = ours(ds.Unmask(threshold=1.0), logits, tokens, editable)
    assert (mine[0] != MASK).nonzero().tolist() == [[0, 11]]


@pytest.mark.parametrize("bound", [0.0, 0.05, 0.5, 2.0, 10.0, 1000.0])
def test_entropy_bound(bound: float) -> None:
    """Which positions are accepted, step by step.

    ``EntropyBoundScheduler`` has no masks: it accepts among all positions and *renoises the rest*, accepted before
    or not. So each row's masked columns alone go to it. It anneals a temperature, set to 1 throughout; it samples
    its tokens, so these are not compared. It subtracts an entropy from a running sum that holds it, we never add
    it: sums closer to the bound than that rounding are left out.
    """
    made = diffusers.EntropyBoundScheduler(entropy_bound=bound, t_max=1.0, t_min=1.0)
    policy = ds.Unmask(entropy_bound=bound)
    compared = 0
    for seed in range(8):
        logits = table(seed, 4, BLOCK)
        tokens, editable = canvas(seed, 4)
        mine, _ = ours(policy, logits, tokens, editable)
        for step, (before, after) in enumerate(zip([tokens, *mine], mine, strict=False)):
            for row in range(4):
                columns = (before[row] == MASK).nonzero()[:, 0]
                if not len(columns) or _close(logits[step, row, columns], bound):
                    continue
                out = made.step(logits[step, row, columns][None], step % 32, before[row, columns][None])
                assert torch.equal(after[row, columns] != MASK, out.accepted_index[0])
                compared += 1
    assert compared >= 32


def _close(logits: Tensor, bound: float) -> bool:
    """Whether a sum of entropies is within rounding of the bound. The first, 0, is exact on both sides."""
    entropy = torch.distributions.Categorical(logits=logits.double()).entropy().sort().values
    sums = entropy.cumsum(0)[:-1]
    return bool(((sums - bound).abs() < 1e-5).any())


def test_entropy_bound_of_zero() -> None:
    """Divergence: (a + b) - b is 0 in float32 for a small a, so they go on above a bound of 0 nats."""
    logits = torch.zeros(1, 3, VOCAB)
    logits[..., MASK] = BANNED
    logits[0, 0, 5] = 25.0  # entropy about 1e-8 nats; the other two have ln 39
    made = diffusers.EntropyBoundScheduler(entropy_bound=0.0, t_max=1.0, t_min=1.0)
    tokens = torch.full((1, 3), MASK)
    assert made.step(logits, 0, tokens).accepted_index.tolist() == [[True, True, False]]
    block = block_of(tokens, torch.ones(1, 3, dtype=torch.bool), 0)
    accepted = fill.entropy_bound(block, predict(logits, tokens, MASK, needs={"entropy"}), 0.0)
    assert accepted.tolist() == [[True, False, False]]
