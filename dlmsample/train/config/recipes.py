"""Recipes: YAML files that hold a training configuration, each maybe built on another one, and changes to them."""

from __future__ import annotations

import re
from importlib.resources import files
from itertools import takewhile
from pathlib import Path
from typing import Any

from dlmsample.support import yamlfile
from dlmsample.support.registry import unknown
from dlmsample.train.config.schema import TrainError


def recipes() -> list[dict[str, str]]:
    """The shipped recipes: name, and the first sentence of each one's comment."""
    shipped = files("dlmsample") / "recipes"
    names = sorted(p.name.removesuffix(".yaml") for p in shipped.iterdir() if p.name.endswith(".yaml"))
    return [{"name": name, "summary": _summary(recipe_text(name)).removeprefix(f"{name}: ")} for name in names]


def _summary(text: str) -> str:
    """The first sentence of the comment that a recipe begins with.

    Example:
        >>> _summary("# SCOPE on\\n# nano. Ours.\\nlr: 1")
        'SCOPE on nano'
    """
    comment = takewhile(lambda line: line.startswith("#"), text.split("\n"))
    return re.split(r"\.(?:\s|$)", " ".join(line.lstrip("# ") for line in comment))[0]


def recipe_text(recipe: str) -> str:
    """The text of a recipe: a file, or the name of one shipped with the package."""
    path, shipped = Path(recipe), files("dlmsample") / "recipes"
    if path.suffix in (".yaml", ".yml") or path.is_file():
        try:
            return path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise TrainError(f"cannot read recipe {recipe}: {error}") from None
    candidate = shipped / f"{recipe}.yaml"
    if not candidate.is_file():
        names = sorted(p.name[:-5] for p in shipped.iterdir() if p.name.endswith(".yaml"))
        raise TrainError(str(unknown("recipe", recipe, names, ", or a YAML file")))
    return candidate.read_text(encoding="utf-8")


def recipe_data(recipe: str, above: tuple[str, ...] = ()) -> dict[str, Any]:
    """A recipe's keys and values, laid over those of the recipe that its key ``extends`` names.

    Sections merge key by key, anything else (lists too) replaces; another ``name`` or ``policy`` takes the old
    one's options away, ``null`` any value. A file's ``extends`` may name a file beside it.

    Raises:
        TrainError: not YAML keys and values, no such recipe, or recipes that extend each other.
    """
    try:
        data, _ = yamlfile.load(recipe_text(recipe), f"recipe {recipe}")
    except yamlfile.YamlError as error:
        raise TrainError(str(error)) from None
    if not isinstance(data, dict):
        raise TrainError(f"recipe {recipe}: expected keys and values")
    base = data.pop("extends", None)
    if base is None:
        return data
    beside = Path(recipe).parent / str(base)
    try:
        base = str(beside) if beside.is_file() else str(base)
    except OSError as error:  # as a name that is too long
        raise TrainError(f"recipe {recipe}: extends: {error.strerror}: {str(base)[:60]!r}") from None
    if base in (*above, recipe):
        raise TrainError(f"recipe {recipe}: extends {base}, which extends it")
    return _merge(recipe_data(base, (*above, recipe)), data)


def _merge(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    out = dict(low)
    _rename(out, high)
    for key, value in high.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = _merge(out[key], value) if both else value
    return out


def _rename(section: dict[str, Any], high: dict[str, Any]) -> None:
    """Take away what belongs to a name that ``high`` changes."""
    if any(key in section and key in high and section[key] != high[key] for key in ("name", "policy")):
        for key in ("options", "mix"):
            section.pop(key, None)


def override(data: dict[str, Any], overrides: list[str] | tuple[str, ...]) -> dict[str, Any]:
    """Apply ``dotted.key=value`` overrides to plain data, in place; names first, then what belongs to them.

    Raises:
        TrainError: one of another form.
    """
    for item in sorted(overrides, key=_after_names):
        try:
            _override(data, item)
        except yamlfile.YamlError:
            raise TrainError(f"override {item!r}: the value is not YAML: put it in quotes") from None
    return data


def _override(data: dict[str, Any], item: str) -> None:
    key, separator, value = item.partition("=")
    if not separator or not key:
        raise TrainError(f"override {item!r} is not of the form key=value")
    *path, last = key.split(".")
    for part in path:
        data = data.setdefault(part, {})
        if not isinstance(data, dict):
            raise TrainError(f"override {item!r}: {part!r} has no options below it")
    new = {last: yamlfile.load(value, item)[0]}
    _rename(data, new)
    data |= new


def _after_names(item: str) -> bool:
    """Sort key: a name comes before the options that belong to it."""
    return item.partition("=")[0].rpartition(".")[2] not in ("name", "policy")
