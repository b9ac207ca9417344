"""Every policy on every family: the Sampler agrees with the naive oracle, which reads the module as it is."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import dlmsample as ds
from dlmsample.decoding.arguments import row_keys
from dlmsample.models.denoiser import Facts
from dlmsample.models.interface import ModuleInterface
from tests import oracle_training_free
from tests.models import checkpoints as tiny
from tests.oracle import decode
from tests.toys import EOS, VOCAB, random_model
from tests.zoo import loops  # noqa: F401  registers the oracles of the zoo

SETTINGS: dict[str, dict[str, Any]] = {
    "unmask": {"tokens_per_step": 2},
    "t2t": {"fill_threshold": 0.3, "edit_threshold": 0.2, "max_post_steps": 4},
    "t2m": {"threshold": 0.2, "max_remasks": 2},
    "d3im": {"steps": 6},
    "dsc": {"scorer": "random"},
    "rcr": {"steps": 6},
    "p2": {"steps": 6, "eta": 1.5},
    "remdm": {"steps": 8, "eta": 0.3},
    "tolerator": {"steps": 5, "rounds": 4},
    "wino": {"draft_threshold": 0.2, "verify_threshold": 0.4},
    "pc_sampler": {"steps": 6, "position_weight": 0.1},
    "prophet": {"steps": 8, "early": 1.0, "mid": 0.5, "late": 0.3},
    "klass": {"threshold": 0.1, "kl": 0.3, "history": 1},
    "credit": {"threshold": 0.3, "fusion": 2.0},
    "saber": {},
    "core": {"steps": 9, "every": 1, "start": 0.0, "stop": 1.0, "candidates": 2, "protect": 0, "min_prob": 0.0},
    "proseco": {"steps": 6, "max_corrections": 2},
}
assert oracle_training_free  # imported so that the oracle knows its rules
#: None is empty: all masks alike give every position the same numbers, and rounding decides.
PROMPTS = [[7, 9, 20], [5] * 11, list(range(10, 27)), [8]]


def compare(
    model: ds.Denoiser, reference: Any, policy: str, prompts: list[list[int]], cache: bool = True, **kw: Any
) -> None:
    new, options = 11, SETTINGS[policy]
    sampler = ds.Sampler(model, ds.policy(policy, **options), cache=cache, **kw)
    out = sampler.generate(prompts, max_new_tokens=new, seed=5)
    for i, (prompt, key) in enumerate(zip(prompts, row_keys(5, prompts), strict=True)):
        run = decode(
            reference, prompt, policy, options, max_new_tokens=new, row_key=key, **{"block_length": None, **kw}
        )
        assert out.tokens[i] == run.tokens, prompt
        assert out.stats[i].steps == len(run.steps)
        assert out.stats[i].finish_reason == run.finish_reason


def test_the_settings_cover_every_policy() -> None:
    assert set(SETTINGS) == set(ds.list_policies())


NAMES = [*tiny.FAMILIES, "bert", "esm-rotary", "modernbert", "roberta"]
#: One of each way to read: block-causal, bidirectional, shifted, a masked LM.
QUICK = ("llada2", "llada", "dream", "bert")


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.full) for n in NAMES])
def test_every_policy(name: str, tmp_path: Path) -> None:
    model = tiny.opened(name, tmp_path / "c")
    for policy in SETTINGS:
        compare(model, tiny.plain(model), policy, PROMPTS, block_length=4)
    compare(model, tiny.plain(model), "t2t", PROMPTS[:2], block_length="all", temperature=0.8, top_p=0.9)


# ---- shifted logits


class _Moved(nn.Module):
    """The same function with logits where they predict: the unshifted twin of a shifted module."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module, self.config = module, module.config

    def forward(self, input_ids: Tensor, position_ids: Tensor, attention_mask: Tensor) -> Any:
        out = self.module(input_ids=input_ids, position_ids=position_ids, attention_mask=attention_mask).logits
        return SimpleNamespace(logits=torch.cat([out[:, :1], out[:, :-1]], 1))


@pytest.mark.parametrize("policy", SETTINGS)
@pytest.mark.parametrize("alignment", ["prompt", "absolute"])
@pytest.mark.parametrize("attention", ["bidirectional", "block_causal"])
def test_a_shifted_model_is_its_unshifted_twin(attention: Any, alignment: Any, policy: str) -> None:
    """Block-causal too: there a block's first position is predicted from the last of the finished block before."""
    plain = random_model(attention, alignment)
    shifted = ds.Denoiser("shifted", plain.module, None, Facts(2, (EOS,), 8, attention, alignment, logit_shift=True))
    twin = ds.Denoiser("twin", _Moved(plain.module), None, plain.facts, interface=ModuleInterface("module"))
    cache = policy != "wino" or attention == "bidirectional"  # a block cache cannot hide tokens of a shifted model
    made = ds.policy(policy, **SETTINGS[policy])
    sampler = [ds.Sampler(m, made, block_length=4, cache=cache) for m in (shifted, twin, plain)]
    prompts = [[p % VOCAB for p in prompt] for prompt in PROMPTS]
    one, two, other = (s.generate(prompts, max_new_tokens=19, seed=3) for s in sampler)
    assert one.tokens == two.tokens
    assert [s.steps for s in one.stats] == [s.steps for s in two.stats]
    assert one.tokens != other.tokens, "the shift matters"
    compare(shifted, tiny.plain(shifted), policy, prompts, block_length=4, cache=cache)
