"""``decoding_config.json``: how its maker recommends to decode a checkpoint, an adapter or a head. Imports no torch.

The file lies beside the weights and holds one JSON object: a policy by name with its options, and options of the
Sampler. Here it is only found and read; :mod:`dlmsample.decoding.saved` says what it means.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from dlmsample.models.embedded import EMBEDDED, folder_of, shipped

RECOMMENDED = "decoding_config.json"


class Recommendation(NamedTuple):
    """What a file says, and whose it is; both are empty where there is none."""

    source: str  #: like "adapter scope"
    entry: dict[str, Any]  #: the JSON object; it has a text under "policy"


def recommended(model: str, adapter: str | None = None, head: str | None = None) -> Recommendation:
    """The recommendation for a checkpoint with what is attached to it.

    An adapter's goes before a head's, and a head's before the checkpoint's own. Only files on this machine are read:
    those of a hub id where its snapshot lies in the local cache.

    Args:
        model: embedded model, folder or hub id.
        adapter: attached to it: a short name, a folder or a hub id.
        head: likewise.

    Raises:
        ValueError: a file that cannot be read, or names no policy.

    Example:
        >>> recommended("nano", adapter="scope")
        Recommendation(source='adapter scope', entry={'policy': 'd3im', 'steps': 48, 'block_length': 'all'})
    """
    base = folder_of(model) if model in EMBEDDED else _folder(model)
    places = [("model", model, base)]
    if head is not None:
        places.insert(0, ("head", head, shipped(base, "head").get(head) or _folder(head)))
    if adapter is not None:
        places.insert(0, ("adapter", adapter, shipped(base, "adapter").get(adapter) or _folder(adapter)))
    for kind, name, folder in places:
        path = folder / RECOMMENDED
        with suppress(OSError):
            return Recommendation(f"{kind} {name}", parse(path, path.read_bytes()))
    return Recommendation("", {})


def parse(path: Path, data: bytes) -> dict[str, Any]:
    """The JSON object of a file.

    Raises:
        ValueError: no JSON object, or one that names no policy.
    """
    try:
        entry = json.loads(data)
    except ValueError as e:
        raise ValueError(f"{str(path)!r} is no JSON ({e}): mend it, or name a policy (--policy)") from e
    if not isinstance(entry, dict) or not isinstance(entry.get("policy"), str):
        raise ValueError(f'{str(path)!r} names no policy: write {{"policy": "t2m", ...}}, or name a policy (--policy)')
    return entry


def _folder(name: str) -> Path:
    """Where a name's files lie; a folder that does not exist for a hub id of which nothing is here."""
    try:
        path = Path(name or os.devnull).expanduser()
    except RuntimeError:  # the home of a user that there is not
        return Path(name)
    return path if path.exists() or name.count("/") != 1 else _cached(name) or path


def _cached(name: str) -> Path | None:
    """The folder of a hub id's files in the local cache."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    with suppress(HFValidationError):
        found = try_to_load_from_cache(name, RECOMMENDED)
        return Path(found).parent if isinstance(found, str) else None
    return None
