"""Experiment trackers: the same numbers to wandb, trackio, TensorBoard or MLflow, by accelerate's classes for them."""

from __future__ import annotations

import hashlib
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dlmsample.support.registry import unknown
from dlmsample.support.text import flat, one_line

#: Trackers by name, with what is said about using one without its server.
TRACKERS = {
    "tensorboard": "writes files alone",
    "wandb": "WANDB_MODE=offline keeps a run on this machine",
    "trackio": "keeps runs on this machine",
    "mlflow": "MLFLOW_TRACKING_URI=sqlite:///mlruns.db keeps runs on this machine",
}
#: What runs are grouped under where a tracker groups them.
PROJECT = "dlmsample"


def tracker_names(given: Sequence[str]) -> list[str]:
    """``["wandb,tensorboard"]`` or ``["wandb", "tensorboard"]`` as names, each known and installed.

    Raises:
        ValueError: an unknown name, or one whose package is not installed.

    Example:
        >>> tracker_names(["wandbb"])
        Traceback (most recent call last):
        ValueError: unknown tracker 'wandbb'; did you mean 'wandb'? Known: mlflow, tensorboard, trackio, wandb
    """
    names = list(dict.fromkeys(name for word in given for name in word.split(",")))
    for name in names:
        if name not in TRACKERS:
            raise unknown("tracker", name, TRACKERS)
        if find_spec(name) is None:
            raise ValueError(f"--report-to {name} needs the package {name}: pip install {name}, or leave it out")
    return names


class Trackers:
    """The open trackers of one run; none for no names.

    A tracker that fails while it runs is told on standard error and left out from then on: no run ends because of it.

    Args:
        names: from :func:`tracker_names`.
        folder: of the run, whose name it gets. TensorBoard's files go to ``tensorboard`` in it.
        config: what is run, nested as it may be.
        start: the last step that counts; what was written behind it by a killed run is taken back where that can be.

    Raises:
        ValueError: a tracker that cannot start.

    Example:
        >>> Trackers([], Path("runs/mine"), {}).log({"loss": 1.0}, step=1)
    """

    def __init__(self, names: Sequence[str], folder: Path, config: Mapping[str, Any], start: int = 0) -> None:
        self._open: dict[str, Any] = {}
        for name in names:
            try:
                self._open[name] = _start(name, folder, start)
                if name != "tensorboard" or start == 0:  # which would make another folder for each start
                    self._open[name].store_init_configuration(_plain(config))
            except Exception as error:  # each tracker has errors of its own
                raise ValueError(
                    f"--report-to {name} cannot start: {one_line(error, 200)}; leave it out, or note that {name} "
                    f"{TRACKERS[name]}"
                ) from error

    def log(self, values: Mapping[str, float | str], step: int) -> None:
        """Record values; MLflow keeps numbers alone."""
        for name, tracker in list(self._open.items()):
            kept = {k: v for k, v in values.items() if name != "mlflow" or not isinstance(v, str)}
            try:
                if kept:
                    tracker.log(kept, step=step)
            except Exception as error:
                del self._open[name]
                sys.stderr.write(f"{name} gets nothing more: {one_line(error, 200)}\n")

    def close(self) -> None:
        """End the run for every tracker."""
        for name, tracker in self._open.items():
            try:
                tracker.finish()
            except Exception as error:
                sys.stderr.write(f"{name} was not closed: {one_line(error, 200)}\n")
        self._open = {}


def _start(name: str, folder: Path, start: int) -> Any:
    from accelerate.state import PartialState
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS

    PartialState(cpu=True)  # what the trackers ask whether they are in the first process; made already in training
    folder = folder.resolve()
    own = hashlib.blake2b(f"{platform.node()}:{folder}".encode(), digest_size=8).hexdigest()
    options: dict[str, dict[str, Any]] = {
        "tensorboard": {"logging_dir": str(folder), "purge_step": start + 1},
        "wandb": {"name": folder.name, "dir": str(folder), "id": own, "resume": "allow"},
        "trackio": {"name": folder.name, "resume": "allow"},
        "mlflow": {"run_name": folder.name},
    }
    tracker = LOGGER_TYPE_TO_CLASS[name]("tensorboard" if name == "tensorboard" else PROJECT, **options[name])
    tracker.start()
    return tracker


def _plain(config: Mapping[str, Any]) -> dict[str, str | int | float | bool]:
    """Nested values under dotted names, as what every tracker takes."""
    return {name: value if isinstance(value, str | int | float | bool) else str(value) for name, value in flat(config)}
