"""Where the Triton kernels run."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

import torch

#: What they take.
DTYPES = (torch.bfloat16, torch.float16, torch.float32)
#: What the kernels for products take.
HALF = (torch.bfloat16, torch.float16)


def runs_kernels(device: torch.device) -> bool:
    """Whether a device, which is a GPU, runs them: it is of NVIDIA, not too old, and Triton is installed."""
    return torch.version.cuda is not None and torch.cuda.get_device_capability(device) >= (8, 0) and _has_triton()


def reads_narrow(device: torch.device) -> bool:
    """Whether a device's kernels read e4m3: since NVIDIA's Ada and Hopper."""
    return device.type == "cuda" and runs_kernels(device) and torch.cuda.get_device_capability(device) >= (8, 9)


def constant_when_compiled() -> None:
    """Have ``torch.compile`` take what these two say of a device as given. Imports all of Dynamo."""
    for says in (runs_kernels, reads_narrow):
        torch.compiler.assume_constant_result(says)


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
