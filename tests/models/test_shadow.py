"""Shadow blocks: each position's distribution without its own token, from every reader that can give it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import dlmsample as ds
from dlmsample.models.attention.base import Features, Layout, RowPosition
from dlmsample.models.attention.choice import open_reader
from dlmsample.predict import predict
from tests import oracle
from tests.models import checkpoints as tiny
from tests.test_fill import with_head
from tests.toys import EOS, MASK, VOCAB, random_model
from tests.zoo.loops import unseen

#: Prompts of 3 and 9 tokens, 8 and 5 new ones in the active block, which a part of is visible.
ROWS = [[7, 9, 30, 11, MASK, 12, MASK, MASK, 40, 41, MASK], [*range(20, 29), 5, MASK, 6, MASK, 33]]
STARTS, WIDTH = [3, 9], 8


def rows_of(model: Any) -> list[list[int]]:
    """The rows with the model's own mask, and ids that every vocabulary has."""
    return [[model.mask_id if i == MASK else 3 + i % 20 for i in row] for row in ROWS]


def read(model: ds.Denoiser, cache: Any, shadow: int, score: bool = False) -> Features:
    """One forward over the active blocks of ragged rows."""
    longest = max(map(len, ROWS)) + WIDTH
    canvas = torch.tensor([row + [0] * (longest - len(row)) for row in rows_of(model)])
    start = torch.tensor(STARTS)
    layout = Layout(start, torch.tensor([len(row) for row in ROWS]), WIDTH, True)
    reader = open_reader(model, 2, longest, cache=cache, score=score, shadow=shadow)
    with torch.no_grad():
        reader.admit(torch.arange(2), canvas, layout, max(STARTS))
        at = [RowPosition(begin, 0, len(row)) for begin, row in zip(STARTS, ROWS, strict=True)]
        return reader.read(canvas, layout, start, at)


def expected(model: Any, row: int) -> Tensor:
    """Logits ``[pos, vocab]`` of the row's block, each position from a forward of its own."""
    _, block_of = oracle.layout(STARTS[row], len(ROWS[row]) - STARTS[row], "prompt", WIDTH)
    mask = oracle.attention_mask(model.attention, block_of)
    return torch.stack([unseen(model, rows_of(model)[row], mask, i) for i in range(STARTS[row], len(ROWS[row]))])


FORMS = [("block_causal", "exact"), ("block_causal", "none"), ("bidirectional", "none")]
every_form = pytest.mark.parametrize(("attention", "cache"), FORMS)


@every_form
def test_each_shadow_is_a_forward_of_its_own(attention: str, cache: str) -> None:
    model = random_model(attention, seed=3)
    features = read(model, cache, WIDTH)
    assert features.shadow is not None
    for row in range(2):
        want = expected(model, row)
        torch.testing.assert_close(features.shadow[row, : len(want)], want, atol=2e-5, rtol=1e-5)


@every_form
def test_shadows_change_nothing_beside_them(attention: str, cache: str) -> None:
    model = random_model(attention, seed=3)
    with_them, without = read(model, cache, WIDTH), read(model, cache, 0)
    assert without.shadow is None
    for row, length in enumerate((8, 5)):
        one, two = (features.logits[row, :length] for features in (with_them, without))
        torch.testing.assert_close(one, two, atol=2e-5, rtol=1e-5)


@every_form
def test_a_head_beside_shadows_says_what_it_says_without(attention: str, cache: str) -> None:
    model = with_head(random_model(attention, seed=3))
    one, two = (read(model, cache, shadow, score=True).error for shadow in (WIDTH, 0))
    assert one is not None
    assert two is not None
    for row, length in enumerate((8, 5)):
        torch.testing.assert_close(one[row, :length], two[row, :length], atol=5e-4, rtol=1e-3)


@every_form
def test_in_one_layer_a_shadow_is_its_position_masked(attention: str, cache: str) -> None:
    """There no other token has seen the hidden one yet; in deeper models shadows are an approximation of this."""
    model = random_model(attention, seed=5)
    body = model.module.model
    body.layers = body.layers[:1]
    model.module.config.num_hidden_layers = 1
    features = read(model, cache, WIDTH)
    assert features.shadow is not None
    for row, start in enumerate(STARTS):
        _, block_of = oracle.layout(start, len(ROWS[row]) - start, "prompt", WIDTH)
        mask = oracle.attention_mask(attention, block_of)
        for i in range(start, len(ROWS[row])):
            tokens = rows_of(model)[row]
            masked = [*tokens[:i], MASK, *tokens[i + 1 :]]
            want = oracle.forward(model, masked, mask)[i]
            torch.testing.assert_close(features.shadow[row, i - start], want, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["dream", "bert", "modernbert", "esm-rotary", "roberta"])
def test_a_copy_for_every_position_where_there_are_no_shadows(name: str, tmp_path: Path) -> None:
    """Models without boolean masks, and shifted logits: exactly the position masked."""
    model = tiny.opened(name, tmp_path / "c")
    features = read(replace(model, facts=replace(model.facts, block_length=WIDTH)), "none", WIDTH)
    assert features.shadow is not None
    plain = tiny.plain(model)
    for row in range(2):
        want = expected(plain, row)
        torch.testing.assert_close(features.shadow[row, : len(want)], want, atol=1e-4, rtol=1e-4)


def test_what_cannot_hide_single_tokens_is_refused() -> None:
    wino = ds.policy("wino")
    with pytest.raises(ValueError, match="wino hides tokens one by one, which cache='prefix' does not"):
        ds.Sampler(random_model("bidirectional"), wino, cache="prefix")
    model = random_model()
    shifted = replace(model, facts=replace(model.facts, logit_shift=True))
    with pytest.raises(ValueError, match=r"wino .* logits are shifted, as those of random: set cache=False"):
        ds.Sampler(shifted, wino)
    assert ds.Sampler(shifted, wino, cache=False).generate([[5]], 8).stats[0].steps <= 8


def test_predict_gives_the_standing_tokens_probability_unseen() -> None:
    g = torch.Generator().manual_seed(0)
    logits, shadow = torch.randn(2, 2, 5, VOCAB, generator=g).unbind()
    current = torch.randint(3, VOCAB, (2, 5), generator=g)
    ids = torch.tensor([EOS, 9])
    excluded = torch.tensor([True, False]), ids
    pred = predict(logits, current, MASK, needs={"loo_prob"}, shadow=shadow, excluded=excluded)
    assert pred.loo_prob is not None
    for row in range(2):
        allowed = shadow[row].clone()
        allowed[:, [MASK, *(ids.tolist() if row == 0 else [])]] = -torch.inf
        want = torch.softmax(allowed, -1).gather(1, current[row][:, None])[:, 0]
        torch.testing.assert_close(pred.loo_prob[row], want)
    assert predict(logits, current, MASK, shadow=shadow).loo_prob is None


def test_predict_divides_logits() -> None:
    g = torch.Generator().manual_seed(1)
    logits, current = torch.randn(2, 3, VOCAB, generator=g) * 4, torch.randint(3, VOCAB, (2, 3), generator=g)
    ids = torch.tensor([EOS, 9])
    by = torch.tensor([1.5, 1.0])
    ours = predict(logits, current, MASK, divided=(by, ids))
    changed = logits.clone()
    changed[0, :, ids] /= 1.5
    for a, b in zip(ours, predict(changed, current, MASK), strict=True):
        assert a is b is None or torch.equal(a, b)
