"""The training configuration: frozen, validated, read from a YAML recipe and ``key=value`` overrides."""

from __future__ import annotations

import difflib
import json
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from dlmsample.objectives.base import objective

OPERATIONAL = ("workers", "checkpoint_every", "log_every", "keep")
"""Options that change nothing in the trained weights, so a run may be resumed with other values."""

Share = Annotated[float, Field(ge=0, le=1)]


class TrainError(Exception):
    """A user's mistake, told in one line."""


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Geometry(Section):
    """How the checkpoint is decoded: exactly the ``dlmsample`` key of the config.json that a run writes."""

    mask_id: int
    eos_ids: tuple[int, ...] = Field(min_length=1)
    block_length: int = Field(ge=1)
    min_block_length: int = Field(default=1, ge=1)
    attention: Literal["block_causal", "bidirectional"] = "block_causal"
    block_alignment: Literal["prompt", "absolute"] = "prompt"


class ModelSection(Section):
    """A new stock decoder (``shape``: its config's fields), or a folder to go on from (``init``)."""

    type: str = "qwen3"
    shape: dict[str, Any] | None = None
    init: str | None = None
    geometry: Geometry | None = None
    tokenizer: str | None = None
    """``nano`` (shipped) or a folder; None: the folder of ``init``, else ``nano``."""

    @model_validator(mode="after")
    def _one_source(self) -> ModelSection:
        if (self.shape is None) == (self.init is None):
            raise ValueError("give either 'shape' (a new model) or 'init' (a checkpoint folder)")
        if self.shape is not None and self.geometry is None:
            raise ValueError("a new model needs 'geometry' (mask_id, eos_ids, block_length, ...)")
        return self


class ObjectiveSection(Section):
    name: str
    options: dict[str, Any] = {}

    @model_validator(mode="after")
    def _known(self) -> ObjectiveSection:
        objective(self.name, **self.options)
        return self


class Mixture(Section):
    """A share of the examples that is drawn with other task options."""

    share: Share
    name: str | None = None
    options: dict[str, Any] = {}


class TaskSection(Section):
    """Generated data: a task of this package, or ``package.module:function`` like its ``problem``."""

    name: str
    options: dict[str, Any] = {}
    mix: tuple[Mixture, ...] = ()

    @model_validator(mode="after")
    def _shares(self) -> TaskSection:
        if sum(part.share for part in self.mix) > 1:
            raise ValueError("the shares of 'mix' sum to more than 1")
        return self


class WindowSection(Section):
    """How many positions the answer window has and how it is cut into blocks; both drawn per row."""

    window_max: int = Field(default=160, ge=1)
    long_window_max: int = Field(default=256, ge=1)
    long_window_share: Share = 0.15
    own_share: Share = 0.4
    all_share: Share = 0.25

    @model_validator(mode="after")
    def _shares(self) -> WindowSection:
        if self.own_share + self.all_share > 1:
            raise ValueError("own_share + all_share is more than 1")
        return self


class TrainConfig(Section):
    """One training run: its weights depend on these values and the device, not on interruptions."""

    model: ModelSection
    objective: ObjectiveSection
    task: TaskSection
    windows: WindowSection = WindowSection()
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
    seed: int = 0
    workers: int = Field(default=0, ge=0)
    checkpoint_every: int = Field(default=500, ge=1)
    log_every: int = Field(default=50, ge=1)
    keep: int = Field(default=2, ge=1)

    @model_validator(mode="after")
    def _divisible(self) -> TrainConfig:
        if self.batch_size % self.micro_batches:
            raise ValueError(f"batch_size {self.batch_size} is no multiple of {self.micro_batches}")
        geometry = self.model.geometry
        if geometry and (geometry.attention, geometry.block_alignment) == ("block_causal", "absolute"):
            # A prompt's tail shares a block with the answer there, so it belongs into the noisy stream as
            # well.
            raise ValueError("block-causal models with absolute block alignment cannot be trained yet")
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
        raise TrainError(f"no recipe file or shipped recipe {recipe!r}; shipped: {', '.join(names)}")
    return candidate.read_text(encoding="utf-8")


def load(recipe: str, overrides: list[str] | tuple[str, ...] = ()) -> TrainConfig:
    """Read a recipe (name or file), apply ``dotted.key=value`` overrides (YAML scalars), validate.

    Raises:
        TrainError: one line that names the key, and the nearest known one.

    Example:
        >>> load("nano", ["lr=1e-3", "objective.options.eps=0.01"]).lr
        0.001
    """
    try:
        data = yaml.safe_load(recipe_text(recipe))
        if not isinstance(data, dict):
            raise TrainError(f"recipe {recipe}: expected keys and values")
        for item in overrides:
            _override(data, item)
    except yaml.YAMLError as error:
        raise TrainError(f"recipe {recipe}: not YAML: {' '.join(str(error).split())}") from None
    return _resolve(parse(data, f"recipe {recipe}"))


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
    data[last] = yaml.safe_load(value)


def _explain(error: Any) -> str:
    place = [str(part) for part in error["loc"]]
    if error["type"] != "extra_forbidden":
        return f"{'.'.join(place) or 'recipe'}: {error['msg'].removeprefix('Value error, ')}"
    names: set[str] = set()
    for section in Section.__subclasses__():
        names |= set(section.model_fields)
    near = difflib.get_close_matches(place[-1], names, n=1)
    return f"unknown option {'.'.join(place)!r}" + (f" (did you mean {near[0]!r}?)" if near else "")


def _resolve(config: TrainConfig) -> TrainConfig:
    """Fill the geometry in from the checkpoint folder that the run starts from."""
    if config.model.init is None or config.model.geometry is not None:
        return config
    try:
        text = json.loads((Path(config.model.init) / "config.json").read_text(encoding="utf-8"))
        geometry = Geometry.model_validate(text["dlmsample"])
    except (OSError, KeyError, ValueError) as error:
        raise TrainError(
            f"cannot read the geometry in {config.model.init}/config.json ({error!r}): give model.geometry"
        ) from None
    data = config.model_dump()
    return parse(data | {"model": data["model"] | {"geometry": geometry}}, config.model.init)
