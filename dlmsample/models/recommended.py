"""``decoding_config.json``: how its maker recommends to decode a checkpoint, an adapter or a head. Imports no torch.

The file lies beside the weights and holds one JSON object: a policy by name with its options, and options of the
Sampler. Here it is only found and read; :mod:`dlmsample.decoding.saved` says what it means.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from dlmsample.models.embedded import EMBEDDED, RECOMMENDED, folder_of, shipped
from dlmsample.support.reach import reachable
from dlmsample.support.text import parse_json


class Recommendation(NamedTuple):
    """What a file says, and whose it is; both are empty where there is none."""

    source: str  #: like "adapter scope"
    entry: dict[str, Any]  #: the JSON object; it has a text under "policy"


def recommended(
    model: str,
    adapter: str | None = None,
    head: str | None = None,
    revision: str | None = None,
    *,
    local: bool = True,
) -> Recommendation:
    """The recommendation for a checkpoint with what is attached to it.

    A head's goes before an adapter's, for no other policy reads a head, and an adapter's before the checkpoint's own.

    Args:
        model: embedded model, folder or hub id.
        adapter: attached to it: a short name, a folder or a hub id.
        head: likewise.
        revision: of the model on the hub.
        local: fetch nothing from the hub, but read what its cache on this machine holds.

    Raises:
        ValueError: a file that cannot be read, or names no policy.

    Example:
        >>> recommended("nano", adapter="scope")
        Recommendation(source='adapter scope', entry={'policy': 'd3im', 'steps': 48, 'block_length': 'all'})
    """
    base = folder_of(model) if model in EMBEDDED else _folder(model)
    places = [("model", model, base, revision)]
    if adapter is not None:
        places.insert(0, ("adapter", adapter, shipped(base, "adapter").get(adapter) or _folder(adapter), None))
    if head is not None:
        places.insert(0, ("head", head, shipped(base, "head").get(head) or _folder(head), None))
    for kind, name, folder, at in places:
        path = folder / RECOMMENDED if folder.exists() else _of_hub(name, at, local)
        with suppress(OSError):
            if path is not None:
                return Recommendation(f"{kind} {name}", parse(path, path.read_bytes()))
    return Recommendation("", {})


def parse(path: Path, data: bytes) -> dict[str, Any]:
    """The JSON object of a file.

    Raises:
        ValueError: no JSON object, or one that names no policy.
    """
    try:
        entry = parse_json(data, once=True)
    except ValueError as e:
        raise ValueError(f"{str(path)!r} is no JSON ({e}): mend it, or name a policy (--policy)") from e
    if not isinstance(entry, dict) or not isinstance(entry.get("policy"), str):
        raise ValueError(f'{str(path)!r} names no policy: write {{"policy": "t2m", ...}}, or name a policy (--policy)')
    return entry


def _folder(name: str) -> Path:
    """Where a name would lie if it is a path; a hub id gives a folder that does not exist."""
    try:
        return Path(name or os.devnull).expanduser()
    except RuntimeError:  # the home of a user that there is not
        return Path(name)


def _of_hub(name: str, revision: str | None, local: bool) -> Path | None:
    """The file of a hub id; None: it has none, or there is no telling, of which loading the weights will complain."""
    if name.count("/") != 1 or name.startswith((".", "~", "/")):
        return None
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(name, RECOMMENDED, revision=revision, local_files_only=local or not reachable()))
    except Exception:  # the HTTP client has errors of its own
        return None
