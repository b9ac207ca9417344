"""``decoding_config.json``: what is written is read back, and what is not known is refused by name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import dlmsample as ds
from dlmsample.decoding.saved import dump, read
from dlmsample.models.recommended import RECOMMENDED
from tests.toys import random_model

EVERY: list[Any] = [ds.policy(name) for name in ds.list_policies()]
EVERY += [ds.T2T.speed(), ds.chain(ds.fill.Threshold(0.7), ds.edit.Remask(ds.detect.LowProb(0.3)))]


@pytest.mark.parametrize("policy", EVERY, ids=lambda p: p.name)
def test_every_policy_comes_back(policy: Any, tmp_path: Path) -> None:
    options: dict[str, Any] = {"block_length": 4, "temperature": 0.5, "top_p": 0.9, "top_k": 5}
    model = random_model()
    if "error" in policy.needs:
        policy = policy.model_copy(update={"scorer": "random"})
    sampler = ds.Sampler(model, policy, **options)
    assert sampler.save_pretrained(tmp_path / "new") == tmp_path / "new" / RECOMMENDED
    again = ds.Sampler.from_pretrained(model, tmp_path / "new", batch_size=2)
    assert again.policy == policy
    assert {name: getattr(again, name) for name in options} == options
    assert again.generate([[5, 6, 7]], 12).tokens == sampler.generate([[5, 6, 7]], 12).tokens


def test_what_is_the_default_is_left_out(tmp_path: Path) -> None:
    path = ds.Sampler(random_model(), ds.Unmask(steps=4)).save_pretrained(tmp_path)
    assert json.loads(path.read_text()) == {"policy": "unmask", **ds.Unmask(steps=4).model_dump()}


def test_an_adapter_goes_before_its_checkpoint(tmp_path: Path) -> None:
    scope = ds.load("nano", adapter="scope")
    assert ds.Sampler.from_pretrained(scope).policy == ds.D3IM(steps=48)
    changed = ds.Sampler.from_pretrained(scope, policy=ds.Unmask(), block_length=8)
    assert (changed.policy, changed.block_length) == (ds.Unmask(), 8)
    with pytest.raises(ValueError, match=f"'nano' has no {RECOMMENDED}"):
        ds.Sampler.from_pretrained("nano")
    with pytest.raises(ValueError, match="has no"):
        ds.Sampler.from_pretrained(scope, tmp_path)


def test_a_recommendation_on_the_hub_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    from dlmsample.models import recommended

    there = tmp_path / RECOMMENDED
    there.write_text('{"policy": "unmask", "steps": 4}')
    asked: list[bool] = []

    def download(name: str, file: str, revision: str | None = None, local_files_only: bool = False) -> str:
        asked.append(local_files_only)
        return str(there)

    monkeypatch.setattr(recommended, "reachable", lambda: True)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    sampler = ds.Sampler.from_pretrained(replace(random_model(), name="somebody/model"))
    assert (sampler.policy, asked) == (ds.Unmask(steps=4), [False])


@pytest.mark.parametrize(
    "options",
    [
        {"cache": "dual"},
        {"cache": "prefix", "refresh": 4},
        {"cache": False, "next_block": (0.5, 1.0)},
        {"cache": False, "grow": ds.Daedal(initial_length=4)},
    ],
)
def test_a_sampler_whose_tokens_the_file_cannot_promise_is_not_saved(options: dict[str, Any], tmp_path: Path) -> None:
    sampler = ds.Sampler(random_model("bidirectional"), ds.Unmask(threshold=0.9), 8, **options)
    with pytest.raises(ValueError, match=r"does not hold .* give it to from_pretrained"):
        sampler.save_pretrained(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"policy": "t2n"}, "unknown policy 't2n'; did you mean"),
        ({"policy": "t2m", "treshold": 0.2}, "did you mean 'threshold'"),
        ({"policy": "t2m", "temprature": 0.2}, "did you mean 'temperature'"),
        ({"policy": "t2m", "temperature": "hot"}, "temperature is a number"),
        ({"policy": "t2m", "top_k": True}, "top_k is a whole number"),
        ({"policy": "t2m", "block_length": 2.5}, "block_length is a number of tokens"),
    ],
)
def test_mistakes_are_named(entry: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said) as raised:
        read(entry, "x.json")
    assert str(raised.value).startswith("x.json: ")
    assert "\n" not in str(raised.value)


def test_a_value_out_of_range_is_told_with_its_place() -> None:
    with pytest.raises(ValueError, match=r"x\.json: policy t2m: threshold"):
        read({"policy": "t2m", "threshold": 2}, "x.json").make("x.json")
    assert dump(ds.Unmask(), {"temperature": 0.0}) == {"policy": "unmask", **ds.Unmask().model_dump()}
