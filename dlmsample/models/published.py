"""LoRA adapters that were trained on the published modelling code: their names become those of the stock body."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from dlmsample.models.families.base import Family, Rename, Split, Stack

_PREFIX = "base_model.model."
_CONFIG, _WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
#: Options that name modules by patterns of their own; these are not translated.
_PATTERNS = ("modules_to_save", "rank_pattern", "alpha_pattern", "trainable_token_indices")


@contextmanager
def stock_names(folder: Path, name: str, family: Family, module: Any) -> Iterator[Path]:
    """A folder that holds the adapter under stock names; the given one where it has them already.

    A factor of a fused matrix (``query_key_value``) becomes one for each piece: with the same A and its rows of B.

    Raises:
        ValueError: it adapts experts one by one, or names modules by patterns.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file, save_file

    try:
        tensors = load_file(folder / _WEIGHTS) if family.weights else {}
        config = json.loads((folder / _CONFIG).read_text(encoding="utf-8")) if family.weights else {}
    except (OSError, ValueError, SafetensorError) as e:
        raise ValueError(f"cannot read adapter {name!r}: {e}; save it again") from e
    renamed = rename_factors(tensors, name, family, module)
    if renamed.keys() == tensors.keys():
        yield folder
        return
    if config.get("peft_type") != "LORA":
        raise ValueError(f"adapter {name!r} is of type {config.get('peft_type')} under published names: train a LoRA")
    if asked := [key for key in _PATTERNS if config.get(key)]:
        raise ValueError(
            f"adapter {name!r} has {asked[0]} under the published module names, which are not renamed: save it "
            "without, or merge it where it was trained"
        )
    places = {key.removeprefix(_PREFIX).partition(".lora_")[0] for key in renamed}
    config |= {
        "target_modules": sorted(places),
        "layers_to_transform": None,
        "layers_pattern": None,
        "exclude_modules": None,
    }
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / _CONFIG).write_text(json.dumps(config), encoding="utf-8")
        save_file(renamed, Path(place) / _WEIGHTS)
        yield Path(place)


def rename_factors(tensors: Mapping[str, Tensor], name: str, family: Family, module: Any) -> dict[str, Tensor]:
    """The tensors of an adapter under stock names.

    Raises:
        ValueError: a factor over one expert of a stack.
    """
    from transformers.core_model_loading import WeightRenaming

    renames: list[Any] = [WeightRenaming(r.published, r.stock) for r in family.weights if isinstance(r, Rename)]
    splits = [rule for rule in family.weights if isinstance(rule, Split)]
    stacks = [p for rule in family.weights if isinstance(rule, Stack) for p in rule.published]
    done: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        path = key.removeprefix(_PREFIX)
        for renaming in renames:
            path, _ = renaming.rename_source_key(path)
        if any(pattern.partition("*")[0] in path for pattern in stacks):
            raise ValueError(
                f"adapter {name!r} adapts single experts ({key}), which the stock body keeps in one tensor: merge it "
                "where it was trained"
            )
        rule = next((s for s in splits if s.published in path), None)
        if rule is None:
            done[_PREFIX + path] = tensor
            continue
        pieces = [path.replace(rule.published, stock) for stock in rule.stock]
        if ".lora_A" in path:
            done |= {_PREFIX + piece: tensor.clone() for piece in pieces}
            continue
        sizes = [module.get_parameter(p.partition(".lora_")[0] + ".weight").shape[0] for p in pieces]
        if sum(sizes) != tensor.shape[0]:
            raise ValueError(f"{key} has {tensor.shape[0]} rows where the model has {sum(sizes)}")
        cut = tensor.split(sizes)
        done |= {_PREFIX + piece: part.contiguous() for piece, part in zip(pieces, cut, strict=True)}
    return done
