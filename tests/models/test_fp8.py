"""Weights in eight bits: how far they are off, what is decoded with them, and what loading refuses."""

from __future__ import annotations

import copy
import io
import json
import math
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import dlmsample as ds
from dlmsample.kernels.narrow import NARROW, narrow, widen
from dlmsample.models.fusion import fp8
from dlmsample.models.fusion.fp8 import Fp8Linear, narrow_layers, narrow_linear
from dlmsample.models.fusion.fuse import fuse
from dlmsample.policies.base import Policy
from tests.conftest import ZOO
from tests.models import checkpoints as tiny
from tests.models.test_fuse import Seen, few
from tests.models.test_load import fails
from tests.models.test_placement import IDS, decoded, parts
from tests.test_protocol import CASES, PROMPTS
from tests.toys import MASK, random_model

ONE_OF_EACH = list({type(p): p for p in CASES if p.name not in ZOO}.values())
QUESTION = "Ann had 3 pens and got 4. How many pens does Ann have?"
SUBNORMAL = 1e-40  # of float32


def rows(generator: torch.Generator) -> torch.Tensor:
    """Channels of every size, and those that are hard to scale."""
    usual = torch.randn(64, 96, generator=generator) * torch.logspace(-30, 30, 64)[:, None]
    spread = torch.randn(32, 96, generator=generator) * 10 ** (-8 * torch.rand(32, 96, generator=generator))
    odd = torch.zeros(9, 96)
    odd[1, 5] = 3e38  # one huge value among zeros
    odd[2] = torch.linspace(-1, 1, 96)
    odd[2, 7] = -3e38  # ... and among others, which are lost beside it
    odd[3], odd[4] = SUBNORMAL, -SUBNORMAL
    odd[5, 0], odd[6, 95] = SUBNORMAL, -1e-45
    odd[7] = 2.0 ** -torch.arange(96)
    odd[8] = -7.0
    return torch.cat([usual, spread, odd])


# ---- the numbers


@pytest.mark.parametrize("seed", range(5))
def test_every_weight_is_about_what_it_was(seed: int) -> None:
    full = rows(torch.Generator().manual_seed(seed))
    weight, scale = narrow(full)
    assert (weight.dtype, scale.dtype, weight.shape, scale.shape) == (NARROW, torch.float32, full.shape, full.shape[:1])
    assert scale.isfinite().all()
    exact = full.double()
    off = (weight.double() * scale.double()[:, None] - exact).abs()
    # the half of a last place: a 17th just above a power of two; 2⁻¹⁰ scales below the smallest normal number
    bound = torch.maximum(exact.abs() / 17, scale.double()[:, None] / 1024) + exact.abs() * 2**-22
    assert (off <= bound).all()
    assert (off <= torch.maximum(exact.abs() / 16, exact.abs().amax(1, True) / 448 / 1024 + 1.2e-41)).all()
    kept = weight.double() != 0
    assert torch.equal(weight.double().sign()[kept], exact.sign()[kept])
    assert weight[full == 0].float().eq(0).all()


def test_the_bound_is_reached() -> None:
    full = torch.tensor([[448.0, 17.0, 1.0625, 2**-10, 1.5 * 2**-9]])
    weight, scale = narrow(full)
    assert scale.item() == 1
    off = (weight.float() - full).abs()[0]
    assert off.tolist() == [0, 1, 0.0625, 2**-10, 2**-10]


def test_a_channel_s_largest_weight_is_kept() -> None:
    full = rows(torch.Generator().manual_seed(0))
    full = full[full.abs().amax(1) > 1e-30]
    back = widen(*narrow(full), torch.float32)
    largest = full.abs().amax(1)
    torch.testing.assert_close(back.abs().amax(1), largest, rtol=2**-22, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_weight_is_rounded_once_when_it_is_widened(dtype: torch.dtype) -> None:
    weight, scale = narrow(torch.randn(32, 64, generator=torch.Generator().manual_seed(0)))
    wide = widen(weight, scale, dtype)
    assert wide.dtype == dtype
    exact = weight.double() * scale.double()[:, None]
    want = exact if dtype == torch.float64 else exact.float().to(dtype)
    assert torch.equal(wide, want)


def test_what_is_exact_in_e4m3_comes_back() -> None:
    codes = torch.arange(256, dtype=torch.uint8)
    numbers = codes[codes & 127 != 127].view(NARROW).float()[None]
    weight, scale = narrow(numbers * 0.125)
    assert torch.equal(widen(weight, scale, torch.float32), numbers * 0.125)


# ---- the layer


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_layer_is_the_linear_layer_of_its_widened_weight(bias: bool, dtype: torch.dtype) -> None:
    linear = nn.Linear(48, 32, bias=bias, dtype=dtype)
    layer = Fp8Linear(linear)
    x = torch.randn(2, 3, 48, generator=torch.Generator().manual_seed(0)).to(dtype)
    want = F.linear(x, widen(*narrow(linear.weight), dtype), linear.bias)
    with torch.no_grad():
        assert torch.equal(layer(x), want)
        assert layer(x[:0]).shape == (0, 3, 32)
    assert not any(p.requires_grad for p in layer.parameters())


def test_a_cast_leaves_the_weight_alone() -> None:
    layer = Fp8Linear(nn.Linear(16, 8))
    before = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    for cast in (layer.half, layer.bfloat16, layer.double, lambda: layer.to(torch.float16), layer.float, layer.cpu):
        cast()
        assert (layer.weight.dtype, layer.scale.dtype) == (NARROW, torch.float32)
    for name in ("weight", "scale"):
        assert torch.equal(getattr(layer, name).float(), before[name].float())
    bias = layer.to(torch.float16).bias
    assert bias is not None
    assert bias.dtype == torch.float16
    assert layer.to("meta").weight.device.type == "meta"
    assert layer.weight.dtype == NARROW


def test_a_layer_can_be_copied_and_saved() -> None:
    layer, x = Fp8Linear(nn.Linear(16, 8)), torch.ones(1, 16)
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    for other in (copy.deepcopy(layer), torch.load(file, weights_only=False)):
        assert torch.equal(other(x), layer(x))
    assert "in_features=16, out_features=8, bias=True" in repr(layer)


@pytest.mark.parametrize("bias", [None, torch.randn(8)])
def test_the_operation_is_what_it_says_to_the_compiler(bias: Any) -> None:
    given = (torch.randn(2, 3, 16), *narrow(torch.randn(8, 16)), bias)
    # torch's check that nothing is written multiplies what it is given, which e4m3 cannot be
    torch.library.opcheck(narrow_linear, given, test_utils=("test_faketensor", "test_aot_dispatch_dynamic"))


# ---- a body


def small(model: ds.Denoiser) -> ds.Denoiser:
    """A copy of it in eight bits."""
    return replace(model, module=narrow_layers(copy.deepcopy(model.module)))


def widened(model: ds.Denoiser) -> ds.Denoiser:
    """A copy of it whose weights are what those of :func:`small` stand for."""
    module = copy.deepcopy(model.module)
    with torch.no_grad():
        for part in module.base_model.modules():
            if type(part) is nn.Linear:
                part.weight.copy_(widen(*narrow(part.weight), part.weight.dtype))
    return replace(model, module=module)


@pytest.fixture(scope="module")
def fp8_nano() -> ds.Denoiser:
    return ds.load("nano", quantization="fp8")


def test_the_layers_are_in_eight_bits_and_nothing_else(nano: ds.Denoiser, fp8_nano: ds.Denoiser) -> None:
    kinds = {name: type(part) for name, part in fp8_nano.module.named_modules()}
    for name, part in nano.module.named_modules():
        inside = type(part) is nn.Linear and name != "lm_head"
        assert kinds[name] is (Fp8Linear if inside else type(part)), name
    assert (fp8_nano.dtype, fp8_nano.device.type) == (torch.float32, "cpu")


@pytest.mark.parametrize(("dtype", "share"), [("float32", 1 / 4), ("bfloat16", 1 / 2)])
def test_the_layers_weights_take_fewer_bytes(dtype: str, share: float) -> None:
    def size(model: ds.Denoiser) -> int:
        layers = model.module.model.layers.parameters()
        return sum(p.numel() * p.element_size() for p in layers)

    one, two = (ds.load("nano", dtype=dtype, quantization=q) for q in (None, "fp8"))
    assert size(two) / size(one) == pytest.approx(share, rel=0.03)  # scales and norms are the rest


def test_a_layer_s_own_weight_is_gone_before_the_next_is_rounded(monkeypatch: pytest.MonkeyPatch) -> None:
    module, alive = random_model().module, []
    old = [weakref.ref(p.weight) for p in module.base_model.modules() if type(p) is nn.Linear]

    def watched(weight: torch.Tensor) -> Any:
        alive.append(sum(ref() is not None for ref in old))
        return narrow(weight)

    monkeypatch.setattr(fp8, "narrow", watched)
    narrow_layers(module)
    assert alive == list(range(len(old), 0, -1))
    assert not any(ref() is not None for ref in old)


@pytest.mark.parametrize("kind", ["block_causal", "bidirectional"])
@pytest.mark.parametrize("policy", ONE_OF_EACH, ids=lambda policy: policy.name)
def test_every_policy_decodes_as_with_the_widened_weights(made: list[Any], kind: str, policy: Policy) -> None:
    """In a batch as alone, with the cache as without, captured as plain."""
    model = random_model(kind, seed=1)
    narrowed = small(model)
    plain = ds.Sampler(narrowed, policy, graphs=False).generate(PROMPTS, max_new_tokens=14)
    assert plain.tokens == ds.Sampler(widened(model), policy, graphs=False).generate(PROMPTS, max_new_tokens=14).tokens
    captured = ds.Sampler(narrowed, policy, graphs=True, batch_size=3)
    for _ in range(2):  # the second call plays what the first one captured
        found = captured.generate(PROMPTS, max_new_tokens=14)
        assert (found.tokens, found.stats) == (plain.tokens, plain.stats)
    assert made
    alone = [ds.Sampler(narrowed, policy, graphs=False).generate([p], max_new_tokens=14).tokens[0] for p in PROMPTS]
    assert alone == plain.tokens
    if kind == "block_causal":
        uncached = ds.Sampler(narrowed, policy, graphs=False, cache=False).generate(PROMPTS, max_new_tokens=14)
        assert uncached.tokens == plain.tokens


def test_texts_with_masks() -> None:
    model = random_model(seed=3)
    texts = [[4, MASK, 7, MASK], [*[9] * 20, MASK, MASK]]
    outs = [ds.Sampler(m, ds.T2T()).fill(texts).tokens for m in (small(model), widened(model))]
    assert outs[0] == outs[1]


def test_nano_with_an_adapter_and_a_head() -> None:
    """The adapter is merged first, so that the sum is rounded and not the adapter's layer left out."""
    given: dict[str, Any] = {"adapter": "scope", "head": "fca"}
    model = ds.load("nano", **given, quantization="fp8")
    same = widened(ds.load("nano", **given))
    runs: list[tuple[Policy, Any]] = [(ds.DSC(tokens_per_step=4), None), (ds.D3IM(steps=12), "all")]
    for policy, length in runs:
        outs = [ds.Sampler(m, policy, block_length=length).generate([QUESTION], 32).tokens for m in (model, same)]
        assert outs[0] == outs[1]
    assert model.adapter == "scope"


def test_a_model_that_is_cast_in_place_decodes() -> None:
    model = ds.load("nano", quantization="fp8")
    before = ds.Sampler(model, ds.Unmask(tokens_per_step=4)).generate([QUESTION], 32).tokens
    model.module.double()
    assert model.dtype == torch.float64
    assert ds.Sampler(model, ds.Unmask(tokens_per_step=4)).generate([QUESTION], 32).tokens == before
    model.module.bfloat16()
    assert ds.Sampler(model, ds.Unmask(tokens_per_step=4)).generate([QUESTION], 32).stats[0].steps == 8


# ---- compiled


@pytest.fixture
def _forget() -> Any:
    yield
    torch._dynamo.reset()


@pytest.mark.usefixtures("_forget")
@pytest.mark.parametrize("rows_are_few", [False, True])
def test_compiled_layers_merge_their_products(
    fp8_nano: ds.Denoiser, rows_are_few: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if rows_are_few:
        few(monkeypatch)
        monkeypatch.setattr("dlmsample.kernels.product.reads_narrow", lambda device: True)
    seen, policy = Seen(), ds.Unmask(tokens_per_step=8)
    model = replace(fp8_nano, module=fuse(copy.deepcopy(fp8_nano.module), backend=seen))
    attention = model.module.get_decoder().layers[3].self_attn
    held = [getattr(attention, f"{name}_proj") for name in "qkv"]
    for name in ("weight", "scale"):
        assert len({getattr(part, name).untyped_storage().data_ptr() for part in held}) == 1
    want = ds.Sampler(fp8_nano, policy).generate([QUESTION], 64).tokens
    assert ds.Sampler(model, policy).generate([QUESTION], 64).tokens == want
    merged, alone = ("few_linear", 4) if rows_are_few else ("wide_linear", 2), seen.calls("narrow_linear")
    layers = [n for n in seen.calls(merged[0]) if n]
    assert layers
    assert layers == [merged[1]] * len(layers)
    assert max(alone) == (0 if rows_are_few else 2)  # those that read nothing in common
    model.module.double().float()  # every norm and the head in a storage of its own
    for part in held:
        part.scale.data = part.scale.data.clone()  # and scales, as if the module had been moved
    assert ds.Sampler(model, policy).generate([QUESTION], 64).tokens == want


# ---- checkpoints


@pytest.mark.parametrize("family", ["llada", "dream", "sdar"])
def test_published_checkpoints(family: str, tmp_path: Path) -> None:
    """Biases, and every part in a place of its own."""
    folder = tiny.save(family, tmp_path / "c")
    own: dict[str, Any] = {"name": folder, **IDS.get(family, {})}
    model, full = ds.load(**own, quantization="fp8"), ds.load(**own)
    assert decoded(model) == decoded(widened(full))
    ids = torch.randint(3, 200, (24,), generator=torch.Generator().manual_seed(0))
    one, two = (tiny.logits(m, ids).flatten() for m in (full, model))
    assert F.cosine_similarity(one, two, 0) > 0.95  # random weights are the worst case
    for places in (parts(full), "auto"):
        assert decoded(ds.load(**own, quantization="fp8", device_map=places)) == decoded(model)


@pytest.mark.parametrize("kind", ["bert", "albert", "esm-rotary", "modernbert"])
def test_masked_language_models(kind: str, tmp_path: Path) -> None:
    folder = tiny.save(kind, tmp_path / "c")
    model = ds.load(folder, mask_id=tiny.MASK, eos_ids=[tiny.EOS], quantization="fp8")
    assert any(isinstance(part, Fp8Linear) for part in model.module.modules())
    prompts = [[5, 6, 7], [8] * 6]
    both = decoded(model, prompts)
    assert both == [decoded(model, [prompt])[0] for prompt in prompts]


# ---- what is refused


def test_experts_stay_as_they_are_or_are_refused(tmp_path: Path) -> None:
    folder = tiny.save("llada2", tmp_path / "c")
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "num_experts": 64}))
    fails("experts", "'fp8' would leave", "device_map", name=folder, quantization="fp8", **IDS["llada2"])


def test_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fails("unknown quantization 'fp88'", "did you mean 'fp8'", name="nano", quantization="fp88")
    fails("weights on disk", "'fp8'", name="nano", quantization="fp8", device_map={"model": "disk", "lm_head": "cpu"})
    fails("an adapter cannot be merged", "or take 'fp8'", name="nano", adapter="scope", quantization="8bit")

    def lacks(weight: torch.Tensor) -> Any:
        raise TypeError("Trying to convert Float8_e4m3fn to the MPS backend but it does not have support")

    monkeypatch.setattr("dlmsample.kernels.narrow.narrow", lacks)
    fails("needs float8_e4m3fn", "cpu or cuda", name="nano", quantization="fp8")


def test_a_body_without_linear_layers_is_refused() -> None:
    model = random_model()
    narrow_layers(model.module)
    with pytest.raises(ValueError, match="no linear layers in a Qwen3ForCausalLM: leave it out"):
        narrow_layers(model.module)
    with pytest.raises(ValueError, match="needs all weights in memory"):
        narrow_layers(random_model().module.to("meta"))


def test_non_numbers_stay_in_their_channel() -> None:
    full = torch.ones(3, 4)
    full[1, 2] = math.nan
    back = widen(*narrow(full), torch.float32)
    assert back[1].isnan().any()
    assert back[[0, 2]].eq(1).all()
