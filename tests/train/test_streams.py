"""The streams give each block the logits that decoding would give it; data is what its options say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from dlmsample.models.attention.masks import bidirectional, block_causal, two_stream
from dlmsample.rng import fold
from dlmsample.train.config import TrainConfig, load
from dlmsample.train.config.sections import WindowSection
from dlmsample.train.data.batches import BatchSteps, batches, draw_windows
from dlmsample.train.data.layout import MicroBatch, layout, packed_mask
from dlmsample.train.model import StreamModel, build_module, model_input
from tests.train.standin import recipe


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    return load(str(recipe(tmp_path_factory.mktemp("streams"), batch_size=16, steps=6)))


@pytest.fixture(scope="module")
def model(config: TrainConfig) -> StreamModel:
    return StreamModel(build_module(config)).eval()


@torch.no_grad()
def test_two_streams_equal_a_plain_forward_of_every_block(config: TrainConfig, model: StreamModel) -> None:
    blocks_seen = 0
    for rows in BatchSteps(config, 0)[0]:
        batch = layout(rows, "block_causal")
        window = torch.randint(3, 200, batch.clean.shape, generator=torch.Generator().manual_seed(0))
        logits = model(batch, window)
        for r in range(len(rows.keys)):
            prompt, width, block = int(rows.prompt[r]), int(rows.window[r]), int(rows.block[r])
            for start in range(0, width, block):
                end = min(start + block, width)
                ids = torch.from_numpy(rows.tokens[r, : prompt + end]).long()
                ids[prompt + start :] = window[r, start:end]
                at = torch.arange(prompt + end)
                index = torch.where(at < prompt, 0, (at - prompt) // block + 1)[None]
                mask = block_causal(index, torch.ones_like(index, dtype=torch.bool))
                plain = model.module(input_ids=ids[None], position_ids=at[None], attention_mask=mask).logits
                torch.testing.assert_close(logits[r, start:end], plain[0, prompt + start :], atol=1e-5, rtol=1e-5)
                blocks_seen += 1
    assert blocks_seen > 16


@torch.no_grad()
def test_one_stream_equals_a_plain_forward_of_every_row(config: TrainConfig, model: StreamModel) -> None:
    for rows in BatchSteps(config, 0)[1]:
        batch = layout(rows, "bidirectional")
        assert batch.blocks is None
        window = torch.randint(3, 200, batch.clean.shape, generator=torch.Generator().manual_seed(0))
        logits = model(batch, window)
        for r in range(len(rows.keys)):
            prompt, width = int(rows.prompt[r]), int(rows.window[r])
            ids = torch.from_numpy(rows.tokens[r, : prompt + width]).long()
            ids[prompt:] = window[r, :width]
            mask = bidirectional(torch.ones(1, prompt + width, dtype=torch.bool))
            at = torch.arange(prompt + width)[None]
            plain = model.module(input_ids=ids[None], position_ids=at, attention_mask=mask).logits
            torch.testing.assert_close(logits[r, :width], plain[0, prompt:], atol=1e-5, rtol=1e-5)


def test_packed_mask_is_the_two_stream_mask_moved_together() -> None:
    prompt, width, block = 3, 7, 3
    at = torch.arange(width)
    noisy = (at // block + 1)[None]
    clean = torch.cat([torch.zeros(prompt, dtype=torch.long), noisy[0]])[None]
    ones = torch.ones(1, width + len(clean[0]), dtype=torch.bool)
    expected = two_stream(noisy, ones[:, :width], clean, ones[:, width:])
    stream = torch.arange(ones.shape[1])[None] < width
    assert torch.equal(packed_mask(torch.cat([noisy, clean], 1), stream, ones), expected)


@pytest.mark.parametrize("attention", ["block_causal", "bidirectional"])
def test_only_the_window_is_replaced(config: TrainConfig, attention: str) -> None:
    for rows in BatchSteps(config, 0)[2]:
        batch = layout(rows, attention)
        changed = model_input(batch, batch.clean + 1) != model_input(batch, batch.clean)
        assert changed.sum(1).tolist() == rows.window.tolist()
        assert batch.editable.sum(1).tolist() == rows.window.tolist()
        assert torch.equal(model_input(batch, batch.clean)[batch.noisy], batch.clean[batch.editable])


def test_rows_hold_prompt_answer_and_eos_window(config: TrainConfig) -> None:
    steps = BatchSteps(config, 0)
    for rows in steps[0]:
        assert rows.tokens.shape[1] % 32 == 0
        assert rows.noisy % 32 == 0
        for r in range(len(rows.keys)):
            prompt, width = int(rows.prompt[r]), int(rows.window[r])
            text = steps.encoder.fast.decode(rows.tokens[r, : prompt + width].tolist())
            assert text.startswith("Q: ")
            assert "?\nA:" in text
            assert "#### " in text
            window = rows.tokens[r, prompt : prompt + width]
            answer = int(np.argmax(window == 1))
            assert (window[answer:] == 1).all()
            assert not rows.tokens[r, prompt + width :].any()


def test_batches_do_not_depend_on_workers_processes_or_where_they_start(config: TrainConfig) -> None:
    plain = BatchSteps(config, 0)
    resumed = list(batches(plain, 3, 5))
    worked = list(batches(BatchSteps(config.model_copy(update={"workers": 1}), 0), 3, 5))
    for step, (one, other) in enumerate(zip(resumed, worked, strict=True), start=3):
        for a, b, c in zip(one, other, plain[step], strict=True):
            assert _same(a, b)
            assert _same(a, c)
    halves = [BatchSteps(config, 0, rank, 2)[0] for rank in range(2)]
    keys = sorted(int(k) for half in halves for rows in half for k in rows.keys)
    assert keys == sorted(int(k) for rows in plain[0] for k in rows.keys)


def test_window_and_block_draws_follow_their_options() -> None:
    count = 40_000
    keys = fold(torch.tensor(5), torch.arange(count))
    answers = torch.full((count,), 60)
    options = WindowSection(window_max=160, long_window_max=256)
    window, block = draw_windows(keys, answers, options, own=32, least=8)
    assert int(window.min()) == 60
    assert int(window.max()) == 256
    assert ((block >= 8) & (block <= window.maximum(torch.tensor(32)))).all()
    beyond = float((window > 160).float().mean())
    assert beyond == pytest.approx(0.15 * 96 / 197, abs=0.005)
    assert float((block == window).float().mean()) == pytest.approx(0.25, abs=0.02)
    assert float((block == 32).float().mean()) == pytest.approx(0.4, abs=0.02)
    long = torch.full((4,), 300)
    assert draw_windows(keys[:4], long, options, 32, 8)[0].tolist() == [300] * 4


def test_windows_of_one_length() -> None:
    keys = fold(torch.tensor(5), torch.arange(1000))
    answers = torch.arange(1000) % 200 + 1
    options = WindowSection(window_min=160, window_max=160, long_window_share=0)
    window, _ = draw_windows(keys, answers, options, own=32, least=8)
    assert torch.equal(window, answers.clamp(min=160))
    room = torch.full((1000,), 100)
    window, _ = draw_windows(keys, answers, options, 32, 8, room)
    assert torch.equal(window, answers.clamp(min=100))  # a row that has no more room gets what there is
    with pytest.raises(ValueError, match="window_min 200 is more than window_max 160"):
        WindowSection(window_min=200)


def _same(a: MicroBatch, b: MicroBatch) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_the_shipped_recipe_builds_a_batch() -> None:
    config = load("nano_mdm", ["batch_size=16", "micro_batches=2"])
    if not (Path(config.tokenizer_folder) / "tokenizer.json").is_file():
        pytest.skip("nano's tokenizer is not there yet")
    steps = BatchSteps(config, 0)
    for rows in steps[0]:
        assert rows.tokens.max() < 1024
        assert not (rows.tokens == config.geometry.mask_id).any()
    message = [{"role": "user", "content": "Ada has 3 + 4 pears?"}]
    plain = AutoTokenizer.from_pretrained(config.tokenizer_folder)
    text = plain.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
    ids = plain(text, add_special_tokens=False)["input_ids"]
    assert steps.encoder.chats([("user",)], [(message[0]["content"],)]) == [ids]
