"""The environment of a result: the versions and the kind of device that computed it."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata

import dlmsample


@dataclass(frozen=True)
class Environment:
    """Versions and device: they may change the last digits of a number, and through them an answer.

    Results of different environments are kept side by side and are never counted together unless the user says so
    (``--accept-versions``).

    Example:
        >>> Environment("0.1.0", "2.6.0", "5.0.0", "cpu: x86_64").text
        'dlmsample 0.1.0, torch 2.6.0, transformers 5.0.0, cpu: x86_64'
    """

    dlmsample: str  #: version, as the next two
    torch: str
    transformers: str
    device: str  #: kind of device: "cuda: NVIDIA H100 80GB HBM3", "cpu: x86_64"

    @property
    def text(self) -> str:
        """In one line."""
        if self == UNKNOWN:
            return "unknown (before results were stored with their versions)"
        return f"dlmsample {self.dlmsample}, torch {self.torch}, transformers {self.transformers}, {self.device}"


#: Of results in a store that was written before environments were recorded.
UNKNOWN = Environment("unknown", "unknown", "unknown", "unknown")


def present(devices: Sequence[str | None]) -> Environment:
    """The environment of a run that works on these devices now.

    Several kinds of devices in one run are one environment, since any of them may compute any row. For a Ray
    cluster, the versions and devices are those that this machine sees.

    Args:
        devices: torch devices; None: CPU.

    Example:
        >>> present([None]) == present(["cpu", "cpu"])
        True
    """
    kinds = sorted({_kind(str(device or "cpu")) for device in devices})
    # the label of a build (+cpu, +cu130) says what the device says
    torch, transformers = (metadata.version(name).partition("+")[0] for name in ("torch", "transformers"))
    return Environment(dlmsample.__version__, torch, transformers, " + ".join(kinds))


def _kind(device: str) -> str:
    name, _, index = device.partition(":")
    if name != "cuda":
        return f"{name}: {platform.machine()}"
    import torch

    at = int(index) if index.isdecimal() else 0
    if at >= torch.cuda.device_count():
        return name  # a device that is not there is an error when it is used, and a cluster may have it
    return f"{name}: {torch.cuda.get_device_name(at)}"
