"""A wrong option is told in one sentence, the same on the command line, in a grid file and in Python."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from pydantic import ValidationError

import dlmsample as ds
from dlmsample.ablate.spec.cells import choices
from dlmsample.ablate.spec.grid import parse
from dlmsample.objectives.base import objective
from dlmsample.policies.registry import make_policy
from dlmsample.support.yamlfile import Marks

SENTENCES: dict[str, tuple[Any, str]] = {
    "unknown": (
        lambda: ds.T2M(treshold=1),
        "unknown option of policy t2m 'treshold'; did you mean 'threshold'? Known: ",
    ),
    "range": (lambda: ds.T2M(threshold=1.5), "t2m: threshold must be <= 1 (got 1.5)"),
    "type": (lambda: ds.Unmask(steps="many"), "unmask: steps must be a whole number (got 'many')"),
    "two": (lambda: ds.T2M(threshold=2, max_remasks=-1), "t2m: threshold must be <= 1 (got 2); max_remasks must be "),
    "dump": (lambda: ds.T2M.model_validate({"threshold": 2}), "t2m: threshold must be <= 1 (got 2)"),
    "changed": (lambda: setattr(ds.T2M(), "threshold", 1), "t2m: threshold must not be changed: make another one"),
    "piece": (lambda: ds.fill.Quota(0), "tokens_per_step of quota must be >= 1 (got 0)"),
    "piece's option": (lambda: ds.fill.Quota(token=1), "unknown option of fill rule quota 'token'; did you mean "),
    "detector": (lambda: ds.detect.LowProb(tau=1), "unknown option of detector low_prob 'tau'; "),
    "objective": (lambda: objective("scope", temprature=1), "unknown option of objective scope 'temprature'; did you "),
}


@pytest.mark.parametrize("case", SENTENCES)
def test_a_wrong_option_is_one_sentence_wherever_it_is_written(case: str) -> None:
    made, said = SENTENCES[case]
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        made()
    for shown in (str(caught.value), repr(caught.value)):
        assert "\n" not in shown
        assert "pydantic" not in shown
    assert isinstance(caught.value, ValidationError)  # whoever catches pydantic's goes on to


def test_command_line_grid_and_python_say_the_same() -> None:
    for options in ({"treshold": 1}, {"threshold": 2}, {"max_remasks": "x"}, {"detector": "lowprob"}):
        said = []
        grid = parse(
            json.dumps({"name": "g", "tasks": [{"name": "sudoku"}], "checkpoints": [{"model": "nano"}]})[:-1]
            + f', "policies": [{json.dumps({"policy": "t2m", **options})}]}}'
        )
        for made in (
            lambda given=options: ds.T2M(**given),
            lambda given=options: make_policy("t2m", given),
            lambda grid=grid: choices(grid, Marks("g")),
        ):
            with pytest.raises(ValueError, match="t2m") as caught:
                made()
            said.append(str(caught.value).removeprefix("g:1: ").removeprefix("g: ").partition("Known")[0])
        assert len(set(said)) == 1, said


def test_options_go_by_name() -> None:
    with pytest.raises(TypeError, match=r"T2M takes its options by name: T2M\(detector=...\)"):
        ds.T2M(0.3)


def test_events_that_were_not_recorded(nano: ds.Denoiser) -> None:
    sampler = ds.Sampler(nano, ds.Unmask(tokens_per_step=8))
    plain, out = (sampler.generate(["2 + 2?"], 8, record=record) for record in (False, True))
    assert (plain.trace, out.events) == (None, out.trace)
    with pytest.raises(ValueError, match="no trace was recorded: pass record=True"):
        plain.events  # noqa: B018


def test_a_policy_defined_by_executed_text_finds_the_names_in_its_annotations() -> None:
    """As a page of the documentation, or a cell of a notebook, defines one."""
    text = """from __future__ import annotations
from typing import Annotated, ClassVar
from pydantic import Field
import dlmsample as ds

class Own(ds.Unmask):
    doubt: Annotated[float, Field(ge=0, le=1)] = 0.2

made = Own(doubt=0.5)
"""
    names: dict[str, Any] = {"__name__": "__nowhere__"}
    exec(compile(text, "text", "exec", dont_inherit=True), names)
    assert names["made"].doubt == 0.5
    with pytest.raises(ValueError, match="doubt must be <= 1"):
        names["Own"](doubt=2)
