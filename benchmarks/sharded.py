"""Training throughput of a recipe on random weights of its model's shape, sharded by FSDP2 over a machine's GPUs.

    python -m benchmarks.sharded --json benchmarks/results/scope_llada8b_2gpu.json

One row of packed text per GPU and step, through the same command that a user gives (``accelerate launch -m
dlmsample.train``). Model FLOPs count what the objective needs, per token: the draft's forward, the forward, and the
backward to the activations (a frozen backbone has no weight gradients), each 2 FLOPs per matrix weight plus attention;
the forward that gradient checkpointing repeats counts for the hardware alone. Adapters' own work (0.6 %) is left out.
Memory is the peak of the training steps; before them each GPU holds the whole weights for a moment.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from dlmsample.tasks.wordproblems import texts
from dlmsample.train.config import TrainConfig, load

LAUNCH = ["--mixed_precision", "bf16", "--dynamo_backend", "no", "--num_machines", "1"]
SHARDED = ["--use_fsdp", "--fsdp_version", "2", "--fsdp_auto_wrap_policy", "TRANSFORMER_BASED_WRAP"]


def corpus(path: Path, tokens: int) -> None:
    """Plain text of about ``tokens`` nano tokens: generated word problems with their solutions."""
    path.write_text("\n\n".join(texts("train", tokens // 100)), encoding="utf-8")


def forward_flops(config: TrainConfig, length: int) -> float:
    """FLOPs per token of one forward of a Llama body over ``length`` positions that all see each other."""
    shape: dict[str, Any] = config.model.shape or {}
    hidden, layers = shape["hidden_size"], shape["num_hidden_layers"]
    heads, kv, width = shape["num_attention_heads"], shape["num_key_value_heads"], shape["head_dim"]
    matrices = layers * (hidden * width * (2 * heads + 2 * kv) + 3 * hidden * shape["intermediate_size"])
    return 2 * (matrices + hidden * shape["vocab_size"]) + 4 * layers * length * heads * width


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--recipe", default="scope_llada8b")
    parser.add_argument("--gpus", type=int, default=2)
    parser.add_argument("--length", type=int, default=2048, help="tokens of a row")
    parser.add_argument("--steps", type=int, default=50, help="the first 20 are not counted")
    parser.add_argument("--peak", type=float, default=989.5, help="TFLOP/s of one GPU, dense bf16 (H100, H200: 989.5)")
    parser.add_argument("--set", action="append", default=[], help="more overrides, like compile=true")
    parser.add_argument("--cpu", action="store_true", help="a dry run without GPUs")
    parser.add_argument("--json", type=Path, help="write the results here")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text, out = Path(folder) / "text.txt", Path(folder) / "run"
        corpus(text, args.length * args.gpus * args.steps)
        settings = [
            "model.init=null",
            "model.tokenizer=nano",
            f"data={{path: {text}, pack: true, max_length: {args.length}}}",
            "sample=null",
            f"steps={args.steps}",
            f"batch_size={args.gpus}",
            "micro_batches=1",
            "log_every=10",
            "checkpoint_every=100000",
            *args.set,
        ]
        config = load(args.recipe, settings)
        # accelerate shards on accelerators alone: the dry run copies the model to its processes
        launch = [*(["--cpu"] if args.cpu else SHARDED), *LAUNCH, "--num_processes", str(args.gpus)]
        options = [word for setting in settings for word in ("--set", setting)]
        train = ["-m", "dlmsample.train", "--recipe", args.recipe, "--out", str(out), *options]
        subprocess.run([sys.executable, "-m", "accelerate.commands.launch", *launch, *train], check=True)
        entries = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    counted = [entry for entry in entries if entry["step"] > 20]
    speed = sum(entry["tokens_per_s"] for entry in counted) / len(counted)
    once = forward_flops(config, args.length)
    per_gpu = speed / args.gpus
    found = {
        "command": "python -m benchmarks.sharded " + " ".join(sys.argv[1:]),
        "device": "CPU" if args.cpu else f"{args.gpus} x {torch.cuda.get_device_name()}",
        "torch": torch.__version__,
        "rows": f"1 x {args.length} tokens per GPU and step",
        "peak_gib_per_gpu": counted[-1].get("peak_gib"),
        "tokens_per_s": speed,
        "seconds_per_step": args.length * args.gpus / speed,
        "model_tflops_per_gpu": 3 * once * per_gpu / 1e12,
        "model_flop_utilisation": 3 * once * per_gpu / (args.peak * 1e12),
        "hardware_flop_utilisation": (4 if config.gradient_checkpointing else 3) * once * per_gpu / (args.peak * 1e12),
        "peak_tflops": args.peak,
        "loss": [entry["loss"] for entry in entries],
    }
    print(json.dumps(found, indent=1))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
