"""The training configuration: frozen, validated, read from a YAML recipe and ``key=value`` overrides."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from dlmsample.objectives.base import objective
from dlmsample.support.registry import unknown
from dlmsample.train.origin import open_published
from dlmsample.train.sections import (
    DataSection,
    Geometry,
    HeadSection,
    LoraSection,
    Mixture,
    ModelSection,
    ObjectiveSection,
    SampleSection,
    Section,
    Share,
    TaskSection,
    WindowSection,
)

__all__ = [
    "DataSection",
    "Geometry",
    "HeadSection",
    "LoraSection",
    "Mixture",
    "ModelSection",
    "ObjectiveSection",
    "SampleSection",
    "Section",
    "TaskSection",
    "TrainConfig",
    "TrainError",
    "WindowSection",
    "load",
    "parse",
    "recipe_text",
]

OPERATIONAL = ("workers", "checkpoint_every", "log_every", "keep", "sample")
"""Options that change nothing in the trained weights, so a run may be resumed with other values."""


class TrainError(ValueError):
    """A user's mistake, told in one line."""


class TrainConfig(Section):
    """One training run: its weights depend on these values and the device, not on interruptions."""

    model: ModelSection
    objective: ObjectiveSection
    task: TaskSection | None = None
    data: DataSection | None = None
    windows: WindowSection = WindowSection()
    lora: LoraSection | None = None
    head: HeadSection | None = None
    sample: SampleSection | None = None
    steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    micro_batches: int = Field(default=1, ge=1)
    lr: float = Field(gt=0)
    min_lr_ratio: Share = 0.0
    warmup: int = Field(default=0, ge=0)
    schedule: Literal["cosine", "constant"] = "cosine"
    betas: tuple[Share, Share] = (0.9, 0.999)
    weight_decay: float = Field(default=0.0, ge=0)
    clip: float | None = Field(default=1.0, gt=0)
    precision: Annotated[Literal["no", "bf16"], BeforeValidator(lambda v: "no" if v is False else v)] = "no"
    """YAML reads a bare ``no`` as false; both mean float32."""
    compile: bool = False
    gradient_checkpointing: bool = False
    """Recompute the layers' activations in the backward pass: less memory, a forward more."""
    ema: float | None = Field(default=None, gt=0, lt=1)
    """Decay of a moving average of what trains; the result then is the average. None: no average."""
    seed: int = 0
    workers: int = Field(default=0, ge=0)
    checkpoint_every: int = Field(default=500, ge=1)
    log_every: int = Field(default=50, ge=1)
    keep: int = Field(default=2, ge=1)

    @model_validator(mode="after")
    def _one_source(self) -> TrainConfig:
        if (self.task is None) == (self.data is None):
            raise ValueError("give either 'task' (generated data) or 'data' (files); task=null takes a recipe's away")
        if self.data is not None and not self.data.held_out and (self.head or self.sample):
            raise ValueError("a head's calibration and samples need validation rows: set data.held_out, like 0.02")
        return self

    @model_validator(mode="after")
    def _divisible(self) -> TrainConfig:
        if self.batch_size % self.micro_batches:
            raise ValueError(f"batch_size {self.batch_size} is no multiple of {self.micro_batches}")
        return self

    @model_validator(mode="after")
    def _matching(self) -> TrainConfig:
        needs = objective(self.objective.name, **self.objective.options).needs
        if "error" in needs and self.head is None:
            raise ValueError(f"objective {self.objective.name} trains a head: give 'head' (width, heads, mlp)")
        if "error" not in needs and self.head is not None:
            raise ValueError(f"objective {self.objective.name} trains no head: leave 'head' out")
        if "logits" not in needs and self.lora is not None:
            raise ValueError(f"objective {self.objective.name} trains the head alone: leave 'lora' out")
        return self

    @property
    def geometry(self) -> Geometry:
        """The model's geometry; :func:`load` has filled it in."""
        if self.model.geometry is None:
            raise TrainError(f"{self.model.init} does not say its mask id: give model.geometry")
        return self.model.geometry

    @property
    def tokenizer_folder(self) -> Path:
        name = self.model.tokenizer or self.model.init or "nano"
        return Path(str(files("dlmsample") / "models" / "nano")) if name == "nano" else Path(name)

    @property
    def trains_backbone(self) -> bool:
        """Whether the loss reads logits: then the backbone (or adapters in it) trains, else the head alone."""
        return "logits" in objective(self.objective.name, **self.objective.options).needs

    @property
    def trains_whole(self) -> bool:
        """Whether the backbone's own weights train; else they are frozen, with adapters or a head beside them."""
        return self.trains_backbone and self.lora is None

    def identity(self) -> dict[str, Any]:
        """What decides the weights, as plain JSON data."""
        return json.loads(self.model_dump_json(exclude=set(OPERATIONAL)))


def recipe_text(recipe: str) -> str:
    """The text of a recipe: a file, or the name of one shipped with the package."""
    path, shipped = Path(recipe), files("dlmsample") / "recipes"
    if path.suffix in (".yaml", ".yml") or path.is_file():
        try:
            return path.read_text(encoding="utf-8")
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
        data = yaml.safe_load(recipe_text(recipe))
    except yaml.YAMLError as error:
        raise TrainError(f"recipe {recipe}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise TrainError(f"recipe {recipe}: expected keys and values")
    base = data.pop("extends", None)
    if base is None:
        return data
    beside = Path(recipe).parent / str(base)
    base = str(beside) if beside.is_file() else str(base)
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


def load(recipe: str, overrides: list[str] | tuple[str, ...] = ()) -> TrainConfig:
    """Read a recipe (name or file), apply ``dotted.key=value`` overrides (YAML scalars), validate.

    Raises:
        TrainError: one line that names the key, and the nearest known one.

    Example:
        >>> load("nano_mdm", ["lr=1e-3", "objective.options.eps=0.01"]).lr
        0.001
    """
    return finish(override(recipe_data(recipe), overrides), f"recipe {recipe}")


def override(data: dict[str, Any], overrides: list[str] | tuple[str, ...]) -> dict[str, Any]:
    """Apply ``dotted.key=value`` overrides to plain data, in place; names first, then what belongs to them.

    Raises:
        TrainError: one of another form.
    """
    for item in sorted(overrides, key=_after_names):
        try:
            _override(data, item)
        except yaml.YAMLError:
            raise TrainError(f"override {item!r}: the value is not YAML: put it in quotes") from None
    return data


def finish(data: dict[str, Any], where: str) -> TrainConfig:
    """Validate plain data and fill in what the checkpoint itself says; ``where`` begins the error line."""
    return _resolve(parse(data, where))


def parse(data: dict[str, Any], where: str) -> TrainConfig:
    """Validate plain data; ``where`` begins the error line."""
    try:
        return TrainConfig.model_validate(data)
    except ValidationError as error:
        raise TrainError(f"{where}: " + "; ".join(_explain(e) for e in error.errors())) from None


def _override(data: dict[str, Any], item: str) -> None:
    key, separator, value = item.partition("=")
    if not separator or not key:
        raise TrainError(f"override {item!r} is not of the form key=value")
    *path, last = key.split(".")
    for part in path:
        data = data.setdefault(part, {})
        if not isinstance(data, dict):
            raise TrainError(f"override {item!r}: {part!r} has no options below it")
    new = {last: yaml.safe_load(value)}
    _rename(data, new)
    data |= new


def _after_names(item: str) -> bool:
    """Sort key: a name comes before the options that belong to it."""
    return item.partition("=")[0].rpartition(".")[2] not in ("name", "policy")


def _explain(error: Any) -> str:
    place = [str(part) for part in error["loc"]]
    if error["type"] != "extra_forbidden":
        return f"{'.'.join(place) or 'recipe'}: {error['msg'].removeprefix('Value error, ')}"
    *path, wrong = place
    return str(unknown(f"option of {'.'.join(path)}" if path else "option", wrong, _section(path).model_fields))


def _section(path: Sequence[str]) -> type[Section]:
    """The section that a dotted name leads to; numbers in it are places in a list."""
    section: type[Section] = TrainConfig
    for part in path:
        if not part.isdecimal():
            section = next(_sections(section.model_fields[part].annotation))
    return section


def _sections(kind: Any) -> Iterator[type[Section]]:
    """The sections that a type is or holds."""
    if isinstance(kind, type) and issubclass(kind, Section):
        yield kind
    for part in get_args(kind):
        yield from _sections(part)


def _resolve(config: TrainConfig) -> TrainConfig:
    """Fill the geometry in from the checkpoint that the run starts from."""
    if config.model.init is None or config.model.geometry is not None:
        return config
    try:
        opened = open_published(config.model)
    except ValueError as error:
        raise TrainError(f"{error}; or set model.geometry") from None
    try:
        if opened is not None:
            section: Any = asdict(opened.facts)
        else:
            section = json.loads((Path(config.model.where) / "config.json").read_text(encoding="utf-8"))["dlmsample"]
        geometry = Geometry.model_validate(section)
    except (OSError, KeyError, ValueError) as error:
        raise TrainError(
            f"cannot read the geometry in {config.model.init}/config.json ({error!r}): give model.geometry"
        ) from None
    data = config.model_dump()
    return parse(data | {"model": data["model"] | {"geometry": geometry}}, config.model.init)
