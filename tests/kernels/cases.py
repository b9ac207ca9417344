"""The kernel against plain torch; test_vocabulary.py runs this where Triton can run: on a GPU, else interpreted."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from dlmsample.kernels.vocabulary import reduce
from dlmsample.predict import SAMPLE, plain
from dlmsample.types import Prediction

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
MASK = 7
BLOCK = 32
VOCAB = 77  # two blocks and a part of one
EVERYTHING = {"entropy", "margin"}


def random(seed: int, *shape: int, spread: float = 4.0, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Logits and a current token for each position."""
    g = torch.Generator().manual_seed(seed)
    logits = (torch.randn(*shape, generator=g) * spread).to(dtype)
    return logits.to(DEVICE), torch.randint(0, shape[-1], shape[:-1], generator=g).to(DEVICE)


def assert_equal(got: Prediction, want: Prediction, where: Tensor | None = None) -> None:
    """Tokens identical, probabilities to 1e-5, odds to a relative 1e-5 where a float32 softmax has them at all."""
    for name, a, b in zip(Prediction._fields, got, want, strict=True):
        assert (a is None) == (b is None), name
        if a is None or b is None:
            continue
        assert a.dtype == b.dtype, name
        assert a.shape == b.shape, name
        if where is not None:
            a, b = a[where], b[where]
        if name == "token":
            assert torch.equal(a, b), (a, b)
        else:
            odds = name.endswith("odds")
            loose = {"rtol": 2e-5, "atol": 1e-30} if odds else {"rtol": 0.0, "atol": 1e-5}
            assert torch.allclose(a.clamp(max=1e30), b.clamp(max=1e30), equal_nan=True, **loose), (name, a, b)


def check(logits: Tensor, current: Tensor, mask_id: int = MASK, **options: Any) -> None:
    """Greedy, with everything asked for; unsplit where the width is odd, else split. On a GPU both."""
    want = plain(logits, current, mask_id, needs=EVERYTHING, **options)
    for splits in (1, 4) if DEVICE == "cuda" else (1 if logits.shape[1] % 2 else 2,):
        got = reduce(logits, current, mask_id, needs=EVERYTHING, block=BLOCK, splits=splits, **options)
        assert_equal(got, want)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("vocab", "width"), [(3 * BLOCK, 3), (VOCAB, 2), (8, 2), (BLOCK + 1, 3)])
def test_random_logits(dtype: torch.dtype, vocab: int, width: int) -> None:
    logits, current = random(vocab, 1, width, vocab, dtype=dtype)
    logits[:, 0] *= 4
    check(logits, current)


def test_only_what_is_asked_for() -> None:
    logits, current = random(0, 1, 2, VOCAB)
    for needs in ((), ("entropy",), ("margin",)):
        want = plain(logits, current, MASK, needs=needs)
        assert_equal(reduce(logits, current, MASK, needs=needs, block=BLOCK), want)


def test_the_launch_chosen_from_the_shape() -> None:
    logits, current = random(1, 1, 2, 20_000, dtype=torch.bfloat16)
    assert_equal(reduce(logits, current, MASK), plain(logits, current, MASK))


def test_ties_go_to_the_lower_id() -> None:
    logits, current = random(2, 2, 4, VOCAB, spread=1.0)
    check(logits.round(), current)
    check(torch.zeros_like(logits[:, :2]), current[:, :2])
    check(torch.zeros_like(logits[:, :1]), torch.zeros_like(current[:, :1]), mask_id=0)


def test_current_token_at_every_place() -> None:
    logits, _ = random(3, 1, 1, VOCAB)
    best = int(logits.argmax())
    current = torch.tensor([[best, MASK, 0, BLOCK, VOCAB - 1]], device=DEVICE)
    for width in (4, 5):
        check(logits.expand(1, width, -1), current[:, -width:])
    for mask_id in (0, VOCAB - 1, best):
        check(logits, current[:, :1], mask_id=mask_id)


def test_odds_keep_their_digits_near_certainty() -> None:
    logits, current = random(4, 2, 3, VOCAB)
    winner = torch.arange(6, device=DEVICE).reshape(2, 3) * 13
    logits = logits.scatter(-1, winner[..., None], 30.0 + winner[..., None] / 3.0)
    for now in (winner, current):
        check(logits[:, 1:], now[:, 1:])
        pred = reduce(logits, now, MASK, needs=EVERYTHING, block=BLOCK)
        assert pred.margin is not None
        exact = logits.double().index_fill(-1, torch.tensor([MASK], device=DEVICE), -torch.inf).softmax(-1)
        top = exact.topk(2).values
        assert torch.allclose(1 - pred.margin, 1 - (top[..., 0] - top[..., 1]), rtol=1e-3, atol=1e-15)


@pytest.mark.parametrize("value", [torch.inf, -torch.inf, torch.nan, 1e4, -1e4, 3e38, -3e38, 2e30])
def test_extreme_logits(value: float) -> None:
    logits, current = random(5, 1, 8, VOCAB)
    share = torch.tensor([1.0, 0.5, 0.02, 0.98, 1.0, 0.5, 0.02, 0.98])[:, None]
    some = torch.rand(logits.shape, generator=torch.Generator().manual_seed(6)) < share
    logits[:, :3] += 1e4
    logits = logits.masked_fill(some.to(DEVICE), value)
    check(logits, current)
    if not 6e4 < abs(value) < torch.inf:
        check(logits[:, 3:6].half(), current[:, 3:6])


def test_infinities_of_both_signs() -> None:
    logits, current = random(7, 1, 3, VOCAB, spread=1.0)
    kinds = torch.tensor([-torch.inf, torch.nan, 0.0, torch.inf, 1e4], device=DEVICE)
    check(kinds[logits.round().long().clamp(-2, 2) + 2], current)
    check(kinds[logits.round().long().clamp(-2, 0) + 2], current)
    check(kinds[logits.round().long().clamp(-2, -1) + 2], current)


def test_excluded_ids() -> None:
    logits, current = random(8, 2, 2, VOCAB)
    rows = torch.tensor([True, False], device=DEVICE)
    best = logits.argmax(-1)
    for ids in ([0], [VOCAB - 1, BLOCK, 5], best.flatten().tolist(), [MASK], []):
        excluded = (rows, torch.tensor(ids, dtype=torch.long, device=DEVICE))
        check(logits[:, 1:], current[:, 1:], excluded=excluded)
        check(logits[:, :1], best[:, :1], excluded=excluded)


def test_ids_excluded_each_in_rows_of_its_own() -> None:
    """Some in every row, some in a few: ids without a token beside those that a policy excludes."""
    logits, current = random(15, 2, 2, VOCAB)
    every = logits.argmax(-1).flatten()[:3]
    some = (torch.tensor([True, False], device=DEVICE), torch.tensor([0, VOCAB - 1], device=DEVICE))
    rows = torch.cat([torch.ones(2, 3, dtype=torch.bool, device=DEVICE), some[0][:, None].expand(-1, 2)], 1)
    excluded = (rows, torch.cat([every, some[1]]))
    want = plain(logits, current, MASK, needs=EVERYTHING, excluded=some, never=every)
    assert_equal(reduce(logits, current, MASK, needs=EVERYTHING, block=BLOCK, excluded=excluded), want)
    drawn: dict[str, Any] = {"key": torch.tensor([4, 5], device=DEVICE), "temperature": 1.0, "top_k": 9}
    want = plain(logits, current, MASK, excluded=some, never=every, **drawn)
    assert_equal(reduce(logits, current, MASK, counter=SAMPLE, block=BLOCK, excluded=excluded, **drawn), want)


def test_rows_in_which_everything_is_banned() -> None:
    logits, current = random(9, 2, 2, 8)
    rows = torch.tensor([True, False], device=DEVICE)
    everything = (rows, torch.arange(8, device=DEVICE))
    check(logits, current, excluded=everything)
    but_one = (rows, torch.tensor([0, 1, 2, 3, 5, 6], device=DEVICE))
    check(logits, current, excluded=but_one)
    for options in ({}, {"top_k": 2}):
        both = sampled(logits, current, 1.0, excluded=everything, **options)
        assert_equal(*both)


def test_strided_logits() -> None:
    wide, current = random(10, 3, 5, VOCAB, dtype=torch.bfloat16)
    wide = torch.nn.functional.pad(wide, (16, 20), value=100.0)
    check(wide[:, 2:4, 16:-20], current[:, 2:4])
    check(wide[::2, ::2, 16:-20], current[::2, ::2])
    check(wide[:, :2, 16:-20].transpose(0, 1), current[:, :2].transpose(0, 1))
    check(wide[:1, :2, 16:-20].expand(2, -1, -1), current[:1, :2].expand(2, -1))


def sampled(logits: Tensor, current: Tensor, temperature: float, **options: Any) -> tuple[Prediction, Prediction]:
    """From the kernel and from plain torch."""
    options |= {"key": torch.arange(logits.shape[0], device=DEVICE) * 977 - 5, "temperature": temperature}
    want = plain(logits, current, MASK, needs=EVERYTHING, **options)
    splits = 1 if logits.shape[1] % 2 else 2
    return reduce(logits, current, MASK, counter=SAMPLE, block=BLOCK, splits=splits, needs=EVERYTHING, **options), want


@pytest.mark.parametrize("temperature", [1e-45, 1e-9, 0.3, 1.0, 3.0, 1e30])
def test_samples(temperature: float) -> None:
    # With these seeds no two best scores are within rounding: every token is the same.
    for seed, width in ((11, 4), (12, 3)):
        logits, current = random(seed, 1, width, VOCAB)
        logits[:, ::2] /= 8
        assert_equal(*sampled(logits, current, temperature))
    some = logits.masked_fill(logits > 3, torch.nan).masked_fill(logits < -3, -torch.inf)
    assert_equal(*sampled(some[:, 1:2], current[:, 1:2], temperature))


@pytest.mark.parametrize("top_k", [1, 20, 1000])
def test_samples_of_the_largest(top_k: int) -> None:
    excluded = (torch.tensor([True, False], device=DEVICE), torch.tensor([3, VOCAB - 1], device=DEVICE))
    for width, kind in ((2, torch.float32), (1, torch.bfloat16)):
        logits, current = random(13, 2, width, VOCAB, spread=2.0, dtype=kind)
        assert_equal(*sampled(logits, current, 0.5, top_k=top_k))
        assert_equal(*sampled(logits, logits.argmax(-1), 2.0, top_k=top_k, excluded=excluded))
        some = logits.masked_fill(logits > 3, torch.nan).masked_fill(logits < -3, torch.inf)
        assert_equal(*sampled(some[:, :1], current[:, :1], 1.0, top_k=top_k))


def test_a_sample_of_the_current_token_or_the_best_has_its_own_odds() -> None:
    logits, _ = random(14, 1, 6, 20, spread=1.0)
    best = logits.index_fill(-1, torch.tensor([MASK], device=DEVICE), -torch.inf).argmax(-1)
    got, want = sampled(logits, best, 1.0)
    assert (got.token == best).any()
    assert (got.token != best).any()
    assert_equal(got, want)
    got, want = sampled(logits, got.token, 1.0)  # the same draw, now with the sample standing there
    assert torch.equal(got.token, want.token)
    assert torch.allclose(got.odds, got.current_odds, rtol=1e-5)
    assert_equal(got, want)
