"""The weight files of a folder: whether all of them are there, and are what their names say."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from dlmsample.support.text import parse_json

_WHOLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
#: How a file begins that stands for another one in a store of large files.
_POINTER = b"version https://git-lfs.github.com/spec/"


def check_weights(name: str, where: str, allow_pickle: bool) -> None:
    """Refuse a folder without weights, with only a pickle, with shards missing, or with pointers in their place.

    Hub ids are not looked at.

    Args:
        name: of the checkpoint, for errors.
        where: a folder's path, or a hub id.
        allow_pickle: weights may be a pickle.

    Raises:
        ValueError: what is missing, and what to do.
    """
    folder = Path(where)
    if not folder.is_dir():
        return
    if (folder / _WHOLE).is_file():  # an index beside it is not read
        shards = [_WHOLE]
    elif (folder / _INDEX).is_file():
        shards = _indexed(name, folder)
    else:
        shards = [path.name for path in sorted(folder.glob("*.safetensors"))]
        if allow_pickle:
            shards += [path.name for path in sorted(folder.glob("*.bin"))]
    check_pointers(name, folder, shards)
    if shards:
        return
    if any(folder.glob("*.bin*")):
        if allow_pickle:
            return
        raise ValueError(
            f"the weights of {name!r} are a pickle, which may run code: convert them to a {_WHOLE}, or, if you trust "
            "their author, load with allow_pickle=True (--allow-pickle)"
        )
    raise ValueError(f"folder {name!r} has no weights: a {_WHOLE} must lie beside config.json")


def check_pointers(name: str, folder: Path, files: Iterable[str]) -> None:
    """Refuse files that are pointers of git-lfs; files that cannot be read are passed over.

    Raises:
        ValueError: one is a pointer.
    """
    for file in files:
        try:
            with (folder / file).open("rb") as opened:
                start = opened.read(len(_POINTER))
        except OSError:
            continue
        if start == _POINTER:
            raise ValueError(
                f"{file} of {name!r} is a pointer of git-lfs, without the content: run git lfs pull in that folder, or "
                "download the file itself"
            )


def _indexed(name: str, folder: Path) -> list[str]:
    """The files that an index names, all of which are there."""
    check_pointers(name, folder, [_INDEX])
    try:
        index = parse_json((folder / _INDEX).read_text(encoding="utf-8"))
        shards = sorted({str(shard) for shard in index["weight_map"].values()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as e:
        raise ValueError(f"cannot read {_INDEX} in {name!r}: download it again") from e
    if missing := [shard for shard in shards if not (folder / shard).is_file()]:
        raise ValueError(
            f"the download of {name!r} is incomplete: {len(missing)} of {len(shards)} weight files are missing, "
            f"like {missing[0]}; download the rest"
        )
    if not isinstance(index.get("metadata"), dict):  # transformers would stumble over it
        raise ValueError(f'{_INDEX} in {name!r} has no "metadata": add "metadata": {{}} to it, or download it again')
    return shards
