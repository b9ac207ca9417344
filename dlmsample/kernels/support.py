"""Where the Triton kernels run."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

import torch

#: What they take.
DTYPES = (torch.bfloat16, torch.float16, torch.float32)


def runs_kernels(device: torch.device) -> bool:
    """Whether a device, which is a GPU, runs them: it is of NVIDIA, not too old, and Triton is installed."""
    return torch.version.cuda is not None and torch.cuda.get_device_capability(device) >= (8, 0) and _has_triton()


@cache
def _has_triton() -> bool:
    return find_spec("triton") is not None


def power_of_two(n: int) -> int:
    """The next one, or ``n`` itself.

    Example:
        >>> power_of_two(33), power_of_two(32)
        (64, 32)
    """
    return 1 << (n - 1).bit_length()
