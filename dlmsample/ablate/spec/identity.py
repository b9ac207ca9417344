"""What identifies a cell: everything that decides its numbers, as hashes and plain values."""

from __future__ import annotations

import hashlib
import inspect
import json
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

from dlmsample.ablate.spec.grid import OUTSIDE, CellSettings, CheckpointEntry, Grid, TaskEntry
from dlmsample.models import hub
from dlmsample.tasks import Example, task_class, task_options

#: Raise it by one in the commit that changes what any policy, setting or scorer of this package gives for the same
#: input: other tokens, other counts (steps, nfe, fills, replaces, remasks), another verdict on the same text. It is
#: part of every cell's key, so results of the old number are kept in their stores and never reused. Do not raise it
#: for anything else: a new policy or task, an option whose default changes nothing, speed, names and words keep it,
#: and finished runs stay valid. ``tests/test_golden.py`` fails where golden outputs change and the number does not;
#: after raising it, ``pytest tests/test_golden.py --update-golden`` writes them anew.
SEMANTICS = 3
#: Grows when the parts of :func:`of_cell` or the meaning of a stored column change: no result of another number is
#: ever reused. What decoding and scoring give has a number of its own: :data:`SEMANTICS`.
SCHEMA = 2

#: Part of a checkpoint -> {file name: SHA-256 of its content}; names are relative to the part's own folder.
FileHashes = dict[str, dict[str, str]]

#: Files of a checkpoint's folder that decide what it computes and how text becomes ids.
_DECIDING = (
    "*.safetensors",
    "*.safetensors.index.json",
    "config.json",
    "adapter_config.json",
    "tokenizer*.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template*",
    "vocab.*",
    "merges.txt",
    "*.model",
)


def digest(value: Any) -> str:
    """SHA-256, in hex, of plain data; the order of keys does not matter.

    Example:
        >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 1, "b": 2.5})
        True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def of_example(example: Example) -> str:
    """Identity of an example: its prompt, gold answer, gold solution and metadata."""
    return digest([example.prompt, example.answer, example.reference, dict(example.meta)])


def of_files(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of a folder that matters; READMEs, records and code do not.

    Raises:
        OSError: a file cannot be read.
    """
    files = {path for pattern in _DECIDING for path in folder.glob(pattern) if path.is_file()}
    found = {}
    for path in sorted(files):
        with path.open("rb") as file:
            found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def of_source(cls: type) -> str | None:
    """SHA-256 of the file that defines a class of another package.

    None for a class of this package, whose meaning :data:`SEMANTICS` stands for.
    """
    module = cls.__module__
    if module.split(".")[0] == "dlmsample":
        return None
    try:
        return hashlib.sha256(inspect.getsource(sys.modules[module]).encode()).hexdigest()
    except (OSError, TypeError, KeyError):
        return module


def of_checkpoint(entry: CheckpointEntry) -> FileHashes:
    """The files of a checkpoint, its adapter and its head.

    Raises:
        ValueError: no such model, adapter or head; the nearest right name is told.
    """
    folder = _model(entry.model)
    parts = {"model": folder}
    if entry.adapter is not None or entry.head is not None:
        from dlmsample.models.adapters import locate

        beside = None if "/" in entry.model and not Path(entry.model).expanduser().is_dir() else folder
        if entry.adapter is not None:
            parts["adapter"] = locate("adapter", entry.adapter, entry.model, beside)
        if entry.head is not None:
            parts["head"] = locate("head", entry.head, entry.model, beside)
    found = {}
    for part, where in parts.items():
        try:
            found[part] = of_files(where)
        except OSError as error:
            raise ValueError(f"cannot read {part} {str(where)!r}: {error.strerror or error}") from None
    if not any(name.endswith(".safetensors") for name in found["model"]):
        raise ValueError(f"model {entry.model!r} has no weights: a model.safetensors must lie beside config.json")
    return found


def _model(name: str) -> Path:
    """The folder of a model, as :func:`dlmsample.load` finds it; a hub id is downloaded."""
    where = Path(hub.locate(name))
    return where if where.is_dir() else hub.snapshot("model", name, _DECIDING)


def by_content(options: Any, files: Collection[str]) -> Any:
    """Options of a policy, in which a file stands for what is in it: the SHA-256 in place of its path.

    Raises:
        ValueError: a file cannot be read.

    Example:
        >>> by_content({"eos": "none", "frequencies": None}, {"frequencies"})
        {'eos': 'none', 'frequencies': None}
    """
    if not files or not isinstance(options, dict):
        return options
    return {
        key: _content(value) if key in files and isinstance(value, str) else by_content(value, files)
        for key, value in options.items()
    }


def _content(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ValueError(f"cannot read {path!r}: {error.strerror or error}") from None


def of_cell(
    grid: Grid,
    task: TaskEntry,
    hashes: FileHashes,
    dtype: str,
    kind: str,
    policy: Any,
    settings: CellSettings,
    seed: int,
    split: str,
) -> dict[str, Any]:
    """Everything that decides a cell's numbers but the examples, which are stored with a hash each.

    The code of this package is in it as one number, :data:`SEMANTICS`; policies and
    tasks of others by a hash of their source. Versions and the name of the device are not in it: they are stored with
    each result, see :class:`~dlmsample.ablate.storage.environment.Environment`.
    """
    options = {**task_options(task.name), **task.options}
    return {
        "schema": SCHEMA,
        "semantics": SEMANTICS,
        "checkpoint": hashes,
        "dtype": dtype,
        "device": kind,
        "task": {
            "name": task.name,
            "split": split,
            "options": {key: value for key, value in options.items() if key not in OUTSIDE},
            "source": of_source(task_class(task.name)),
        },
        "policy": {
            "name": policy.name,
            "options": by_content(policy.model_dump(mode="json"), policy.files),
            "source": of_source(type(policy)),
        },
        "seed": seed,
        "settings": settings.model_dump(mode="json"),
        "top_p": grid.top_p,
        "top_k": grid.top_k,
    }
