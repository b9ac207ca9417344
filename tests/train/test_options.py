"""Average, gradient checkpointing, EOS tail, absolute alignment, samples, inherited recipes."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import dlmsample as ds
from dlmsample.models.attention.masks import block_causal
from dlmsample.train.card import command
from dlmsample.train.config import TrainConfig, TrainError, compose, load, recipe_data
from dlmsample.train.config.sections import Geometry
from dlmsample.train.data.batches import BatchSteps
from dlmsample.train.data.layout import extents, lay_out, lengths
from dlmsample.train.ema import Average
from dlmsample.train.model import StreamModel, build_model, build_module, loss_of, skeleton
from dlmsample.train.optimizer import named_trainable
from dlmsample.train.report import MetricSums
from dlmsample.train.trainer import Trainer
from tests.train.standin import recipe


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recipe(tmp_path_factory.mktemp("options"), batch_size=16, steps=6)


def gradients(config: TrainConfig) -> dict[str, torch.Tensor]:
    """Of one micro-batch's loss."""
    trainer_free = build_model(config).train()
    batch = lay_out(config, BatchSteps(config, 0)[0][0])
    logits = trainer_free(batch, batch.clean)
    torch.logsumexp(logits, -1).mean().backward()
    return {name: p.grad for name, p in trainer_free.module.named_parameters() if p.grad is not None}


def test_gradient_checkpointing_recomputes_and_changes_no_gradient(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers.models.qwen3.modeling_qwen3 import Qwen3MLP

    calls = []
    plain_forward = Qwen3MLP.forward
    monkeypatch.setattr(Qwen3MLP, "forward", lambda self, x: (calls.append(1), plain_forward(self, x))[1])
    for extra in ([], ["lora={rank: 2, alpha: 4}"]):
        calls.clear()
        plain = gradients(load(str(path), extra))
        once = len(calls)
        again = gradients(load(str(path), [*extra, "gradient_checkpointing=true"]))
        assert len(calls) == 3 * once
        assert plain.keys() == again.keys()
        assert all(torch.equal(plain[name], again[name]) for name in plain)


def test_the_average_follows_its_formula_and_is_what_is_written(path: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    weight = torch.zeros(2)
    average = Average({"w": weight}, 0.9)
    expected = torch.zeros(2)
    for step in range(200):
        weight += 1
        average.update(step)
        d = min(0.9, (1 + step) / (10 + step))
        expected = d * expected + (1 - d) * weight
    torch.testing.assert_close(average.tensors["w"], expected)

    trainer = Trainer(load(str(path), ["ema=0.5"]), tmp_path)
    assert trainer.run()
    final, kept = load_file(tmp_path / "final" / "model.safetensors"), tmp_path / "checkpoint-6"
    online, mean = (load_file(kept / f"{name}.safetensors") for name in ("model", "average"))
    assert all(torch.equal(final[name], mean[name].half()) for name in final)
    assert not all(torch.equal(final[name], online[name].half()) for name in final)


@pytest.mark.parametrize("attention", ["block_causal", "bidirectional"])
def test_behind_the_eos_tail_nothing_is_corrupted(path: Path, attention: str) -> None:
    config = load(str(path), ["windows.eos_tail=3", f"model.geometry.attention={attention}"])
    plain = load(str(path), [f"model.geometry.attention={attention}"])
    longer = 0
    for rows in BatchSteps(config, 0)[0]:
        batch, every = lay_out(config, rows), lay_out(plain, rows)
        assert torch.equal(batch.valid, every.editable)
        for r in range(len(rows.keys)):
            tokens = batch.clean[r][batch.editable[r]].tolist()
            width, answer = int(rows.window[r]), int(rows.answer[r])
            assert tokens == every.clean[r, : min(width, answer + 2)].tolist()
            assert tokens.count(1) == min(3, width - answer + 1)
            longer += width > answer + 2
    assert longer > 3


def absolute(path: Path) -> TrainConfig:
    return load(str(path), ["model.geometry.block_alignment=absolute"])


def test_an_absolute_window_begins_at_its_block_and_edits_no_prompt(path: Path) -> None:
    config, tails = absolute(path), 0
    for rows in BatchSteps(config, 0)[0]:
        start, width = extents(rows, "block_causal", "absolute")
        batch = lay_out(config, rows)
        assert batch.valid.sum(1).tolist() == width.tolist()
        assert batch.editable.sum(1).tolist() == rows.window.tolist()
        assert batch.real.sum(1).tolist() == lengths(config, rows).tolist()
        for r in range(len(rows.keys)):
            prompt, block = int(rows.prompt[r]), int(rows.block[r])
            whole = block == int(rows.window[r])
            assert start[r] == (prompt if whole else prompt // block * block)
            tail = prompt - int(start[r])
            assert not batch.editable[r, :tail].any()
            assert batch.clean[r, : int(width[r])].tolist() == rows.tokens[r, start[r] : start[r] + width[r]].tolist()
            tails += tail > 0
    assert tails > 3


@torch.no_grad()
def test_absolute_streams_equal_the_plain_forward(path: Path) -> None:
    """On clean input the noisy stream is the block-causal forward of the sequence itself; on other input each
    block is the forward of that block behind the clean ones."""
    config = absolute(path)
    model: StreamModel = build_model(config).eval()
    for rows in BatchSteps(config, 0)[1]:
        start, widths = extents(rows, "block_causal", "absolute")
        batch = lay_out(config, rows)
        random = torch.randint(3, 200, batch.clean.shape, generator=torch.Generator().manual_seed(0))
        noisy = torch.where(batch.editable, random, batch.clean)
        clean_logits, noisy_logits = model(batch, batch.clean), model(batch, noisy)
        for r in range(len(rows.keys)):
            first, width, block = int(start[r]), int(widths[r]), int(rows.block[r])
            at = torch.arange(first + width)[None]
            index = (at - first).div(block, rounding_mode="floor") + 1
            if block == int(rows.window[r]):
                index = index.clamp(min=0)
            mask = block_causal(index, torch.ones_like(at, dtype=torch.bool))
            ids = torch.from_numpy(rows.tokens[r, : first + width]).long()[None]
            plain = model.module(input_ids=ids, position_ids=at, attention_mask=mask).logits[0, first:]
            torch.testing.assert_close(clean_logits[r, :width], plain, atol=1e-5, rtol=1e-5)  # type: ignore[index]
            for begin in range(0, width, block):
                end = min(begin + block, width)
                ids = torch.from_numpy(rows.tokens[r, : first + end]).long()[None]
                ids[0, first + begin :] = noisy[r, begin:end]
                cut = mask[..., : first + end, : first + end]
                plain = model.module(input_ids=ids, position_ids=at[:, : first + end], attention_mask=cut).logits
                torch.testing.assert_close(noisy_logits[r, begin:end], plain[0, first + begin :], atol=1e-5, rtol=1e-5)  # type: ignore[index]


def test_a_run_of_absolute_alignment_learns(path: Path, tmp_path: Path) -> None:
    config = load(str(path), ["model.geometry.block_alignment=absolute", "steps=40", "lr=1e-2", "log_every=10"])
    assert Trainer(config, tmp_path).run()
    losses = [json.loads(line)["loss"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert losses[-1] < 0.7 * losses[0]


def test_samples_are_written_once_and_change_no_weight(path: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    section = "sample={policy: t2t, every: 2, count: 3, max_new_tokens: 12}"
    config = load(str(path), [section])
    assert not Trainer(config, tmp_path / "a").run(stop_at=3)
    with (tmp_path / "a" / "samples.jsonl").open("a") as file:
        file.write('{"step": 4, "text": "of a run that was killed"}\n')
    assert Trainer(config, tmp_path / "a").run()
    assert Trainer(load(str(path)), tmp_path / "b").run()
    files = [load_file(tmp_path / name / "final" / "model.safetensors") for name in "ab"]
    assert all(torch.equal(files[0][key], files[1][key]) for key in files[0])
    lines = [json.loads(line) for line in (tmp_path / "a" / "samples.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2] * 3 + [4] * 3 + [6] * 3
    assert lines[0]["prompt"].startswith("Q: 0 + 0?")
    assert "#### 0" in lines[0]["reference"]
    assert lines[0]["nfe"] > 0
    with pytest.raises(TrainError, match="sample: dsc reads a correction head"):
        Trainer(load(str(path), ["sample={policy: dsc, every: 1}"]), tmp_path / "c")
    with pytest.raises(TrainError, match="did you mean 't2t'"):
        load(str(path), ["sample={policy: t2n, every: 1}"])


def test_recipes_extend_each_other(path: Path, tmp_path: Path) -> None:
    def write(name: str, text: str) -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    write("low.yaml", f"extends: {path}\nlr: 0.5\nobjective: {{name: mdm, options: {{eps: 0.5}}}}\n")
    high = write("high.yaml", "extends: low.yaml\nwindows: {window_max: 40}\n")
    config = load(high)
    assert (config.lr, config.windows.window_max, config.windows.long_window_max) == (0.5, 40, 48)
    assert config.objective.options == {"eps": 0.5}
    other = write("other.yaml", "extends: low.yaml\nobjective: {name: scope}\n")
    assert load(other).objective.options == {}  # they were the other objective's
    assert load(high, ["objective.options.temperature=0", "objective.name=scope"]).objective.options == {
        "temperature": 0
    }
    write("a.yaml", "extends: b.yaml\n")
    with pytest.raises(TrainError, match="which extends it"):
        load(write("b.yaml", "extends: a.yaml\n"))
    with pytest.raises(TrainError, match="did you mean 'nano'"):
        load(write("c.yaml", "extends: nanoo\n"))


def test_shipped_recipes_load_and_the_adapters_of_nano_differ_in_the_objective_alone() -> None:
    names = ["nano_mdm", "nano_random_t2t", "nano_self_generated_t2t", "nano_scope"]
    rest = [load(name).identity() for name in names]
    rules = [run.pop("objective")["name"] for run in rest]
    assert rules == ["mdm", "random_t2t", "self_generated_t2t", "scope"]
    assert all(run == rest[0] for run in rest)
    base, run = recipe_data("nano_free"), recipe_data("nano_scope")
    assert (run["task"], run["windows"]) == (base["task"], base["windows"])
    heads = [load(name).identity() for name in ("nano_fca", "nano_uniform")]
    assert heads[0].pop("objective") != heads[1].pop("objective")
    assert heads[0] == heads[1]


def test_nano_certainty_differs_from_the_other_adapters_in_what_it_answers() -> None:
    own, other = load("nano_certainty").identity(), load("nano_mdm").identity()
    assert {key for key in own if own[key] != other[key]} == {"objective", "task", "data", "windows"}
    assert own["windows"]["own_share"] == 1, "the blocks that its policies decode"


def test_nano_bidirectional_differs_from_nano_in_what_it_sees() -> None:
    both, causal = (recipe_data(name) for name in ("nano_bidirectional", "nano"))
    config = load("nano_bidirectional")
    assert config.geometry == Geometry(**{**causal["model"]["geometry"], "attention": "bidirectional"})
    assert (config.model.init, config.trains_whole) == ("nano", True)
    assert (both["task"], both["objective"]) == (causal["task"], causal["objective"])
    assert (config.windows.window_min, config.windows.window_max, config.windows.long_window_share) == (160, 160, 0)


def test_recorded_commands_name_no_machine() -> None:
    program = "/opt/venv/lib/dlmsample/train/__main__.py"
    assert command([program, "nano", "--out=/tmp/x/out"]) == "python -m dlmsample.train nano --out=out"
    assert command(["/bin/dlmsample", "train", "model.init=/a/b", "lr=1e-3"]) == "dlmsample train model.init=b lr=1e-3"


@pytest.mark.parametrize(
    "changes",
    [
        ["objective.name=random_t2t"],
        ["objective.name=self_generated_t2t"],
        ["objective.name=scope", "objective.options.mdm_share=0"],
        ["objective.name=proseco"],
        ["objective.name=certainty"],
        [
            "objective.name=fca",
            "objective.options.artefacts=uniform",
            "head={width: 16, heads: 2, mlp: 32, operating: {problems: 0}}",
        ],
        [
            "objective.name=fca",
            "objective.options.gamma=1",
            "head={width: 16, heads: 2, mlp: 32, operating: {problems: 0}}",
        ],
    ],
    ids=["random_t2t", "self_generated_t2t", "scope", "proseco", "certainty", "fca", "joint"],
)
def test_every_objective_lowers_its_loss(path: Path, tmp_path: Path, changes: list[str]) -> None:
    trainer = Trainer(
        load(str(path), [*changes, "steps=40", "lr=1e-2", "log_every=10", "checkpoint_every=40"]), tmp_path
    )
    assert not trainer.run(stop_at=39)
    losses = [json.loads(line)["loss"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert losses[-1] < 0.8 * losses[0], losses


def test_the_recipes_of_the_papers_have_their_sizes() -> None:
    scope, dsc = load("scope_llada8b"), load("dsc_llada8b")
    sizes = {name: p.numel() for name, p in named_trainable(skeleton(scope)).items()}
    assert sum(sizes.values()) == 50_331_648  # the paper's 50.3 M
    head = named_trainable(skeleton(dsc))
    assert all(name.startswith("head.") for name in head)
    assert 95e6 < sum(p.numel() for p in head.values()) < 115e6
    assert load("self_generated_t2t_llada21_mini").geometry.block_alignment == "absolute"


@pytest.mark.parametrize(
    "changes",
    [
        ["objective.name=self_generated_t2t", "lora={rank: 2, alpha: 4}"],
        ["objective.name=scope", "model.geometry.block_alignment=absolute", "windows.eos_tail=4"],
        [
            "objective.name=fca",
            "objective.options.gamma=1",
            "head={width: 16, heads: 2, mlp: 32, operating: {problems: 0}}",
            "ema=0.9",
        ],
        [
            "objective.name=fca",
            "head={width: 16, heads: 2, mlp: 32, operating: {problems: 0}}",
            "model.geometry.attention=bidirectional",
        ],
    ],
)
def test_a_step_never_waits_for_the_device(path: Path, tmp_path: Path, changes: list[str]) -> None:
    """Tensors without numbers cannot be read back: whatever would read one raises."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    trainer = Trainer(load(str(path), changes), tmp_path)
    part = trainer.data[0][0]
    with FakeTensorMode(allow_non_fake_inputs=True):
        batch = lay_out(trainer.config, part)
        loss, metrics = loss_of(trainer.objective, trainer.model, batch, trainer.ids, trainer.needs, trainer.dropout)
        trainer.accelerator.backward(loss)
        MetricSums().add([(metrics, batch.editable)], {})
    assert all(value.shape == () for value in metrics.values())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("seed=99999999999999999999", "seed must be < "),
        ("seed=true", "seed must be a number or a text (got true)"),
        ("steps=true", "steps must be "),
        ("lr=false", "lr must be "),
        ("clip=yes", "clip must be "),
        ("lora.rank=true", "lora.rank must be "),
        ("data.min_tokens=true", "data.min_tokens must be "),
        ("objective.options={temperature: .inf}", "objective: options of scope: temperature must be a finite"),
        (
            "objective.options={temprature: 1}",
            "objective: options of scope: unknown option of objective scope 'temprature'; did you mean 'temperature'",
        ),
        ("lr=.inf", "lr must be a finite number (got inf)"),
    ],
)
def test_what_is_no_number_is_named(change: str, said: str) -> None:
    more = ["task=null", "data.path=x"] if change.startswith("data") else []
    with pytest.raises(TrainError) as caught:
        load("nano_scope", [*more, change])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_that_do_not_fit_the_stock_body_are_refused(tmp_path: Path) -> None:
    """transformers would fill what is missing with random numbers, and warn at most."""
    folder = tmp_path / "part"
    shutil.copytree(load("nano_mdm").model.where, folder)
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.3.self_attn.q_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(TrainError, match=r"1 tensors like model\.layers\.3\.self_attn\.q_proj\.weight are missing"):
        build_module(load("nano_mdm", [f"model.init={folder}"]))


def test_damaged_weights_are_told_in_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(load("nano_mdm").model.where, folder, ignore=shutil.ignore_patterns("adapters", "heads"))
    config = json.loads((folder / "config.json").read_text())
    told = r"cannot load the weights of .* \(needed: a model.safetensors that fits config.json\)"
    (folder / "config.json").write_text(json.dumps({**config, "intermediate_size": 64}))
    with pytest.raises(TrainError, match=told):
        build_module(load("nano_mdm", [f"model.init={folder}", "model.shape=null"]))
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:100_000])
    with pytest.raises(TrainError, match=r"model.safetensors of .* is cut off or damaged \(100000 bytes\)"):
        build_module(load("nano_mdm", [f"model.init={folder}"]))


def test_building_a_model_leaves_the_callers_generator_alone(path: Path) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one, two = (build_module(load(str(path))) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(map(torch.equal, one.parameters(), two.parameters()))


@pytest.mark.parametrize(("family", "mask"), [("llada", None), ("llada2", 250)])
def test_a_published_checkpoint_trains_as_it_is(family: str, mask: int | None) -> None:
    """Renamed into its stock body while it loads, as decoding does."""
    published = Path(__file__).parents[1] / "data" / "official_tiny" / family
    model = ds.load(published, mask_id=mask)
    geometry = "null" if mask is None else json.dumps(asdict(model.facts))  # the tiny one names no mask
    options = ["model.shape=null", f"model.init={published}", f"model.geometry={geometry}", "model.tokenizer=nano"]
    config = load("nano_mdm", [*options, "lora.rank=2"])
    assert config.geometry.model_dump() == asdict(model.facts)
    trained = build_model(config)
    names = {n.replace(".base_layer", "") for n, _ in trained.module.named_parameters() if ".lora_" not in n}
    assert names == {name for name, _ in model.module.named_parameters()}
    tokens = torch.arange(6)[None] + 5
    with torch.no_grad():
        assert torch.equal(trained.module.eval()(tokens).logits, model.module(tokens).logits)
    plain = skeleton(config)
    assert [p.shape for p in plain.parameters()] == [p.shape for p in trained.parameters()]


def test_a_published_checkpoint_that_predicts_the_next_position_is_trained_as_it_says() -> None:
    published = Path(__file__).parents[1] / "data" / "official_tiny" / "dream"
    options = ["model.shape=null", f"model.init={published}", "model.tokenizer=nano"]
    geometry = {"mask_id": 250, "eos_ids": [249], "block_length": 32, "attention": "bidirectional", "logit_shift": True}
    config = load("nano_mdm", [*options, f"model.geometry={json.dumps(geometry)}", "lora.rank=2"])
    assert build_model(config).logit_shift
    with pytest.raises(TrainError, match=r"eos_ids must .*give model\.geometry"):  # the tiny one names none
        load("nano_mdm", [*options, "model.geometry=null"])


def test_a_bare_no_is_a_precision() -> None:
    """YAML reads it as false, which is a mistake wherever a number belongs."""
    assert load("nano_mdm", ["precision=no"]).precision == "no"
    with pytest.raises(TrainError, match="lr"):
        load("nano_mdm", ["lr=no"])


def test_one_option_of_an_adapter_leaves_the_others_as_they_are() -> None:
    lora = compose(objective="mdm", data="wordproblems", settings=["lora.rank=4"]).lora
    assert lora is not None
    assert (lora.rank, lora.alpha) == (4, 32)
