"""The table of docs/reference/policies-and-families.md: which policy decodes which family, tried on tiny checkpoints.

pytest tests/docs/test_policy_families.py --update-golden      # writes the tables of the page anew
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from torch import Tensor, nn

import dlmsample as ds
from dlmsample.heads import CorrectionHead, HeadConfig
from dlmsample.models.denoiser import Denoiser
from dlmsample.models.interface import ModuleInterface
from tests.docs.pages import ROOT
from tests.models import checkpoints as tiny
from tests.toys import random_model

PAGE = ROOT / "docs" / "reference" / "policies-and-families.md"
BEGIN, END = "<!-- made by tests/docs/test_policy_families.py -->", "<!-- end -->"
CACHES = {"exact cache": True, "no cache": False, '`cache="prefix"`': "prefix", '`cache="dual"`': "dual"}


class _LogitsAlone(nn.Module):
    """Foreign code: it gives logits and nothing else."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module, self.config = module, module.config

    def forward(self, input_ids: Tensor, position_ids: Tensor, attention_mask: Tensor) -> Any:
        return SimpleNamespace(logits=self.module(input_ids=input_ids).logits)


def checkpoints(folder: Path) -> dict[str, Denoiser]:
    """The columns."""
    names = {"llada": "LLaDA", "dream": "Dream", "llada2": "LLaDA2", "sdar": "SDAR", "bert": "masked LM (BERT)"}
    made = {title: tiny.opened(name, folder / name) for name, title in names.items()}
    random = random_model("bidirectional")
    alone = ds.Denoiser(
        "foreign code", _LogitsAlone(random.module), None, random.facts, interface=ModuleInterface("module")
    )
    return {**made, "nano": ds.load("nano"), "a module with logits alone": alone}


def with_head(model: Denoiser) -> Denoiser:
    size = model.module.config.hidden_size
    return model.with_head(CorrectionHead(HeadConfig(hidden_size=size, width=16, heads=2, mlp=24)).eval())


def rows() -> dict[str, tuple[ds.Policy, Callable[[Denoiser], Denoiser]]]:
    """Every policy at its defaults; one that reads a head also with one."""
    found: dict[str, tuple[ds.Policy, Callable[[Denoiser], Denoiser]]] = {}
    for name in ds.list_policies():
        policy = ds.policy(name)
        found[f"`{name}`"] = (policy, lambda model: model)
        if "error" in policy.needs:
            found[f"`{name}`, with a head"] = (policy, with_head)
    return found


def tried(model: Denoiser, policy: ds.Policy, **options: Any) -> str:
    """``yes``, or the first clause of what the Sampler said."""
    try:
        out = ds.Sampler(model, policy, **options).generate([[7, 9, 20]], max_new_tokens=8)
    except ValueError as e:
        return str(e).replace(model.name, "the checkpoint").partition(":")[0]
    assert out.stats[0].tokens == 8 or out.stats[0].finish_reason == "eos"
    return "yes"


def table(columns: list[str], cells: dict[str, list[str]], notes: list[str]) -> list[str]:
    """A table of Markdown; what is no yes becomes a number into ``notes``."""

    def short(said: str) -> str:
        if said == "yes":
            return said
        if said not in notes:
            notes.append(said)
        return f"no ({notes.index(said) + 1})"

    lines = [f"| policy | {' | '.join(columns)} |", "|" + "---|" * (len(columns) + 1)]
    return [*lines, *(f"| {name} | {' | '.join(map(short, said))} |" for name, said in cells.items())]


def page(folder: Path) -> str:
    """Both tables and the reasons."""
    models, notes = checkpoints(folder), list[str]()
    families = {row: [tried(dress(m), p) for m in models.values()] for row, (p, dress) in rows().items()}
    lines = table(list(models), families, notes)
    caches = {}
    for row, (policy, dress) in rows().items():
        of = {True: models["nano"], False: models["nano"], "prefix": models["LLaDA"], "dual": models["LLaDA"]}
        caches[row] = [tried(dress(of[cache]), policy, cache=cache) for cache in CACHES.values()]
    lines += ["", *table(list(CACHES), caches, notes), ""]
    lines += [f"{number}. {said}" for number, said in enumerate(notes, 1)]
    return "\n".join(lines)


@pytest.mark.full
def test_the_page_says_which_pairs_are_possible(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    made = f"{before}{BEGIN}\n\n{page(tmp_path)}\n\n{END}{after}"
    if request.config.getoption("--update-golden"):
        PAGE.write_text(made, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == made, "run this test with --update-golden"


def test_a_policy_that_cannot_run_is_a_no(tmp_path: Path) -> None:
    nano = replace(ds.load("nano"), head=None)
    said = tried(nano, ds.DSC())
    assert said.startswith("dsc reads a correction head and ")
    notes: list[str] = []
    assert table(["a", "b"], {"x": ["yes", said]}, notes)[-1] == "| x | yes | no (1) |"
    assert notes == [said]
