"""Runs of several processes, started by torchrun: ``processes.py JOBS``, a JSON list of ``Job`` values."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

from accelerate import FullyShardedDataParallelPlugin
from torch.distributed.fsdp import FSDPModule

from dlmsample.train.config import load
from dlmsample.train.trainer import Trainer


class Sharded(Trainer):
    """Through accelerate's own FSDP2, which it does not choose on CPUs by itself."""

    def _prepare(self) -> tuple[Any, Any]:
        plugin = FullyShardedDataParallelPlugin(
            fsdp_version=2, auto_wrap_policy="transformer_based_wrap", cpu_ram_efficient_loading=self.efficient
        )
        self.accelerator.state.fsdp_plugin = plugin
        model, optimizer = self.accelerator._prepare_fsdp2(self.inner, self.optimizer)
        assert isinstance(model, FSDPModule)
        assert isinstance(model.module.get_decoder().layers[0], FSDPModule)
        return model, optimizer

    efficient = False


class Efficient(Sharded):
    """The same, the weights read by one process and sent to the others."""

    efficient = True


class Job(NamedTuple):
    """One run."""

    kind: str
    stop: int | None
    recipe: str
    out: str
    changes: list[str]


if __name__ == "__main__":
    for values in json.loads(sys.argv[1]):
        job = Job(*values)
        trainer = {"plain": Trainer, "sharded": Sharded, "efficient": Efficient}[job.kind](
            load(job.recipe, job.changes), Path(job.out)
        )
        trainer.run(stop_at=job.stop)
