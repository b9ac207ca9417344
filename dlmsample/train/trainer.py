"""The training loop: one, for every objective, model and device, on ``accelerate``.

Order of operations of a step: (1) take the step's batch, already cut into micro-batches; (2) per
micro-batch: lay out the streams, corrupt, forward, loss, backward; (3) clip; (4) set the learning rate,
update; (5) at the set intervals log and write a checkpoint. Data, corruption and rate are functions of the
step alone, so a resumed run repeats an undisturbed one.
"""

from __future__ import annotations

import contextlib
import math
import platform
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from dlmsample.objectives.base import objective
from dlmsample.train import build, checkpoint
from dlmsample.train.config import TrainConfig, TrainError
from dlmsample.train.data import Rows, Steps, batches, input_lengths
from dlmsample.train.export import write_folder
from dlmsample.train.report import Means, Report
from dlmsample.train.streams import StreamModel, layout


class Trainer:
    """One run in one folder; making it again on the same folder goes on from the last complete checkpoint.

    Args:
        config: the run.
        out: its folder, created if missing.
        recipe: how the recipe was named, for the record.

    Raises:
        TrainError: the folder holds a run with another configuration, or the model or data cannot be built.
    """

    def __init__(self, config: TrainConfig, out: Path, recipe: str = "") -> None:
        self.config, self.out, self.recipe = config, out, recipe
        self.begun = time.monotonic()
        # Without cpu=True, accelerate would not join CPU processes that torchrun started.
        cpu = not torch.accelerator.is_available()
        self.accelerator = Accelerator(mixed_precision=config.precision, cpu=cpu)
        self.objective = objective(config.objective.name, **config.objective.options)
        self.module = build.build_module(config)
        self.ids = build.token_ids(config, self.module)
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        self.data = Steps(config, build.pad_id(self.module), rank, world)
        self.step, self.seconds, self.loss = 0, 0.0, math.nan
        resumed = self._resume()
        self.module.to(self.accelerator.device)
        self.named = build.named_trainable(self.module)
        self.optimizer = build.build_optimizer(config, self.module, self.accelerator.device)
        if resumed is not None:
            checkpoint.restore_optimizer(self.optimizer, self.named, resumed)
        if config.compile:
            build.compile_layers(self.module)
        self.model, self._update = self.accelerator.prepare(StreamModel(self.module), self.optimizer)

    def run(self, stop_at: int | None = None, max_minutes: float | None = None) -> bool:
        """Train to the end, or stop cleanly with a checkpoint at a step or after some minutes.

        Returns:
            Whether the run is finished; then ``out/final`` exists.
        """
        goal = min(self.config.steps, stop_at or self.config.steps)
        limit = math.inf if max_minutes is None else 60 * max_minutes
        report = Report(self.out, self.step, self.config.steps, self.accelerator.is_main_process)
        self.model.train()
        means, tokens, since = Means(), 0, time.monotonic()
        try:
            for batch in batches(self.data, self.step, goal) if self.step < goal else ():
                tokens += self._train_step(batch, means)
                stop = self.step == goal or self._out_of_time(limit)
                keep = stop or self.step % self.config.checkpoint_every == 0
                if keep or self.step % self.config.log_every == 0:
                    values = means.take(lambda values: self.accelerator.reduce(values, reduction="mean"))
                    self.loss = values["loss"]
                    if not math.isfinite(self.loss):
                        raise TrainError(f"the loss is {self.loss} at step {self.step}: lower lr, or clip")
                    now = time.monotonic()
                    rate = build.learning_rate(self.config, self.step - 1)
                    tokens *= self.accelerator.num_processes
                    speed = {"tokens_per_s": tokens / (now - since), "seconds": self._elapsed()}
                    report.log(self.step, {**values, "lr": rate, **speed})
                    tokens, since = 0, now
                if keep:
                    self.save()
                if stop:
                    break
        finally:
            report.close()
        if self.step < self.config.steps:
            return False
        if self.accelerator.is_main_process:
            tensors = checkpoint.model_state(self.module)
            write_folder(self.out / "final", self.config, self.module, tensors, self.record())
        return True

    def _train_step(self, batch: list[Rows], means: Means) -> int:
        rows = sum(len(part.keys) for part in batch)
        for number, part in enumerate(batch):
            last = number == len(batch) - 1
            with contextlib.nullcontext() if last else self.accelerator.no_sync(self.model):
                loss, metrics = self._loss(part)
                share = len(part.keys) / rows
                self.accelerator.backward(loss * share)
            means.add({"loss": loss, **metrics}, share)
        if self.config.clip is not None:
            norm = self.accelerator.clip_grad_norm_(self.named.values(), self.config.clip)
            means.add({"grad_norm": torch.as_tensor(norm)}, 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = build.learning_rate(self.config, self.step)
        self._update.step()
        self._update.zero_grad(set_to_none=True)
        self.step += 1
        means.count += 1
        kind = self.config.geometry.attention
        return sum(int(input_lengths(p.prompt, p.window, p.block, kind).sum()) for p in batch)

    def _loss(self, part: Rows) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of one micro-batch: the mean over its rows."""
        batch = layout(part, self.config.geometry.attention, self.accelerator.device)

        def draft(tokens: Tensor) -> Tensor:
            with torch.no_grad():
                return self.model(batch, tokens)

        corrupted = self.objective.corrupt(batch.clean, batch.editable, batch.keys, draft, batch.blocks, ids=self.ids)
        return self.objective.loss(self.model(batch, corrupted.input), corrupted)

    def save(self) -> None:
        """Write a checkpoint of the present step."""
        if self.accelerator.is_main_process:
            state = {
                "step": self.step,
                "seconds": self._elapsed(),
                "loss": self.loss,
                "config": self.config.model_dump(mode="json"),
                "record": self.record(),
            }
            optimizer = checkpoint.optimizer_state(self.optimizer, self.named)
            model = checkpoint.model_state(self.module)
            checkpoint.save(self.out, self.step, model, optimizer, state, self.config.keep)
        self.accelerator.wait_for_everyone()

    def record(self) -> dict[str, Any]:
        """What a reader needs to make these weights again."""
        device = self.accelerator.device
        return {
            "recipe": self.recipe,
            "command": "python -m dlmsample.train " + shlex.join(sys.argv[1:]),
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else f"{platform.machine()} CPU",
            "processes": self.accelerator.num_processes,
            "torch": torch.__version__,
            "step": self.step,
            "steps": self.config.steps,
            "seed": self.config.seed,
            "seconds": round(self._elapsed(), 1),
            "final_loss": self.loss,
            "parameters": sum(p.numel() for p in self.module.parameters()),
            "config": self.config.model_dump(mode="json"),
        }

    def _resume(self) -> dict[str, Tensor] | None:
        """Load the last complete checkpoint; returns the optimiser's tensors, None for a fresh run."""
        if self.accelerator.is_main_process:
            self.out.mkdir(parents=True, exist_ok=True)
            for folder in checkpoint.remove_incomplete(self.out):
                print(f"removed the incomplete {folder}", file=sys.stderr)
        self.accelerator.wait_for_everyone()
        found = checkpoint.complete(self.out)
        if not found:
            return None
        model, optimizer, state = checkpoint.read(found[-1])
        old = TrainConfig.model_validate(state["config"]).identity()
        new = self.config.identity()
        if changed := sorted(key for key in new if old[key] != new[key]):
            raise TrainError(f"{self.out} holds a run with another {', '.join(changed)}: choose another --out")
        # Tied tensors are stored once; the module ties them itself.
        self.module.load_state_dict(model, strict=False)
        self.step, self.seconds, self.loss = state["step"], state["seconds"], state["loss"]
        return optimizer

    def _elapsed(self) -> float:
        return self.seconds + time.monotonic() - self.begun

    def _out_of_time(self, limit: float) -> bool:
        """Whether any process has used its time up: all stop at the same step."""
        if limit == math.inf:
            return False
        late = time.monotonic() - self.begun > limit
        if self.accelerator.num_processes == 1:
            return late
        flag = torch.tensor([late], device=self.accelerator.device, dtype=torch.int32)
        return bool(torch.as_tensor(self.accelerator.reduce(flag)).item())
