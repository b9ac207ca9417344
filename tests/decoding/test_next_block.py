"""Multi-block decoding against a loop over positions, and what it must leave as it is."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import dlmsample as ds
from dlmsample.decoding.arguments import row_keys
from dlmsample.models.denoiser import Facts
from dlmsample.rng import fold
from tests import oracle
from tests.toys import EOS, MASK, VOCAB, random_model

PAIRS = [(0.0, 0.0), (0.25, 0.5), (0.5, 1.0), (0.3, 0.3), (1.0, 1.0)]
POLICIES: list[tuple[str, dict[str, Any]]] = [
    ("unmask", {"threshold": 0.3}),
    ("unmask", {"threshold": 0.2, "min_commit": 2, "score": "margin", "eos": "confidence"}),
    ("t2t", {"fill_threshold": 0.3, "edit_threshold": 0.4}),
    ("t2m", {"fill_threshold": 0.25}),
    ("t2m", {"fill_threshold": 0.3, "detector": "logit_diff", "threshold": 0.1}),
]
NEW = 21  # two blocks of 8 and a shorter one


def prompts(count: int = 5) -> list[list[int]]:
    """Ragged ids, none of them special."""
    g = torch.Generator().manual_seed(3)
    return [torch.randint(3, VOCAB, (n,), generator=g).tolist() for n in (3, 11, 1, 7, 8)[:count]]


def sampler(model: ds.Denoiser, name: str, options: dict[str, Any], pair: Any, **more: Any) -> ds.Sampler:
    return ds.Sampler(model, ds.policy(name, **options), cache=False, next_block=pair, **more)


def rule_for(policy: str, options: dict[str, Any], at: tuple[int, int], prompt: list[int], model: ds.Denoiser) -> Any:
    start, end = at
    first = max(start, len(prompt))
    block = oracle.Block(
        list(range(first - start, end - start)),
        MASK,
        tuple(model.eos_ids),
        first - len(prompt),
        end - len(prompt),
        NEW,
        8,
        None,
    )
    return oracle.POLICIES[policy](block, **options)


def loop(
    model: ds.Denoiser,
    prompt: list[int],
    policy: str,
    options: dict[str, Any],
    pair: tuple[float, float],
    key: int,
    temperature: float,
) -> tuple[list[int], int, int]:
    """The answer's tokens up to the EOS, the forwards and how often a mask was filled, one position at a time."""
    blocks, block_of = oracle.layout(len(prompt), NEW, model.block_alignment, 8)
    mask = oracle.attention_mask(model.attention, block_of)
    canvas, row, forwards = prompt + [MASK] * NEW, torch.tensor(key, dtype=torch.int64), 0
    fills = 0
    least, score = options.get("min_commit", 1), options.get("score", "confidence")
    level: float = options["threshold"] if policy == "unmask" else options["fill_threshold"]

    def has_eos(tokens: list[int]) -> bool:
        return any(token in model.eos_ids for token in tokens)

    for index, (start, end) in enumerate(blocks):
        answer_from = max(start, len(prompt))
        rule, step = rule_for(policy, options, (start, end), prompt, model), 0
        while rule.wants_forward(canvas[start:end]) or step == 0:
            seen = list(canvas)
            logits = oracle.forward(model, seen, mask)

            own_key = fold(row, index, step)
            read = numbers(logits, seen, start, end, own_key, temperature)
            canvas[start:end] = rule.update(step, own_key, seen[start:end], read)
            forwards, step = forwards + 1, step + 1
            own = seen[answer_from:end]
            progress = sum(token != MASK for token in own) / len(own)
            begun, settled = (share < 1 and progress >= share for share in pair)
            ended = has_eos(own) or (has_eos(canvas[answer_from:end]) and not wants(rule, canvas[start:end]))
            if index + 1 < len(blocks) and begun and not ended:
                low, high = blocks[index + 1]
                told = numbers(logits, seen, low, high, fold(row, index + 1, -step), temperature)
                masked = [i for i in range(high - low) if seen[low + i] == MASK]
                eos_ids = oracle.eos_ids_of(options.get("eos", "none"), rule.block)
                ranked = oracle.eos_last(oracle.rank_by_score(score, masked, row, told), told, eos_ids)
                allowed = oracle.without_early_eos(masked, told, eos_ids)
                for i in oracle.threshold_fill(allowed, told, ranked, level, least if settled else 0):
                    canvas[low + i] = told[i].token
            fills += sum(old == MASK and new != MASK for old, new in zip(seen, canvas, strict=True))
        if has_eos(canvas[answer_from:end]):
            break
    answer = canvas[len(prompt) :]
    last = next((i for i, token in enumerate(answer) if token in model.eos_ids), len(answer))
    return answer[:last], forwards, fills


def numbers(
    logits: torch.Tensor, seen: list[int], low: int, high: int, key: torch.Tensor, temperature: float
) -> list[oracle.Numbers]:
    """What is told of the positions of a block."""
    rows = range(low, high)
    return [oracle.read_position(logits[i], seen[i], i - low, key, MASK, (), temperature, 1.0, None) for i in rows]


def wants(rule: Any, z: list[int]) -> bool:
    """Whether the block goes on, without the count that asking has."""
    made = rule.post.made if hasattr(rule, "post") else None
    found = rule.wants_forward(z)
    if made is not None:
        rule.post.made = made
    return found


@pytest.mark.parametrize("attention", ["bidirectional", "block_causal"])
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize(("name", "options"), POLICIES)
def test_equals_the_loops(name: str, options: dict[str, Any], pair: tuple[float, float], attention: str) -> None:
    same(random_model(attention), name, options, pair, 0.0)


@pytest.mark.parametrize("pair", [(0.0, 0.0), (0.25, 0.5)])
def test_equals_the_loops_with_samples(pair: tuple[float, float]) -> None:
    same(random_model("bidirectional"), "unmask", {"threshold": 0.1}, pair, 0.8)


@pytest.mark.parametrize(("name", "options"), POLICIES)
def test_equals_the_loops_where_answers_end(name: str, options: dict[str, Any]) -> None:
    """One id in four is an EOS: nothing begins behind a block that holds one, and no row that is done changes."""
    model = random_model("bidirectional")
    ending = ds.Denoiser("ending", model.module, None, Facts(MASK, (EOS, *range(20, 36)), 8, "bidirectional", "prompt"))
    same(ending, name, options, (0.0, 0.5), 0.0)


def same(model: ds.Denoiser, name: str, options: dict[str, Any], pair: tuple[float, float], temperature: float) -> None:
    given = prompts()
    out = sampler(model, name, options, pair, temperature=temperature).generate(given, NEW, seed=5)
    for i, (prompt, key) in enumerate(zip(given, row_keys(5, given), strict=True)):
        stats = out.stats[i]
        found = out.tokens[i], stats.nfe, stats.fills
        assert found == loop(model, prompt, name, options, pair, key, temperature), i
        assert not stats.forced


@pytest.mark.parametrize(("name", "options"), POLICIES)
@pytest.mark.parametrize("alignment", ["prompt", "absolute"])
def test_both_at_one_decode_block_by_block(name: str, options: dict[str, Any], alignment: str) -> None:
    model, given = random_model("bidirectional", alignment), prompts()
    plain = ds.Sampler(model, ds.policy(name, **options)).generate(given, NEW)
    out = sampler(model, name, options, (1.0, 1.0)).generate(given, NEW)
    assert out.tokens == plain.tokens
    assert out.stats == plain.stats


@pytest.mark.parametrize(("name", "options"), POLICIES)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_rows_are_what_they_are_alone(name: str, options: dict[str, Any], temperature: float) -> None:
    """Ragged rows, slots that are refilled, samples."""
    model, given = random_model("bidirectional", "absolute"), prompts()
    seeds = list(range(len(given)))
    whole = sampler(model, name, options, (0.25, 0.75), temperature=temperature, batch_size=2)
    out = whole.generate(given, NEW, seed=seeds)
    for i, prompt in enumerate(given):
        alone = whole.generate([prompt], NEW, seed=[i])
        assert (out.tokens[i], out.stats[i]) == (alone.tokens[0], alone.stats[0])
    assert all(MASK not in tokens for tokens in out.tokens)


def test_it_takes_fewer_forwards() -> None:
    model, given = random_model("bidirectional"), prompts()
    forwards = [
        sum(s.nfe for s in sampler(model, "unmask", {"threshold": 0.2}, pair).generate(given, NEW).stats)
        for pair in (None, (0.5, 1.0), (0.0, 0.0))
    ]
    assert forwards[0] > forwards[1] > forwards[2]


def test_what_cannot_be_done_is_refused_by_name(nano: ds.Denoiser) -> None:
    both, rule = random_model("bidirectional"), ds.Unmask(threshold=0.5)
    refused: list[tuple[ds.Denoiser, ds.Policy, dict[str, Any], str]] = [
        (both, rule, {"next_block": 0.5}, r"a pair \(begin, settle\)"),
        (both, rule, {"next_block": (0.5, 1.5)}, "shares from 0 to 1"),
        (both, rule, {"next_block": (True, 1)}, "shares from 0 to 1"),
        (both, rule, {"next_block": (0.9, 0.5)}, "settles at 0.5 before it begins at 0.9"),
        (both, rule, {"next_block": (0.5, 1), "block_length": "all"}, "leaves no next block"),
        (both, rule, {"next_block": (0.5, 1), "cache": "dual"}, "leave cache='dual' out"),
        (nano, rule, {"next_block": (0.5, 1)}, "set cache=False"),
        (both, ds.Unmask(tokens_per_step=2), {"next_block": (0.5, 1)}, "unmask fills by another rule"),
        (both, ds.D3IM(), {"next_block": (0.5, 1)}, "d3im fills by another rule"),
    ]
    for model, policy, more, said in refused:
        with pytest.raises(ValueError, match=said):
            ds.Sampler(model, policy, **more)
    made = sampler(both, "t2m", {}, (0.5, 1))
    with pytest.raises(ValueError, match="knows no record"):
        made.generate([[5, 6]], 8, record=True)
    with pytest.raises(ValueError, match="knows no fill"):
        made.fill([[5, MASK]])
