"""Compiled layers: what is compiled, how often, and the tokens that come without."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import fx
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

import dlmsample as ds
from dlmsample.models.fusion.fuse import fuse, is_fused
from dlmsample.models.fusion.merge import merge
from dlmsample.models.interface import cache_argument
from tests.toys import scripted_model


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    torch._dynamo.reset()


@pytest.fixture
def nano() -> ds.Denoiser:
    """Of this test alone: hooks that transformers leaves in a module for hidden states would cut the graphs."""
    return ds.load("nano")


class Seen:
    """A backend that runs graphs as they are and keeps them."""

    def __init__(self) -> None:
        self.graphs: list[fx.GraphModule] = []

    def __call__(self, graph: fx.GraphModule, inputs: list[Any]) -> Any:
        self.graphs.append(graph)
        return graph.forward

    def calls(self, name: str) -> list[int]:
        """How often each graph calls it."""
        return [sum(name in str(node.target) for node in graph.graph.nodes) for graph in self.graphs]


def fused(model: ds.Denoiser, backend: Any) -> ds.Denoiser:
    return replace(model, module=fuse(copy.deepcopy(model.module), backend=backend))


def test_layers_are_compiled_once_for_all_and_tokens_stay(nano: ds.Denoiser) -> None:
    seen = Seen()
    model = fused(nano, seen)
    prompts = [e.prompt for e in ds.tasks.load("wordproblems", split="valid", limit=2)]
    texts = [ds.Sampler(m, ds.Unmask(tokens_per_step=8)).generate(prompts, 64).texts for m in (model, nano)]
    assert texts[0] == texts[1]
    # the prompts' forward and the blocks', of two rows and of one; nano has eight layers
    layers = [n for n in seen.calls("wide_linear") if n]
    assert layers == [2] * len(layers)
    assert 2 <= len(layers) <= 4
    more = len(seen.graphs)
    ds.Sampler(model, ds.T2T()).generate([p + " Why?" for p in [*prompts, prompts[0]]], 32)
    assert len(seen.graphs) - more <= 2, "other lengths and sizes are compiled anew"


def test_products_of_one_input_are_one(nano: ds.Denoiser) -> None:
    seen = Seen()
    model = fused(nano, seen)
    attention = model.module.get_decoder().layers[3].self_attn
    parts = [attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight]
    assert len({part.untyped_storage().data_ptr() for part in parts}) == 1
    assert all(torch.equal(a, b) for a, b in zip(model.module.parameters(), nano.module.parameters(), strict=True))
    ds.Sampler(model, ds.Unmask(tokens_per_step=32)).generate(["Ann had 3 pens."], 32)
    blocks = [
        graph for graph in seen.graphs if any("block_attention" in str(node.target) for node in graph.graph.nodes)
    ]
    wide = [node for node in blocks[0].graph.nodes if "wide_linear" in str(node.target)]
    assert [len(node.args[1]) for node in wide] == [3, 2]  # queries, keys and values; gate and up


def test_a_module_that_is_moved_later_is_still_right(nano: ds.Denoiser) -> None:
    model = fused(nano, "eager")
    model.module.double().float()  # every weight in a storage of its own
    prompt = ["Ann had 3 pens and got 4. How many?"]
    runs = [ds.Sampler(m, ds.Unmask(tokens_per_step=4)).generate(prompt, 32).tokens for m in (model, nano)]
    assert runs[0] == runs[1]


def test_a_cache_of_transformers_is_served_by_the_layers_own_forward(nano: ds.Denoiser) -> None:
    from transformers import DynamicCache

    seen = Seen()
    model = fused(nano, seen)
    ids = torch.tensor([[5, 6, 7]])
    name = cache_argument(type(nano.body))
    with torch.no_grad():
        outs = [m.module(ids, **{name: DynamicCache()}, use_cache=True).logits for m in (model, nano)]
    torch.testing.assert_close(outs[0], outs[1])
    assert not any(seen.calls("linear"))


def test_with_gradients_layers_run_as_they_are(nano: ds.Denoiser) -> None:
    seen = Seen()
    model = fused(nano, seen)
    ids = torch.tensor([[5, 6, 7]])
    one, two = (m.module(ids, use_cache=False).logits for m in (model, nano))
    torch.testing.assert_close(one, two)
    one.sum().backward()
    assert model.module.get_decoder().layers[0].self_attn.q_proj.weight.grad is not None
    assert not any(seen.calls("wide_linear"))


def test_models_of_one_architecture_share_what_is_compiled_and_can_be_pickled(nano: ds.Denoiser) -> None:
    seen = Seen()
    prompt = ["Ann had 3 pens."]
    first = ds.Sampler(fused(nano, seen), ds.Unmask(tokens_per_step=32)).generate(prompt, 32).tokens
    layers = sum(n > 0 for n in seen.calls("wide_linear"))
    again = ds.Sampler(fused(nano, seen), ds.Unmask(tokens_per_step=32)).generate(prompt, 32).tokens
    assert first == again
    assert sum(n > 0 for n in seen.calls("wide_linear")) == layers
    assert is_fused(pickle.loads(pickle.dumps(fused(nano, "eager").module)))


def test_a_module_spread_over_devices_stays_as_it_is(nano: ds.Denoiser) -> None:
    module = copy.deepcopy(nano.module)
    module.get_decoder().layers[0]._hf_hook = object()
    assert not is_fused(fuse(module, "eager"))


def test_what_is_no_stock_decoder_stays_as_it_is(nano: ds.Denoiser) -> None:
    odd = scripted_model(lambda ids, positions: torch.zeros(*ids.shape, 16))
    assert fuse(odd.module) is odd.module
    neox = GPTNeoXForCausalLM(GPTNeoXConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, vocab_size=9))
    assert not is_fused(fuse(neox))
    assert [is_fused(m.module) for m in (odd, nano, fused(nano, "eager"))] == [False, False, True]


def test_a_correction_head_reads_the_same_hidden_states(nano: ds.Denoiser) -> None:
    scored = ds.load("nano", head="fca")
    prompts = [e.prompt for e in ds.tasks.load("wordproblems", split="valid", limit=2)]
    runs = [
        ds.Sampler(m, ds.DSC(tokens_per_step=4)).generate(prompts, 32).tokens for m in (fused(scored, "eager"), scored)
    ]
    assert runs[0] == runs[1]


def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all rows be few, and all of nano's weights be such as the kernel takes; plain torch makes the parts."""
    monkeypatch.setattr("dlmsample.models.fusion.fuse.is_few", lambda hidden: True)
    for name, value in {"FEATURES": 16, "WIDTH": 16, "HALF": (torch.float32,)}.items():
        monkeypatch.setattr(f"dlmsample.kernels.product.{name}", value)


def test_few_rows_have_products_of_their_own(nano: ds.Denoiser, monkeypatch: pytest.MonkeyPatch) -> None:
    """All four of a layer, the two that read nothing in common with another included."""
    few(monkeypatch)
    seen = Seen()
    model = fused(nano, seen)
    prompts = [e.prompt for e in ds.tasks.load("wordproblems", split="valid", limit=2)]
    runs = [ds.Sampler(m, ds.Unmask(tokens_per_step=8)).generate(prompts, 64).tokens for m in (model, nano)]
    assert runs[0] == runs[1]
    layers = [n for n in seen.calls("few_linear") if n]
    assert layers
    assert layers == [4] * len(layers)
    model.module.double().float()  # what was compiled finds every weight in a storage of its own
    assert ds.Sampler(model, ds.Unmask(tokens_per_step=8)).generate(prompts, 64).tokens == runs[1]


def test_weights_the_kernel_does_not_take_are_multiplied_as_before(
    nano: ds.Denoiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    few(monkeypatch)
    monkeypatch.setattr("dlmsample.kernels.product.WIDTH", 1 << 20)
    seen = Seen()
    ds.Sampler(fused(nano, seen), ds.Unmask(tokens_per_step=32)).generate(["Ann had 3 pens."], 32)
    assert not any(seen.calls("few_linear"))
    assert max(seen.calls("wide_linear")) == 2


@pytest.mark.parametrize("rows_are_few", [False, True])
def test_a_linear_layer_of_a_linear_layer(rows_are_few: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """As low-rank adapters have it: what the second reads is replaced before it."""
    few(monkeypatch)
    weights = [torch.randn(16, 16) for _ in range(2)]

    def chain(x: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(torch.nn.functional.linear(x, a), b)

    graph, x = fx.symbolic_trace(chain), torch.randn(3, 16)
    want = graph(x, *weights)
    merge(graph, [x, *weights], rows_are_few)
    graph.graph.lint()
    torch.testing.assert_close(graph(x, *weights), want)


@pytest.mark.parametrize("of_model", [torch.float32, torch.bfloat16])
def test_under_autocast_layers_run_as_they_are(of_model: torch.dtype, nano: ds.Denoiser) -> None:
    seen = Seen()
    model, ids = fused(nano, seen), torch.tensor([[5, 6, 7]])
    modules = [m.module.to(of_model) for m in (model, nano)]
    with torch.no_grad(), torch.autocast("cpu", torch.float16):
        one, two = (module(ids, use_cache=False).logits for module in modules)
    torch.testing.assert_close(one, two)
    assert not any(seen.calls("linear"))
