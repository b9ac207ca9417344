"""What the value ``auto`` of a device option means on this machine; every other value stays as it is.

A recipe that names them ``auto`` trains fast on a GPU, and on a CPU does not spend minutes on compiling, on emulated
bfloat16, or on processes that the cores are needed for. What ``auto`` came to stands in the run's record.

Example:
    >>> precision("bf16"), compile_layers(False), workers(4)
    ('bf16', False, 4)
"""

from __future__ import annotations

import os
from typing import Any

from dlmsample.support.cores import usable

_MOST_WORKERS = 14


def precision(given: Any) -> Any:
    """``auto``: bf16 on a GPU that computes in it. False is how YAML reads a bare ``no``."""
    if given == "auto":
        import torch

        return "bf16" if _on_gpu() and torch.cuda.is_bf16_supported(including_emulation=False) else "no"
    return "no" if given is False else given


def compile_layers(given: Any) -> Any:
    """``auto``: on a GPU. On a CPU compiling takes longer than it saves in runs of ordinary length."""
    return _on_gpu() if given == "auto" else given


def workers(given: Any) -> Any:
    """``auto``: beside a GPU one for every core but two, at most 14; without one the cores train.

    Counted are the cores that this process may use (:func:`~dlmsample.support.cores.usable`), shared with the other
    training processes of this machine.
    """
    if given != "auto":
        return given
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # torchrun's and accelerate's
    return min(max(usable() // processes - 2, 0), _MOST_WORKERS) if _on_gpu() else 0


def _on_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
