"""The sections of a training configuration: frozen, validated, unknown options are errors."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from dlmsample.models.embedded import EMBEDDED, folder_of
from dlmsample.objectives.base import objective
from dlmsample.policies.registry import policy
from dlmsample.support.yamlfile import Section

Fraction = Annotated[float, Field(ge=0, le=1)]


class Geometry(Section):
    """How the checkpoint is decoded: exactly the ``dlmsample`` key of the config.json that a run writes."""

    mask_id: int
    eos_ids: tuple[int, ...] = Field(min_length=1)
    block_length: int = Field(ge=1)
    min_block_length: int = Field(default=1, ge=1)
    attention: Literal["block_causal", "bidirectional"] = "block_causal"
    block_alignment: Literal["prompt", "absolute"] = "prompt"
    logit_shift: bool = False
    """The logits of position i predict the token at i + 1."""

    @model_validator(mode="after")
    def _trainable(self) -> Geometry:
        if self.logit_shift and self.attention == "block_causal":
            raise ValueError(
                "a block-causal model whose logits predict the next position (logit_shift) cannot be trained"
            )
        return self


class ModelSection(Section):
    """A new stock decoder (``shape``: its config's fields), or weights to go on from (``init``).

    With both, the weights are ``init``'s and ``shape`` documents their body.
    """

    type: str = "qwen3"
    shape: dict[str, Any] | None = None
    init: str | None = None
    """``nano`` (the embedded model), a folder, or a hub id: of a published family, or in a stock body's own layout."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the weights that are frozen; what is trained is float32 always."""
    geometry: Geometry | None = None
    tokenizer: str | None = None
    """``nano`` (shipped) or a folder; None: the folder of ``init``, else ``nano``."""

    @property
    def where(self) -> str:
        """Where transformers finds ``init``: the embedded model's folder instead of its name."""
        name = self.init or ""
        return str(folder_of(name)) if name in EMBEDDED else name

    @model_validator(mode="after")
    def _one_source(self) -> ModelSection:
        if self.shape is None and self.init is None:
            raise ValueError("give 'shape' (a new model) or 'init' (nano, a folder or a hub id to go on from)")
        if self.init is None and self.geometry is None:
            raise ValueError("a new model needs 'geometry' (mask_id, eos_ids, block_length, ...)")
        return self


class ObjectiveSection(Section):
    name: str
    options: dict[str, Any] = {}

    @model_validator(mode="after")
    def _known(self) -> ObjectiveSection:
        try:
            objective(self.name, **self.options)
        except ValidationError as error:
            raise ValueError(f"options of {self.name}: {str(error).removeprefix(f'{self.name}: ')}") from None
        return self


class Mixture(Section):
    """A share of the examples that is drawn with other task options, or (``name``) from another generator.

    ``options`` then are all of that generator's; else they are laid over the task's own.
    """

    share: Fraction
    options: dict[str, Any] = {}
    name: str | None = None


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


class DataSection(Section):
    """Data from files, or from a data set of the hub; see :mod:`dlmsample.train.data.records` for what rows may be."""

    path: str | tuple[str, ...] | None = None
    """A file, a folder (all its files of a known format, by name), or several of them."""
    format: Literal["jsonl", "text"] | None = None
    """None: by suffix (.jsonl, .ndjson; .txt, .text)."""
    hub: str | None = None
    """``org/name`` of a data set; needs the extra ``data``."""
    subset: str | None = None
    split: str = "train"
    prompt: str = "prompt"
    answer: str = "answer"
    text: str = "text"
    messages: str = "messages"
    """The names of the fields."""
    min_tokens: int | None = Field(default=None, ge=1)
    max_tokens: int | None = Field(default=None, ge=1)
    """Rows outside are left out, and counted; a row's tokens are its prompt, its answer and one EOS."""
    blank: Literal["refuse", "skip", "keep"] = "refuse"
    """Rows with a blank prompt, answer or document: stop before training, leave them out, or train on them. They are
    counted and named in any case."""
    limit: int | None = Field(default=None, ge=1)
    """Keep the first so many rows that pass the filters (documents, before packing)."""
    held_out: Fraction = 0.0
    """This share of the rows is kept apart for validation: a head's calibration, samples."""
    pack: bool = False
    """Join documents of plain text, an EOS after each, and cut them into rows of ``max_length``."""
    max_length: int | None = Field(default=None, ge=2)
    """Tokens of a training row, prompt and window together; None: 2048, or the model's context if smaller."""

    @model_validator(mode="after")
    def _consistent(self) -> DataSection:
        if (self.path is None) == (self.hub is None):
            raise ValueError("give either 'path' (files) or 'hub' (a data set's org/name)")
        if self.path is not None and not self.paths:
            raise ValueError("'path' names no file")
        if self.min_tokens and self.max_tokens and self.min_tokens > self.max_tokens:
            raise ValueError(f"min_tokens {self.min_tokens} is more than max_tokens {self.max_tokens}")
        return self

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.path,) if isinstance(self.path, str) else self.path or ()


class WindowSection(Section):
    """How many positions the answer window has and how it is cut into blocks; both drawn per row."""

    window_min: int = Field(default=1, ge=1)
    """A window is at least as long (and as its answer): with ``window_max`` the same, its length is fixed."""
    window_max: int = Field(default=160, ge=1)
    long_window_max: int = Field(default=256, ge=1)
    long_window_share: Fraction = 0.15
    own_share: Fraction = 0.4
    all_share: Fraction = 0.25
    eos_tail: int | None = Field(default=None, ge=1)
    """The first so many EOS of a window are ordinary tokens, later ones neither corrupted nor supervised
    (arXiv:2601.06428, App. A.1: 16); None: all are ordinary."""

    @model_validator(mode="after")
    def _shares(self) -> WindowSection:
        if self.own_share + self.all_share > 1:
            raise ValueError("own_share + all_share is more than 1")
        if self.window_min > self.window_max:
            raise ValueError(f"window_min {self.window_min} is more than window_max {self.window_max}")
        return self


class LoraSection(Section):
    """Low-rank adapters (PEFT) on frozen weights; only they train, in float32."""

    rank: int = Field(ge=1)
    alpha: float = Field(gt=0)
    """The update is scaled by ``alpha / rank``."""
    dropout: Fraction = 0.0
    targets: tuple[str, ...] | None = None
    """Names of linear layers; None: the attention's and the MLP's, by model type."""


class OperatingSection(Section):
    """How a head's operating point is chosen: by decoding problems of the validation split with DSC.

    The threshold with the best accuracy, as a mean over ``tokens_per_step``, wins among those that take at most
    ``extra_steps`` more steps than plain decoding, as a mean of the ratios. Ours: the paper prints no threshold.
    """

    problems: int = Field(default=64, ge=0)
    """So many problems of a run's task; 0, or data without a scorer: the threshold with the best F1 on tokens."""
    tokens_per_step: tuple[int, ...] = Field(default=(1, 2, 3, 4), min_length=1)
    extra_steps: float = Field(default=0.6, ge=0)
    minutes: float = Field(default=5.0, gt=0)
    """No further threshold is tried after so long."""
    batch_size: int = Field(default=64, ge=1)
    """Problems that are decoded together."""


class HeadSection(Section):
    """A correction head on one layer's output; it trains alone unless the objective needs logits as well."""

    width: int = Field(ge=1)
    layers: int = Field(default=2, ge=1)
    heads: int = Field(ge=1)
    mlp: int = Field(ge=1)
    layer: int = -2
    """Which entry of the body's hidden states it reads; -2 is the penultimate layer's output."""
    calibration_rows: int = Field(default=2048, ge=1)
    """Validation examples that are scored at the end; no more than a data set has."""
    operating: OperatingSection = OperatingSection()


class SampleSection(Section):
    """Answers to validation prompts under a policy, every so many steps; changes no weight."""

    policy: str
    options: dict[str, Any] = {}
    every: int = Field(ge=1)
    count: int = Field(default=4, ge=1)
    max_new_tokens: int = Field(default=128, ge=1)
    block_length: int | Literal["all"] | None = None

    @model_validator(mode="after")
    def _known(self) -> SampleSection:
        policy(self.policy, **self.options)
        return self
