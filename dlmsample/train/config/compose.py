"""The options of ``dlmsample train`` to one configuration: a recipe, what is said instead of it, and defaults."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dlmsample.models.hub import read_config
from dlmsample.objectives.base import objective as make_objective
from dlmsample.support.registry import unknown
from dlmsample.tasks import list_tasks
from dlmsample.train.config.recipes import override, recipe_data
from dlmsample.train.config.schema import TrainConfig, TrainError, explain, parse
from dlmsample.train.config.sections import Geometry, ModelSection
from dlmsample.train.config.start import declared, open_start

_FRESH: dict[str, Any] = {
    "model": {"init": "nano"},
    "steps": 500,
    "batch_size": 32,
    "lr": 5e-4,
    "warmup": 25,
    "checkpoint_every": 100,
    "log_every": 10,
}
"""A run without a recipe."""
_LORA = {"rank": 16, "alpha": 32}
_HELD_OUT = 0.02


def compose(
    recipe: str | None = None,
    objective: str | None = None,
    model: str | None = None,
    data: str | None = None,
    settings: Sequence[str] = (),
) -> TrainConfig:
    """The configuration that these options mean, in rising precedence: defaults, recipe, options, settings.

    An objective with another name than the recipe's starts from its own defaults. Where an objective needs a
    head or (without a recipe) an adapter and nothing says its shape, it gets a usual one; where it uses none,
    the recipe's is left out.

    Args:
        recipe: a shipped recipe's name, or a YAML file.
        objective: name of the training rule.
        model: ``nano``, a folder, or a hub id.
        data: a file, a folder, or a task's name.
        settings: ``dotted.key=value``.

    Raises:
        TrainError: too little is said, or something wrong.

    Example:
        >>> compose(objective="mdm", data="wordproblems", settings=["steps=10"]).lora
        LoraSection(rank=16, alpha=32.0, dropout=0.0, targets=None)
    """
    plain = recipe_data(recipe) if recipe is not None else json.loads(json.dumps(_FRESH))
    if objective is not None and _name(plain.get("objective")) != objective:
        plain["objective"] = {"name": objective}
    if model is not None and (plain.get("model") or {}).get("init") != model:
        plain["model"] = {"init": model}
    if data is not None:
        _set_data(plain, data)
    override(plain, list(settings))
    if recipe is None:
        _require(plain)
    _complete(plain, recipe is None)
    return finish(plain, "training" if recipe is None else f"recipe {recipe}")


def _name(section: Any) -> Any:
    return section.get("name") if isinstance(section, dict) else None


def _require(plain: dict[str, Any]) -> None:
    if not plain.get("objective"):
        raise TrainError("give --recipe NAME (see dlmsample train --list), or --objective NAME with --data")
    if not (plain.get("task") or plain.get("data")):
        raise TrainError(f"give --data: a file, a folder, or a task ({', '.join(list_tasks())})")


def _set_data(plain: dict[str, Any], data: str) -> None:
    """A task's name or a path, instead of what the recipe reads; options about fields and filters stay."""
    path = Path(data).expanduser()
    if data in list_tasks() or (":" in data and not path.exists()):
        plain.pop("data", None)
        if _name(plain.get("task")) != data:
            plain["task"] = {"name": data}
        return
    if not path.exists() and not (path.suffix or len(path.parts) > 1):
        raise unknown("task", data, list_tasks(), ", or the path of a file or folder")
    plain.pop("task", None)
    section = plain.get("data") or {}
    kept = {key: value for key, value in section.items() if key not in ("hub", "subset", "split", "format")}
    plain["data"] = {**kept, "path": data}


def _complete(plain: dict[str, Any], fresh: bool) -> None:
    """Fill in the adapter, the head and the validation rows that the objective needs; drop what it cannot use."""
    section = plain.get("objective")
    options = section.get("options") if isinstance(section, dict) else None
    name = _name(section)
    if not isinstance(name, str) or not isinstance(options, dict | None):
        return  # told when the whole is validated
    try:
        needs = make_objective(name, **(options or {})).needs
    except ValidationError:
        return  # likewise
    if "logits" not in needs:
        plain.pop("lora", None)
    elif fresh and isinstance(plain.get("lora", {}), dict):
        plain["lora"] = {**_LORA, **plain.get("lora", {})}
    if "error" not in needs:
        plain.pop("head", None)
    else:
        plain["head"] = {**_head(plain, plain.get("head") or {}), **(plain.get("head") or {})}
    data = plain.get("data")
    if isinstance(data, dict) and not data.get("held_out") and (plain.get("head") or plain.get("sample")):
        data["held_out"] = _HELD_OUT


def _head(plain: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """As wide as the body, with its heads and a fourfold MLP."""
    if {"width", "heads", "mlp"} <= given.keys():
        return {}
    model = plain.get("model") or {}
    shape = model.get("shape")
    if shape is None and isinstance(model.get("init"), str):
        try:
            init = ModelSection(**model)
            shape = read_config(init.where, init.where) if Path(init.where).is_dir() else None
        except ValueError:
            shape = None
    if not isinstance(shape, dict) or not {"hidden_size", "num_attention_heads"} <= shape.keys():
        raise TrainError("this objective trains a head: set head.width, head.heads and head.mlp")
    width = shape["hidden_size"]
    return {"width": width, "heads": shape["num_attention_heads"], "mlp": 4 * width}


def load(recipe: str, overrides: list[str] | tuple[str, ...] = ()) -> TrainConfig:
    """Read a recipe (name or file), apply ``dotted.key=value`` overrides (YAML scalars), validate.

    Raises:
        TrainError: one line that names the key, and the nearest known one.

    Example:
        >>> load("nano_mdm", ["lr=1e-3", "objective.options.eps=0.01"]).lr
        0.001
    """
    return finish(override(recipe_data(recipe), overrides), f"recipe {recipe}")


def finish(data: dict[str, Any], where: str) -> TrainConfig:
    """Validate plain data and fill in what the checkpoint itself says; ``where`` begins the error line."""
    return _resolve(parse(data, where))


def _resolve(config: TrainConfig) -> TrainConfig:
    """Fill the geometry in from the checkpoint that the run starts from."""
    if config.model.init is None or config.model.geometry is not None:
        return config
    try:
        section = declared(config.model)
        geometry = Geometry.model_validate(asdict(open_start(config.model).facts) if section is None else section)
    except ValidationError as error:
        wrong = "; ".join(explain({**e, "loc": ("model", "geometry", *e["loc"])}) for e in error.errors())
        raise TrainError(
            f"cannot train {config.model.init} with the geometry in its config.json ({wrong}): give model.geometry"
        ) from None
    except ValueError as error:
        raise TrainError(f"{error}; or set model.geometry") from None
    data = config.model_dump()
    return parse(data | {"model": data["model"] | {"geometry": geometry}}, config.model.init)
