"""What a run would do, without doing it: counted on the meta device, no weights read (``--dry-run``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dlmsample.objectives.base import objective
from dlmsample.train.config import TrainConfig, TrainError
from dlmsample.train.data.batches import BatchSteps, make_source
from dlmsample.train.data.encoder import make_encoder
from dlmsample.train.data.layout import lengths, round_up
from dlmsample.train.data.source import RowSource
from dlmsample.train.model import skeleton, token_ids
from dlmsample.train.optimizer import named_trainable

_BYTES = {"float32": 4, "bfloat16": 2}
_GIB = 2**30
_VALUES = 17
"""Values that a layer keeps for its backward pass, per position, in units of the hidden size (arXiv:2205.05198,
Table 2, without the attention scores, which fused attention does not keep; a gated MLP of the usual width)."""
METHOD = (
    "estimate: weights as stored; gradients, two Adam moments (and the average) of what trains in float32; "
    f"activations of one micro-batch, {_VALUES} hidden values per layer and position, or one with gradient "
    "checkpointing; the attention mask as booleans and as numbers; three copies of the window's logits in float32. "
    "FSDP divides weights, gradients and optimiser by the number of processes. Not counted: fragmentation, the "
    "CUDA context, buffers"
)


def plan(config: TrainConfig, out: Path | None = None, world: int = 1, sharded: bool = False) -> dict[str, Any]:
    """The resolved plan of a run as plain JSON data.

    Files are read, checked and tokenised as for training; a hub data set is not fetched.

    Args:
        config: the run.
        out: its folder.
        world: processes it runs on.
        sharded: whether FSDP shards the model over them.

    Raises:
        TrainError: whatever training would refuse before its first step, as far as no weights are needed.
    """
    model = skeleton(config)
    token_ids(config, model)
    named = named_trainable(model)
    trainable = {"lora": 0, "head": 0, "backbone": 0}
    for name, parameter in named.items():
        kind = "head" if name.startswith("head.") else "lora" if ".lora_" in name else "backbone"
        trainable[kind] += parameter.numel()
    total = sum(p.numel() for p in model.parameters())
    counted = {kind: count for kind, count in trainable.items() if count}
    data, source = _data(config)
    batch = _batch(config, source, world)
    kind = "final model" if config.trains_backbone and not config.lora else "adapter" if config.lora else "head"
    folder = str(out) if out is not None else "OUT"
    rule = objective(config.objective.name, **config.objective.options)
    return {
        "objective": {"name": config.objective.name, **rule.model_dump(mode="json")},
        "model": {
            "init": config.model.init,
            "type": config.model.type,
            "dtype": _stored(config),
            "attention": config.geometry.attention,
            "block_length": config.geometry.block_length,
        },
        "trains": {"trainable": sum(counted.values()), "total": total, "parts": counted},
        "data": data,
        "steps": config.steps,
        "epochs": None if not data.get("rows") else round(config.steps * config.batch_size / data["rows"], 3),
        "batch": batch,
        "optimiser": {
            "name": "AdamW",
            "lr": config.lr,
            "schedule": config.schedule,
            "warmup": config.warmup,
            "weight_decay": config.weight_decay,
            "clip": config.clip,
            "ema": config.ema,
        },
        "precision": config.precision,
        "processes": world,
        "memory": memory(config, model.module, sum(counted.values()), total, batch, world, sharded),
        "outputs": {
            "checkpoints": f"{folder}/checkpoint-STEP every {config.checkpoint_every} steps, the last {config.keep}",
            "metrics": f"{folder}/metrics.jsonl",
            "result": f"{folder}/final ({kind}, model card, training.json)",
        },
    }


def memory(
    config: TrainConfig,
    module: Any,
    trainable: int,
    total: int,
    batch: dict[str, Any],
    world: int,
    sharded: bool,
) -> dict[str, Any]:
    """GiB per device, see ``METHOD``."""
    shape, width = module.config, batch["widest_input"]
    rows = batch["rows_per_micro_batch"]
    size = 2 if config.precision == "bf16" else 4
    frozen = total - trainable
    weights = frozen * _BYTES[_stored(config)] + 4 * trainable
    values = shape.num_hidden_layers * (1 if config.gradient_checkpointing else _VALUES)
    values += _VALUES if config.gradient_checkpointing else 0
    kept = values if config.trains_backbone else _VALUES * (config.head.layers if config.head else 0) + 2
    activations = rows * width * shape.hidden_size * kept * size + rows * width * width * (1 + size)
    logits = rows * batch["widest_window"] * shape.vocab_size * 4 * (3 if config.trains_backbone else 1)
    share = world if sharded else 1
    parts = {
        "weights": weights / share,
        "gradients": 4 * trainable / share,
        "optimiser": (8 + (4 if config.ema is not None else 0)) * trainable / share,
        "activations": activations,
        "logits": logits,
    }
    gib = {name: round(value / _GIB, 3) for name, value in parts.items()}
    return {"total": round(sum(parts.values()) / _GIB, 2), **gib, "unit": "GiB per device", "method": METHOD}


def _stored(config: TrainConfig) -> str:
    """The dtype of the weights that do not train; a new model that trains whole is float32."""
    return "float32" if config.trains_whole and not config.model.init else config.model.dtype


def _data(config: TrainConfig) -> tuple[dict[str, Any], RowSource | None]:
    """What is known of the data, and the source if it can be read here."""
    if config.data is not None and config.data.hub is not None:
        where = f"{config.data.hub}, split {config.data.split}"
        return {"hub": where, "said": ["read when the training starts"]}, None
    where = {"task": config.task.name} if config.task else {"files": list(config.data.paths) if config.data else []}
    try:
        make_encoder(config, local=True)
    except TrainError as error:
        if config.model.tokenizer is not None or config.tokenizer_folder.exists():
            raise
        return {**where, "said": [f"not read: {error}"]}, None
    source = make_source(config)
    said: dict[str, Any] = {**where, "said": list(source.summary) or ["examples are generated as they are needed"]}
    if source.size is not None:
        counts = source.corpus.counts  # type: ignore[attr-defined]
        said |= {"rows": source.size, "tokens_kept": counts.tokens, "tokens_dropped": counts.dropped_tokens}
    return said, source


def _batch(config: TrainConfig, source: RowSource | None, world: int) -> dict[str, Any]:
    """Shapes of a step: those of step 0, or bounds where the data cannot be read here."""
    per = config.batch_size // config.micro_batches // world
    facts = {"rows": config.batch_size, "micro_batches": config.micro_batches, "rows_per_micro_batch": per}
    if source is not None:
        parts = BatchSteps(config, 0, 0, world, source)[0]
        inputs = [lengths(config, part) for part in parts]
        tokens = world * int(sum(length.sum() for length in inputs))
        widest = max(round_up(int(length.max())) for length in inputs)
        window = max(p.noisy for p in parts)
        positions = int(np.sum([p.window.sum() for p in parts])) * world
        return {
            **facts,
            "tokens": tokens,
            "trained_positions": positions,
            "widest_input": widest,
            "widest_window": window,
            "measured": "step 0",
        }
    from dlmsample.train.data.corpus import DEFAULT_LENGTH, row_length

    length = min(row_length(config), config.data.max_tokens or row_length(config)) if config.data else DEFAULT_LENGTH
    width = round_up(length * (1 if config.geometry.attention == "bidirectional" else 2))
    return {
        **facts,
        "tokens": config.batch_size * width,
        "trained_positions": config.batch_size * length,
        "widest_input": width,
        "widest_window": round_up(length),
        "measured": "upper bound, rows of full length",
    }


def text(plan: dict[str, Any]) -> str:
    """The plan for people: a line per part."""
    trains, batch, memory, optimiser, model = (plan[k] for k in ("trains", "batch", "memory", "optimiser", "model"))
    parts = ", ".join(f"{kind} {count:,}" for kind, count in trains["parts"].items())
    options = ", ".join(f"{key}={value}" for key, value in plan["objective"].items() if key != "name")
    data = plan["data"]
    what = data.get("task") or data.get("hub") or ", ".join(data.get("files", ()))
    rows = ""
    if "rows" in data:
        kept, gone = data["tokens_kept"], data["tokens_dropped"]
        rows = f"; {data['rows']:,} rows to train on, {kept:,} tokens kept, {gone:,} dropped"
    epochs = "" if plan["epochs"] is None else f" ({plan['epochs']:g} epochs)"
    used = ", ".join(
        f"{name} {memory[name]:g}" for name in ("weights", "gradients", "optimiser", "activations", "logits")
    )
    lines = {
        "objective": f"{plan['objective']['name']}{f' ({options})' if options else ''}",
        "model": f"{model['init'] or 'new ' + model['type']}, {model['attention']}, blocks of "
        f"{model['block_length']}, weights in {model['dtype']}",
        "trains": f"{trains['trainable']:,} of {trains['total']:,} parameters "
        f"({100 * trains['trainable'] / trains['total']:.3g} %): {parts}",
        "data": f"{what}: {'; '.join(data['said'])}{rows}",
        "steps": f"{plan['steps']:,}{epochs}, each {batch['rows']:,} rows in {batch['micro_batches']} micro-batches x "
        f"{plan['processes']} processes",
        "tokens": f"{batch['tokens']:,} a step in the model's input, {batch['trained_positions']:,} of them in answer "
        f"windows ({batch['measured']})",
        "optimiser": f"AdamW, lr {optimiser['lr']:g}, {optimiser['schedule']}, warm-up {optimiser['warmup']}, weight "
        f"decay {optimiser['weight_decay']:g}, clip {optimiser['clip']}"
        + (f", average {optimiser['ema']:g}" if optimiser["ema"] else ""),
        "precision": {"no": "float32", "bf16": "bfloat16 autocast"}[plan["precision"]],
        "memory": f"{memory['total']:g} {memory['unit']}: {used} ({memory['method']})",
        "outputs": "; ".join(plan["outputs"].values()),
    }
    return "\n".join(f"{name:<10} {line}" for name, line in lines.items())
