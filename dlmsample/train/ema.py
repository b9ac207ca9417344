"""A moving average of what trains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Average:
    """Exponential moving average of named tensors, in float32, sharded as they are.

    Rule: ``a <- d a + (1 - d) p`` after each update, ``d = min(decay, (1 + step) / (10 + step))``, so that the
    start is forgotten early.

    Args:
        named: what to average; the average starts there.
        decay: in (0, 1).

    Example:
        >>> weight = torch.zeros(1)
        >>> average = Average({"w": weight}, decay=0.5)
        >>> _ = weight.fill_(1.0)
        >>> average.update(step=100)
        >>> average.tensors["w"].item()
        0.5
    """

    def __init__(self, named: Mapping[str, Tensor], decay: float) -> None:
        self.named, self.decay = dict(named), decay
        self.tensors = {name: tensor.detach().float().clone() for name, tensor in named.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take the present values in; ``step`` counts the updates made before this one."""
        decay = min(self.decay, (1 + step) / (10 + step))
        present = [tensor.float() for tensor in _local(self.named.values())]
        get_ema_multi_avg_fn(decay)(_local(self.tensors.values()), present, 0)  # all in one kernel

    @torch.no_grad()
    def apply(self) -> None:
        """Put the average in the place of the present values."""
        for name, tensor in self.named.items():
            tensor.copy_(self.tensors[name])


def _local(tensors: Iterable[Tensor]) -> list[Tensor]:
    return [t.to_local() if isinstance(t, DTensor) else t.detach() for t in tensors]
