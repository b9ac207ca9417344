"""Training takes what decoding takes: models that predict the next position, and masked LMs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import dlmsample as ds
from dlmsample.objectives.base import objective
from dlmsample.rng import fold
from dlmsample.train.config import TrainConfig, TrainError, finish
from dlmsample.train.data.batches import BatchSteps
from dlmsample.train.data.corpus import model_context
from dlmsample.train.data.encoder import Encoder, flatten
from dlmsample.train.data.layout import lay_out
from dlmsample.train.data.source import Drawn, row_keys, starts
from dlmsample.train.model import build_model, corrupt, token_ids
from dlmsample.train.optimizer import named_trainable
from dlmsample.train.trainer import Trainer
from tests.models import checkpoints

FAMILIES = ("dream", *checkpoints.MASKED)
#: Families whose usual adapters are known, and what the others need to be told.
TARGETS = {"albert": ["query", "value"], "distilbert": ["q_lin", "v_lin"], "deberta-v2": ["query_proj"]}


class RandomRows:
    """Rows of random ids: prompts of ``least`` to ``least`` + 6 tokens, answers of 1 to 7."""

    size, summary, fingerprint = None, (), ""
    encoder: Any = None

    def __init__(self, family: str) -> None:
        self.least = 1 if family.startswith("esm") else 0  # ESM divides by the share of tokens that are no masks

    def rows(self, numbers: Tensor) -> Drawn:
        def draw(*counters: int) -> int:
            return int(fold(torch.tensor(11), *counters)) & 0xFFFF

        prompts = [[3 + draw(n, 1, i) % 28 for i in range(self.least + draw(n, 2) % 7)] for n in numbers.tolist()]
        answers = [[3 + draw(n, 3, i) % 28 for i in range(draw(n, 4) % 7)] + [2] for n in numbers.tolist()]
        flat, prompt, answer = flatten(prompts, answers)
        return Drawn(flat, starts(prompt + answer), prompt, answer, None, row_keys(0, 0, numbers))


def geometry(family: str) -> dict[str, Any]:
    mask = 250 if family == "dream" else checkpoints.MASK
    return {"mask_id": mask, "eos_ids": [2], "block_length": 8, "attention": "bidirectional"}


def config_of(family: str, folder: Path, **changes: Any) -> TrainConfig:
    where = checkpoints.save(family, folder / "base")
    data = {
        "model": {"init": str(where), "geometry": {**geometry(family), "logit_shift": family == "dream"}},
        "objective": {"name": "mdm"},
        "task": {"name": "tests.train.standin:problem"},
        "windows": {"window_max": 10, "long_window_max": 12},
        "steps": 3,
        "batch_size": 8,
        "micro_batches": 2,
        "lr": 0.01,
        "log_every": 1,
        **changes,
    }
    return finish(data, "test")


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_losses_equal_a_loop_over_rows_and_positions(family: str, tmp_path: Path) -> None:
    """Each row goes through the module alone, without padding, as whole as it is decoded."""
    config = config_of(family, tmp_path)
    model = build_model(config).eval()
    plain = ds.load(tmp_path / "base", mask_id=geometry(family)["mask_id"], eos_ids=[2])
    rule, ids = objective("mdm"), token_ids(config, model)
    supervised = 0
    for rows in BatchSteps(config, 0, source=RandomRows(family))[0]:
        batch = lay_out(config, rows)
        made = corrupt(rule, model, batch, ids)
        loss, _ = rule.loss(model(batch, made.input), made)
        total = 0.0
        for r in range(len(rows.keys)):
            prompt, width = int(rows.prompt[r]), int(rows.window[r])
            text = torch.from_numpy(rows.tokens[r, : prompt + width]).long()
            text[prompt:] = made.input[r, :width]
            logits = checkpoints.logits(plain, text)
            for i in range(width):
                if weight := float(made.weights[r, i]):
                    supervised += 1
                    total -= weight * float(logits[prompt + i].log_softmax(-1)[made.targets[r, i]])
        assert float(loss) == pytest.approx(total / len(rows.keys), rel=1e-4)
    assert supervised > 10


@pytest.mark.parametrize("family", FAMILIES)
def test_an_adapter_that_was_trained_loads_again(family: str, tmp_path: Path) -> None:
    lora = {"rank": 2, "alpha": 4, "targets": TARGETS.get(family)}
    trainer = Trainer(config_of(family, tmp_path, lora=lora), tmp_path / "out", source=RandomRows(family))
    assert trainer.run()
    assert all(".lora_" in name for name in trainer.named)
    options: dict[str, Any] = {"mask_id": geometry(family)["mask_id"], "eos_ids": [2]}
    loaded = ds.load(tmp_path / "base", adapter=str(tmp_path / "out" / "final"), **options)
    base = ds.load(tmp_path / "base", **options)
    text = torch.arange(5, 17)
    text[4:8] = options["mask_id"]
    trainer.inner.eval()
    trained = ds.Denoiser("trained", trainer.inner.module, None, loaded.facts, interface=trainer.inner.reads)
    wanted, found, before = (checkpoints.logits(model, text) for model in (trained, loaded, base))
    torch.testing.assert_close(found, wanted, atol=5e-3, rtol=1e-2)  # float16 on the disk
    assert (wanted - before).abs().max() > 0.02


def test_the_result_of_a_masked_lm_is_one_that_loads(tmp_path: Path) -> None:
    trainer = Trainer(config_of("bert", tmp_path), tmp_path / "out", source=RandomRows("bert"))
    assert trainer.run()
    loaded = ds.load(tmp_path / "out" / "final")
    assert loaded.interface.kind == "masked_lm"
    assert (loaded.mask_id, loaded.eos_ids) == (checkpoints.MASK, (2,))
    answer = ds.Sampler(loaded, ds.Unmask()).generate([[5, 6, 7]], max_new_tokens=8)
    assert answer.stats[0].steps > 0


def test_resuming_a_masked_lm_draws_the_same_dropout(tmp_path: Path) -> None:
    config = config_of("bert", tmp_path)
    whole = Trainer(config, tmp_path / "one", source=RandomRows("bert"))
    assert whole.dropout
    assert whole.run()
    assert not Trainer(config, tmp_path / "two", source=RandomRows("bert")).run(stop_at=2)
    torch.rand(5)
    parts = Trainer(config, tmp_path / "two", source=RandomRows("bert"))
    assert parts.run()
    assert all(torch.equal(p, parts.named[name]) for name, p in whole.named.items())


def test_a_head_trains_beside_a_masked_lm(tmp_path: Path) -> None:
    head = {"width": 16, "heads": 2, "mlp": 32}
    config = config_of("roberta", tmp_path, head=head, objective={"name": "fca", "options": {"artefacts": "uniform"}})
    model = build_model(config)
    assert all(name.startswith("head.") for name in named_trainable(model))
    batch = lay_out(config, BatchSteps(config, 0, source=RandomRows("bert"))[0][0])
    made = corrupt(objective("fca", artefacts="uniform"), model, batch, token_ids(config, model))
    assert model(batch, made.input, frozenset({"error"})).shape == batch.clean.shape


def test_masked_lms_learn(tmp_path: Path) -> None:
    changes = {"steps": 40, "checkpoint_every": 40, "log_every": 40, "batch_size": 16}
    trainer = Trainer(config_of("modernbert", tmp_path, **changes), tmp_path / "out", source=RandomRows("bert"))
    batch = lay_out(trainer.config, BatchSteps(trainer.config, 0, source=RandomRows("bert"))[50][0])
    made = corrupt(trainer.objective, trainer.inner, batch, trainer.ids)

    def loss() -> float:
        trainer.inner.eval()
        with torch.no_grad():
            return float(trainer.objective.loss(trainer.inner(batch, made.input), made)[0])

    before = loss()
    assert trainer.run()
    assert loss() < 0.8 * before


def test_what_cannot_be_trained_is_told(tmp_path: Path) -> None:
    causal = {**geometry("dream"), "attention": "block_causal", "logit_shift": True}
    with pytest.raises(TrainError, match="a block-causal model whose logits predict the next position"):
        config_of("dream", tmp_path, model={"init": "nano", "geometry": causal})
    config = config_of("albert", tmp_path / "albert", lora={"rank": 2, "alpha": 4})
    with pytest.raises(TrainError, match=r"no default for albert; name some of its layers: .*query"):
        build_model(config)


def test_prompts_without_a_template_are_those_of_decoding(tmp_path: Path) -> None:
    """BERT's stand behind [CLS]; [SEP] comes behind the answer."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "what", "is", "this", "d"]
    pieces = [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz0123456789"]
    raw = Tokenizer(models.WordPiece({word: i for i, word in enumerate([*words, *pieces])}, unk_token="[UNK]"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    raw.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    special = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    folder = checkpoints.save("bert", tmp_path / "base")
    PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="[UNK]", **special).save_pretrained(folder)
    model = ds.load(folder)
    assert (model.mask_id, model.eos_ids) == (4, (3,))
    encoder = Encoder(folder, 3)
    asked = encoder.chats([("user",)] * 2, [("what is this",), ("is",)])
    assert asked == [model.encode("what is this"), model.encode("is")]
    assert asked[1] == [2, 6]
    assert encoder.answers(["this"]) == [[7, 3]]


def test_the_context_of_a_masked_lm_leaves_its_offset_out(tmp_path: Path) -> None:
    for family, context in (("bert", 96), ("roberta", 94)):
        assert model_context(config_of(family, tmp_path / family)) == context
