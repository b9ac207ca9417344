"""What lm-eval asks of the model: the Sampler's texts, the bound's numbers, each task's own arguments."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import dlmsample as ds
from dlmsample.evaluation.arguments import Generation, generation, rows, windows_of
from dlmsample.evaluation.harness import HarnessModel
from dlmsample.evaluation.likelihood import Pair, log_likelihood

PROBLEMS = [
    "Ann had 14 boxes of 12 pens each. Tom gave her 25 pens. How many pens does Ann have?",
    "Ann had 3 pens and bought 2 more. How many pens does Ann have?",
    "Tom had 9 pens and bought 2 more. How many pens does Tom have?",
]


def asked(*args: Any) -> Any:
    """A request of lm-eval."""
    return SimpleNamespace(args=args)


@pytest.fixture(scope="module")
def model() -> HarnessModel:
    return HarnessModel("nano", "t2t", samples=4, batch_size=3)


def test_texts_are_the_sampler_s(model: HarnessModel, nano: ds.Denoiser) -> None:
    kinds: list[dict[str, Any]] = [
        {"until": ["####"], "max_gen_toks": 64},
        {"until": "Q:", "max_new_tokens": 32, "do_sample": True, "temperature": 0.7, "top_p": 0.9},
    ]
    prompts = [f"Q: {problem}\nA:" for problem in PROBLEMS]
    found = model.generate_until([asked(prompt, kind) for prompt in prompts for kind in kinds])
    samplers = ds.Sampler(nano, ds.T2T()), ds.Sampler(nano, ds.T2T(), temperature=0.7, top_p=0.9)
    first = samplers[0].generate(prompts, 64, chat=False, stop=["####"]).texts
    second = samplers[1].generate(prompts, 32, chat=False, stop=["Q:"]).texts
    assert (found[::2], found[1::2]) == (first, second)
    assert all("####" not in text for text in first)


def test_chat_templates_write_their_special_tokens_themselves(nano: ds.Denoiser) -> None:
    model = HarnessModel("nano", "unmask", tokens_per_step=4)
    text = model.apply_chat_template([{"role": "user", "content": PROBLEMS[1]}])
    found = model.generate_until([asked(text, {"max_gen_toks": 32})])
    assert found == ds.Sampler(nano, ds.Unmask(tokens_per_step=4)).generate([PROBLEMS[1]], 32).texts
    assert model.chat_template(True) == nano.tokenizer.chat_template  # type: ignore[union-attr]
    assert model.chat_template(False) == ""
    half = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]
    assert model.apply_chat_template(half, add_generation_prompt=False).endswith("y")


def test_likelihoods_are_those_of_the_bound(model: HarnessModel, nano: ds.Denoiser) -> None:
    context = f"Q: {PROBLEMS[1]}\nA:"
    ids, right, wrong = (nano.tokenizer.encode(text) for text in (context, " 3 + 2 = 5", " 99"))  # type: ignore[union-attr]
    found = model.loglikelihood([asked(context, " 3 + 2 = 5"), asked(context, " 99"), asked("", "Ann had")])
    bounds = log_likelihood(nano, [Pair(ids, right), Pair(ids, wrong)], samples=4)
    assert [value for value, _ in found[:2]] == pytest.approx([bound.value for bound in bounds], abs=1e-4)
    assert found[0][0] > found[1][0]
    assert model.get_model_info()["likelihood_requests"] >= 3
    assert model.get_model_info()["likelihood_mean_standard_error"] > 0


def test_greedy_is_what_the_policy_decodes(model: HarnessModel, nano: ds.Denoiser) -> None:
    context = f"Q: {PROBLEMS[0]}\nA:"
    text = ds.Sampler(nano, ds.T2T()).generate([context], 6, chat=False).texts[0]
    assert nano.encode(context + text, chat=False)[-6:] == nano.encode(text, chat=False)
    (_, same), (_, other) = model.loglikelihood([asked(context, text), asked(context, text[:-1] + "?")])
    assert (same, other) == (True, False)
    quick = HarnessModel("nano", "t2t", samples=1, greedy=False)
    assert quick.loglikelihood([asked(context, text)])[0][1] is False


def test_whole_texts_count_every_token_once(model: HarnessModel, nano: ds.Denoiser) -> None:
    text = " ".join(PROBLEMS)
    ids = nano.encode(text, chat=False)
    (found,) = model.loglikelihood_rolling([asked(text)])
    assert found == pytest.approx(log_likelihood(nano, [Pair([], ids)], samples=4)[0].value, abs=1e-3)
    for length, given, size in ((10, 0, 4), (10, 1, 4), (3, 0, 8), (1, 1, 5)):
        windows = list(windows_of(list(range(length)), given, size))
        assert [token for window in windows for token in window.answer] == list(range(given, length))
        assert all(len(w.context) + len(w.answer) <= size for w in windows)
        assert all(
            [*w.context, *w.answer] == list(range(w.answer[-1] + 1))[-len([*w.context, *w.answer]) :] for w in windows
        )


def test_long_prompts_lose_their_beginning(
    model: HarnessModel, nano: ds.Denoiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(vars(model.model), "context", 192)
    long = "Ann had 3 pens. " * 60
    assert len(nano.encode(long, chat=False)) > model.model.context == 192
    (found,) = model.generate_until([asked(long, {"max_gen_toks": 16})])
    kept = nano.encode(long, chat=False)[-(192 - 16) :]
    assert found == ds.Sampler(nano, ds.T2T()).generate([kept], 16).texts[0]
    ((value, _),) = model.loglikelihood([asked(long, "Ann")])
    assert value < 0
    with pytest.raises(ValueError, match="leaves no room"):
        model.generate_until([asked("x", {"max_gen_toks": 192})])


def test_special_stop_strings_end_answers(nano: ds.Denoiser) -> None:
    word = nano.tokenizer.convert_ids_to_tokens(nano.eos_ids[0])  # type: ignore[union-attr]
    found = generation(nano, {"until": ["Q:", word, f"x{word}", ""]}, 8)
    assert found == Generation(8, ("Q:", f"x{word}"), nano.eos_ids, 0.0, 1.0, None)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"num_beams": 4}, "num_beams=4 has no meaning"),
        ({"temprature": 1}, "did you mean 'temperature'"),
        ({"max_gen_toks": 0}, "must be 1 or more"),
        ({"max_gen_toks": "many"}, "must be 1 or more"),
    ],
)
def test_arguments_without_a_meaning_are_refused(nano: ds.Denoiser, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        generation(nano, given, 8)


def test_sampling_follows_lm_eval_s_rules(nano: ds.Denoiser) -> None:
    assert generation(nano, {"do_sample": False, "temperature": 0.9, "top_k": 3}, 8)[3:] == (0.0, 1.0, None)
    assert generation(nano, {"temperature": 0.9, "top_k": 3}, 8)[3:] == (0.9, 1.0, 3)
    assert generation(nano, {"max_gen_toks": 4, "max_tokens": 5, "num_beams": 1}, 8).new_tokens == 4
    assert (rows(None, None), rows("auto", 8), rows("auto:4", None), rows("16", None)) == (32, 8, 32, 16)


def test_mistakes_in_the_model_s_arguments() -> None:
    wrongs: list[tuple[str, dict[str, Any]]] = [
        ("did you mean 'threshold'", {"policy": "t2m", "treshold": 0.2}),
        ("did you mean 't2t'|did you mean 't2m'", {"policy": "t2n"}),
        ("batch_size is a number of rows or auto", {"batch_size": "x"}),
        ("has no decoding_config.json", {"policy": "auto"}),
    ]
    for said, options in wrongs:
        with pytest.raises(ValueError, match=said):
            HarnessModel("nano", **options)
    auto = HarnessModel("nano", "auto", adapter="scope", steps=4)
    assert auto.get_model_info()["block_length"] == "all"
    assert "D3IM(steps=4" in auto.get_model_info()["policy"]


def test_a_piece_of_a_saved_chain_is_changed_in_part(tmp_path: Path) -> None:
    chain = ds.chain(ds.fill.Threshold(0.7), ds.edit.Remask(ds.detect.LowProb(0.3), max_per_position=2))
    chain.save(tmp_path / "chain.json")
    harness = HarnessModel("nano", str(tmp_path / "chain.json"), edit={"max_per_position": 5})
    told = harness.get_model_info()["policy"]
    assert "max_per_position=5" in told
    assert "LowProb(threshold=0.3)" in told
    assert "Threshold(threshold=0.7" in told


def test_a_recommendation_is_that_of_the_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    from dlmsample.evaluation import harness

    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(harness, "recommended", lambda *given: asked.append(given) or ("", {}))
    with pytest.raises(ValueError, match=r"has no decoding_config\.json"):
        HarnessModel("somebody/model", "auto", revision="abc")
    assert asked == [("somebody/model", None, None, "abc")]
