"""``--report-to``: the numbers of a run reach a tracker, offline, and no run ends because of one."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from accelerate import tracking

from dlmsample.cli.main import run
from dlmsample.support import trackers
from dlmsample.support.trackers import Trackers, tracker_names
from dlmsample.train.config import load
from dlmsample.train.trainer import Trainer
from tests.ablate import toys
from tests.train.standin import recipe


class Notebook(tracking.GeneralTracker):
    """A tracker that writes what it is told into a list."""

    name = "notebook"
    requires_logging_directory = False
    told: list[Any]

    def __init__(self, run_name: str, **options: Any) -> None:
        super().__init__()
        type(self).told = [("opened", run_name, options)]

    @property
    def tracker(self) -> Any:
        return self.told

    def start(self) -> None: ...

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        self.told.append(("config", values))

    def log(self, values: dict[str, Any], step: int | None = None, **_: Any) -> None:
        self.told.append((step, values))

    def finish(self) -> None:
        self.told.append("closed")


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> type[Notebook]:
    """It stands where trackio would."""
    monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, "trackio", Notebook)
    monkeypatch.setattr(trackers, "find_spec", lambda name: object())
    return Notebook


def test_training_reports(notebook: type[Notebook], tmp_path: Path) -> None:
    out = tmp_path / "mine"
    Trainer(load(recipe(tmp_path), ["steps=4", "log_every=2", "checkpoint_every=4"]), out, report_to=["trackio"]).run()
    opened, (_, config), *logged, closed = notebook.told
    assert opened == ("opened", "dlmsample", {"name": "mine", "resume": "allow"})
    assert (config["steps"], config["objective.name"], closed) == (4, "mdm", "closed")
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [{"step": step, **values} for step, values in logged] == lines
    assert not (out / "tensorboard").exists()


def test_a_grid_reports(notebook: type[Notebook], tmp_path: Path) -> None:
    grid = tmp_path / "grid.yaml"
    plan = toys.grid(toys.save_tiny(tmp_path / "tiny"), policies=[{"policy": "unmask", "steps": 2}])
    grid.write_text(json.dumps(plan))
    assert run(["ablate", str(grid), "--out", str(tmp_path / "out"), "--report-to", "trackio"]) == 0
    logged = [told[1] for told in notebook.told if isinstance(told[0], int)]
    assert [values["examples"] for values in logged] == [2, 4, 6]
    last = {name.rpartition("/")[2]: value for name, value in logged[-1].items()}
    assert last["cells"] == 1
    assert 0 <= last["correct"] <= 1
    assert last["nfe"] >= 2


def test_tensorboard_alone_needs_no_server(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="pip install 'dlmsample[tensorboard]' to write its files")
    reader = import_module("tensorboard.backend.event_processing.event_accumulator")
    for start, steps in ((0, (1, 2, 3)), (2, (3, 4))):  # killed behind step 2, and gone on from there
        board = Trackers(["tensorboard"], tmp_path, {"lr": 0.1, "data": {"name": "x"}}, start)
        for step in steps:
            board.log({"loss": start + step / 10, "samples": "a text"}, step)
        board.close()
    events = reader.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert {event.step: round(event.value, 3) for event in events.Scalars("loss")} == {1: 0.1, 2: 0.2, 3: 2.3, 4: 2.4}


def test_a_tracker_that_fails_ends_no_run(
    notebook: type[Notebook], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ConnectionError("no route\nto host")

    open_one = Trackers(["trackio"], tmp_path, {})
    monkeypatch.setattr(Notebook, "log", broken)
    open_one.log({"loss": 1.0}, 1)
    open_one.log({"loss": 2.0}, 2)
    open_one.close()
    assert capsys.readouterr().err.splitlines() == ["trackio gets nothing more: no route to host"]
    monkeypatch.setattr(Notebook, "start", broken)
    with pytest.raises(ValueError, match="--report-to trackio cannot start: no route to host; leave it out"):
        Trackers(["trackio"], tmp_path, {})


def test_mistakes_are_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "--recipe", "nano", "--out", "x", "--report-to", "wandbb"]) == 2
    assert "did you mean 'wandb'" in capsys.readouterr().err
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    assert run(["ablate", "grid.yaml", "--out", "x", "--report-to", "tensorboard,mlflow"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--report-to tensorboard needs the package tensorboard: pip install tensorboard" in line


def test_names_come_singly_or_with_commas(notebook: type[Notebook]) -> None:
    assert tracker_names(["wandb,mlflow", "wandb"]) == ["wandb", "mlflow"]
