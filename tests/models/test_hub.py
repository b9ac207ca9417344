"""Hub ids: a revision reaches everything that is fetched, and each reason that nothing comes has its own remedy."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
import transformers
from huggingface_hub import errors

import dlmsample as ds
from dlmsample.cli.main import run
from dlmsample.models import hub
from tests.models import checkpoints as tiny
from tests.models.test_load import fails


def answered(kind: type[Exception], status: int) -> Exception:
    """An error of the hub's client for an HTTP answer."""
    response: Any = type("Response", (), {"status_code": status, "headers": {}, "request": None})()
    error = kind.__new__(kind)
    Exception.__init__(error, f"{status} error\nRequest ID: x")
    error.response = response  # type: ignore[attr-defined]
    return error


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


class ConnectError(Exception):
    """As the HTTP client names it."""


REASONS: dict[str, tuple[Callable[[], Exception], tuple[str, ...]]] = {
    "not found": (
        lambda: answered(errors.RepositoryNotFoundError, 404),
        ("there is no", "on the hub", "check the id", "private"),
    ),
    "gated": (lambda: answered(errors.GatedRepoError, 403), ("restricted", "accept its terms", "hf auth login")),
    "no permission": (lambda: answered(errors.HfHubHTTPError, 403), ("refuses access", "403", "hf auth login")),
    "bad token": (lambda: answered(errors.HfHubHTTPError, 401), ("refuses access", "401", "hf auth login")),
    "revision": (lambda: answered(errors.RevisionNotFoundError, 404), ("no revision 'v9'", "branch, tag or commit")),
    "disabled": (lambda: answered(errors.DisabledRepoError, 403), ("disabled", "another")),
    "busy": (lambda: answered(errors.HfHubHTTPError, 429), ("429", "try again later")),
    "broken hub": (lambda: answered(errors.HfHubHTTPError, 503), ("503", "try again later")),
    "offline mode": (
        lambda: caused(errors.LocalEntryNotFoundError("x"), errors.OfflineModeIsEnabled("offline")),
        ("HF_HUB_OFFLINE is set", "unset it", "folder"),
    ),
    "no network": (
        lambda: caused(errors.LocalEntryNotFoundError("x"), ConnectError("Name or service not known")),
        ("cannot be reached", "connect", "folder"),
    ),
    "broken hub behind the cache": (
        lambda: caused(errors.LocalEntryNotFoundError("x"), answered(errors.HfHubHTTPError, 502)),
        ("502", "try again later"),
    ),
    "wrapped": (
        lambda: caused(OSError("a local folder or a repository?"), answered(errors.GatedRepoError, 403)),
        ("restricted", "hf auth login"),
    ),
    "time": (lambda: TimeoutError("timed out"), ("cannot be reached", "connect")),
    "disk": (lambda: OSError(errno.ENOSPC, "No space left on device"), ("No space left on device",)),
}


@pytest.mark.parametrize("reason", REASONS)
def test_each_reason_has_its_remedy(reason: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    make, words = REASONS[reason]

    def download(*args: Any, **options: Any) -> str:
        raise make()

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    fails("'org/model'", *words, name="org/model", revision="v9")
    if reason != "revision":  # a part has none of its own
        fails("'org/part'", *words, name="nano", adapter="org/part")
        fails("'org/part'", *words, name="nano", head="org/part")
    others = {word for name in ("gated", "offline mode", "no network") for word in REASONS[name][1][:1]} - {*words}
    with pytest.raises(ValueError, match="org/model") as caught:
        ds.load("org/model")
    assert not any(word in str(caught.value) for word in others if word != "cannot be reached" or reason != "disk")


def test_a_file_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def download(*args: Any, **options: Any) -> str:
        raise answered(errors.RemoteEntryNotFoundError, 404)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    fails("has no config.json on the hub", "transformers checkpoint", name="org/model")


def test_weights_that_may_not_be_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The config was public; what transformers says of the weights is told as for any file."""
    fetched(monkeypatch, tiny.save("llada", tmp_path / "c"))
    for make, word in ((REASONS["wrapped"][0], "restricted"), (REASONS["no network"][0], "cannot be reached")):

        def refuse(*args: Any, _make: Callable[[], Exception] = make, **options: Any) -> Any:
            raise _make()

        monkeypatch.setattr(transformers.PreTrainedModel, "from_pretrained", refuse)
        fails("'org/model'", word, name="org/model")


def fetched(monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[tuple[str, Any]]:
    """``org/model`` is that folder; what was asked for, and at which revision."""
    asked: list[tuple[str, Any]] = []
    load = transformers.PreTrainedModel.from_pretrained.__func__  # type: ignore[attr-defined]

    def download(name: str, file: str, revision: str | None = None) -> str:
        asked.append((file, revision))
        return str(folder / file)

    def tokenizer(where: str, *args: Any, revision: str | None = None, **options: Any) -> Any:
        asked.append(("tokenizer", revision))

    def weights(cls: Any, where: str, *args: Any, revision: str | None = None, **options: Any) -> Any:
        asked.append(("weights", revision))
        return load(cls, str(folder), *args, **options)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    for kind in ("AutoTokenizer", "PreTrainedTokenizerFast", "Qwen2TokenizerFast"):
        if hasattr(transformers, kind):
            monkeypatch.setattr(getattr(transformers, kind), "from_pretrained", tokenizer)
    monkeypatch.setattr(transformers.PreTrainedModel, "from_pretrained", classmethod(weights))
    return asked


@pytest.mark.parametrize("revision", [None, "v1.0"])
def test_a_revision_reaches_all_that_is_fetched(
    revision: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tiny.save("llada", tmp_path / "c")
    asked = fetched(monkeypatch, folder)
    found = ds.load("org/model", revision=revision)
    assert sorted(asked) == sorted((part, revision) for part in ("config.json", "tokenizer", "weights"))
    want = ds.load(folder).module.state_dict()
    assert all(map(torch.equal, want.values(), found.module.state_dict().values()))


def test_a_revision_on_the_command_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = fetched(monkeypatch, tiny.save("llada", tmp_path / "c"))
    assert run(["models", "--explain", "org/model", "--revision", "v2", "--json"]) == 0
    assert asked == [("config.json", "v2"), ("tokenizer", "v2")]
    seen: list[Any] = []

    def load(name: str, **options: Any) -> Any:
        seen.append(options.get("revision"))
        raise ValueError("enough")

    monkeypatch.setattr(ds, "load", load)
    assert run(["generate", "x", "--model", "org/model", "--revision", "v3"]) == 2
    assert run(["diagnose", "org/model", "--revision", "v4"]) == 2
    assert seen == ["v3", "v4"]


def test_a_revision_of_a_folder_is_a_mistake(tmp_path: Path) -> None:
    folder = tiny.save("llada", tmp_path / "c")
    fails("revision 'v1'", "hub ids", "folder", name=folder, revision="v1")
    fails("revision 'v1'", "hub ids", name="nano", revision="v1")
    fails("revision", "branch, tag or commit", name="org/model", revision=" ")


def test_parts_of_a_model_are_fetched_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """``snapshot`` is what other parts of the package fetch folders with."""
    seen: dict[str, Any] = {}

    def download(name: str, **options: Any) -> str:
        seen.update(options)
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert hub.snapshot("model", "org/model", ["*.json"]) == tmp_path
    assert seen["allow_patterns"] == ["*.json"]
    shutil.rmtree(tmp_path)
