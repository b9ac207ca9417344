"""Rows are independent for any masked LM of transformers, or their lengths are kept equal, or it is refused by name."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForMaskedLM
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

import dlmsample as ds
from dlmsample.models.families import open_config
from tests.models import checkpoints as tiny

MASK, EOS, VOCAB = 32, 2, 40
#: What makes a configuration small, where it has the field.
SIZES: dict[str, Any] = {
    "vocab_size": VOCAB,
    **dict.fromkeys(("hidden_size", "d_model", "dim", "emb_dim", "embedding_size", "d_latents"), 32),
    **dict.fromkeys(("intermediate_size", "encoder_ffn_dim", "decoder_ffn_dim", "hidden_dim", "d_inner"), 48),
    **dict.fromkeys(("num_hidden_layers", "n_layers", "encoder_layers", "decoder_layers", "num_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_heads", "encoder_attention_heads", "decoder_attention_heads"), 4),
    "num_key_value_heads": 4,
    "max_position_embeddings": 96,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": EOS,
    "cls_token_id": 1,
    "sep_token_id": 2,
}
#: A newer transformers may bring a family whose parts have sizes of their own: not built when it is larger than this.
LARGEST = 20_000_000


def _sees(text: str) -> dict[str, Any]:
    """The parts of a model of text and images, whose text model is of the type ``text``."""
    return {
        "text_config": {
            "model_type": text,
            **{key: SIZES[key] for key in ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers")},
            **{key: SIZES[key] for key in ("num_attention_heads", "max_position_embeddings", "pad_token_id")},
        },
        "vision_config": {
            **{"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2},
            **{"image_size": 32, "patch_size": 8},
        },
    }


#: What else a family needs to be small or to be built at all.
OWN: dict[str, dict[str, Any]] = {
    "big_bird": {"max_position_embeddings": 256, "block_size": 8},
    "convbert": {"conv_kernel_size": 3},
    "esm": {"mask_token_id": MASK, "token_dropout": True, "position_embedding_type": "rotary"},
    "fnet": {"tpu_short_seq_length": 96},
    "longformer": {"attention_window": [8, 8]},
    "mobilebert": {"embedding_size": 16, "true_hidden_size": 16, "intra_bottleneck_size": 16, "num_attention_heads": 4},
    "modernvbert": {**_sees("modernbert"), "image_token_id": 39},
    "luke": {"entity_vocab_size": 16, "entity_emb_size": 16},
    "nystromformer": {"segment_means_seq_len": 64, "num_landmarks": 64},
    "reformer": {
        "is_decoder": False,
        "axial_pos_shape": [8, 12],
        "axial_pos_embds_dim": [16, 16],
        "attn_layers": ["local", "lsh"],
        "attention_head_size": 8,
        "feed_forward_size": 48,
        "local_attn_chunk_length": 8,
        "lsh_attn_chunk_length": 8,
        "num_buckets": 4,
    },
    "roformer": {"embedding_size": 32},
    "squeezebert": {"embedding_size": 32},
    "ultravbert": {**_sees("ultrabert"), "image_token_id": 39},
    "xmod": {"languages": ["en_XX"], "default_language": "en_XX"},
}
FAMILIES = sorted(MODEL_FOR_MASKED_LM_MAPPING_NAMES)
#: Those whose rows must not be padded, and those that are refused, with a word of why.
EQUAL = {"convbert", "fnet", "funnel", "mobilebert", "nystromformer", "yoso"}
REFUSED = {
    "big_bird": "original_full",
    "perceiver": "PerceiverForMaskedLM gives logits of",
    "reformer": "ReformerForMaskedLM",
}


def build(family: str) -> Any:
    """A tiny module of random weights; None: a default configuration with a few smaller sizes cannot be built."""
    kind = CONFIG_MAPPING[family]
    taken = inspect.signature(kind).parameters
    options = {**{k: v for k, v in SIZES.items() if k in taken}, **OWN.get(family, {})}
    try:
        with torch.device("meta"):
            planned = AutoModelForMaskedLM.from_config(kind(**options))
        if sum(p.numel() for p in planned.parameters()) > LARGEST:
            return None
        return tiny._random(AutoModelForMaskedLM.from_config(kind(**options)), 0.2)
    except Exception:
        return None


def refused(folder: Path) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        ds.load(folder, mask_id=MASK, eos_ids=[EOS], ignore_config=unknown_keys(folder))
    return str(caught.value)


def unknown_keys(folder: Path) -> tuple[str, ...]:
    return open_config(folder, mask_id=MASK, eos_ids=[EOS], refuse_unknown=False).keys.unknown


def outcome(module: Any, folder: Path) -> str:
    """ "refused: why", or how rows go through a forward, when they come out as they do alone."""
    module.save_pretrained(folder)
    try:
        model = ds.load(folder, mask_id=MASK, eos_ids=[EOS], ignore_config=unknown_keys(folder))
    except ValueError as e:
        return f"refused: {e}"
    prompts = [[5, 6, 7], list(range(5, 25)), [9], [8, 7, 6], list(range(10, 27)), [30]]
    for length in (5, "all"):
        sampler = ds.Sampler(model, ds.T2M(threshold=0.2), block_length=length, batch_size=4)  # type: ignore[arg-type]
        together = sampler.generate(prompts, max_new_tokens=9).tokens
        streamed = {answer.number: answer.tokens for answer in sampler.stream(prompts, max_new_tokens=9)}
        alone = [sampler.generate([p], max_new_tokens=9).tokens[0] for p in prompts]
        assert together == alone == [streamed[number] for number in range(len(prompts))]
    return "equal" if model.interface.equal_lengths else "rows"


@pytest.mark.parametrize("family", ["fnet", "bert"])
def test_other_stages_do_not_pad_either(family: str, tmp_path: Path) -> None:
    """diagnose batches equal lengths; training, whose rows are padded, refuses."""
    from dlmsample.diagnose import diagnose
    from dlmsample.train.config import TrainError
    from dlmsample.train.model import build_model
    from tests.train.test_families import config_of

    build(family).save_pretrained(tmp_path / "c")
    model = ds.load(tmp_path / "c", mask_id=MASK, eos_ids=[EOS])
    rows = [([5, 6, 7][:n], list(range(8, 12 + n % 3))) for n in (1, 2, 3, 1, 3)]
    reports = [diagnose(model, rows, mask_rates=[0.5], batch_size=size) for size in (1, 8)]
    one, other = ((r.stress, r.stuck, r.calibration[0]) for r in reports)
    assert one[:2] == other[:2]
    assert one[2].confidence == pytest.approx(other[2].confidence, abs=1e-5)
    config = config_of("bert", tmp_path)
    config = config.model_copy(update={"model": config.model.model_copy(update={"init": str(tmp_path / "c")})})
    if family == "bert":
        assert build_model(config)
        return
    with pytest.raises(TrainError, match="training pads the rows"):
        build_model(config)


def test_what_the_probe_costs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two forwards over at most 24 tokens; a third where padding matters."""
    for family, forwards in (("bert", 2), ("fnet", 3)):
        build(family).save_pretrained(tmp_path / family)
        shapes: list[torch.Size] = []
        embeddings = torch.nn.Embedding.forward

        def spy(self: Any, ids: Any, seen: Any = shapes, forward: Any = embeddings) -> Any:
            if self.num_embeddings == VOCAB:
                seen.append(ids.shape)
            return forward(self, ids)

        monkeypatch.setattr(torch.nn.Embedding, "forward", spy)
        ds.load(tmp_path / family, mask_id=MASK, eos_ids=[EOS])
        monkeypatch.undo()
        assert len(shapes) == forwards
        assert max(shape[-1] for shape in shapes) <= 24


#: Every third of those whose rows are merely right, and all others.
QUICK = {*FAMILIES[::3], *EQUAL, *REFUSED, "ultravbert"}


@pytest.mark.parametrize("family", [f if f in QUICK else pytest.param(f, marks=pytest.mark.full) for f in FAMILIES])
def test_rows_are_those_of_a_batch(family: str, tmp_path: Path) -> None:
    """Every architecture that AutoModelForMaskedLM builds."""
    module = build(family)
    if module is None:
        pytest.skip("not built from a configuration of a few sizes")
    found = outcome(module, tmp_path / "c")
    if family in EQUAL:
        assert found == "equal"
    elif family in REFUSED:
        assert found.startswith("refused")
        assert REFUSED[family] in found
    elif not module.config.is_encoder_decoder:
        assert found == "rows"
    if found.startswith("refused"):
        assert "\n" not in found


@pytest.mark.parametrize(
    ("family", "options", "expected"),
    [
        (
            "nystromformer",
            {"segment_means_seq_len": 96, "num_landmarks": 8},
            "refused: .* fails on a text of 11 tokens",
        ),
        ("big_bird", {"attention_type": "original_full"}, "rows"),
    ],
)
def test_what_a_config_changes(
    family: str, options: dict[str, Any], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(OWN, family, {**OWN[family], **options})
    assert re.match(expected, outcome(build(family), tmp_path / "c"))
