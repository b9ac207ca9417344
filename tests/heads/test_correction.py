"""The correction head by itself: what it attends to, its dtypes, its folder, and how it decodes with a model."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch._subclasses import FakeTensorMode

import dlmsample as ds
from dlmsample.heads import CorrectionHead, HeadConfig, load_head, save_head
from tests.toys import random_model

SHAPE: dict[str, Any] = {"hidden_size": 32, "width": 16, "heads": 2, "mlp": 24}


def make(seed: int = 0, **shape: Any) -> CorrectionHead:
    """A head of random weights whose logits spread on both sides of 0."""
    head = CorrectionHead(HeadConfig(**{**SHAPE, **shape})).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in head.named_parameters():
            if "norm" not in name:
                p.copy_(torch.randn(p.shape, generator=generator) * (2.0 if p is head.out.weight else 0.4))
    return head


def inputs(rows: int = 3, length: int = 12, seed: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    hidden = torch.randn(rows, length, 32, generator=torch.Generator().manual_seed(seed)) * 5
    positions = torch.arange(length).expand(rows, -1)
    return hidden, positions, torch.ones(rows, length, dtype=torch.bool)


def run(head: CorrectionHead, *args: Any) -> Tensor:
    with torch.no_grad():
        return head(*args)


# ---- what it computes


@pytest.mark.parametrize("width", [16, 32])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_any_dtype_gives_float32(width: int, dtype: torch.dtype) -> None:
    hidden, positions, valid = inputs()
    expected = run(make(width=width), hidden, positions, valid)
    for head_dtype in (torch.float32, dtype):
        got = run(make(width=width).to(head_dtype), hidden.to(dtype), positions, valid)
        assert (got.dtype, got.shape) == (torch.float32, (3, 12))
        assert (got - expected).abs().mean() < (0.5 if dtype == torch.bfloat16 else 1e-4)


def test_the_offset_is_added() -> None:
    args = inputs()
    head, shifted = make(), make(offset=-1.25)
    assert torch.allclose(run(shifted, *args), run(head, *args) - 1.25)
    before = head.config
    head.add_offset(-1.0)
    head.add_offset(-0.25)
    assert torch.equal(run(head, *args), run(shifted, *args))
    assert before.offset == 0.0


def test_without_blocks_it_attends_to_every_valid_position() -> None:
    hidden, positions, valid = inputs(1)
    valid = valid.clone()
    valid[0, 9:] = False
    before = run(make(), hidden, positions, valid)
    changed = hidden.clone()
    changed[0, 9:] += 3
    assert torch.equal(run(make(), changed, positions, valid)[:, :9], before[:, :9])
    for place in (0, 8):
        changed = hidden.clone()
        changed[0, place] += 3
        assert (run(make(), changed, positions, valid)[0, :9] != before[0, :9]).all()


def test_within_blocks_nothing_else_is_seen() -> None:
    """In the whole-sequence form another block's hidden states change nothing, and each block is as if alone."""
    hidden, positions, valid = inputs(2)
    blocks = torch.tensor([[0] * 4 + [1] * 4 + [2] * 4, [-1] * 5 + [0] * 4 + [1] * 3])
    before = run(make(), hidden, positions, valid, blocks)
    changed = torch.where((blocks == 1)[..., None], hidden + 3, hidden)
    after = run(make(), changed, positions, valid, blocks)
    assert torch.equal(after[blocks != 1], before[blocks != 1])
    assert (after[blocks == 1] != before[blocks == 1]).all()
    alone = run(make(), hidden[:1, 4:8], positions[:1, 4:8], valid[:1, 4:8])
    assert torch.allclose(before[:1, 4:8], alone, atol=1e-5)


def test_a_row_without_a_valid_position_is_finite() -> None:
    hidden, positions, valid = inputs()
    valid = valid.clone()
    valid[1] = False
    for blocks in (None, positions // 4):
        out = make()(hidden, positions, valid, blocks)
        assert out.isfinite().all()
        head = make()
        head(hidden, positions, valid, blocks)[valid].sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())


def test_rows_and_paddings_do_not_matter() -> None:
    hidden, positions, valid = inputs(6)
    together = run(make(), hidden, positions, valid)
    for row in range(6):
        one = slice(row, row + 1)
        assert torch.allclose(run(make(), hidden[one], positions[one], valid[one]), together[one], atol=1e-5)
    longer = torch.cat([hidden, torch.full((6, 5, 32), 9.0)], 1)
    places = torch.arange(17).expand(6, -1)
    assert torch.allclose(run(make(), longer, places, places < 12)[:, :12], together, atol=1e-5)


def test_positions_count_and_only_their_distance() -> None:
    hidden, positions, valid = inputs(1)
    before = run(make(), hidden, positions, valid)
    assert torch.allclose(run(make(), hidden, positions + 100, valid), before, atol=1e-3)
    assert not torch.allclose(run(make(), hidden, positions * 3, valid), before, atol=1e-2)


def test_no_data_dependent_branch() -> None:
    with FakeTensorMode():
        head = CorrectionHead(HeadConfig(**SHAPE))
        hidden, positions = torch.empty(2, 8, 32), torch.empty(2, 8, dtype=torch.long)
        valid = torch.empty(2, 8, dtype=torch.bool)
        for blocks in (None, positions):
            out = head(hidden, positions, valid, blocks)
            assert (out.shape, out.dtype) == ((2, 8), torch.float32)


def test_its_default_layer_is_the_penultimate_layer_s_output(nano: ds.Denoiser) -> None:
    """``hidden_states`` holds the embeddings, then each layer's output, the last one normed."""
    seen: list[Tensor] = []
    hook = nano.body.get_submodule("layers")[-2].register_forward_hook(lambda *a: seen.append(a[-1]))  # type: ignore[index]
    try:
        ids, mask = torch.arange(40, 48)[None], torch.ones(1, 1, 8, 8, dtype=torch.bool)
        with torch.no_grad():
            out = nano.body(input_ids=ids, attention_mask=mask, output_hidden_states=True)
    finally:
        hook.remove()
    assert len(out.hidden_states) == nano.module.config.num_hidden_layers + 1
    assert torch.equal(out.hidden_states[HeadConfig(**SHAPE).layer], seen[0])


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"width": 15}, "multiple"),
        ({"heads": 16}, "multiple"),
        ({"mlp": 0}, "mlp"),
        ({"widht": 4}, "widht"),
        ({"offset": float("nan")}, "offset"),
        ({"layers": 1.5}, "layers"),
    ],
)
def test_impossible_shapes(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        HeadConfig(**{**SHAPE, **wrong})


# ---- its folder


def test_saved_and_loaded_it_is_the_same(tmp_path: Path) -> None:
    head, args = make(offset=-0.5, layer=-1), inputs()
    save_head(head, tmp_path / "a" / "b", {"summary": "Ünlike"}, dtype=torch.float32)
    assert sorted(p.name for p in (tmp_path / "a" / "b").iterdir()) == [
        "config.json",
        "model.safetensors",
        "training.json",
    ]
    state = torch.random.get_rng_state()
    loaded = load_head(tmp_path / "a" / "b")
    assert torch.equal(torch.random.get_rng_state(), state)
    assert (loaded.config, loaded.layer, loaded.training) == (head.config, -1, False)
    assert torch.equal(run(loaded, *args), run(head, *args))


def test_stored_in_half_precision_and_read_in_any(tmp_path: Path) -> None:
    save_head(make(), tmp_path)
    assert {t.dtype for t in load_file(tmp_path / "model.safetensors").values()} == {torch.float16}
    save_head(load_head(tmp_path), tmp_path / "again")
    first, again = load_head(tmp_path), load_head(tmp_path / "again")
    assert torch.equal(run(first, *inputs()), run(again, *inputs()))
    low = load_head(tmp_path, dtype=torch.bfloat16)
    assert {p.dtype for p in low.parameters()} == {torch.bfloat16}
    assert {b.dtype for b in low.buffers()} == {torch.float32}, "rotary frequencies"


def refuses(folder: Path, *words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words[0])) as caught:
        load_head(folder)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file(tmp_path: Path, name: str) -> None:
    save_head(make(), tmp_path)
    (tmp_path / name).unlink()
    refuses(tmp_path, name, "save_head")


def test_damaged_files(tmp_path: Path) -> None:
    save_head(make(), tmp_path)
    weights = tmp_path / "model.safetensors"
    tensors = load_file(weights)
    save_file({k: v for k, v in tensors.items() if k != "out.bias"}, weights)
    refuses(tmp_path, "out.bias", "missing")
    save_file({**tensors, "more": torch.zeros(1)}, weights)
    refuses(tmp_path, "more", "expected none")
    save_file({**tensors, "out.bias": torch.zeros(2)}, weights)
    refuses(tmp_path, "out.bias", "(2,)", "(1,)")
    weights.write_bytes(weights.read_bytes()[:-20])
    refuses(tmp_path, "model.safetensors")
    config = tmp_path / "config.json"
    config.write_text(json.dumps({**make().config.model_dump(), "width": "16"}))
    refuses(tmp_path, "no correction head", "width")
    for text in ("{", "[]"):
        config.write_text(text)
        refuses(tmp_path, "config.json", "JSON")


def test_weights_too_large_for_half_precision(tmp_path: Path) -> None:
    head = make()
    with torch.no_grad():
        head.out.bias.fill_(1e6)
    with pytest.raises(ValueError, match="float32"):
        save_head(head, tmp_path)
    assert float(load_head(save_head(head, tmp_path, dtype=torch.float32)).out.bias.detach()) == 1e6


# ---- decoding with it

PROMPTS = [[5] * 11, [6, 7], [3, 40], [9] * 8, [12, 13, 14]]
POLICY = ds.DSC(tokens_per_step=2)


def seeded(prompts: list[list[int]] = PROMPTS) -> dict[str, Any]:
    return {"prompts": prompts, "max_new_tokens": 21, "seed": list(range(len(prompts)))}


@pytest.mark.parametrize("alignment", ["absolute", "prompt"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_cached_and_uncached_agree(alignment: str, temperature: float) -> None:
    model = random_model(alignment=alignment).with_head(make())
    one, two = (
        ds.Sampler(model, POLICY, temperature=temperature, cache=cache).generate(**seeded()) for cache in (True, False)
    )
    assert one.tokens == two.tokens
    assert [s.remasks for s in one.stats] == [s.remasks for s in two.stats]
    assert sum(s.remasks for s in one.stats) > 5


@pytest.mark.parametrize("attention", ["block_causal", "bidirectional"])
def test_rows_are_independent(attention: str) -> None:
    model = random_model(attention).with_head(make())
    together = ds.Sampler(model, POLICY).generate(**seeded())
    assert sum(s.remasks for s in together.stats) > 5
    for row, prompt in enumerate(PROMPTS):
        alone = ds.Sampler(model, POLICY).generate([prompt], 21, seed=[row])
        assert (alone.tokens[0], alone.stats[0]) == (together.tokens[row], together.stats[row])


@pytest.mark.parametrize("attention", ["block_causal", "bidirectional"])
def test_it_costs_no_forward_of_the_backbone(attention: str) -> None:
    """With a head that objects to nothing the run is the plain one: same nfe, same calls of the body."""
    model = random_model(attention)
    calls: list[int] = []
    hook = model.body.register_forward_hook(lambda *a: calls.append(1))
    runs = []
    try:
        for subject, policy in ((model.with_head(make(offset=-1e4)), POLICY), (model, ds.Unmask(tokens_per_step=2))):
            calls.clear()
            out = ds.Sampler(subject, policy).generate([[5] * 11], 24)
            runs.append((len(calls), out.stats, out.tokens))
    finally:
        hook.remove()
    assert runs[0] == runs[1]
    assert runs[0][0] == runs[0][1][0].nfe + runs[0][1][0].prefill
