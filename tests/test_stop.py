"""Stop strings: where the answer is cut, when a row stops, and that nothing else changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import dlmsample as ds
from dlmsample.decoding.answers import Cut, Stops
from dlmsample.policies.base import Policy
from dlmsample.types import Event
from tests.test_protocol import CASES, PROMPTS
from tests.toys import EOS, MASK, random_model, scripted_model

every_policy = pytest.mark.parametrize("policy", CASES, ids=repr)
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,"


class Letters:
    """Every id is a letter, but for some that are several, and the special ones, which are none."""

    chat_template = None
    mask_token = None

    def __init__(self, several: dict[int, str] | None = None) -> None:
        self.several = several or {}

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return [LETTERS.find(c) for c in text]  # -1: no token of its own

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = False) -> str:
        return "".join(self.several.get(i, LETTERS[i]) for i in ids if i not in (EOS, MASK))


def spelled(model: ds.Denoiser, several: dict[int, str] | None = None) -> ds.Denoiser:
    return replace(model, tokenizer=Letters(several))


def writes(text: str, several: dict[int, str] | None = None, eos_at: int | None = None) -> ds.Denoiser:
    """A model that answers a prompt of one token with this text, letter by letter, sure of itself; blocks of 8."""

    def rule(ids: Tensor, positions: Tensor) -> Tensor:
        answer = [LETTERS.index(c) for c in text.ljust(64, "z")]
        if eos_at is not None:
            answer[eos_at] = EOS
        token = torch.tensor(answer)[(positions - 1).clamp(0, 63)]
        return torch.nn.functional.one_hot(token, 64).float() * 20

    return spelled(scripted_model(rule, vocab=64, block_length=8), several)


def change(event: Event) -> tuple[object, ...]:
    """An event but for its probability, whose last bits depend on the batch."""
    return event.kind, event.step, event.block, event.position, event.old, event.new


def run(model: ds.Denoiser, stop: Sequence[str] | None, new: int = 24, **options: Any) -> ds.Output:
    return ds.Sampler(model, ds.Unmask(), **options).generate([[5]], new, stop=stop)


@pytest.mark.parametrize(
    ("stop", "text", "blocks"),
    [
        (["k"], "defghij", 1),  # in the first block
        (["j", "k"], "defghi", 1),
        (["k", "j"], "defghi", 1),  # the one that begins first, whatever the order
        (["kl"], "defghij", 2),  # over the border of two blocks: known with the second
        (["lm"], "defghijk", 2),
        (["d"], "", 1),
        (["C"], "defghijklmnopqrstuvwxyzAB", 4),
        (["?"], None, 4),
        (["zA", "?", "C"], "defghijklmnopqrstuvwxy", 3),
        ([], None, 4),
        (None, None, 4),
    ],
    ids=str,
)
def test_the_text_before_the_first_stop_string(stop: list[str] | None, text: str | None, blocks: int) -> None:
    whole = "defghijklmnopqrstuvwxyzABCDEFGHI"
    out = run(writes(whole), stop, 32)
    kept = whole if text is None else text
    assert out.texts == [kept]
    assert out.tokens == [[LETTERS.index(c) for c in kept]]
    stats = out.stats[0]
    assert (stats.tokens, stats.finish_reason) == (len(kept), "length" if text is None else "stop")
    assert stats.steps == stats.nfe == stats.fills == 8 * blocks
    assert stats.tokens_per_forward == pytest.approx(len(kept) / (8 * blocks))


def test_tokens_go_up_to_the_one_in_which_the_text_ends() -> None:
    """A token may hold the text's end and the stop string's beginning, or lie in front of it whole."""
    several = {LETTERS.index("f"): "x\n\n", LETTERS.index("h"): "\n", LETTERS.index("i"): "\ny"}
    model = writes("defghijklm", several)
    ids = [LETTERS.index(c) for c in "defghi"]
    for stop, text, tokens in (("\n\n", "dex", 3), ("x", "de", 2), ("\n\ng", "dex", 3), ("\n\ny", "dex\n\ng", 4)):
        out = run(model, [stop])
        assert (out.texts, out.tokens) == ([text], [ids[:tokens]]), stop
        assert out.stats[0].tokens == tokens


def test_what_follows_an_eos_is_no_answer() -> None:
    """Behind the EOS nothing is looked for; before it the stop string wins."""
    for eos_at, stop, text, reason in (
        (3, "h", "def", "eos"),
        (3, "f", "de", "stop"),
        (3, "f" + "h", "def", "eos"),
        (20, "e", "d", "stop"),
        (None, "e", "d", "stop"),
    ):
        out = run(writes("defghijklm", eos_at=eos_at), [stop])
        assert (out.texts, out.stats[0].finish_reason) == ([text], reason)
        assert out.stats[0].steps == 8


@every_policy
@pytest.mark.parametrize(("attention", "temperature"), [("block_causal", 1.0), ("bidirectional", 0.0)])
def test_stopping_early_is_cutting_late(policy: Policy, attention: str, temperature: float) -> None:
    """A stopped row has the text and tokens of the whole answer, cut, and did the same up to its block's end."""
    model = spelled(random_model(attention, "absolute", seed=1))
    sampler = ds.Sampler(model, policy, temperature=temperature)
    plain = sampler.generate(PROMPTS, 21, record=True)
    assert plain.trace is not None
    stops = [plain.texts[0][3:5], plain.texts[1][-2:], plain.texts[2][:1]]
    out = sampler.generate(PROMPTS, 21, stop=stops, record=True)
    assert "stop" in {s.finish_reason for s in out.stats}
    for i, (text, whole) in enumerate(zip(out.texts, plain.texts, strict=True)):
        found = [at for s in stops if (at := whole.find(s)) >= 0]
        stats, full = out.stats[i], plain.stats[i]
        if not found:
            assert (text, out.tokens[i], stats) == (whole, plain.tokens[i], full)
            continue
        assert text == whole[: min(found)]
        assert out.tokens[i] == plain.tokens[i][: len(text)]
        assert (stats.finish_reason, stats.tokens) == ("stop", len(text))
        assert stats.steps <= full.steps
        assert stats.nfe <= full.nfe
        assert out.trace is not None
        seen, rest = plain.trace[i][: len(out.trace[i])], plain.trace[i][len(out.trace[i]) :]
        assert list(map(change, out.trace[i])) == list(map(change, seen)), "the same run, left earlier"
        assert not any(e.step < stats.steps for e in rest)


@every_policy
def test_rows_that_stop_change_nothing(policy: Policy, full: bool) -> None:
    """Each of them, and each of those that go on, is as it is alone."""
    model = spelled(random_model("block_causal", "prompt", seed=3))
    sampler = ds.Sampler(model, policy, temperature=1.0)
    stops = [sampler.generate(PROMPTS[:1], 21, seed=7).texts[0][1:3], "q", "7"]
    batch = sampler.generate(PROMPTS, 21, seed=7, stop=stops)
    assert {s.finish_reason for s in batch.stats} & {"stop"}
    for i, prompt in enumerate(PROMPTS):
        if not full and i % 2:
            continue
        alone = sampler.generate([prompt], 21, seed=7, stop=stops)
        assert (alone.tokens[0], alone.texts[0], alone.stats[0]) == (batch.tokens[i], batch.texts[i], batch.stats[i])


def test_an_unfinished_block_is_not_looked_at() -> None:
    """The first draft holds the stop string; the policy then replaces it: the row goes on."""
    calls = 0

    def rule(ids: Tensor, positions: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        token = torch.full_like(ids, LETTERS.index("s" if calls == 1 else "t"))
        return torch.nn.functional.one_hot(token, 64).float() * 20

    model = spelled(scripted_model(rule, vocab=64, block_length=8))
    out = ds.Sampler(model, ds.T2T()).generate([[5]], 16, stop=["s"])
    assert out.texts == ["t" * 16]
    assert (out.stats[0].finish_reason, out.stats[0].replaces) == ("length", 8)


def test_a_stopped_row_writes_no_cache(nano: ds.Denoiser) -> None:
    """The forward that would write its last block is not made, as after an EOS; a block later the text is the same."""
    problem = ds.tasks.load("wordproblems", split="valid", limit=1)[0].prompt
    sampler = ds.Sampler(nano, ds.Unmask(), block_length=8)
    whole = sampler.generate([problem], 64)
    stop = whole.texts[0].find(".") + 1
    out = sampler.generate([problem], 64, stop=["."])
    stats = out.stats[0]
    assert out.texts == [whole.texts[0][: stop - 1]]
    assert nano.decode(out.tokens[0]).startswith(out.texts[0])
    blocks = stats.steps // 8
    assert (stats.steps, stats.nfe) == (8 * blocks, 8 * blocks + blocks - 1)
    assert stats.steps < whole.stats[0].steps


def test_no_text_is_read_within_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoded once a block at the most, and not at all without stop strings until the end."""
    model = writes("defghijklmnopqrstuvwxyz")
    seen: list[int] = []
    decode = Letters.decode

    def spy(self: Letters, ids: Sequence[int], skip_special_tokens: bool = False) -> str:
        seen.append(len(ids))
        return decode(self, ids, skip_special_tokens)

    monkeypatch.setattr(Letters, "decode", spy)
    run(model, None)
    assert seen == [24]
    seen.clear()
    run(model, ["?"])
    assert seen == [8, 16, 24, 24]


@pytest.mark.parametrize(
    ("stop", "remedy"), [("x", r"wrap a single one in \[ \]"), ([""], "is empty"), ([5], "list of texts")]
)
def test_mistakes(stop: Any, remedy: str) -> None:
    model = writes("abc")
    with pytest.raises(ValueError, match=remedy):
        run(model, stop)
    assert model.module.calls == 0


def test_without_a_tokenizer() -> None:
    with pytest.raises(ValueError, match="no tokenizer to read stop strings with: leave stop out"):
        run(random_model(), ["x"])
    assert run(random_model(), []).tokens


def test_text_that_is_not_one_token_after_another() -> None:
    """A character of several tokens: the cut keeps them all."""

    def decode(ids: Sequence[int]) -> str:
        return bytes(ids).decode("utf-8", "replace")

    data = list("aé✓b;c".encode())
    assert Stops([";"], decode, ()).cut(data) == Cut(7, "aé✓b")
    assert Stops(["✓"], decode, ()).cut(data) == Cut(3, "aé")
    assert Stops(["é"], decode, ()).cut(data) == Cut(1, "a")
    assert Stops(["b"], decode, [0xC3]).cut(data) is None
    assert Stops(["?"], decode, ()).cut([]) is None
