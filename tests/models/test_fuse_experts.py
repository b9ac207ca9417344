"""The experts of a mixture in compiled layers: one operation where it takes them, the same tokens and logits."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import dlmsample as ds
from dlmsample.models.fusion import experts as fusion
from dlmsample.models.fusion.experts import FewExperts, few_experts
from dlmsample.models.fusion.fuse import fuse

TINY = Path(__file__).parents[1] / "data" / "official_tiny" / "llada2"
PROMPT = torch.arange(5, 21)


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    torch._dynamo.reset()


@pytest.fixture
def mixture() -> ds.Denoiser:
    return ds.load(str(TINY), dtype="float32", mask_id=254)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Without a GPU, let the operation take experts in plain torch; the numbers of positions it was given."""
    seen = list[int]()

    def takes(hidden: torch.Tensor, *_: torch.Tensor) -> bool:
        seen.append(len(hidden))
        return True

    monkeypatch.setattr(fusion, "fits", takes)
    return seen


def experts_of(module: Any) -> list[Any]:
    return [part for part in module.modules() if hasattr(part, "gate_up_proj")]


def fused(model: ds.Denoiser) -> ds.Denoiser:
    return replace(model, module=fuse(copy.deepcopy(model.module), backend="eager"))


def logits(model: ds.Denoiser) -> torch.Tensor:
    with torch.no_grad():
        return model.module(input_ids=PROMPT[None], use_cache=False).logits  # with a cache layers are not compiled


def test_logits_are_those_of_transformers(mixture: ds.Denoiser, taken: list[int]) -> None:
    model = fused(mixture)
    torch.testing.assert_close(logits(model), logits(mixture), rtol=1e-4, atol=1e-4)
    assert len(taken) > 0


def test_a_decoding_is_the_same(mixture: ds.Denoiser, taken: list[int]) -> None:
    answers = [
        ds.Sampler(model, ds.Unmask(tokens_per_step=8)).generate(PROMPT.tolist(), max_new_tokens=32).tokens
        for model in (mixture, fused(mixture))
    ]
    assert answers[0] == answers[1]
    assert taken


def test_with_gradients_and_where_it_does_not_fit_the_part_s_own_forward_runs(mixture: ds.Denoiser) -> None:
    part = experts_of(mixture.module)[0]
    easy = copy.deepcopy(mixture.module)
    for layer in easy.get_decoder().layers:
        fusion.ease(layer)
    easy = next(part for part in easy.modules() if isinstance(part, FewExperts))
    width = part.gate_up_proj.shape[2]
    given = torch.randn(3, width), torch.tensor([[0, 1]] * 3), torch.rand(3, 2)
    assert torch.equal(easy(*given), part(*given))  # with gradients
    with torch.no_grad():
        assert torch.equal(easy(*given), part(*given))  # on a CPU
        one = few_experts(*given, part.gate_up_proj, part.down_proj)
    torch.testing.assert_close(one, part(*given), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "value"), [("has_bias", True), ("is_transposed", True), ("is_concatenated", False)])
def test_experts_with_more_to_them_are_left_as_they_are(name: str, value: bool, mixture: ds.Denoiser) -> None:
    part = experts_of(mixture.module)[-1]
    setattr(part, name, value)
    fusion.ease(mixture.module.get_decoder().layers[-1])
    assert not isinstance(part, FewExperts)


def test_an_implementation_that_was_asked_for_stays(mixture: ds.Denoiser) -> None:
    part = experts_of(mixture.module)[-1]
    part.config._experts_implementation = "batched_mm"
    fusion.ease(mixture.module.get_decoder().layers[-1])
    assert not isinstance(part, FewExperts)
    part.config._experts_implementation = "grouped_mm"
    fusion.ease(mixture.module.get_decoder().layers[-1])
    assert isinstance(part, FewExperts)


def test_it_can_be_copied_and_pickled(mixture: ds.Denoiser, taken: list[int]) -> None:
    model = fused(mixture)
    again = replace(model, module=pickle.loads(pickle.dumps(model.module)))
    for other in (again, replace(model, module=copy.deepcopy(model.module))):
        parts = experts_of(other.module)
        assert parts
        assert all(isinstance(part, FewExperts) for part in parts)
        torch.testing.assert_close(logits(other), logits(model))


def test_layers_of_a_kind_are_compiled_once(mixture: ds.Denoiser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fusion, "fits", lambda *_: True)
    many = copy.deepcopy(mixture.module)
    many.config.num_hidden_layers += 3
    layers = many.get_decoder().layers
    for _ in range(3):
        layers.append(copy.deepcopy(layers[-1]))
    compiled = list[torch.fx.GraphModule]()

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> torch.fx.GraphModule:
        compiled.append(graph)
        return graph

    logits(replace(mixture, module=fuse(many, backend=backend)))
    kinds = {type(layer.mlp) for layer in layers}
    assert len(compiled) == len(kinds) + 1  # and the norm at the end
