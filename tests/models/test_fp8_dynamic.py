"""Weights and activations in eight bits: the product against one position at a time, and what is decoded with it."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

import dlmsample as ds
from dlmsample.kernels import scaled
from dlmsample.kernels.narrow import narrow
from dlmsample.kernels.scaled import scaled_product
from dlmsample.models.fusion.fp8 import Fp8Linear, narrow_layers
from dlmsample.models.fusion.fuse import fuse
from dlmsample.policies.base import Policy
from tests.models.test_fp8 import ONE_OF_EACH, QUESTION
from tests.models.test_fuse import Seen
from tests.models.test_load import fails
from tests.test_protocol import PROMPTS
from tests.toys import random_model


def given(dtype: torch.dtype, width: int = 48, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Positions of very different size, one of zeros, and a weight with its scale."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(2, 3, width, generator=draw) * torch.logspace(-3, 3, 6).view(2, 3, 1)
    x[1, 1] = 0
    return x.to(dtype), *narrow(torch.randn(32, width, generator=draw))


def rounded(vector: torch.Tensor) -> torch.Tensor:
    """A single position as its eight-bit numbers stand for it, in float64."""
    small, scale = narrow(vector[None])
    return (small.double() * scale.double())[0]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("bias", [False, True])
def test_it_is_the_product_of_the_rounded_numbers(dtype: torch.dtype, bias: bool) -> None:
    x, weight, scale = given(dtype)
    added = torch.randn(32, generator=torch.Generator().manual_seed(1)).to(dtype) if bias else None
    out = scaled_product(x, weight, scale, added)
    assert (out.shape, out.dtype) == ((2, 3, 32), dtype)
    wide = weight.double() * scale.double()[:, None]
    for row in range(2):
        for pos in range(3):
            product = wide @ rounded(x[row, pos])
            want = product if added is None else product + added.double()
            off = max(2e-5, torch.finfo(dtype).eps)  # of the product, which is rounded before the bias is added
            near = {"rtol": 2 * off, "atol": off * float(product.abs().max()) + 1e-6}
            torch.testing.assert_close(out[row, pos].double(), want, **near)
    assert scaled_product(x[:0], weight, scale).shape == (0, 3, 32)


def test_a_position_depends_on_itself_alone() -> None:
    x, weight, scale = given(torch.float32)
    together = scaled_product(x, weight, scale)
    x[0] = 1e6
    assert torch.equal(scaled_product(x, weight, scale)[1], together[1])


@pytest.mark.parametrize("width", [48, 256])
def test_torchs_scaled_product_gives_the_same(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight, scale = given(torch.bfloat16, width)
    plain = scaled_product(x, weight, scale)
    calls = []
    inner = torch._scaled_mm

    def counted(*args: Any, **options: Any) -> torch.Tensor:
        calls.append(args[0].shape)
        return inner(*args, **options)

    monkeypatch.setattr(scaled, "reads_narrow", lambda device: True)
    monkeypatch.setattr(torch, "_scaled_mm", counted)
    torch.testing.assert_close(scaled_product(x, weight, scale), plain, rtol=2**-7, atol=1e-4)
    assert calls == [(6, width)]
    scaled_product(x.float(), weight, scale)  # bfloat16 alone
    scaled_product(x[..., : width - 8], *narrow(torch.randn(32, width - 8)))  # a size that it does not take
    assert len(calls) == 1


def test_a_layer_says_what_it_is_and_can_be_moved() -> None:
    layer = Fp8Linear(nn.Linear(16, 8), dynamic=True)
    assert "dynamic=True" in repr(layer)
    x = torch.randn(4, 16)
    want = layer(x)
    assert torch.equal(copy.deepcopy(layer)(x), want)
    assert torch.equal(layer.double().float()(x), want)
    assert not torch.equal(Fp8Linear(nn.Linear(16, 8))(x), want)


@pytest.mark.parametrize("kind", ["block_causal", "bidirectional"])
@pytest.mark.parametrize("policy", ONE_OF_EACH, ids=lambda policy: policy.name)
def test_every_policy_decodes_a_batch_as_its_rows(made: list[Any], kind: str, policy: Policy) -> None:
    base = random_model(kind, seed=1)
    model = replace(base, module=narrow_layers(copy.deepcopy(base.module), dynamic=True))
    plain = ds.Sampler(model, policy, graphs=False).generate(PROMPTS, max_new_tokens=14)
    captured = ds.Sampler(model, policy, graphs=True, batch_size=3)
    for _ in range(2):
        assert captured.generate(PROMPTS, max_new_tokens=14).tokens == plain.tokens
    assert made
    alone = [ds.Sampler(model, policy, graphs=False).generate([p], max_new_tokens=14).tokens[0] for p in PROMPTS]
    assert alone == plain.tokens


def test_nano_answers_and_an_adapter_is_merged_first() -> None:
    model = ds.load("nano", adapter="scope", quantization="fp8_dynamic")
    inside = [part for part in model.module.modules() if isinstance(part, Fp8Linear)]
    assert inside
    assert all(part.dynamic for part in inside)
    assert type(model.module.lm_head) is nn.Linear
    text = ds.Sampler(ds.load("nano", quantization="fp8_dynamic"), ds.T2M()).generate(QUESTION, 48).texts[0]
    assert text.endswith("#### 7")


def test_compiled_layers_round_in_torchs_own_operations() -> None:
    """The compiler sees the rounding, and can do it once for all layers that read a value."""
    model = ds.load("nano", quantization="fp8_dynamic")
    want = ds.Sampler(model, ds.Unmask(tokens_per_step=8)).generate([QUESTION], 64).tokens
    seen = Seen()
    fused = replace(model, module=fuse(copy.deepcopy(model.module), backend=seen))
    try:
        assert ds.Sampler(fused, ds.Unmask(tokens_per_step=8)).generate([QUESTION], 64).tokens == want
    finally:
        torch._dynamo.reset()
    assert max(seen.calls("linear")) == 7  # the products themselves, none hidden in an operation of ours
    assert not any(seen.calls("narrow_linear") + seen.calls("wide_linear") + seen.calls("few_linear"))


def test_mistakes() -> None:
    fails("unknown quantization 'fp8_dyn'", "did you mean 'fp8_dynamic'", name="nano", quantization="fp8_dyn")
    fails(
        "weights on disk",
        "'fp8_dynamic'",
        name="nano",
        quantization="fp8_dynamic",
        device_map={"model": "disk", "lm_head": "cpu"},
    )
