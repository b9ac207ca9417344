"""``Sampler.stream``: the answers of ``generate``, prompt by prompt, from any iterable."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice
from typing import Any

import pytest

import dlmsample as ds
from tests.toys import MASK, random_model

PROMPTS = [[5, 7, 9], [4] * 17, [8], [6, 3] * 9, [11] * 8, [12, 13], [8], [20, 21, 22], [8]]


@pytest.mark.parametrize("kind", ["block_causal", "bidirectional"])
@pytest.mark.parametrize("size", [1, 3, 8, 32])
def test_the_answers_of_generate(kind: str, size: int) -> None:
    sampler = ds.Sampler(random_model(kind, seed=3), ds.T2T(fill_threshold=0.3), temperature=1.0, batch_size=size)
    whole = sampler.generate(PROMPTS, max_new_tokens=20, seed=5, record=True)
    found = sorted(sampler.stream(iter(PROMPTS), 20, seed=5, record=True), key=lambda answer: answer.number)
    assert [answer.number for answer in found] == list(range(len(PROMPTS)))
    assert [answer.tokens for answer in found] == whole.tokens
    assert [answer.stats for answer in found] == whole.stats
    assert {answer.cache for answer in found} == {whole.cache} == {"exact" if kind == "block_causal" else "none"}
    assert whole.trace is not None
    for answer, trace in zip(found, whole.trace, strict=True):
        assert [(e.step, e.position, e.new) for e in answer.trace or []] == [(e.step, e.position, e.new) for e in trace]


@pytest.mark.parametrize("kind", ["prefix", "dual"])
def test_fewer_wait_than_are_free(kind: Any) -> None:
    """Two rows end together and one waits: the batch closes up behind it."""
    sampler = ds.Sampler(random_model("bidirectional", seed=3), ds.Unmask(threshold=0.25), cache=kind, batch_size=4)
    prompts = [[51, 59, 29, 5, 19, 35, 34, 28, 53]] * 2 + [[21], [51], [42]]
    alone = [sampler.generate([prompt], 24).tokens[0] for prompt in prompts]
    assert sampler.generate(prompts, 24).tokens == alone


def test_endless_prompts_are_read_as_rows_are_free() -> None:
    read = []

    def prompts() -> Iterator[list[int]]:
        for number in count():
            read.append(number)
            yield [3 + number % 40]

    sampler = ds.Sampler(random_model(seed=3), ds.Unmask(tokens_per_step=4), batch_size=2)
    assert len(list(islice(sampler.stream(prompts(), 8), 10))) == 10
    assert len(read) <= 10 + 2 * 2 + 1


def test_a_bad_prompt_waits_for_those_before_it() -> None:
    sampler = ds.Sampler(random_model(seed=3), ds.Unmask(), batch_size=2)
    answers = sampler.stream([[5], [6], [7], [MASK], [8]], 8)
    assert sorted(next(answers).number for _ in range(3)) == [0, 1, 2]
    with pytest.raises(ValueError, match="mask"):
        next(answers)


@pytest.mark.parametrize("prompts", ["a text", b"bytes", {"role": "user"}, 5])
def test_no_list_of_prompts(prompts: Any) -> None:
    with pytest.raises(ValueError, match="iterable of prompts"):
        ds.Sampler(random_model(seed=3), ds.Unmask()).stream(prompts)
