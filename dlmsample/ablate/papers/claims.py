"""The claims file: what papers say, with their numbers, and the cells of a grid that test it."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from dlmsample.ablate.analysis.contrasts import MEASURES
from dlmsample.support.registry import unknown
from dlmsample.support.yamlfile import Marks, Section, document, load, validated

Text = Annotated[str, Field(min_length=1)]
Number = Annotated[float, Field(strict=True)]


class CellEntry(BaseModel):
    """Cells of the grid: a checkpoint's label, a policy with its options and settings, and the task's label if there
    are several. What is left out has the policy's or the grid's default; a list names several cells."""

    model_config = ConfigDict(extra="allow", frozen=True)

    checkpoint: Text
    policy: Text
    task: Text | None = None

    def variants(self, more: dict[str, Any]) -> list[dict[str, Any]]:
        """Options and settings with one value each; ``more`` are added."""
        given = {**(self.model_extra or {}), **more}
        lists = [value if isinstance(value, list) else [value] for value in given.values()]
        return [dict(zip(given, values, strict=True)) for values in product(*lists)]


class Difference(Section):
    """A difference: the first minus the second."""

    cell: CellEntry
    against: CellEntry


class ClaimRow(Section):
    """One of several rows that a claim has in its table."""

    options: Annotated[dict[str, Any], Field(min_length=1)]
    """Added to every cell of the claim."""
    numbers: Text


class Claim(Section):
    """One sentence of a paper that cells can bear out or contradict.

    The difference is ``cell`` minus ``against`` (or minus the number ``than``), and minus the difference ``beyond``
    where there is one. ``expect``:

    * ``higher``, ``lower``: it is above, below 0;
    * ``no_lower``: it is above minus ``margin``: no loss;
    * ``same``: it lies within ``margin`` of 0.

    ``margin`` is in the unit of the measure: points for shares.
    """

    where: Text
    """Table, figure or section."""
    says: Text
    numbers: Text | None = None
    """The paper's own; [lost] where our copy cannot be read."""
    rows: Annotated[list[ClaimRow], Field(min_length=1)] | None = None
    model: Text | None = None
    """The paper's model, where it is not that of the other claims."""
    cell: CellEntry
    against: CellEntry | None = None
    than: Number | None = None
    beyond: Difference | None = None
    measure: Text = "accuracy"
    """See :data:`dlmsample.ablate.analysis.contrasts.MEASURES`."""
    expect: Literal["higher", "lower", "no_lower", "same"]
    margin: Annotated[float, Field(gt=0, strict=True)] | None = None

    @field_validator("measure")
    @classmethod
    def _known(cls, measure: str) -> str:
        if measure not in MEASURES:
            raise unknown("measure", measure, MEASURES)
        return measure

    @model_validator(mode="after")
    def _complete(self) -> Claim:
        for one, other in (("numbers", "rows"), ("against", "than")):
            if (getattr(self, one) is None) == (getattr(self, other) is None):
                raise ValueError(f"a claim has either {one} or {other}")
        if (self.expect in ("no_lower", "same")) != (self.margin is not None):
            raise ValueError("margin belongs to expect: no_lower and same, and they need it")
        if self.beyond is not None and self.against is None:
            raise ValueError("beyond is a second difference: give against")
        return self

    @property
    def entries(self) -> dict[tuple[str, ...], CellEntry]:
        """The cells of the claim by their place in it; in the difference their signs are plus, minus, minus, plus."""
        found: dict[tuple[str, ...], CellEntry] = {("cell",): self.cell}
        if self.against is not None:
            found["against",] = self.against
        if self.beyond is not None:
            found["beyond", "cell"], found["beyond", "against"] = self.beyond.cell, self.beyond.against
        return found


class LeftOut(Section):
    """A claim of a paper that has no row here, and why not."""

    what: Text
    why: Text


class Paper(Section):
    """A paper and its claims."""

    arxiv: Annotated[str, Field(pattern=r"^\d{4}\.\d{4,5}$")]
    title: Text
    model: Text
    setting: Text | None = None
    """How the paper's set-up was carried over."""
    claims: Annotated[list[Claim], Field(min_length=1)]
    left_out: list[LeftOut] = []


class Claims(Section):
    """A claims file.

    Example:
        >>> parse("{grid: g, papers: [{arxiv: '2604.18738', title: T, model: M, claims: [{where: Table 1, says: S, "
        ...       "numbers: '1', cell: {checkpoint: nano, policy: t2m}, against: {checkpoint: nano, policy: t2t}, "
        ...       "expect: higher}]}]}")[0].papers[0].claims[0].measure
        'accuracy'
    """

    grid: Text
    """Name of the grid whose results it judges."""
    papers: Annotated[list[Paper], Field(min_length=1)]


_SECTIONS: dict[str, type[BaseModel]] = {
    "papers": Paper,
    "claims": Claim,
    "rows": ClaimRow,
    "beyond": Difference,
    "left_out": LeftOut,
}


def read(path: str | Path) -> tuple[Claims, Marks]:
    """A claims file, and where its keys stand.

    Raises:
        GridError: it cannot be read, or one line about the first mistake, with its line number.
    """
    return _checked(*document(path, "claims"))


def parse(text: str) -> tuple[Claims, Marks]:
    """Claims from YAML text.

    Raises:
        GridError: one line about the first mistake, with its line number.
    """
    return _checked(*load(text, "claims"))


def _checked(data: Any, marks: Marks) -> tuple[Claims, Marks]:
    if not isinstance(data, dict):
        raise marks.error((), "claims are keys and values: grid, papers")
    return validated(Claims, data, marks, _SECTIONS), marks
