"""predict: against a float64 softmax, ties, exclusions, sampling."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from dlmsample import rng
from dlmsample.predict import plain, predict
from dlmsample.types import Prediction


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_numbers_equal_a_float64_softmax(dtype: torch.dtype) -> None:
    g = torch.Generator().manual_seed(0)
    logits = (torch.randn(3, 5, 40, generator=g) * 6).to(dtype)
    current = torch.randint(0, 40, (3, 5), generator=g)
    pred = predict(logits, current, mask_id=7, needs={"entropy", "margin"})
    exact = logits.double()
    exact[..., 7] = -torch.inf
    p = exact.softmax(-1)
    assert torch.equal(pred.token, p.argmax(-1))
    assert torch.allclose(pred.prob.double(), p.amax(-1), atol=1e-6)
    assert torch.allclose(pred.current_prob.double(), p.gather(-1, current[..., None])[..., 0], atol=1e-6)
    top = p.topk(2).values
    assert pred.margin is not None
    assert pred.entropy is not None
    assert torch.allclose(pred.margin.double(), top[..., 0] - top[..., 1], atol=1e-6)
    assert torch.allclose(pred.entropy.double(), torch.special.entr(p).sum(-1), atol=1e-5)
    assert torch.equal(pred.current_prob[current == 7], torch.zeros(int((current == 7).sum())))


def test_odds_order_where_probabilities_tie() -> None:
    logits = torch.zeros(1, 2, 4)
    logits[0, 0, 1], logits[0, 1, 1] = 20.0, 21.0
    pred = predict(logits, torch.zeros(1, 2, dtype=torch.long), mask_id=3)
    assert pred.prob[0, 0] == pred.prob[0, 1] == 1
    assert pred.odds[0, 1] < pred.odds[0, 0]


def test_ties_go_to_the_lower_id_and_the_mask_never_wins() -> None:
    logits = torch.tensor([[[1.0, 5.0, 9.0, 5.0]]])
    assert predict(logits, torch.tensor([[0]]), mask_id=2).token.item() == 1
    for value in (torch.nan, torch.inf, -torch.inf):
        assert predict(torch.full((1, 1, 4), value), torch.tensor([[0]]), mask_id=0).token.item() == 1


def test_excluded_ids_are_excluded_by_row() -> None:
    logits = torch.tensor([[[1.0, 9.0, 0.0, 0.0]]]).repeat(2, 1, 1)
    current = torch.tensor([[1], [1]])
    pred = predict(logits, current, mask_id=3, excluded=(torch.tensor([True, False]), torch.tensor([1, 2])))
    assert pred.token.flatten().tolist() == [0, 1]
    assert pred.current_prob[0, 0] == 0
    assert pred.current_prob[1, 0] > 0.99


def test_sampling_follows_the_tempered_filtered_softmax() -> None:
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0, 9.0]).log_softmax(-1).expand(1, 20000, 5)
    current = torch.zeros(1, 20000, dtype=torch.long)
    key = torch.tensor([11])
    for temperature, top_p, top_k, kept in (
        (1.0, 1.0, None, 4),
        (0.5, 1.0, None, 4),
        (2.0, 0.8, None, 3),
        (1.0, 1.0, 2, 2),
    ):
        pred = predict(logits, current, 4, key=key, temperature=temperature, top_p=top_p, top_k=top_k)
        want = (logits[0, 0, :4] / temperature).softmax(-1)
        want[kept:] = 0
        want = want / want.sum()
        share = torch.bincount(pred.token.flatten(), minlength=4)[:4] / 20000
        sigma = (want * (1 - want) / 20000).sqrt()
        assert ((share - want).abs() <= 4 * sigma + 1e-9).all()
        # confidence is always the untempered one
        p = logits[0, 0, :4].softmax(-1)
        assert torch.allclose(pred.prob, p[pred.token], atol=1e-6)


def test_a_draw_depends_on_its_own_counters_only() -> None:
    key = torch.tensor([1, 2, 3])
    wide = rng.uniform(rng.fold(key[:, None], 0, torch.arange(10)))
    assert torch.equal(wide[1:2, :4], rng.uniform(rng.fold(key[1:2, None], 0, torch.arange(4))))
    assert ((wide > 0) & (wide < 1)).all()
    assert rng.fold(torch.tensor(5), 1).item() != rng.fold(torch.tensor(5), 2).item()


def test_uniform_is_uniform() -> None:
    u = rng.uniform(rng.fold(torch.tensor([9]), torch.arange(100_000)))
    counts = torch.histc(u, 20, 0, 1)
    assert ((counts - 5000).abs() < 4 * (5000 * 0.95) ** 0.5).all()
    pairs = torch.stack([u[:-1], u[1:]])
    assert torch.corrcoef(pairs)[0, 1].abs() < 4 / 100_000**0.5


@pytest.mark.parametrize("temperature", [1e-45, 1e-9, 1e30])
@pytest.mark.parametrize("value", [0.0, -1e4, torch.nan])
def test_no_temperature_samples_the_mask(temperature: float, value: float) -> None:
    logits = torch.full((1, 50, 4), value)
    pred = predict(logits, torch.ones(1, 50, dtype=torch.long), 0, key=torch.tensor([1]), temperature=temperature)
    assert (pred.token != 0).all()


def test_an_error_logit_becomes_a_probability() -> None:
    logits, current = torch.zeros(1, 2, 4), torch.zeros(1, 2, dtype=torch.long)
    error = torch.tensor([[0.0, 2.0]])
    found = predict(logits, current, 3, needs={"error"}, error=error).error
    assert found is not None
    torch.testing.assert_close(found, torch.tensor([[0.5, 0.8808]]), rtol=0, atol=1e-4)
    assert predict(logits, current, 3, error=error).error is None


def test_an_infinite_logit_wins() -> None:
    found = predict(torch.tensor([[[0.0, torch.inf, 5.0, 9.0]]]), torch.tensor([[0]]), 3)
    assert (found.token.item(), found.prob.item(), found.current_prob.item()) == (1, 1.0, 0.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_what_some_policies_ask_for(dtype: torch.dtype, temperature: float) -> None:
    """The gap, the KL divergence, log-probabilities of given ids and a table's entries, against a float64 softmax."""
    g = torch.Generator().manual_seed(2)
    logits, before = ((torch.randn(3, 5, 40, generator=g) * 6).to(dtype) for _ in range(2))
    current = torch.randint(0, 40, (3, 5), generator=g)
    asked = torch.randint(0, 40, (3, 5, 4), generator=g)
    rows, ids = torch.tensor([True, False, True]), torch.tensor([4, 9])
    given = {"key": torch.arange(3), "temperature": temperature, "excluded": (rows, ids)}
    more = {"asked": asked, "previous": before, "table": torch.arange(30.0)}
    pred = predict(logits, current, mask_id=7, needs={"gap", "kl"}, **given, **more)  # type: ignore[arg-type]
    now, then = logits.double(), before.double()
    for exact in (now, then):
        exact[..., 7] = -torch.inf
        exact[rows.nonzero(), :, ids] = -torch.inf
    log_p, log_q = now.log_softmax(-1), then.log_softmax(-1)
    top = now.topk(2).values
    kl = torch.where(log_p > -torch.inf, log_p.exp() * (log_p - log_q), 0).sum(-1)
    assert pred.gap is not None
    assert torch.allclose(pred.gap.double(), top[..., 0] - top[..., 1], atol=1e-5)
    assert pred.kl is not None
    assert torch.allclose(pred.kl.double(), kl, rtol=1e-4, atol=1e-5)
    assert pred.asked is not None
    assert torch.allclose(pred.asked.double(), log_p.gather(-1, asked), atol=1e-4)
    assert torch.equal(pred.listed, pred.token.clamp(max=29).float())  # type: ignore[arg-type]
    plainly = predict(logits, current, mask_id=7, **given)  # type: ignore[arg-type]
    assert (plainly.gap, plainly.kl, plainly.asked, plainly.listed) == (None,) * 4
    assert torch.equal(plainly.token, pred.token)


def test_ids_that_are_never_candidates() -> None:
    """As if their logits were -inf, in every row; beside them ids that only some rows exclude."""
    generator = torch.Generator().manual_seed(5)
    logits = torch.randn(3, 4, 40, generator=generator) * 3
    current, never = torch.full((3, 4), 7), torch.tensor([3, 9, 39, 11])
    rows, ids = torch.tensor([True, False, True]), torch.tensor([1, 2])
    low = logits.clone()
    low[..., never] = -torch.inf
    for excluded in (None, (rows, ids)):
        for temperature in (0.0, 1.3):
            options: dict[str, Any] = {"key": torch.arange(3), "temperature": temperature, "excluded": excluded}
            found = predict(logits, current, 5, never=never, needs=("entropy", "margin"), **options)
            wanted = predict(low, current, 5, needs=("entropy", "margin"), **options)
            assert torch.equal(found.token, wanted.token)
            assert torch.allclose(found.prob, wanted.prob)
            assert not torch.isin(found.token, never).any()


@pytest.mark.parametrize("excluded", [False, True])
def test_the_kernel_takes_ids_without_a_token_and_excluded_ones(
    excluded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``fill`` excludes special tokens of a checkpoint whose vocabulary has holes: one read of the logits."""
    taken: list[Any] = []

    def reduce(logits: Tensor, current: Tensor, mask_id: int, **options: Any) -> Prediction:
        taken.append(options["excluded"])
        return plain(logits, current, mask_id)

    monkeypatch.setitem(sys.modules, "dlmsample.kernels.vocabulary", SimpleNamespace(reduce=reduce))
    monkeypatch.setattr("dlmsample.predict._has_kernel", lambda logits: True)
    rows = (torch.tensor([True, False]), torch.tensor([1, 2])) if excluded else None
    given = torch.zeros(2, 3, 40), torch.zeros(2, 3, dtype=torch.long)
    predict(*given, 5, never=torch.tensor([3, 9]), excluded=rows)
    banned, ids = taken[0]
    found = [{int(i) for i in ids[row]} for row in banned]
    assert found == ([{1, 2, 3, 9}, {3, 9}] if excluded else [{3, 9}] * 2)
    predict(*given, 5, never=torch.arange(20), excluded=rows)
    assert len(taken) == 1, "too many to compare each id with"
