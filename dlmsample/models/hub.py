"""Where a checkpoint's files are (embedded, in a folder, or on the hub), and why a file of the hub cannot be had."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlmsample.models.embedded import EMBEDDED, folder_of
from dlmsample.models.weight_files import check_pointers
from dlmsample.support.reach import chain, of_transport, reachable
from dlmsample.support.registry import unknown
from dlmsample.support.text import parse_json


def locate(name: str) -> str:
    """A folder's path, or the hub id, where transformers finds the checkpoint.

    Raises:
        ValueError: neither an embedded model nor a folder with a config.json nor the form of a hub id.
    """
    if name in EMBEDDED:
        return str(folder_of(name))
    path = Path(name).expanduser()
    if name and path.is_dir():  # Path("") would be the working directory
        if not (path / "config.json").is_file():
            raise ValueError(f"folder {name!r} has no config.json: give the folder that holds the checkpoint itself")
        return str(path)
    if path.exists() and name:
        raise ValueError(f"{name!r} is a file: give the folder that holds the checkpoint")
    if path.is_absolute() or name.startswith((".", "~")):
        raise ValueError(no_folder(name, f"{', '.join(EMBEDDED)}, or a hub id like org/model"))
    if "/" not in name:
        raise unknown("model", name, EMBEDDED, ", or the path of a folder, or a hub id like org/model")
    return name


def no_folder(name: str, others: str) -> str:
    """What to say of a path where there is no folder; ``others``: what else may be given."""
    return f"there is no folder {name!r}: check the path, or give {others}"


def snapshot(kind: str, name: str, patterns: Sequence[str]) -> Path:
    """The folder of a hub id's files that match, downloaded.

    Raises:
        ValueError: it cannot be fetched; the error names what it is (``kind``).
    """
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=list(patterns), **_cached()))
    except Exception as e:  # the HTTP client has errors of its own
        raise ValueError(_reason(e, f"{kind} {name!r}") or _unknown_reason(e, f"{kind} {name!r}")) from e


def _cached() -> dict[str, Any]:
    """Options of the hub's client: read the cache alone where the hub does not answer."""
    return {} if reachable() else {"local_files_only": True}


def _check_revision(name: str, where: str, revision: str | None) -> None:
    """Refuse a revision of what has none.

    Raises:
        ValueError: the checkpoint lies in a folder, or the revision is empty.
    """
    if revision is None:
        return
    if not revision.strip():
        raise ValueError("the revision is empty: give a branch, tag or commit of the hub id, or leave it out")
    if Path(where).is_dir():
        raise ValueError(f"revision {revision!r} is for hub ids, and {name!r} is a folder: leave it out")


def read_config(name: str, where: str, revision: str | None = None) -> dict[str, Any]:
    """``config.json`` as it stands; ``revision`` of a hub id.

    Raises:
        ValueError: it cannot be had, or is no JSON object; or a revision of what has none.
    """
    _check_revision(name, where, revision)
    path = Path(where) / "config.json" if Path(where).is_dir() else _fetch(name, where, "config.json", revision)
    try:
        raw = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        check_pointers(name, path.parent, [path.name])
        raise ValueError(f"cannot read the configuration of {name!r}: {path.name} is no valid JSON file ({e})") from e
    if not isinstance(raw, dict):
        raise ValueError(f"cannot read the configuration of {name!r}: {path.name} holds no JSON object")
    return raw


def _fetch(name: str, where: str, file: str, revision: str | None) -> Path:
    from huggingface_hub import errors, hf_hub_download

    try:
        return Path(hf_hub_download(where, file, revision=revision, **_cached()))
    except errors.HFValidationError as e:
        raise ValueError(f"{name!r} is no hub id (like org/model) and no folder here: check the spelling") from e
    except Exception as e:  # the HTTP client has errors of its own
        if isinstance(e, errors.EntryNotFoundError) and not isinstance(e, errors.LocalEntryNotFoundError):
            raise ValueError(f"{name!r} has no {file} on the hub: give the id of a transformers checkpoint") from e
        raise ValueError(_reason(e, f"model {name!r}", revision) or _unknown_reason(e, f"model {name!r}")) from e


def not_fetched(error: BaseException, name: str, where: str, revision: str | None = None) -> str | None:
    """Why the hub did not give a file of a model, with the remedy; None: the error has nothing to do with the hub."""
    return None if Path(where).is_dir() else _reason(error, f"model {name!r}", revision)


def _reason(error: BaseException, what: str, revision: str | None = None) -> str | None:
    """The first thing in the chain of an error's causes that says why the hub gave nothing; None: nothing does."""
    from huggingface_hub import constants, errors

    links = chain(error)

    def has(*kinds: type[BaseException]) -> bool:
        return any(isinstance(link, kinds) for link in links)

    if has(errors.GatedRepoError):  # before RepositoryNotFoundError, whose subclass it is
        return f"access to {what} is restricted: accept its terms on the hub and log in (hf auth login)"
    if has(errors.RepositoryNotFoundError):
        return f"there is no {what} on the hub: check the id, or log in if it is private (hf auth login)"
    if has(errors.RevisionNotFoundError):
        return f"{what} has no revision {revision or 'main'!r} on the hub: give a branch, tag or commit of it"
    if has(errors.DisabledRepoError):
        return f"{what} was disabled on the hub: give another id, or the path of a folder"
    if has(errors.OfflineModeIsEnabled):
        return (
            f"cannot fetch {what}: HF_HUB_OFFLINE is set and it is not in the local cache: unset it, or give the path "
            "of a folder"
        )
    statuses = (getattr(getattr(link, "response", None), "status_code", None) for link in links)
    if (status := next((s for s in statuses if isinstance(s, int)), 0)) in (401, 403):
        return f"the hub refuses access to {what} ({status}): log in with an account that may read it (hf auth login)"
    if status == 429 or status >= 500:
        return f"cannot fetch {what}: the hub answers {status}: try again later, or give the path of a folder"
    if has(errors.LocalEntryNotFoundError, ConnectionError, TimeoutError) or any(map(of_transport, links)):
        return (
            f"cannot fetch {what}: the hub ({constants.ENDPOINT}) cannot be reached and it is not in the local cache: "
            "connect, or give the path of a folder"
        )
    return None


def _unknown_reason(error: BaseException, what: str) -> str:
    return f"cannot fetch {what}: {gist(error)}; check the hub id, or give a folder"


def gist(error: BaseException) -> str:
    """The first sentence of an error's message."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].split(". ")[0].rstrip(".")[:200]
