"""Files of the report: what they hold, in which order, and that no text in them becomes a formula or markup."""

from __future__ import annotations

import csv
import io
import random
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from dlmsample.ablate.analysis.comparisons import flips
from dlmsample.ablate.analysis.configs import baselines, group
from dlmsample.ablate.analysis.figures import figures, last_mile
from dlmsample.ablate.report.csv import EXAMPLE_COLUMNS, csv_lines, example_lines
from dlmsample.ablate.storage.records import ExampleResult
from dlmsample.support.text import printable
from tests.ablate.fakes import FakeStore, answer, answers, cell, columns, written

Rows = list[dict[str, str]]


def read(text: str) -> Rows:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def demo() -> FakeStore:
    """Two tasks, two checkpoints, two seeds of one policy, a failed cell and a pending one."""
    held = [
        (cell("unmask(tokens_per_step=1)"), answers("11110000", nfe=20)),
        (cell("unmask(tokens_per_step=4)"), answers("11000000", nfe=5)),
        (cell("t2m(threshold=0.1)", seed=0), answers("11111100")),
        (cell("t2m(threshold=0.1)", seed=1), answers("01111110")),
        (cell("unmask(tokens_per_step=1)", task="gsm8k"), answers("10 ")),
        (cell("unmask(tokens_per_step=1)", "nano+scope"), []),
        (
            cell("t2m(threshold=0.1)", "nano+scope", status="failed", error="CUDA out of | memory", expected=8),
            answers("1"),
        ),
        (cell("t2m(threshold=0.1)", task="gsm8k", status="pending", expected=3), answers("11")),
    ]
    return FakeStore(held)


def test_cells_and_comparisons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = written(demo(), tmp_path, monkeypatch)
    assert list(files) == ["examples.csv", "cells.csv", "comparisons.csv", "report.md", "report.html"]
    cells = read(files["cells.csv"])
    assert [(r["task"], r["checkpoint"], r["policy"], r["seed"]) for r in cells] == [
        ("wordproblems", "nano", "unmask(tokens_per_step=1)", "0"),
        ("wordproblems", "nano", "unmask(tokens_per_step=4)", "0"),
        ("wordproblems", "nano", "t2m(threshold=0.1)", "0"),
        ("wordproblems", "nano", "t2m(threshold=0.1)", "1"),
        ("wordproblems", "nano+scope", "unmask(tokens_per_step=1)", "0"),
        ("wordproblems", "nano+scope", "t2m(threshold=0.1)", "0"),
        ("gsm8k", "nano", "unmask(tokens_per_step=1)", "0"),
        ("gsm8k", "nano", "t2m(threshold=0.1)", "0"),
    ]
    first, failed = cells[0], cells[5]
    assert (first["right"], first["accuracy"], first["nfe"], first["edits_per_100"]) == ("4", "0.5", "20", "20")
    assert (first["tokens_per_forward"], first["last_mile"], first["wall_seconds"]) == ("1", "0", "2")
    assert (failed["status"], failed["done"], failed["expected"]) == ("failed", "1", "8")
    assert failed["error"] == "CUDA out of | memory"
    assert cells[4]["accuracy"] == ""

    versus = {(r["task"], r["checkpoint"], r["policy"]): r for r in read(files["comparisons.csv"])}
    seeds = versus["wordproblems", "nano", "t2m(threshold=0.1)"]
    assert seeds["baseline_policy"] == "unmask(tokens_per_step=1)"
    assert (seeds["seeds"], seeds["examples"], seeds["gained"], seeds["lost"]) == ("2", "8", "3", "1")
    assert float(seeds["difference"]) == pytest.approx((12 / 16) - 0.5)
    assert seeds["low"] <= seeds["difference"] <= seeds["high"]
    assert all(float(r["p_holm"]) >= float(r["p"]) for r in versus.values())
    assert len(read(files["examples.csv"])) == sum(len(given) for _, given in demo().held)


def test_markdown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = written(demo(), tmp_path, monkeypatch)["report.md"]
    tables = [line for line in page.splitlines() if line.startswith("|")]
    assert len({line.count("|") - line.count("\\|") for line in tables[:8]}) == 1
    row = next(line for line in tables if line.startswith("| 1 |"))
    assert "50.0 | 21.5 to 78.5 | baseline" in row
    assert "## Failed cells" in page
    assert r"CUDA out of \| memory" in page
    assert "1/8 failed" in page
    assert "2/3" in page
    assert page.index("## wordproblems") < page.index("## gsm8k")


def test_only_wall_depends_on_the_clock_and_files_on_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = written(demo(), tmp_path / "a", monkeypatch)
    slow = FakeStore(
        [(c, [ExampleResult(**{**vars_of(r), "wall_seconds": random.random()}) for r in g]) for c, g in demo().held]
    )
    two = written(slow, tmp_path / "b", monkeypatch)
    for name in ("cells.csv", "comparisons.csv", "examples.csv"):
        left, right = read(one[name]), read(two[name])
        assert [unclocked(r) for r in left] == [unclocked(r) for r in right]
        assert (left != right) == (name != "comparisons.csv")
    assert written(demo(), tmp_path / "a", monkeypatch) == one


def vars_of(result: ExampleResult) -> dict[str, Any]:
    return dict(vars(result))


def unclocked(row: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in row.items() if "wall" not in name}


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+cmd|' /C calc'!A0",
        "-2+3",
        "@SUM(A1)",
        "\t=1",
        "\r\n=1",
        " =HYPERLINK(1)",
        "＝1",
        "'quoted",
        'a"b',
        "x,y",
    ],
)
def test_no_text_becomes_a_formula_and_all_come_back(text: str) -> None:
    line = "".join(csv_lines(("text", "n"), [(text, -5)]))
    row = read(line)[0]
    assert row["n"] == "-5"
    assert not row["text"].lstrip().startswith(("=", "+", "-", "@", "＝"))
    assert row["text"].removeprefix("'") == printable(text)


@pytest.mark.parametrize("text", ["-5", "+3.5", "-1e9", "12"])
def test_numbers_in_texts_stay_numbers(text: str) -> None:
    assert "".join(csv_lines(("text",), [(text,)])) == f"text\n{text}\n"


def test_hostile_texts_survive_in_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ['a\r\nb,"c"', "\r", "nul\0nul", "line\u2028line", "", "=cmd()", "日本"]
    held = [(cell("unmask"), [answer(at, False, text=text, extracted=None) for at, text in enumerate(texts)])]
    rows = read(written(FakeStore(held), tmp_path, monkeypatch)["examples.csv"])
    assert [row["text"] for row in rows] == [*map(printable, texts[:5]), "'=cmd()", "日本"]
    lone = FakeStore([(cell("unmask"), [answer(0, False, text="a\ud800b")])])
    files = written(lone, tmp_path, monkeypatch)
    assert read(files["examples.csv"])[0]["text"] == "a\\ud800b"


def test_no_file_holds_what_a_terminal_or_a_line_reader_would_obey(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Texts of models and labels of grids are written without controls, without marks that reorder, line by line."""
    bad = "a\x1b[2J\u202eb\x85c\u2028d\re\0f\u200bg"
    held = [
        (cell(f"unmask{bad}", bad, task=bad), [answer(0, False, text=bad, extracted=bad, answer=bad, prompt=bad)]),
        (cell("t2m", status="failed", error=bad), []),
    ]
    for name, text in written(FakeStore(held, {"name": bad}), tmp_path, monkeypatch).items():
        assert not {"\x1b", "\u202e", "\x85", "\u2028", "\r", "\0", "\u200b"} & set(text), name
        assert text.splitlines() == text.removesuffix("\n").split("\n"), name
        plain = text.replace("\\\\", "\\").replace("\\[", "[")
        assert r"a\x1b[2J\u202eb" in plain or name == "comparisons.csv"


def test_example_lines_are_rows_as_any_other() -> None:
    """What is quick for many answers writes what :func:`csv` writes for any row."""
    texts = ["=1", "-5", "+5.0e3x", 'a "b"', "a,b", "a\nb", "", "'q", "\r", "-"]
    odd = [(text, other) for text in texts for other in (None, *texts)]
    given = [
        answer(at, at % 3 == 0, text=text, extracted=other, answer=other or "14", forced=at % 2 == 0, wall_seconds=w)
        for at, ((text, other), w) in enumerate(
            zip(odd, cycle([0.1, 1 / 3, 1e-7, 12345678901.5, 0.0, 2.0]), strict=False)
        )
    ]
    info = cell("t2m(a=1, b=2)", seed=-1)
    (config,) = group([info])
    counts = ("steps", "nfe", "prefill", "tokens", "fills", "replaces", "remasks", "forced", "finish_reason")
    rows = [
        [
            *(info.key, info.task, info.checkpoint, info.policy, info.seed),
            *(r.index, r.answer, r.extracted, r.correct, None if r.correct else last_mile(r.text, r.answer)),
            *(getattr(r, name) for name in counts),
            *(r.wall_seconds, r.text),
        ]
        for r in given
    ]
    wanted = list(csv_lines(EXAMPLE_COLUMNS, rows))[1:]
    assert list(example_lines(config, info, columns(given))) == wanted


def test_default_baseline_is_the_careful_unmask_of_the_first_checkpoint() -> None:
    configs = group(
        [
            cell("t2m", "a"),
            cell("unmask(tokens_per_step=4)", "a"),
            cell("unmask(tokens_per_step=1)", "a"),
            cell("unmask(tokens_per_step=1)", "b"),
            cell("t2m", "a", task="other"),
            cell("d3im", "a", task="empty"),
        ]
    )
    forwards = {1: 99.0, 2: 8.0, 3: 32.0, 4: 64.0, 5: 10.0}
    found = baselines(configs, forwards, None)
    assert {task: config.label for task, config in found.items()} == {
        "wordproblems": "a unmask(tokens_per_step=1)",
        "other": "a t2m",
    }
    assert baselines(configs, {1: 9.0, 2: 8.0}, None)["wordproblems"].label == "a unmask(tokens_per_step=4)"


def test_named_baselines() -> None:
    configs = group([cell("unmask"), cell("t2m"), cell("unmask", task="gsm8k"), cell("t2m", task="gsm8k")])
    forwards = dict.fromkeys(range(1, 5), 10.0)
    both = baselines(configs, forwards, "nano t2m")
    assert [config.full_label for config in both.values()] == ["wordproblems: nano t2m", "gsm8k: nano t2m"]
    one = baselines(configs, forwards, "gsm8k: nano t2m")
    assert [config.full_label for config in one.values()] == ["wordproblems: nano unmask", "gsm8k: nano t2m"]
    with pytest.raises(ValueError, match="did you mean 'nano t2m'"):
        baselines(configs, forwards, "nano t2n")
    with pytest.raises(ValueError, match="did you mean 'gsm8k: nano t2m'"):
        baselines(configs, forwards, "gsm8k: nano t3m")


def test_the_grids_baseline_counts_unless_another_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = demo()
    store.given["baseline"] = "nano t2m(threshold=0.1)"
    named = read(written(store, tmp_path, monkeypatch)["comparisons.csv"])
    assert {row["baseline_policy"] for row in named} == {"t2m(threshold=0.1)"}
    other = read(written(store, tmp_path, monkeypatch, baseline="nano unmask(tokens_per_step=4)")["comparisons.csv"])
    assert {row["baseline_policy"] for row in other if row["task"] == "wordproblems"} == {"unmask(tokens_per_step=4)"}


def test_a_wrong_baseline_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="unknown baseline"):
        written(demo(), tmp_path, monkeypatch, baseline="nano dsc")
    assert list(tmp_path.iterdir()) == []


def test_settings_are_named_where_they_tell_cells_apart() -> None:
    plain = group([cell("unmask", block_length=8), cell("t2m", block_length="all")])
    assert [config.policy for config in plain] == ["unmask", "t2m"]
    apart = group([cell("unmask", block_length=8, key="a"), cell("unmask", block_length="all", key="b")])
    assert [config.policy for config in apart] == ["unmask block_length=8", "unmask block_length=all"]


def test_nothing_done_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FakeStore([(cell("unmask", status="pending", expected=4), [])])
    files = written(store, tmp_path, monkeypatch)
    assert read(files["cells.csv"])[0]["accuracy"] == ""
    assert read(files["comparisons.csv"]) == []
    assert "0/4" in files["report.md"]


@pytest.mark.parametrize(
    ("text", "gold", "verdict"),
    [
        (" 7 * 2 = 14.\n#### 4", "14", True),
        (" 7 * 2 = 14.\n#### ", "14", True),
        (" 7 * 2 = 14.\n### 14", "14", True),  # the mark is garbled
        (" 7 * 2 = 13.\n#### 13", "14", False),
        (" 7 * 2 = 14. Then 14 - 1 = 13.\n#### 13", "14", True),  # an operand of the last step: a limit of the rule
        (" 7 * 2 = 14. Then 3 - 1 = 2.\n#### 2", "14", False),
        ("So it is $1,234.\n#### 1", "1234", True),
        ("The answer is 3. So 2 + 2.50 = 4.50. The answer is 45", "4.5", True),
        ("所以共有 100 元。\n答案:10", "100", True),
        ("Then 5 - 8 = -3.\n#### 3", "-3", True),
        ("10-3", "3", True),
        ("", "3", False),
        ("Paris.", "Paris", None),
    ],
)
def test_last_mile(text: str, gold: str, verdict: bool | None) -> None:
    assert last_mile(text, gold) is verdict


def test_last_mile_counts_wrong_answers_alone() -> None:
    given = [answer(0, True), answer(1, False, text="7 * 2 = 14. #### 4"), answer(2, False)]
    assert figures(columns(given)).last_mile == 1
    assert figures(columns([answer(0, False, answer="Paris")])).last_mile is None
    assert figures(columns([answer(0, True, answer="Paris")])).last_mile == 0


def test_flips_show_both_kinds_and_count_the_rest() -> None:
    before, after = {0: answers("0000011111")}, {0: answers("1111100000")}
    found = flips(before, after, 4)
    assert (found.gained, found.lost, found.left_out) == (5, 5, 6)
    assert [(flip.after.index, flip.gained) for flip in found.shown] == [(0, True), (1, True), (5, False), (6, False)]
    assert all(flip.after.correct is flip.gained is not flip.before.correct for flip in found.shown)


def test_flips_of_several_seeds_prefer_one_seed() -> None:
    before, after = {0: answers("1"), 1: answers("0"), 2: answers("0")}, {1: answers("1"), 2: answers("1")}
    flip = flips(before, after, 4).shown[0]
    assert (flip.before_seed, flip.after_seed, flip.gained) == (1, 1, True)
    alone = flips({0: answers("10")}, {7: answers("01")}, 4).shown
    assert [(flip.before_seed, flip.after_seed) for flip in alone] == [(0, 7), (0, 7)]
