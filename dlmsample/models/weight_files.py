"""The weight files of a folder: whether all of them are there, and are what their names say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dlmsample.support.text import parse_json

#: The message for such weights.
QUANTISED = (
    "the weights of {name} are stored quantised, as {sign} shows, and are not served: give the checkpoint that they "
    "were made from, and quantization='fp8', '8bit' or '4bit' (--quantization) to load that one quantised"
)
#: How FP8, NVFP4, GPTQ, AWQ, bitsandbytes, compressed-tensors and HQQ name what they keep beside or for a matrix.
_PACKED = re.compile(
    r"\.(weight_scale(_inv|_2)?|weight_packed|weight_shape|weight_zero_point|(input|output)_scale|qweight|qzeros|g_idx|SCB"
    r"|(weight\.)?(absmax|quant_map|nested_absmax|nested_quant_map|quant_state\.\w+)|W_q)$"
)
_PLAIN = ("F64", "F32", "F16", "BF16")
_SHARD = re.compile(r"-\d+-of-\d+\.safetensors$")
_WHOLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
#: How a file begins that stands for another one in a store of large files.
_POINTER = b"version https://git-lfs.github.com/spec/"


def check_weights(name: str, where: str, allow_pickle: bool, allow_quantised: bool = False) -> None:
    """Refuse a folder without weights, with only a pickle, with shards missing, or with pointers in their place.

    And one whose weights are stored quantised, whatever its config.json says.

    Hub ids are not looked at.

    Args:
        name: of the checkpoint, for errors.
        where: a folder's path, or a hub id.
        allow_pickle: weights may be a pickle.
        allow_quantised: the code that computes with them is the checkpoint's own.

    Raises:
        ValueError: what is missing, and what to do; or a matrix of another type than those that modules compute in, or
            its scales beside it.
    """
    folder = Path(where)
    if not folder.is_dir():
        return
    if shards := _shards(name, folder):
        check_pointers(name, folder, shards)
        for shard in shards:
            tensors = read_header(name, folder / shard)
            if not allow_quantised:
                _check_stored(name, shard, tensors)
        return
    if any(folder.glob("*.bin*")):
        if allow_pickle:
            check_pointers(name, folder, [path.name for path in sorted(folder.glob("*.bin"))])
            return
        raise ValueError(
            f"the weights of {name!r} are a pickle, which may run code: convert them to a {_WHOLE}, or, if you trust "
            "their author, load with allow_pickle=True (--allow-pickle)"
        )
    found = [path.name for path in sorted(folder.glob("*.safetensors"))]
    if any(_SHARD.search(file) for file in found):
        raise ValueError(
            f"the download of {name!r} is incomplete: its weights are in parts, like {found[0]}, and {_INDEX} is "
            "missing; download it"
        )
    other = f" (there is {found[0]})" if found else ""
    raise ValueError(f"folder {name!r} has no weights: a {_WHOLE} must lie beside config.json{other}")


def _shards(name: str, folder: Path) -> list[str]:
    """The safetensors files that transformers reads: an index beside a whole file is not read."""
    if (folder / _WHOLE).is_file():
        return [_WHOLE]
    return _indexed(name, folder) if (folder / _INDEX).is_file() else []


def read_header(name: str, path: Path) -> dict[str, Any]:
    """What a safetensors file says of its tensors: dtype, shape and place, by name.

    Raises:
        ValueError: it is cut off, or none.
    """
    size = 0
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header: Any = json.loads(file.read(length)) if length <= size - 8 else None
        tensors = {key: said for key, said in header.items() if key != "__metadata__"}
        end = max((said["data_offsets"][1] for said in tensors.values()), default=0)
        whole = size == 8 + length + end
    except OSError as e:
        raise ValueError(f"cannot read {path.name} of {name!r}: {e.strerror or e}") from e
    except (ValueError, AttributeError, KeyError, TypeError, IndexError, RecursionError):
        whole, tensors = False, {}
    if not whole:
        raise ValueError(f"{path.name} of {name!r} is cut off or damaged ({size} bytes): download it again")
    return tensors


def _check_stored(name: str, shard: str, tensors: Mapping[str, Any]) -> None:
    packed = [key for key, said in tensors.items() if key.endswith("weight") and said.get("dtype") not in _PLAIN]
    if found := [*stored_quantised(tensors), *packed]:
        kind = tensors[found[0]].get("dtype")
        raise ValueError(QUANTISED.format(name=repr(name), sign=f"{found[0]} ({kind}) in {shard}"))


def stored_quantised(names: Iterable[str]) -> list[str]:
    """The names that belong to weights that are stored quantised: their scales, zero points and packed matrices.

    Example:
        >>> stored_quantised(["model.norm.weight", "model.layers.0.mlp.up_proj.weight_scale_inv"])
        ['model.layers.0.mlp.up_proj.weight_scale_inv']
    """
    return [name for name in names if _PACKED.search(name)]


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
    if not shards:
        raise ValueError(f"{_INDEX} in {name!r} names no file: download it again")
    if missing := [shard for shard in shards if not (folder / shard).is_file()]:
        raise ValueError(
            f"the download of {name!r} is incomplete: {len(missing)} of {len(shards)} weight files are missing, "
            f"like {missing[0]}; download the rest"
        )
    if not isinstance(index.get("metadata"), dict):  # transformers would stumble over it
        raise ValueError(f'{_INDEX} in {name!r} has no "metadata": add "metadata": {{}} to it, or download it again')
    return shards
