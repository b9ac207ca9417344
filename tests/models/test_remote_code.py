"""Code that comes with a checkpoint: refused unless asked for, and never asked where a stock body does."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import dlmsample as ds
from dlmsample.models.families import open_config
from tests.models import checkpoints as tiny

_CONFIG = """
from transformers import PreTrainedConfig


class ForeignConfig(PreTrainedConfig):
    model_type = "foreign"
    vocab_size: int = 40
    hidden_size: int = 16
    max_sequence_length: int = 64
"""
_MODEL = """
import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import MaskedLMOutput

from .configuration_foreign import ForeignConfig


class ForeignModel(PreTrainedModel):
    config_class = ForeignConfig

    def __init__(self, config):
        super().__init__(config)
        self.embed = nn.Embedding(config.vocab_size, config.hidden_size)
        self.out = nn.Linear(config.hidden_size, config.vocab_size)
        self.post_init()

    def forward(self, input_ids, attention_mask=None):
        weights = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        hidden = self.embed(input_ids) * weights[..., None]
        seen = hidden + hidden.cumsum(1).roll(1, 1) + hidden.sum(1, keepdim=True)
        return MaskedLMOutput(logits=self.out(seen))
"""
_SECTION = {
    "mask_id": 2,
    "eos_ids": [1],
    "block_length": 4,
    "attention": "bidirectional",
    "block_alignment": "prompt",
}


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A checkpoint with modelling code of its own, of which no other test leaves or finds modules."""
    import transformers.dynamic_module_utils as dynamic

    monkeypatch.setattr(sys, "path", [place for place in sys.path if place != dynamic.HF_MODULES_CACHE])
    monkeypatch.setattr(dynamic, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    for name in _dynamic():
        monkeypatch.delitem(sys.modules, name)
    folder = tmp_path / "foreign"
    folder.mkdir()
    (folder / "configuration_foreign.py").write_text(_CONFIG)
    (folder / "modeling_foreign.py").write_text(_MODEL)
    raw = {
        "model_type": "foreign",
        "architectures": ["ForeignModel"],
        "auto_map": {
            "AutoConfig": "configuration_foreign.ForeignConfig",
            "AutoModel": "modeling_foreign.ForeignModel",
        },
        "vocab_size": 40,
        "hidden_size": 16,
        "max_sequence_length": 64,
        "dlmsample": _SECTION,
    }
    (folder / "config.json").write_text(json.dumps(raw))
    g = torch.Generator().manual_seed(0)
    shapes = {"embed.weight": (40, 16), "out.weight": (40, 16), "out.bias": (40,)}
    tensors = {name: torch.randn(shape, generator=g) for name, shape in shapes.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    yield folder
    for name in _dynamic():
        del sys.modules[name]


def _dynamic() -> list[str]:
    """The modules that transformers made of checkpoints' code."""
    return [name for name in sys.modules if name.partition(".")[0] == "transformers_modules"]


def test_it_is_refused_unless_trusted(foreign: Path) -> None:
    for family in (None, "remote"):
        with pytest.raises(ValueError, match=re.escape("--trust-remote-code")) as caught:
            ds.load(foreign, family=family)
        assert "author" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_it_runs_when_trusted(foreign: Path) -> None:
    """A module without position ids and with padding masks; every policy; rows do not see their neighbours."""
    model = ds.load(foreign, trust_remote_code=True)
    assert type(model.module).__name__ == "ForeignModel"
    assert (model.mask_id, model.block_length, model.context) == (2, 4, 64)
    for policy in (ds.Unmask(), ds.T2T(), ds.T2M(), ds.D3IM(steps=5), ds.DSC(scorer="random")):
        sampler = ds.Sampler(model, policy)
        both = sampler.generate([[5, 6, 7], [9] * 8], max_new_tokens=10).tokens
        assert both == [sampler.generate([p], max_new_tokens=10).tokens[0] for p in ([5, 6, 7], [9] * 8)]


def test_its_layers_are_left_to_it(foreign: Path) -> None:
    """Foreign code may read a weight in any way."""
    with pytest.raises(ValueError, match=r"'fp8' is for stock bodies.*leave it out"):
        ds.load(foreign, trust_remote_code=True, quantization="fp8")


def test_it_must_say_how_it_decodes(foreign: Path) -> None:
    path = foreign / "config.json"
    raw = json.loads(path.read_text())
    del raw["dlmsample"]
    path.write_text(json.dumps(raw))
    for family in (None, "remote"):
        with pytest.raises(ValueError, match="does not say how it decodes") as caught:
            ds.load(foreign, family=family, trust_remote_code=True)
        assert "block_alignment" in str(caught.value)


def test_a_published_family_asks_for_none(tmp_path: Path) -> None:
    """The folders name modelling code that is not there: nothing looks for it, trusted or not."""
    folder = tiny.save("llada", tmp_path / "c")
    assert "auto_map" in json.loads((folder / "config.json").read_text())
    for trusted in (False, True):
        opened = open_config(folder, trust_remote_code=trusted)
        assert not opened.runs_remote_code
        assert type(opened.shell()).__name__ == "LlamaForCausalLM"


def test_a_family_without_a_stock_body_says_so(tmp_path: Path) -> None:
    folder = tiny.save("llada", tmp_path / "c")
    raw: dict[str, Any] = json.loads((folder / "config.json").read_text())
    path = folder / "config.json"
    path.write_text(json.dumps({**raw, "architectures": ["LLaDAMoEModelLM"]}))
    with pytest.raises(ValueError, match="no stock body is known") as caught:
        ds.load(folder)
    assert "--trust-remote-code" in str(caught.value)
    del raw["auto_map"]
    path.write_text(json.dumps({**raw, "architectures": ["LLaDAMoEModelLM"]}))
    with pytest.raises(ValueError, match="brings no modelling code"):
        ds.load(folder, trust_remote_code=True)
