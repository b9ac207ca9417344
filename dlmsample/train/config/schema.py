"""The training configuration: frozen, validated, read from a YAML recipe and ``key=value`` overrides."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from dlmsample.objectives.base import objective
from dlmsample.support.registry import unknown
from dlmsample.support.validated import sentence
from dlmsample.train.config import device
from dlmsample.train.config.sections import (
    DataSection,
    Fraction,
    Geometry,
    HeadSection,
    LoraSection,
    ModelSection,
    ObjectiveSection,
    SampleSection,
    Section,
    TaskSection,
    WindowSection,
)

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
    min_lr_ratio: Fraction = 0.0
    warmup: int = Field(default=0, ge=0)
    schedule: Literal["cosine", "constant"] = "cosine"
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    weight_decay: float = Field(default=0.0, ge=0)
    clip: float | None = Field(default=1.0, gt=0)
    precision: Annotated[Literal["no", "bf16"], BeforeValidator(device.precision)] = "no"
    """YAML reads a bare ``no`` as false; both mean float32. ``auto``: bf16 on a GPU that has it."""
    compile: Annotated[bool, BeforeValidator(device.compile_layers)] = False
    """``auto``: on a GPU."""
    gradient_checkpointing: bool = False
    """Recompute the layers' activations in the backward pass: less memory, a forward more."""
    ema: float | None = Field(default=None, gt=0, lt=1)
    """Decay of a moving average of what trains; the result then is the average. None: no average."""
    seed: int = Field(default=0, ge=-(2**63), lt=2**63)
    workers: Annotated[int, BeforeValidator(device.workers)] = Field(default=0, ge=0)
    """Processes that make batches; ``auto``: as many as there are cores to spare beside a GPU, none without one."""
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
        """The model's geometry; reading the recipe has filled it in."""
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


def parse(data: dict[str, Any], where: str) -> TrainConfig:
    """Validate plain data; ``where`` begins the error line."""
    try:
        return TrainConfig.model_validate(data)
    except ValidationError as error:
        raise TrainError(f"{where}: " + "; ".join(explain(e) for e in error.errors())) from None


def explain(error: Any) -> str:
    place = [str(part) for part in error["loc"]]
    if error["type"] != "extra_forbidden":
        return sentence(error, ".".join(place)) if place else f"recipe: {sentence(error)}"
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
