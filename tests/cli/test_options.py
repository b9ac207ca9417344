"""Options are declared once, and their help is the command's."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import typer

from dlmsample.cli import ablate, app, diagnose, generate, report, train
from dlmsample.cli.options import words

DECLARED: dict[str, Any] = {
    "generate": generate.GenerateOptions,
    "train": train.TrainOptions,
    "diagnose": diagnose.DiagnoseOptions,
    "ablate": ablate.AblateOptions,
    "report": report.ReportOptions,
}


@pytest.mark.parametrize("name", DECLARED)
def test_the_fields_of_a_command_are_its_options(name: str) -> None:
    group: Any = typer.main.get_command(app.app)
    params = {param.name: param for param in group.commands[name].params}
    declared = {field.name: field for field in dataclasses.fields(DECLARED[name])}
    assert params.keys() == declared.keys()
    assert all(param.help for param in params.values())
    for key, field in declared.items():
        assert params[key].required == (field.default is field.default_factory is dataclasses.MISSING)
        if field.default is not dataclasses.MISSING:
            assert params[key].default == field.default


def test_the_words_of_a_command_are_what_differs_from_its_defaults() -> None:
    given = ablate.AblateOptions(grid="g.yaml", out="a b", limit=3, accept_versions=True, retry=True)
    assert words(given, "retry") == ["--out", "a b", "--limit", "3", "--accept-versions"]
