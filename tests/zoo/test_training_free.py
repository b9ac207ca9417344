"""Properties of the training-free policies, and thousands of random steps against the oracle."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

import dlmsample as ds
from dlmsample.decoding.arguments import row_keys
from dlmsample.policies import fill
from dlmsample.policies.zoo import frequencies
from dlmsample.policies.zoo.pc_sampler import Calibrated
from dlmsample.policies.zoo.prophet import EarlyCommit
from dlmsample.policies.zoo.saber import SaberState
from dlmsample.types import Block, Prediction
from tests import oracle_training_free
from tests.oracle import decode
from tests.test_differential import SETTINGS, compare
from tests.test_step_rules import block_of, pred_of, stepped
from tests.toys import EOS, MASK, random_model, scripted_model
from tests.zoo.fake import VOCAB, gentle

NAMES = ("pc_sampler", "prophet", "klass", "credit", "saber", "core")
OURS = [(name, options) for name, options in SETTINGS if name in NAMES]
PROMPTS = [[7, 9, 3], [5] * 6, [8], [11, 4, 12, 13]]


def gently(**facts: Any) -> ds.Denoiser:
    return scripted_model(gentle, vocab=VOCAB, **{"eos_ids": (), **facts})


def run(policy: ds.Policy, new: int = 24, **options: Any) -> Any:
    return ds.Sampler(gently(), policy, **{"block_length": "all", **options}).generate(PROMPTS, new, record=True)


@pytest.mark.parametrize(("name", "options"), OURS, ids=str)
def test_random_steps(name: str, options: dict[str, Any], full: bool) -> None:
    """Blocks of any length, samples, answers that an EOS ends; ragged rows are in the tests of every policy."""
    draw, steps = random.Random(f"{name}{options}"), 0
    while steps < (3000 if full else 100):
        model = gently(eos_ids=draw.choice([(), (EOS,), (EOS, 7)]))
        prompt = [draw.randrange(3, VOCAB) for _ in range(draw.randrange(1, 9))]
        hot = {"temperature": 1.3, "top_p": 0.9, "top_k": 9}
        given: dict[str, Any] = {"temperature": 0.0} if draw.random() < 0.6 else hot
        given["block_length"] = draw.choice([None, "all", 3, 5])
        new = draw.randrange(4, 20)
        assert compare(model, [prompt], name, options, new, **given) == []
        key = row_keys(5, [prompt])[0]
        steps += len(decode(model, prompt, name, options, max_new_tokens=new, row_key=key, **given).steps)


# ---- PC-Sampler


def counted(folder: Path, counts: dict[int, int]) -> str:
    path = folder / "counts.json"
    frequencies.write(path, [[token] * count for token, count in counts.items()])
    return str(path)


def test_pc_sampler_without_weight_and_counts_is_unmask() -> None:
    ours, unmask = run(ds.PCSampler(position_weight=0.0)), run(ds.Unmask())
    assert ours.tokens == unmask.tokens
    assert ours.stats == unmask.stats


def test_a_large_weight_fills_from_the_left() -> None:
    for events in run(ds.PCSampler(position_weight=60.0), new=12).trace:
        assert [e.position for e in events] == list(range(12))


def test_frequent_tokens_come_late(tmp_path: Path) -> None:
    """Every fourth candidate is the same sure token: counted as frequent it is filled last, as rare first."""

    def rule(ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        token = torch.where(positions % 4 == 0, 3, 4 + positions % 5)
        sure = torch.where(positions % 4 == 0, 6.0, 4.0)
        return torch.nn.functional.one_hot(token, 16) * sure[..., None]

    model = scripted_model(rule, eos_ids=())
    for counts, first in (({3: 900, 4: 1}, False), ({3: 1, 4: 900}, True)):
        policy = ds.PCSampler(position_weight=0.0, frequencies=counted(tmp_path, counts))
        events = (ds.Sampler(model, policy, "all").generate([[5, 5, 5, 5]], 12, record=True).trace or [[]])[0]
        places = [step for step, e in enumerate(events) if e.new == 3]
        assert places == ([0, 1, 2] if first else [9, 10, 11])


@pytest.mark.parametrize("clip", [0.4, 10.0])
def test_pc_sampler_with_counts(tmp_path: Path, clip: float) -> None:
    """The oracle looks frequencies up; ids beyond the table count once."""
    counts = {token: 1 + (token * 37) % 50 for token in range(3, 20)}
    path, total = counted(tmp_path, counts), sum(counts.values())
    table = {token: counts.get(token, 1) / total for token in range(VOCAB)}
    options = {"tokens_per_step": 2, "position_weight": 0.1, "clip": clip}
    for temperature in (0.0, 1.5):
        sampler = ds.Sampler(gently(), ds.PCSampler(**options, frequencies=path), "all", temperature)
        given: dict[str, Any] = {"block_length": "all", "max_new_tokens": 20, "temperature": temperature}
        for prompt in PROMPTS:
            tokens = sampler.generate([prompt], 20, seed=5).tokens[0]
            oracle_options, key = {**options, "frequencies": table}, row_keys(5, [prompt])[0]
            assert tokens == decode(gently(), prompt, "pc_sampler", oracle_options, row_key=key, **given).tokens


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[", "it is not JSON"),
        ("[]", "it holds no object"),
        ('{"num_token": 2, "p_baseline_dict": {"3": 2}, "other": 1}', "unknown key 'other'"),
        ('{"num_token": true, "p_baseline_dict": {"3": 2}}', "num_token must be a whole number"),
        ('{"num_token": 2}', "it must hold p_baseline_dict or token_frequency_dict"),
        ('{"num_token": 2, "p_baseline_dict": {}}', "it must hold"),
        ('{"num_token": 2, "p_baseline_dict": {"-3": 2}}', "'-3' is no token id"),
        ('{"num_token": 2, "token_frequency_dict": {"3": 5}}', "the count of id 3 must be"),
        ('{"num_token": 2, "num_token": 3, "p_baseline_dict": {"3": 2}}', ".*the key 'num_token' is there twice"),
        (f'{{"num_token": 2, "p_baseline_dict": {{"{"9" * 5000}": 2}}}}', "'9999*' is no token id"),
        ("[" * 100_000, "it is not JSON .it is nested too deeply"),
    ],
)
def test_a_file_that_holds_no_counts(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "c.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=f"c.json is no file of token counts: {said}"):
        ds.PCSampler(frequencies=str(path))


def test_files_of_counts(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none.json cannot be read \(No such file"):
        ds.PCSampler(frequencies=str(tmp_path / "none.json"))
    with pytest.raises(ValueError, match="there is no token to count"):
        frequencies.write(tmp_path / "c.json", [[]])
    path = tmp_path / "c.json"
    content = json.dumps({"num_token": 8, "token_frequency_dict": {"4": 6}, "metadata": {}})
    path.write_text(content, encoding="utf-8-sig")
    assert frequencies.surprisal(path).exp().reciprocal().tolist() == pytest.approx([1 / 8] * 4 + [3 / 4, 1 / 8])


# ---- Prophet


def test_prophet_that_is_never_sure_is_unmask() -> None:
    ours, unmask = run(ds.Prophet(steps=12, early=99, mid=99, late=99)), run(ds.Unmask(steps=12))
    assert (ours.tokens, ours.stats) == (unmask.tokens, unmask.stats)


def test_prophet_ends_sooner_the_less_it_asks_for() -> None:
    asked = (0.0, 1.2, 4.0, 400.0)
    steps = [[s.steps for s in run(ds.Prophet(steps=24, early=g, mid=g / 2, late=g / 4)).stats] for g in asked]
    assert steps[0] == [1] * 4
    assert steps[-1] == [24] * 4
    for some, more in pairwise(steps):
        assert all(a <= b for a, b in zip(some, more, strict=True))
    assert {n for row in steps for n in row} & {8, 17}, "some become sure enough when less is asked for"


def test_prophet_watches_the_answer() -> None:
    """The model is sure of positions 6 and 7 alone."""

    def rule(ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        sure = torch.where((positions == 7) | (positions == 8), 9.0, 0.1)
        return torch.nn.functional.one_hot(3 + positions % 5, 16) * sure[..., None]

    model = scripted_model(rule, eos_ids=())

    def steps(**options: Any) -> int:
        return ds.Sampler(model, ds.Prophet(steps=12, **options), "all").generate([[5]], 12).stats[0].steps

    assert steps(answer_start=6, answer_length=2) == 1
    assert steps(answer_start=5, answer_length=2) == 9  # (0.1 + 9) / 2 is not 5, and 2.5 is asked for from step 9 on
    assert steps(answer_start=5, answer_length=2, mid=4.5) == 4
    assert steps() == 12


def test_prophet_options() -> None:
    with pytest.raises(ValueError, match="answer_length belongs to answer_start"):
        ds.Prophet(answer_length=3)


# ---- KLASS


def test_klass_with_no_kl_allowed_is_unmask() -> None:
    ours, unmask = run(ds.KLASS(kl=0.0)), run(ds.Unmask())
    assert ours.tokens == unmask.tokens
    loose, threshold = run(ds.KLASS(kl=1e9, history=1, threshold=0.4)), run(ds.Unmask(threshold=0.4))
    assert sum(s.steps for s in loose.stats) <= sum(s.steps for s in threshold.stats) + 2 * len(PROMPTS)


def test_klass_waits_for_its_history_in_every_block() -> None:
    for history in (1, 2, 3):
        out = run(ds.KLASS(threshold=0.0, kl=1e9, history=history), new=16, block_length=8)
        assert [s.steps for s in out.stats] == [2 * (history + 1)] * 4


def test_a_later_row_in_a_slot_begins_without_a_past() -> None:
    """Nine prompts in two slots: a row's first KL is infinite, whatever the slot held before."""
    sampler = ds.Sampler(random_model(seed=3), ds.KLASS(threshold=0.1, kl=0.3, history=1), batch_size=2)
    prompts = [[3 + n, 9, 7 * n % 50 + 5] for n in range(9)]
    together = sampler.generate(prompts, 14)
    assert together.tokens == [sampler.generate([p], 14).tokens[0] for p in prompts]


# ---- CreditDecoding


def test_credit_without_fusion_is_a_threshold_fill() -> None:
    ours, unmask = run(ds.CreditDecoding(threshold=0.4, fusion=0.0)), run(ds.Unmask(threshold=0.4))
    assert ours.tokens == unmask.tokens
    assert [s.steps for s in ours.stats] == [s.steps for s in unmask.stats]


def test_credit_saves_steps() -> None:
    steps = [sum(s.steps for s in run(ds.CreditDecoding(threshold=0.7, fusion=a)).stats) for a in (0.0, 0.7, 2.0)]
    assert steps[0] > steps[1] > steps[2]


def test_the_trace_tells_the_raised_probability() -> None:
    for events in run(ds.CreditDecoding(threshold=0.6, fusion=2.0)).trace:
        by_step: dict[int, list[float]] = {}
        for event in events:
            by_step.setdefault(event.step, []).append(event.probability)
        assert all(p > 0.6 for found in by_step.values() if len(found) > 1 for p in found)


# ---- Saber


def test_saber_gains_at_every_step_and_remasks() -> None:
    out = run(ds.Saber())
    assert all(s.remasks > 0 for s in out.stats)
    assert all(s.steps < 24 for s in out.stats)
    assert {e.reason for events in out.trace for e in events if e.kind == "remask"} == {"falls"}


def test_saber_fills_nothing_that_is_just_as_sure_as_what_stands() -> None:
    """In float32 three times this probability, by three, is less than the probability."""
    prob = torch.tensor(float.fromhex("0x1.f5db0cp-2"))
    assert torch.stack([prob] * 3).sum() / 3 < prob
    sure = torch.full((1, 6), float(prob))
    block = block_of([4, 4, 4, MASK, MASK, MASK])
    state = SaberState(torch.where(block.masked, -1.0, sure), sure)
    _, update = stepped(ds.Saber(tokens_per_step=1), block, pred_of([5] * 6, [float(prob)] * 6), state)
    assert update.tokens[0].tolist().count(MASK) == 2


def test_saber_keeps_one_of_the_tokens_it_filled() -> None:
    """A step that fills one token takes none back, or it would never end."""
    assert not any(s.forced for s in run(ds.Saber(tokens_per_step=1, per_remask=1)).stats)


# ---- CoRe


def test_core_without_a_window_is_unmask() -> None:
    unmask = run(ds.Unmask(steps=24))
    for options in ({"start": 0.5, "stop": 0.5}, {"max_revisions": 0}, {"candidates": 0}, {"protect": 24}):
        ours = run(ds.policy("core", steps=24, **options))
        assert (ours.tokens, ours.stats) == (unmask.tokens, unmask.stats)


def test_a_look_costs_one_forward_and_leaves_no_trace_in_the_text() -> None:
    """With a probability that nothing reaches no token is replaced: the text is Unmask's, the looks are paid for."""
    unmask = run(ds.Unmask(steps=24))
    looking = run(ds.CoRe(steps=24, every=3, protect=0, min_prob=1.0))
    assert looking.tokens == unmask.tokens
    assert [s.nfe for s in looking.stats] == [24 + 4] * 4  # steps 6, 9, 12, 15
    assert all(
        s.remasks == sum(e.kind == "remask" for e in t) > 0 for s, t in zip(looking.stats, looking.trace, strict=True)
    )


@pytest.mark.parametrize("block_length", ["all", 6])
@pytest.mark.parametrize(("name", "options"), [case for case in OURS if case[0] == "core"], ids=str)
def test_core_as_printed(name: str, options: dict[str, Any], block_length: Any) -> None:
    """The further forward within the step, as the paper has it: the same text after every step."""
    for model in (gently(), random_model("bidirectional", "prompt", seed=4)):
        sampler = ds.Sampler(model, ds.policy(name, **options), block_length)
        for prompt in PROMPTS[:2]:
            seen, forwards = oracle_training_free.decode_core(model, prompt, options, block_length=block_length, new=20)
            out = sampler.generate([prompt], 20, record=True)
            if any(token in model.eos_ids for token in seen[-1]):
                continue
            assert out.tokens[0] == seen[-1][len(prompt) :]
            assert out.stats[0].nfe == forwards


def test_core_options() -> None:
    with pytest.raises(ValueError, match=r"stop \(0.2\) must not be before start \(0.5\)"):
        ds.CoRe(start=0.5, stop=0.2)


# ---- EB-sampler


def test_entropy_bound_is_the_papers() -> None:
    """The largest set in the order of entropy whose sum less its largest entropy is within the bound (Eq. 11)."""
    g = torch.Generator().manual_seed(1)
    for bound in (0.0, 0.3, 1.0, 4.0):
        entropy = torch.rand(6, 12, generator=g) * 2
        tokens = torch.where(torch.rand(6, 12, generator=g) < 0.7, MASK, 5)
        one, number = torch.ones(6, dtype=torch.long), torch.rand(6, 12, generator=g)
        block = Block(
            tokens, tokens > 0, one, 0 * one, 12 * one, 12 * one, one, torch.tensor([EOS]), MASK
        )  # fmt: skip
        pred = Prediction(tokens, number, number, number, number, entropy)
        chosen = fill.EntropyBound(bound).choose(block, pred)
        for row in range(6):
            masked = sorted((i for i in range(12) if tokens[row, i] == MASK), key=lambda i: entropy[row, i].item())
            best: list[int] = []
            for size in range(1, len(masked) + 1):
                values = [entropy[row, i].item() for i in masked[:size]]
                if sum(values) - max(values) <= bound:
                    best = masked[:size]
            assert chosen[row].nonzero().flatten().tolist() == sorted(best)


# ---- as pieces


def test_the_fill_rules_are_read_back_by_name(tmp_path: Path) -> None:
    path = counted(tmp_path, {3: 5, 4: 1})
    for piece in (Calibrated(steps=9, frequencies=path), EarlyCommit(9, early=3.0)):
        pair = ds.chain(piece, ds.edit.Remask(ds.detect.LowProb(0.2)))
        assert ds.policy("chain", **pair.model_dump()) == pair
        out = ds.Sampler(gently(), pair).generate(PROMPTS, 16)
        assert not any(s.forced for s in out.stats)
    with pytest.raises(ValueError, match="unknown fill rule 'calibrate'; did you mean 'calibrated'"):
        ds.policy("chain", fill={"rule": "calibrate"}, edit={"rule": "keep"})
