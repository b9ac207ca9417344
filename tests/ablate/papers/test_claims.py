"""Claims files: each verdict on a store made by hand, what a claim may name, and every mistake with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from dlmsample.ablate.analysis.configs import group
from dlmsample.ablate.papers import claims as claim_files
from dlmsample.ablate.papers import ledger
from dlmsample.ablate.papers.verdicts import Judged, judge
from dlmsample.ablate.spec import identity
from dlmsample.ablate.spec.cells import ResolvedGrid, resolve
from dlmsample.ablate.spec.grid import GridError, parse, read
from dlmsample.ablate.storage.environment import Environment
from dlmsample.ablate.storage.records import CellInfo
from dlmsample.ablate.storage.store import Store
from tests.ablate.fakes import answer

EXAMPLES = Path(__file__).parents[3] / "examples"
HERE = Environment("9.9", "1", "2", "one abacus")
#: Policies of the grid below, and per problem what each of their forty answers came to (1 right, 0 wrong).
GRID = """
name: g
tasks: [{name: wordproblems, limit: 40}]
checkpoints: [{model: nano}]
policies:
- {policy: unmask, tokens_per_step: [1, 2, 3, 4, 5]}
- {policy: t2m, threshold: [0.1, 0.3]}
max_new_tokens: 8
"""
BEST, GOOD, FAIR, LESS, POOR = ("1" * right + "0" * (40 - right) for right in (40, 30, 28, 26, 0))
RIGHT = {
    "unmask(tokens_per_step=1)": GOOD,
    "unmask(tokens_per_step=2)": FAIR,
    "unmask(tokens_per_step=3)": POOR,
    "unmask(tokens_per_step=4)": GOOD,
    "unmask(tokens_per_step=5)": LESS,
    "t2m(threshold=0.1)": BEST,
    "t2m(threshold=0.3)": FAIR[::-1],
}


def fill(layout: ResolvedGrid, folder: Path, without: str = "") -> Path:
    """A store of the grid with those answers; a right answer took 2 steps and 10 tokens, a wrong one 6 and 20."""
    folder.mkdir(exist_ok=True)
    with Store.open_or_create(folder) as store:
        store.begin(layout.grid.model_dump(mode="json"), layout.cells, layout.digests, {"nano": HERE})
        versions = {"version": "9.9", "torch": "1", "transformers": "2"}
        store.note(command="dlmsample ablate g.yaml --out runs/g", device="one abacus", **versions)
        for cell in layout.cells:
            results = [
                answer(at, right == "1", steps=2 if right == "1" else 6, tokens=10 if right == "1" else 20)
                for at, right in enumerate(RIGHT[cell.policy])
            ]
            if cell.policy == without:
                results = results[:-1]
            store.add(cell.key, results, layout.digests[cell.task.label][: len(results)])
    return folder


@pytest.fixture(scope="module")
def layout() -> ResolvedGrid:
    return resolve(parse(GRID))


@pytest.fixture(scope="module")
def folder(layout: ResolvedGrid, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(layout, tmp_path_factory.mktemp("store"))


def unmask(k: int | list[int]) -> dict[str, Any]:
    return {"checkpoint": "nano", "policy": "unmask", "tokens_per_step": k}


def t2m(threshold: float | list[float]) -> dict[str, Any]:
    return {"checkpoint": "nano", "policy": "t2m", "threshold": threshold}


def claim(**changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        **{"where": "Table 1", "says": "One beats the other.", "numbers": "1 -> 2", "expect": "higher"},
        **{"cell": unmask(1), "against": unmask(3), **changes},
    }
    return {key: value for key, value in given.items() if value is not None}


def file_of(path: Path, *claims: dict[str, Any], grid: str = "g") -> Path:
    paper = {"arxiv": "2604.18738", "title": "T2M", "model": "LLaDA2.1-mini", "claims": list(claims)}
    path.write_text(yaml.safe_dump({"grid": grid, "papers": [paper]}, sort_keys=False))
    return path


def rows(folder: Path, tmp_path: Path, *claims: dict[str, Any]) -> list[Judged]:
    return ledger.write(folder, file_of(tmp_path / "c.yaml", *claims), tmp_path / "out.md")[0]


VERDICTS: dict[str, tuple[dict[str, Any], str]] = {
    "higher": ({}, "holds"),
    "higher, the other way round": ({"cell": unmask(3), "against": unmask(1)}, "does not hold"),
    "higher, nearly equal": ({"against": unmask(2)}, "undecided"),  # 2 of 40 differ: the interval begins at 0
    "higher, the same": ({"against": unmask(4)}, "undecided"),
    "lower": ({"cell": unmask(3), "against": unmask(1), "expect": "lower"}, "holds"),
    "lower, but it is higher": ({"expect": "lower"}, "does not hold"),
    "no loss": ({"against": unmask(4), "expect": "no_lower", "margin": 1.0}, "holds"),
    "no loss, but there is": (
        {"cell": unmask(3), "expect": "no_lower", "margin": 1.0, "against": t2m(0.1)},
        "does not hold",
    ),
    "no loss, too close to call": (
        {"cell": unmask(2), "against": unmask(1), "expect": "no_lower", "margin": 5.0},
        "undecided",
    ),
    "same": ({"against": unmask(4), "expect": "same", "margin": 1.0}, "holds"),
    "same, but far above": ({"expect": "same", "margin": 10.0}, "does not hold"),
    "same, but far below": (
        {"cell": unmask(3), "against": unmask(1), "expect": "same", "margin": 10.0},
        "does not hold",
    ),
    "a number": ({"against": None, "than": 50.0}, "holds"),
    "a number not reached": ({"against": None, "than": 95.0}, "does not hold"),
    "steps": ({"measure": "steps", "expect": "lower"}, "holds"),
    "tokens": ({"measure": "tokens"}, "does not hold"),
    # 4 edits each answer: 40 per 100 tokens where all are right, 20 where all are wrong
    "edits": ({"measure": "edits_per_100", "cell": t2m(0.1)}, "holds"),
    "a share of nothing": ({"measure": "last_mile_share", "cell": t2m(0.1)}, "undecided"),
    "every, and all do": ({"cell": unmask([1, 2, 4])}, "holds"),
    "every, and one does not": ({"cell": unmask([1, 2, 3]), "against": unmask(4)}, "does not hold"),
    "every, and one is close": ({"cell": unmask([1, 2]), "against": unmask(2)}, "undecided"),
    # 4 of 40 are lost: 1.5 % of the resamples (0.9 to the power of 40) hold none of them. That is less than the 2.5 %
    # beyond the interval of one comparison, and more than the 1.25 % beyond each of two
    "lower by a little": ({"cell": unmask(5), "against": unmask(1)}, "does not hold"),
    "every, and one is lower by too little for two": (
        {"cell": unmask([5, 1]), "against": unmask([1, 3])},
        "undecided",
    ),
    "lists in step": ({"cell": unmask([1, 2]), "against": unmask([3, 3])}, "holds"),
    "beyond": ({"beyond": {"cell": unmask(1), "against": unmask(2)}}, "holds"),
    "beyond, the same": ({"beyond": {"cell": unmask(4), "against": unmask(3)}}, "undecided"),
    "a default written out": ({"cell": {**t2m(0.1), "fill_threshold": 0.7, "temperature": 0.0}}, "holds"),
}


@pytest.mark.parametrize("case", VERDICTS)
def test_verdict(case: str, folder: Path, tmp_path: Path) -> None:
    changes, wanted = VERDICTS[case]
    (row,) = rows(folder, tmp_path, claim(**changes))
    assert row.verdict == wanted


def test_the_numbers_are_the_report_s(folder: Path, tmp_path: Path) -> None:
    from dlmsample.ablate.report.write import build

    (row,) = rows(folder, tmp_path, claim(cell=unmask(2), against=unmask(1)))
    (member,) = row.members
    found = member.measured
    assert found is not None
    assert found.values == (70.0, 75.0)
    results = build(folder, "nano unmask(tokens_per_step=1)")[0]
    versus = results.rows[1].comparison
    assert versus is not None
    assert (found.difference, found.low, found.high) == pytest.approx(
        (100 * versus.difference, 100 * versus.low, 100 * versus.high)
    )
    assert (found.wide_low, found.wide_high) == (found.low, found.high)
    assert found.p == versus.p


def test_rows_share_a_claim_and_add_their_options(folder: Path, tmp_path: Path) -> None:
    plain = {"checkpoint": "nano", "policy": "unmask"}
    several = [{"options": {"tokens_per_step": k}, "numbers": f"at {k}"} for k in (1, 3)]
    one, other = rows(
        folder,
        tmp_path,
        claim(cell=plain, against=t2m(0.1), rows=several, numbers=None, than=None)
        | {"against": {"checkpoint": "nano", "policy": "unmask"}},
    )
    assert [(r.numbers, r.says) for r in (one, other)] == [
        ("at 1", "One beats the other. (tokens_per_step=1)"),
        ("at 3", "One beats the other. (tokens_per_step=3)"),
    ]
    assert one.members[0].configs[0] is one.members[0].configs[1]


def test_a_cell_that_is_not_done_is_not_measured(layout: ResolvedGrid, tmp_path: Path) -> None:
    half = fill(layout, tmp_path / "half", without="unmask(tokens_per_step=3)")
    missing, there = rows(half, tmp_path, claim(), claim(against=unmask(2)))
    assert (missing.verdict, there.verdict) == ("not measured", "undecided")
    assert missing.members[0].measured is None
    assert ledger.counts([missing, there]) == "2 claims: holds 0, does not hold 0, undecided 1, not measured 1"
    (every,) = rows(half, tmp_path, claim(cell=unmask([4, 1]), against=unmask([5, 3])))
    assert [member.measured is None for member in every.members] == [False, True]
    assert every.verdict == "not measured", "one of two that has been measured says nothing of every"


def test_the_ledger(folder: Path, tmp_path: Path) -> None:
    wanted = [
        claim(says="A | B", numbers="[lost]"),
        claim(cell=unmask([1, 2]), against=unmask(3), model="another"),
        claim(beyond={"cell": unmask(1), "against": unmask(2)}, expect="higher"),
        claim(cell=unmask(3), against=unmask(1), expect="no_lower", margin=2.5),
    ]
    given = file_of(tmp_path / "c.yaml", *wanted)
    judged, path = ledger.write(folder, given, tmp_path / "PAPERS.md", "dlmsample report runs/g --claims c.yaml")
    text = path.read_text()
    assert ledger.write(folder, given)[1] == folder / "PAPERS.md"
    assert text.count("4 claims: holds 3, does not hold 1, undecided 0") == 2  # in all, and of the one paper
    for part in (
        "```sh\ndlmsample ablate g.yaml --out runs/g\ndlmsample report runs/g --claims c.yaml\n```",
        "40 problems a cell; 8 new tokens; seed 0",
        "device: one abacus; dtype default",
        "dlmsample 9.9, torch 1, transformers 2",
        "[arXiv:2604.18738](https://arxiv.org/abs/2604.18738)",
        "| Table 1 | A \\| B | \\[lost\\] | accuracy %: 75.0 against 0.0 | +75.0 \\[",
        "**holds** | `nano unmask(tokens_per_step=1)` against `nano unmask(tokens_per_step=3)` |",
        "another: 1 -&gt; 2 | accuracy %: 70.0 to 75.0 against 0.0 | +70.0 \\[",
        "one by one: holds 2, does not hold 0, undecided 0 | **holds** |",
        "and 1 more |",
        "accuracy %: 75.0 against 0.0; 75.0 against 70.0",
        "(margin 2.5)",
        "**does not hold**",
    ):
        assert part in text, part
    assert [row.asdict()["verdict"] for row in judged] == ["holds", "holds", "holds", "does not hold"]


MISTAKES: dict[str, tuple[dict[str, Any], str, str]] = {
    "key": ({"expct": "lower"}, "expct", "did you mean 'expect'"),
    "measure": ({"measure": "acuracy"}, "measure", "did you mean 'accuracy'"),
    "expectation": ({"expect": "better"}, "expect", "'higher'"),
    "margin missing": ({"expect": "same"}, "- where", "margin"),
    "margin too many": ({"margin": 1.0}, "- where", "margin"),
    "nothing to compare with": ({"against": None}, "- where", "either against or than"),
    "two to compare with": ({"than": 1.0}, "- where", "either against or than"),
    "beyond a number": (
        {"against": None, "than": 1.0, "beyond": {"cell": unmask(1), "against": unmask(2)}},
        "- where",
        "give against",
    ),
    "beyond's key": ({"beyond": {"cell": unmask(1), "aganst": unmask(2)}}, "aganst", "did you mean 'against'"),
    "no numbers": ({"numbers": None}, "- where", "either numbers or rows"),
    "checkpoint": ({"cell": {"checkpoint": "nanno", "policy": "t2t"}}, "checkpoint: nanno", "did you mean 'nano'"),
    "policy": ({"cell": {"checkpoint": "nano", "policy": "t2n"}}, "policy: t2n", "did you mean 't2"),
    "option": ({"cell": {**unmask(1), "token_per_step": 1}}, "token_per_step", "did you mean 'tokens_per_step'"),
    "value": ({"cell": unmask(0)}, "cell:", "tokens_per_step must be >= 1"),
    "no such cell": (
        {"cell": unmask(7)},
        "cell:",
        "no cell 'nano unmask(tokens_per_step=7)'; the nearest is 'nano unm",
    ),
    "no such task": ({"cell": {**unmask(1), "task": "wordproblem"}}, "task:", "did you mean 'wordproblems'"),
    "lists of two lengths": ({"cell": unmask([1, 2, 3]), "against": unmask([1, 2])}, "- where", "equally many"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_told_with_its_line(case: str, folder: Path, tmp_path: Path) -> None:
    changes, where, said = MISTAKES[case]
    path = file_of(tmp_path / "c.yaml", claim(**changes))
    with pytest.raises(GridError, match=r"^[^\n]+$") as caught:
        ledger.write(folder, path, tmp_path / "out.md")
    line = next(at for at, text in enumerate(path.read_text().splitlines(), 1) if where in text)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert said in str(caught.value)
    assert not (tmp_path / "out.md").exists()


def test_a_folder_without_a_run_has_nothing_to_judge(tmp_path: Path) -> None:
    Store.open_or_create(tmp_path).close()
    with pytest.raises(ValueError, match=r"no results yet: run dlmsample ablate GRID\.yaml"):
        ledger.write(tmp_path, file_of(tmp_path / "c.yaml", claim()))


def test_an_empty_list_of_cells_does_not_hold_by_itself(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(GridError, match=r"c\.yaml:\d+: tokens_per_step is an empty list"):
        ledger.write(folder, file_of(tmp_path / "c.yaml", claim(cell=unmask([]))))


def test_claims_of_another_grid_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(GridError, match=r"c\.yaml:1: .*'other'.*'g'"):
        ledger.write(folder, file_of(tmp_path / "c.yaml", claim(), grid="other"))


def test_the_papers_grid_and_its_claims_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every claim names cells that the grid has; the adapters and heads themselves are not needed for that."""
    monkeypatch.setattr(identity, "of_checkpoint", lambda entry: {"model": {entry.label: ""}})
    grid, marks = read(EXAMPLES / "papers_on_nano.yaml")
    cells = resolve(grid, marks).cells
    infos = [
        CellInfo(
            key=cell.key,
            task=cell.task.label,
            checkpoint=cell.checkpoint.label,
            policy=cell.policy,
            policy_name=cell.policy_name,
            options=cell.options,
            seed=cell.seed,
            expected=100,
            done=0,
            status="pending",
            **cell.settings.model_dump(mode="json"),
        )
        for cell in cells
    ]
    configs = group(infos)
    claims, places = claim_files.read(EXAMPLES / "papers_on_nano_claims.yaml")
    judged = judge(claims, places, grid, configs, lambda config: [])
    assert {row.verdict for row in judged} == {"not measured"}
    assert len({paper.arxiv for paper in claims.papers}) == 4
    assert sum(c.checkpoint == "nano" and c.rule in ("t2t", "t2m") for c in configs) >= 109
    used = {config.label for row in judged for member in row.members for config in member.configs}
    assert {c.checkpoint for c in configs} == {c.label for c in grid.checkpoints}
    assert all(any(label.startswith(f"{c.label} ") for label in used) for c in grid.checkpoints)


def test_the_committed_ledger_is_worded_as_a_new_one() -> None:
    """Its results lie in no store of this repository, so that its sentences are changed by hand when the code's are."""
    root = Path(__file__).parents[3]
    text = (root / "PAPERS.md").read_text(encoding="utf-8")
    for sentence in (ledger.INTRODUCTION, *(f"* {note}" for note in ledger.NOTES)):
        assert f"\n{sentence}\n" in text
    read, _ = claim_files.read(root / "examples" / "papers_on_nano_claims.yaml")
    for paper in read.papers:
        assert paper.setting is not None
        assert ledger.escape(paper.setting) in text
        assert all(ledger.escape(f"{left.what}: {left.why}") in text for left in paper.left_out)
