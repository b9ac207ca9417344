"""The training loop: one, for every objective, model and device, on ``accelerate``.

Order of operations of a step: (1) take the step's batch, already cut into micro-batches; (2) per
micro-batch: lay out the streams, corrupt, forward, loss, backward; (3) clip; (4) set the learning rate,
update, move the average; (5) at the set intervals log, write samples and a checkpoint. Data, corruption
and rate are functions of the step alone, so a resumed run repeats an undisturbed one.
"""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.distributed.tensor import DTensor

from dlmsample.objectives.base import objective
from dlmsample.rng import sequence_key
from dlmsample.train import checkpoint
from dlmsample.train.calibrate import calibrate, measure
from dlmsample.train.card import record, summary
from dlmsample.train.config import TrainConfig, TrainError
from dlmsample.train.data.batches import BatchSteps, batches
from dlmsample.train.data.layout import MicroBatch, lay_out
from dlmsample.train.data.source import RowSource
from dlmsample.train.ema import Average
from dlmsample.train.export import result_tensors, write_result
from dlmsample.train.folder import RunFolder
from dlmsample.train.model import StreamModel, build_model, loss_of, pad_id, token_ids
from dlmsample.train.optimizer import build_optimizer, learning_rate, named_trainable
from dlmsample.train.report import MetricSums, RunLog
from dlmsample.train.sample import Samples


class Trainer:
    """One run in one folder; making it again on the same folder goes on from the last complete checkpoint.

    Args:
        config: the run.
        out: its folder, created if missing.
        recipe: how the recipe was named, for the record.
        source: its rows, where they are read already.
        report_to: names of trackers that get the metrics too; None: TensorBoard's files, where it is installed.

    Raises:
        TrainError: another process trains into the folder; it holds a run with another configuration or other data, a
            damaged checkpoint, or what no run wrote; or the model or data cannot be built.
    """

    def __init__(
        self,
        config: TrainConfig,
        out: Path,
        recipe: str = "",
        source: RowSource | None = None,
        report_to: Sequence[str] | None = None,
    ) -> None:
        self.config, self.out, self.recipe, self.report_to = config, out, recipe, report_to
        self.begun = time.monotonic()
        self.folder: RunFolder | None = None
        # Without cpu=True, accelerate would not join CPU processes that torchrun started.
        cpu = not torch.accelerator.is_available()
        self.accelerator = Accelerator(mixed_precision=config.precision, cpu=cpu)
        self.main, device = self.accelerator.is_main_process, self.accelerator.device
        self.objective = objective(config.objective.name, **config.objective.options)
        self.needs = self.objective.needs
        with contextlib.ExitStack() as undo:
            undo.callback(self._release)
            found = self._find()
            self.inner = build_model(config, device)
            self.pad = pad_id(self.inner.module)
            rank, world = self.accelerator.process_index, self.accelerator.num_processes
            self.data = BatchSteps(config, self.pad, rank, world, source)
            # a missing tokenizer is told before anything else happens
            self.ids = token_ids(config, self.inner, getattr(self.data.encoder, "outer", None))
            self.step, self.seconds = 0, 0.0
            self.metrics: dict[str, float] = {}
            self.optimizer = build_optimizer(config, self.inner, device)
            if config.compile:
                _compile_layers(self.inner)
            self.model, self._update = self._prepare()
            # Sharding replaces the parameters, so names and numbers are put together after it.
            self.named = named_trainable(self.inner)
            self.average = Average(self.named, config.ema) if config.ema is not None else None
            if found is not None:
                self._restore(checkpoint.read(found))
            self.dropout = self.inner.has_dropout
            self.samples = self._samples()
            undo.pop_all()

    def _release(self) -> None:
        """Let another run have the folder."""
        if self.folder is not None:
            self.folder.release()

    def _prepare(self) -> tuple[Any, Any]:
        """The model and the optimiser wrapped for the processes there are."""
        return self.accelerator.prepare(self.inner, self.optimizer)

    def run(self, stop_at: int | None = None, max_minutes: float | None = None) -> bool:
        """Train to the end, or stop cleanly with a checkpoint at a step or after some minutes.

        Returns:
            Whether the run is finished; then ``out/final`` exists.

        Raises:
            TrainError: another run has the folder by now, the disk is full, or the loss is no number any more.
        """
        if self.folder is not None:
            self.folder.hold()
        try:
            with checkpoint.told_where_it_stops(self.out):
                return self._run(stop_at, max_minutes)
        finally:
            self._release()

    def _run(self, stop_at: int | None, max_minutes: float | None) -> bool:
        goal = min(self.config.steps, stop_at or self.config.steps)
        limit = math.inf if max_minutes is None else 60 * max_minutes
        report = RunLog(
            self.out, self.step, self.config.steps, self.main, self.report_to, self.config.model_dump(mode="json")
        )
        self.model.train()
        if (device := self.accelerator.device).type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)  # of the training: loading may take more for a moment
        sums, tokens, since = MetricSums(), 0, time.monotonic()
        try:
            for batch in batches(self.data, self.step, goal) if self.step < goal else ():
                tokens += self._train_step(batch, sums)
                stop = self.step == goal or self._out_of_time(limit)
                keep = stop or self.step % self.config.checkpoint_every == 0
                if keep or self.step % self.config.log_every == 0:
                    values = sums.take(self.accelerator.reduce)
                    if not math.isfinite(values["loss"]):
                        raise TrainError(f"the loss is {values['loss']} at step {self.step}: lower lr, or clip")
                    self.metrics = values
                    now = time.monotonic()
                    rate = learning_rate(self.config, self.step - 1)
                    tokens *= self.accelerator.num_processes
                    speed = {"tokens_per_s": tokens / (now - since), "seconds": self._elapsed()}
                    if device.type == "cuda":
                        speed["peak_gib"] = torch.cuda.max_memory_allocated(device) / 2**30
                    report.log(self.step, {**values, "lr": rate, **speed})
                    tokens, since = 0, now
                if self.samples is not None and (self.step == self.config.steps or self.step % self.samples.every == 0):
                    begun = time.monotonic()
                    report.sample(self.step, self.samples())
                    since += time.monotonic() - begun  # no time of the training
                if keep:
                    self.save()
                if stop:
                    break
        finally:
            report.close()
        if self.step < self.config.steps:
            return False
        self._finish()
        return True

    def _finish(self) -> None:
        """Write ``out/final``: the average's weights where there is one, a head at its operating point."""
        if self.average is not None:
            self.average.apply()
        record = self.record()
        if self.config.head is not None:
            self.model.eval()
            seen = measure(self.config, self.model, self.objective, self.ids, self.pad, self.accelerator.device)
            record |= calibrate(self.config, self.inner, *seen)
        tensors = checkpoint.model_state(result_tensors(self.config, self.inner, self.named), self.main)
        if self.main:
            write_result(self.out / "final", self.config, self.inner, tensors, record)
        self.accelerator.wait_for_everyone()

    def _train_step(self, batch: list[MicroBatch], sums: MetricSums) -> int:
        rows, tokens = sum(len(part.keys) for part in batch), 0
        if self.dropout:
            # Dropout alone draws from torch's generator: seeded anew at each step, a resumed run draws the same.
            torch.manual_seed(sequence_key(self.config.seed, [], self.step, self.accelerator.process_index))
        told: list[tuple[dict[str, Tensor], Tensor]] = []
        for number, part in enumerate(batch):
            last = number == len(batch) - 1
            with contextlib.nullcontext() if last else self.accelerator.no_sync(self.model):
                laid_out = lay_out(self.config, part, self.accelerator.device)
                loss, metrics = loss_of(self.objective, self.model, laid_out, self.ids, self.needs, self.dropout)
                self.accelerator.backward(loss * (len(part.keys) / rows))
            tokens += laid_out.size
            told.append(({"loss": loss.detach(), **metrics}, laid_out.editable))
        whole: dict[str, Tensor] = {}
        if self.config.clip is not None:
            norm = torch.as_tensor(self.accelerator.clip_grad_norm_(self.named.values(), self.config.clip))
            whole["grad_norm"] = norm.full_tensor() if isinstance(norm, DTensor) else norm
        sums.add(told, whole)
        rate = learning_rate(self.config, self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self._update.step()
        self._update.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update(self.step)
        self.step += 1
        return tokens

    def save(self) -> None:
        """Write a checkpoint of the present step; sharded tensors are gathered by all processes together."""
        state = {
            "step": self.step,
            "seconds": self._elapsed(),
            "metrics": self.metrics,
            "data": self.data.source.fingerprint,
            "config": self.config.model_dump(mode="json"),
            "record": self.record(),
        }
        saved = checkpoint.Saved(
            checkpoint.model_state(self.named, self.main),
            checkpoint.optimizer_state(self.optimizer, self.named, self.main),
            {} if self.average is None else checkpoint.model_state(self.average.tensors, self.main),
            state,
        )
        if self.main:
            checkpoint.save(self.out, self.step, saved, self.config.keep)
        self.accelerator.wait_for_everyone()

    def record(self) -> dict[str, Any]:
        """What a reader needs to make these weights again."""
        return {
            "summary": summary(self.config),
            **record(self.config, self.recipe, self.accelerator.device, self.accelerator.num_processes),
            "data": list(self.data.source.summary),
            "step": self.step,
            "seconds": round(self._elapsed(), 1),
            "final_loss": self.metrics.get("loss", math.nan),
            "parameters": sum(p.numel() for p in self.inner.module.parameters()),
            "trained_parameters": sum(p.numel() for p in self.named.values()),
            "metrics": self.metrics,
        }

    def _find(self) -> Path | None:
        """The last complete checkpoint, after checking that it is this run's; None for a fresh run."""
        if self.main:
            self.folder = RunFolder(self.out)
            for folder in checkpoint.remove_incomplete(self.out):
                print(f"removed the incomplete {folder}", file=sys.stderr)
        self.accelerator.wait_for_everyone()
        found = checkpoint.complete(self.out)
        if not found:
            return None
        old = TrainConfig.model_validate(checkpoint.state(found[-1])["config"]).identity()
        new = self.config.identity()
        if changed := sorted(key for key in new if old[key] != new[key]):
            raise TrainError(f"{self.out} holds a run with another {', '.join(changed)}: choose another --out")
        return found[-1]

    def _restore(self, saved: checkpoint.Saved) -> None:
        checkpoint.restore_model(self.named, saved.model)
        checkpoint.restore_optimizer(self.optimizer, self.named, saved.optimizer)
        if self.average is not None:
            checkpoint.restore_model(self.average.tensors, saved.average)
        if saved.state.get("data", "") != self.data.source.fingerprint:
            raise TrainError(f"the data of the run in {self.out} has changed: restore it, or choose another --out")
        self.step, self.seconds = saved.state["step"], saved.state["seconds"]
        self.metrics = saved.state.get("metrics", {})

    def _samples(self) -> Samples | None:
        section = self.config.sample
        if section is None or not self.main:
            return None
        if any(isinstance(p, DTensor) for p in self.inner.parameters()):
            print("no samples: the weights are sharded over the processes", file=sys.stderr)
            return None
        return Samples(self.config, section, self.inner)

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


def _compile_layers(model: StreamModel) -> None:
    """Compile each layer in place, for any batch and length: one graph serves all, and names stay."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    for layer in model.modules():
        if isinstance(layer, GradientCheckpointingLayer):
            layer.compile(dynamic=True)
