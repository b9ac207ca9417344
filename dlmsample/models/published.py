"""LoRA adapters that were trained on the published modelling code: their names become those of the stock body."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from dlmsample.models.families.base import Family, Rename, Split, Stack
from dlmsample.support.text import parse_json

_PREFIX = "base_model.model."
_CONFIG, _WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
#: Options whose module names are not translated.
_UNTRANSLATED = ("trainable_token_indices", "target_parameters", "layer_replication")


@contextmanager
def stock_names(folder: Path, name: str, family: Family, module: Any) -> Iterator[Path]:
    """A folder that holds the adapter under stock names; the given one where it has them already.

    A factor of a fused matrix (``query_key_value``) becomes one for each piece: with the same A and its rows of B.
    Ranks and scales that differ by module, and modules that were trained whole, keep theirs.

    Raises:
        ValueError: it adapts experts one by one, or names modules by an option that is not translated.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file, save_file

    try:
        tensors = load_file(folder / _WEIGHTS) if family.weights else {}
        config = parse_json((folder / _CONFIG).read_text(encoding="utf-8")) if family.weights else {}
    except (OSError, ValueError, SafetensorError) as e:
        raise ValueError(f"cannot read adapter {name!r}: {e}; save it again") from e
    if not isinstance(config, dict):
        raise ValueError(f"cannot read adapter {name!r}: its {_CONFIG} holds no JSON object; save it again")
    renamed, origins = rename_factors(tensors, name, family, module)
    if renamed.keys() == tensors.keys():
        yield folder
        return
    if config.get("peft_type") != "LORA":
        raise ValueError(f"adapter {name!r} is of type {config.get('peft_type')} under published names: train a LoRA")
    if asked := [key for key in _UNTRANSLATED if config.get(key)]:
        raise ValueError(
            f"adapter {name!r} has {asked[0]} under the published module names, which are not renamed: save it "
            "without, or merge it where it was trained"
        )
    try:
        named = _named(config, renamed, origins)
    except (AttributeError, TypeError, re.error) as e:
        raise ValueError(
            f"adapter_config.json of adapter {name!r} has ranks or scales that cannot be read ({e}): save it again"
        ) from e
    except ValueError as e:
        raise ValueError(f"adapter {name!r} contradicts its adapter_config.json: {e}; save it again") from e
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / _CONFIG).write_text(json.dumps(config | named), encoding="utf-8")
        save_file(renamed, Path(place) / _WEIGHTS)
        yield Path(place)


def _named(config: Mapping[str, Any], tensors: Mapping[str, Tensor], origins: Mapping[str, str]) -> dict[str, Any]:
    """The options of a PEFT config that name modules, each module by its whole stock name.

    Args:
        config: under published names.
        tensors: under stock names.
        origins: stock module -> published module.

    Raises:
        ValueError: ranks other than the config's, or a module that it says is trained whole and that is not there.
    """
    ranks = {_module(key): len(tensor) for key, tensor in tensors.items() if ".lora_A." in key or "embedding_A" in key}
    whole = sorted({_module(key) for key in tensors if ".lora_" not in key} - ranks.keys())
    rank, alpha = config.get("r", 8), config.get("lora_alpha", 8)
    said = {place: _by_module(config.get("rank_pattern"), origins[place], rank) for place in ranks}
    if wrong := [place for place in ranks if said[place] != ranks[place]]:
        raise ValueError(f"{origins[wrong[0]]} is of rank {ranks[wrong[0]]}, and it says {said[wrong[0]]!r:.40}")
    asked = config.get("modules_to_save") or []
    names = [origins[place] for place in whole]
    if lost := [name for name in asked if not any(n == name or n.endswith(f".{name}") for n in names)]:
        raise ValueError(f"it says that {lost[0]} was trained whole, and has no weights of it")
    scales = {place: _by_module(config.get("alpha_pattern"), origins[place], alpha) for place in ranks}
    return {
        "target_modules": sorted(ranks),
        "rank_pattern": {re.escape(place): own for place, own in ranks.items() if own != rank},
        "alpha_pattern": {re.escape(place): scale for place, scale in scales.items() if scale != alpha},
        "modules_to_save": whole or None,
        "layers_to_transform": None,
        "layers_pattern": None,
        "exclude_modules": None,
    }


def _module(key: str) -> str:
    """The module that a tensor of an adapter belongs to."""
    path = key.removeprefix(_PREFIX)
    return path.partition(".lora_")[0] if ".lora_" in path else path.rpartition(".")[0]


def _by_module(patterns: Mapping[str, Any] | None, module: str, otherwise: Any) -> Any:
    """The rank or scale of the first pattern that is for a module, by the rule of PEFT."""
    found = (said for pattern, said in (patterns or {}).items() if re.match(rf"(.*\.)?({pattern})$", module))
    return next(found, otherwise)


def rename_factors(
    tensors: Mapping[str, Tensor], name: str, family: Family, module: Any
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of an adapter under stock names; and for every stock module the published one that it comes from.

    Raises:
        ValueError: a factor over one expert of a stack.
    """
    from transformers.core_model_loading import WeightRenaming

    renames: list[Any] = [WeightRenaming(r.published, r.stock) for r in family.weights if isinstance(r, Rename)]
    splits = [rule for rule in family.weights if isinstance(rule, Split)]
    stacks = [p for rule in family.weights if isinstance(rule, Stack) for p in rule.published]
    done: dict[str, Tensor] = {}
    origins: dict[str, str] = {}
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
        pieces = [path] if rule is None else [path.replace(rule.published, stock) for stock in rule.stock]
        origins |= {_module(piece): _module(key) for piece in pieces}
        if rule is None:
            done[_PREFIX + path] = tensor
        elif ".lora_A" in path:
            done |= {_PREFIX + piece: tensor.clone() for piece in pieces}
        else:
            sizes = [module.get_parameter(_module(piece) + ".weight").shape[0] for piece in pieces]
            if sum(sizes) != tensor.shape[0]:
                raise ValueError(f"{key} has {tensor.shape[0]} rows where the model has {sum(sizes)}")
            cut = tensor.split(sizes)
            done |= {_PREFIX + piece: part.contiguous() for piece, part in zip(pieces, cut, strict=True)}
    return done, origins
