"""Config keys are a closed world: published files load, and a key that nobody knows is refused by its name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import dlmsample as ds
from dlmsample.models.explain import explain
from dlmsample.models.families import FAMILIES, family, open_config
from dlmsample.models.families.config.keys import sort_keys
from dlmsample.models.families.registry import published, recognises
from tests.models import checkpoints as tiny
from tests.models.test_families import IDS, edit, fails

_V4 = {"torch_dtype": "bfloat16", "transformers_version": "4.46.3", "use_cache": False}
LLADA: dict[str, Any] = {
    **_V4,
    "activation_type": "silu",
    "alibi": False,
    "alibi_bias_max": 8.0,
    "architectures": ["LLaDAModelLM"],
    "attention_dropout": 0.0,
    "attention_layer_norm": False,
    "attention_layer_norm_with_affine": True,
    "auto_map": {"AutoConfig": "configuration_llada.LLaDAConfig"},
    "bias_for_layer_norm": False,
    "block_group_size": 1,
    "block_type": "llama",
    "d_model": 4096,
    "embedding_dropout": 0.0,
    "embedding_size": 126464,
    "eos_token_id": 126081,
    "flash_attention": False,
    "include_bias": False,
    "include_qkv_bias": False,
    "init_cutoff_factor": None,
    "init_device": "meta",
    "init_fn": "mitchell",
    "init_std": 0.02,
    "input_emb_norm": False,
    "layer_norm_type": "rms",
    "layer_norm_with_affine": True,
    "mask_token_id": 126336,
    "max_sequence_length": 4096,
    "mlp_hidden_size": 12288,
    "mlp_ratio": 4,
    "model_type": "llada",
    "multi_query_attention": None,
    "n_heads": 32,
    "n_kv_heads": 32,
    "n_layers": 32,
    "pad_token_id": 126081,
    "precision": "amp_bf16",
    "residual_dropout": 0.0,
    "rms_norm_eps": 1e-05,
    "rope": True,
    "rope_full_precision": True,
    "rope_theta": 500000.0,
    "scale_logits": False,
    "vocab_size": 126464,
    "weight_tying": False,
}
LLADA2: dict[str, Any] = {
    **_V4,
    "architectures": ["LLaDA2MoeModelLM"],
    "attention_dropout": 0.0,
    "auto_map": {"AutoConfig": "configuration_llada2_moe.LLaDA2MoeConfig"},
    "embedding_dropout": 0.0,
    "eos_token_id": 156892,
    "first_k_dense_replace": 1,
    "head_dim": 128,
    "hidden_act": "silu",
    "hidden_size": 2048,
    "initializer_range": 0.02,
    "intermediate_size": 5120,
    "max_position_embeddings": 32768,
    "max_window_layers": 20,
    "model_type": "llada2_moe",
    "moe_intermediate_size": 512,
    "moe_router_enable_expert_bias": True,
    "n_group": 8,
    "norm_head": False,
    "norm_softmax": False,
    "norm_topk_prob": True,
    "num_attention_heads": 16,
    "num_experts": 256,
    "num_experts_per_tok": 8,
    "num_hidden_layers": 20,
    "num_key_value_heads": 4,
    "num_shared_experts": 1,
    "output_dropout": 0.0,
    "output_router_logits": False,
    "pad_token_id": 156892,
    "partial_rotary_factor": 0.5,
    "rms_norm_eps": 1e-06,
    "rope_scaling": None,
    "rope_theta": 600000,
    "rotary_dim": 64,
    "routed_scaling_factor": 2.5,
    "router_dtype": "fp32",
    "score_function": "sigmoid",
    "sliding_window": 4096,
    "tie_word_embeddings": False,
    "topk_group": 4,
    "use_bias": False,
    "use_qk_norm": True,
    "use_qkv_bias": False,
    "use_rmsnorm": True,
    "use_sliding_window": False,
    "vocab_size": 157184,
}
_QWEN: dict[str, Any] = {
    **_V4,
    "attention_dropout": 0.0,
    "bos_token_id": 151643,
    "eos_token_id": 151643,
    "hidden_act": "silu",
    "initializer_range": 0.02,
    "max_position_embeddings": 131072,
    "max_window_layers": 28,
    "num_hidden_layers": 28,
    "pad_token_id": 151643,
    "rms_norm_eps": 1e-06,
    "rope_scaling": None,
    "rope_theta": 1000000.0,
    "sliding_window": None,
    "tie_word_embeddings": False,
    "use_sliding_window": False,
}
DREAM: dict[str, Any] = {
    **_QWEN,
    "architectures": ["DreamModel"],
    "auto_map": {"AutoModel": "modeling_dream.DreamModel"},
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "mask_token_id": 151666,
    "model_type": "Dream",
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "use_mrope": False,
    "vocab_size": 152064,
}
SDAR: dict[str, Any] = {
    **_QWEN,
    "architectures": ["SDARForCausalLM"],
    "attention_bias": False,
    "auto_map": {"AutoModelForCausalLM": "modeling_sdar.SDARForCausalLM"},
    "debug": False,
    "ep_size": 1,
    "fuse_cross_entropy": True,
    "head_dim": 128,
    "hidden_size": 2048,
    "intermediate_size": 6144,
    "mask_token_id": 151669,
    "micro_forward": False,
    "model_type": "sdar",
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "skip_checkpoint": False,
    "use_deepep": False,
    "vocab_size": 151936,
}
#: SDAR-4B-Chat, key for key as in its makers' repository (JetAstra/SDAR, training/model, commit c2041a8).
SDAR_CHAT: dict[str, Any] = {
    **{key: value for key, value in SDAR.items() if key != "pad_token_id"},
    "attn_implementation": "flex_attention",
    "block_size": 4,
    "hidden_size": 2560,
    "intermediate_size": 9728,
    "max_position_embeddings": 32768,
    "max_window_layers": 36,
    "num_attention_heads": 32,
    "num_hidden_layers": 36,
    "transformers_version": "4.52.4",
}
#: What others made of LLaDA 1.5 for longer texts (QuentinFitteRey/LLada-Reasoning, modelling_final).
LLADA_LONG: dict[str, Any] = {
    **LLADA,
    "flash_attention": True,
    "flash_attention_version": "flash_attn_2",
    "max_sequence_length": 8192,
    "rope": False,
    "rope_full_precision": False,
    "yarn": True,
    "yarn_scale": 2.0,
    "yarn_original_max_position_embeddings": 4096,
}
_BERT: dict[str, Any] = {
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 768,
    "initializer_range": 0.02,
    "intermediate_size": 3072,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "pad_token_id": 0,
    "position_embedding_type": "absolute",
    "transformers_version": "4.6.0.dev0",
    "type_vocab_size": 2,
    "use_cache": True,
    "vocab_size": 30522,
}
_POOLER: dict[str, Any] = {
    "directionality": "bidi",
    "pooler_fc_size": 768,
    "pooler_num_attention_heads": 12,
    "pooler_num_fc_layers": 3,
    "pooler_size_per_head": 128,
    "pooler_type": "first_token_transform",
}
BERT = {**_BERT, "architectures": ["BertForMaskedLM"], "gradient_checkpointing": False, "model_type": "bert"}
ROBERTA = {
    **_BERT,
    "architectures": ["RobertaForMaskedLM"],
    "bos_token_id": 0,
    "eos_token_id": 2,
    "max_position_embeddings": 514,
    "model_type": "roberta",
    "pad_token_id": 1,
    "vocab_size": 50265,
}
MODERNBERT: dict[str, Any] = {
    "architectures": ["ModernBertForMaskedLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 50281,
    "classifier_activation": "gelu",
    "classifier_bias": False,
    "classifier_dropout": 0.0,
    "classifier_pooling": "mean",
    "cls_token_id": 50281,
    "decoder_bias": True,
    "deterministic_flash_attn": False,
    "embedding_dropout": 0.0,
    "eos_token_id": 50282,
    "global_attn_every_n_layers": 3,
    "global_rope_theta": 160000.0,
    "gradient_checkpointing": False,
    "hidden_activation": "gelu",
    "hidden_size": 768,
    "initializer_cutoff_factor": 2.0,
    "initializer_range": 0.02,
    "intermediate_size": 1152,
    "layer_norm_eps": 1e-05,
    "local_attention": 128,
    "local_rope_theta": 10000.0,
    "max_position_embeddings": 8192,
    "mlp_bias": False,
    "mlp_dropout": 0.0,
    "model_type": "modernbert",
    "norm_bias": False,
    "norm_eps": 1e-05,
    "num_attention_heads": 12,
    "num_hidden_layers": 22,
    "pad_token_id": 50283,
    "position_embedding_type": "absolute",
    "sep_token_id": 50282,
    "tie_word_embeddings": True,
    "torch_dtype": "float32",
    "transformers_version": "4.47.0.dev0",
    "vocab_size": 50368,
}
ESM = {
    **{key: value for key, value in _BERT.items() if key != "type_vocab_size"},
    "architectures": ["EsmForMaskedLM"],
    "classifier_dropout": None,
    "emb_layer_norm_before": False,
    "esmfold_config": None,
    "hidden_size": 320,
    "intermediate_size": 1280,
    "is_folding_model": False,
    "mask_token_id": 32,
    "max_position_embeddings": 1026,
    "model_type": "esm",
    "num_attention_heads": 20,
    "num_hidden_layers": 6,
    "pad_token_id": 1,
    "position_embedding_type": "rotary",
    "token_dropout": True,
    "vocab_list": None,
    "vocab_size": 33,
}
DISTILBERT: dict[str, Any] = {
    "activation": "gelu",
    "architectures": ["DistilBertForMaskedLM"],
    "attention_dropout": 0.1,
    "dim": 768,
    "dropout": 0.1,
    "hidden_dim": 3072,
    "initializer_range": 0.02,
    "max_position_embeddings": 512,
    "model_type": "distilbert",
    "n_heads": 12,
    "n_layers": 6,
    "pad_token_id": 0,
    "qa_dropout": 0.1,
    "seq_classif_dropout": 0.2,
    "sinusoidal_pos_embds": False,
    "tie_weights_": True,
    "transformers_version": "4.10.0.dev0",
    "vocab_size": 30522,
}
ALBERT: dict[str, Any] = {
    **_BERT,
    "architectures": ["AlbertForMaskedLM"],
    "classifier_dropout_prob": 0.1,
    "down_scale_factor": 1,
    "embedding_size": 128,
    "gap_size": 0,
    "inner_group_num": 1,
    "model_type": "albert",
    "net_structure_type": 0,
    "num_hidden_groups": 1,
    "num_memory_blocks": 0,
}
MULTILINGUAL_BERT = {**BERT, **_POOLER, "vocab_size": 119547}
#: As the makers' training code ships it (inclusionAI/dFactory, configs/model_configs, commit c29d72c): no eos_token_id,
#: no use_qk_norm, no sliding_window, and a key that the published checkpoints do not have.
DFACTORY: dict[str, Any] = {
    **{key: value for key, value in LLADA2.items() if key not in ("eos_token_id", "use_qk_norm", "sliding_window")},
    "max_position_embeddings": 16384,
    "max_window_layers": 28,
    "model_type": "llada2_moe_veomni",
    "transformers_version": "4.52.3",
    "using_split_qkv_in_self_attention": False,
}
_FLASH: dict[str, Any] = {
    "hidden_size": 4096,
    "intermediate_size": 9216,
    "moe_intermediate_size": 1024,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
}
#: Published config.json files (facts alone, typed by hand) -> the family they are of. Those of SDAR-Chat and those to
#: be trained were compared with public copies, and the keys of LLaDA's with copies of LLaDA 1.5; the others were not.
PUBLISHED: dict[str, tuple[str, dict[str, Any]]] = {
    "llada-8b": ("llada", LLADA),
    "llada-8b-base": ("llada", {**LLADA, "vocab_size": 126464, "transformers_version": "4.38.2"}),
    "llada2.0-mini": ("llada2", LLADA2),
    "llada-1.5": ("llada", {**LLADA, "transformers_version": "4.49.0"}),
    "llada2.0-flash": ("llada2", {**LLADA2, **_FLASH}),
    "llada2.1-flash": ("llada2", {**LLADA2, **_FLASH, "num_nextn_predict_layers": 0}),
    "llada2-mini to be trained": ("llada2", DFACTORY),
    "llada2-flash to be trained": ("llada2", {**DFACTORY, **_FLASH}),
    "llada2.1-mini": (
        "llada2",
        {**LLADA2, "model_type": "llada2_moe", "num_nextn_predict_layers": 0, "dtype": "bfloat16"},
    ),
    "dream": ("dream", DREAM),
    "diffucoder": ("dream", {**DREAM, "max_window_layers": 28, "transformers_version": "4.52.1"}),
    "dream-coder": ("dream", {**DREAM, "max_position_embeddings": 32768, "attention_bias": False}),
    "sdar": ("sdar", SDAR),
    "sdar-4b-chat": ("sdar", SDAR_CHAT),
    "sdar-8b-chat": ("sdar", {**SDAR_CHAT, "hidden_size": 4096, "intermediate_size": 12288}),
    "sdar with its block length": ("sdar", {**SDAR, "block_size": 16}),
    "bert": ("masked_lm", BERT),
    "multilingual bert": ("masked_lm", MULTILINGUAL_BERT),
    "roberta": ("masked_lm", ROBERTA),
    "modernbert": ("masked_lm", MODERNBERT),
    "esm2": ("masked_lm", ESM),
    "distilbert": ("masked_lm", DISTILBERT),
    "albert": ("masked_lm", ALBERT),
}
#: Keys that change what is computed and belong to none of these; and one that nobody has made up yet.
FOREIGN: dict[str, Any] = {
    "expert_capacity": 64,
    "no_rope_layers": [1, 1, 0],
    "moe_layer_freq": [0, 1, 1],
    "expand_token_id": 5,
    "delete_token_id": 6,
    "split_token_id": 7,
    "vision_config": {"depth": 2},
    "attn_logit_softcapping": 50.0,
    "residual_multiplier": 0.5,
    "a_key_of_tomorrow": True,
}


def written(folder: Path, raw: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(raw))
    return folder


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_configs_are_known(name: str, tmp_path: Path) -> None:
    kind, raw = PUBLISHED[name]
    opened = open_config(written(tmp_path, raw), mask_id=3)
    assert opened.family.name == kind
    assert opened.keys.unknown == ()
    asked = {key for key, value in raw.items() if value is not None}
    assert {*opened.keys.read, *opened.keys.harmless} == asked


@pytest.mark.parametrize("key", FOREIGN)
@pytest.mark.parametrize("name", PUBLISHED)
def test_any_other_key_is_refused_by_name(name: str, key: str, tmp_path: Path) -> None:
    folder = written(tmp_path, {**PUBLISHED[name][1], key: FOREIGN[key]})
    with pytest.raises(ValueError, match="--ignore-config") as caught:
        open_config(folder, mask_id=3)
    assert f"{key}={FOREIGN[key]!r}"[:40] in str(caught.value)
    assert "\n" not in str(caught.value)
    assert open_config(folder, mask_id=3, ignore_config=(key,)).keys.unknown == (key,)


OURS = [name for name in FAMILIES if family(name).fields]


@pytest.mark.parametrize("name", PUBLISHED)
def test_keys_of_other_families_are_foreign_too(name: str) -> None:
    """A key that one family's code computes with is not taken for known in another's config."""
    kind, raw = PUBLISHED[name]
    own = family(kind)
    if not own.fields:
        pytest.skip("what transformers itself declares is read")
    read = {key.name for key in own.fields.values()} | {key.fallback for key in own.fields.values()}
    known = read | own.only.keys() | own.harmless | {own.block_key, "partial_rotary_factor", "rope_theta"}
    others = {key.name for other in OURS for key in family(other).fields.values()}
    others |= {key for other in OURS for key in family(other).only}
    for key in sorted(others - known - {""}):
        assert key in sort_keys({**raw, key: "x"}, own).unknown, key


def test_experts_of_llada_are_told_by_their_architecture() -> None:
    """Its config.json has the model type of the dense model."""
    for architecture in ("LLaDAMoEModel", "LLaDAMoEModelLM"):
        found = published({"architectures": [architecture], "model_type": "llada"})
        assert found is not None
        assert found.name == "llada_moe"


def test_what_others_made_of_a_published_model(tmp_path: Path) -> None:
    """A fork with rotary positions of its own has the architecture of the original."""
    with pytest.raises(ValueError, match="flash_attention_version"):
        open_config(written(tmp_path, LLADA_LONG))
    ours = ("flash_attention_version", "yarn", "yarn_scale", "yarn_original_max_position_embeddings")
    with pytest.raises(ValueError, match="rope=False"):
        open_config(written(tmp_path, LLADA_LONG), ignore_config=ours)


def test_a_key_that_asks_for_nothing_is_none(tmp_path: Path) -> None:
    asked = dict.fromkeys(FOREIGN) | {"pruned_heads": {}, "layers_to_skip": []}
    assert open_config(written(tmp_path, {**DREAM, **asked})).keys.unknown == ()


def test_a_stock_decoder_with_a_section(tmp_path: Path) -> None:
    """What transformers' own class declares is read by it; other keys are refused."""
    raw = json.loads((Path(ds.__file__).parent / "models" / "nano" / "config.json").read_text())
    for key, value in FOREIGN.items():
        fails(key, "'stock'", "--ignore-config", name=_with_weights(tmp_path, {**raw, key: value}))


def _with_weights(folder: Path, raw: dict[str, Any]) -> Path:
    save_file({"x": torch.zeros(1)}, written(folder, raw) / "model.safetensors")
    return folder


def test_what_may_be_ignored(tmp_path: Path) -> None:
    folder = edit(tiny.save("llada", tmp_path / "a"), expert_capacity=2, no_rope_layers=[1])
    fails("expert_capacity=2", "no_rope_layers=[1]", name=folder)
    fails("no_rope_layers", name=folder, ignore_config=("expert_capacity",))
    fails("'d_model'", "cannot be ignored", name=folder, ignore_config=("d_model",))
    fails("did you mean 'expert_capacity'", name=folder, ignore_config=("expert_capacty",))
    fails("no key 'expert_capacity'", name=tiny.OFFICIAL / "llada", ignore_config="expert_capacity")
    model = ds.load(folder, ignore_config=("expert_capacity", "no_rope_layers"))
    assert model.mask_id == 250


def test_explain_lists_three_groups(tmp_path: Path) -> None:
    folder = edit(tiny.save("llada", tmp_path / "a"), expert_capacity=2, no_rope_layers=[1])
    said = explain(str(folder), ignore_config=("no_rope_layers",))
    assert "d_model" in said["config_keys_read"]
    assert "init_fn" in said["config_keys_harmless"]
    assert said["config_keys_unknown"] == ["expert_capacity (refused)", "no_rope_layers (ignored)"]


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("llada", {"clip_qkv": 8.0}, ("clip_qkv=8.0", "only null")),
        ("llada", {"layer_norm_with_affine": False}, ("layer_norm_with_affine",)),
        ("llada2", {"using_split_qkv_in_self_attention": True}, ("using_split_qkv_in_self_attention", "only False")),
        ("llada2", {"router_dtype": "bf16"}, ("router_dtype", "'fp32'")),
        ("dream", {"layer_types": ["full_attention", "sliding_attention"]}, ("layer_types", "full_attention")),
        ("dream", {"use_mrope": True}, ("use_mrope",)),
        ("dream", {"block_size": 32}, ("block_size=32",)),
        ("llada2", {"quantization_config": {"quant_method": "fp8"}}, ("stored quantised (fp8)", "quantization_config")),
        ("llada", {"quantization_config": {"quant_method": "gptq", "bits": 4}}, ("stored quantised (gptq)",)),
    ],
)
def test_what_no_body_computes(name: str, change: dict[str, Any], words: tuple[str, ...], tmp_path: Path) -> None:
    fails(*words, name=edit(tiny.save(name, tmp_path / "a"), **change), **IDS[name])


def test_only_the_text_models_of_llada2() -> None:
    others = ("LLaDA2UniForConditionalGeneration", "LLaDA2VLForConditionalGeneration", "LLaDA2Moe", "LLaDA22ModelLM")
    for architecture in others:
        raw = {"architectures": [architecture], "model_type": "llada2_moe"}
        assert not any(recognises(family(name), raw) for name in FAMILIES)
    assert "2.2" not in family("llada2").summary


# ---- rotary positions


THETA = {"llada": 500000.0, "dream": 1000000.0, "llada2": 600000.0}


@pytest.mark.parametrize("name", THETA)
def test_both_spellings_of_rotary_positions(name: str, tmp_path: Path) -> None:
    """What transformers 5 writes gives the published logits too, and a missing base is not a default one."""
    folder = tiny.save(name, tmp_path / "a")
    raw = json.loads((folder / "config.json").read_text())
    rope = {"rope_type": "default", "rope_theta": raw.pop("rope_theta")}
    raw.pop("rope_scaling", None)
    if name == "llada2":
        rope["partial_rotary_factor"] = raw.pop("partial_rotary_factor")
    (folder / "config.json").write_text(json.dumps({**raw, "rope_parameters": rope}))
    found, want = ds.load(folder, **IDS[name]), ds.load(tiny.OFFICIAL / name, **IDS[name])
    ids = load_file(tiny.OFFICIAL / name / "expected.safetensors")["input_ids"]
    assert found.module.config.rope_parameters == want.module.config.rope_parameters
    assert torch.equal(tiny.logits(found, ids[0]), tiny.logits(want, ids[0]))


@pytest.mark.parametrize("spelling", ["rope_scaling", "rope_parameters"])
def test_yarn_is_read_in_both(spelling: str, tmp_path: Path) -> None:
    yarn = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}
    folder = edit(tiny.save("dream", tmp_path / "a"), **{spelling: yarn})
    found = open_config(folder).config.rope_parameters
    assert (found["rope_type"], found["factor"]) == ("yarn", 4.0)
    assert found["rope_theta"] == json.loads((folder / "config.json").read_text())["rope_theta"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rope_scaling": {"type": "mrope", "mrope_section": [4, 2, 2]}}, ("'mrope'", "yarn")),
        ({"rope_theta": 1e4, "rope_parameters": {"rope_theta": 5e5}}, ("rope_theta=10000.0", "500000.0", "contradict")),
        (
            {
                "rope_scaling": {"type": "linear", "factor": 2.0},
                "rope_parameters": {"rope_type": "linear", "factor": 4.0},
            },
            ("rope_scaling.factor=2.0", "rope_parameters.factor=4.0"),
        ),
        (
            {"rope_scaling": {"type": "linear", "factor": 2.0}, "rope_parameters": {"rope_type": "default"}},
            ("rope_scaling.type='linear'", "rope_parameters.rope_type='default'"),
        ),
        ({"rope_scaling": {"type": "linear", "factor": 2.0, "mrope_section": [1]}}, ("mrope_section", "not known")),
        ({"rope_parameters": [1]}, ("rope_parameters", "no object")),
    ],
)
@pytest.mark.parametrize("name", ["llada", "dream", "llada2"])
def test_rotary_positions_that_are_refused(name: str, change: Any, words: tuple[str, ...], tmp_path: Path) -> None:
    fails(*words, name=edit(tiny.save(name, tmp_path / "a"), **change), **IDS[name])


def test_a_stock_decoder_may_not_contradict_itself(tmp_path: Path) -> None:
    raw = json.loads((Path(ds.__file__).parent / "models" / "nano" / "config.json").read_text())
    fails("contradicts itself", "rope_theta=5.0", name=_with_weights(tmp_path, {**raw, "rope_theta": 5.0}))
    fails("'mrope'", name=_with_weights(tmp_path, {**raw, "rope_parameters": {"rope_type": "mrope"}}))


# ---- stacked experts


@pytest.mark.parametrize("layout", ["joined", "apart", "apart, with .weight"])
def test_stacked_experts(layout: str, tmp_path: Path) -> None:
    """All experts of a layer in one tensor is another layout of the same model."""
    folder = tiny.save("llada2", tmp_path / "a")
    want = ds.load(folder, **IDS["llada2"]).module.state_dict()
    tensors = load_file(folder / "model.safetensors")
    experts = [key for key in tensors if ".mlp.experts." in key]
    stacked: dict[str, Any] = {key: tensor for key, tensor in tensors.items() if key not in experts}
    end = ".weight" if "weight" in layout else ""
    for layer in sorted({key.partition(".mlp.")[0] for key in experts}):
        parts = {}
        for part in ("gate_proj", "up_proj", "down_proj"):
            parts[part] = torch.stack([tensors[f"{layer}.mlp.experts.{n}.{part}.weight"] for n in range(8)])
        if layout == "joined":
            gate_up = torch.cat([parts.pop("gate_proj"), parts.pop("up_proj")], 1)
            parts["gate_up_proj"] = gate_up
        stacked |= {f"{layer}.mlp.experts.{part}{end}": tensor.contiguous() for part, tensor in parts.items()}
    save_file(stacked, folder / "model.safetensors", metadata={"format": "pt"})
    found = ds.load(folder, **IDS["llada2"]).module.state_dict()
    assert want.keys() == found.keys()
    assert all(torch.equal(want[key], found[key]) for key in want)
