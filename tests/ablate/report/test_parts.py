"""Parts of the page by themselves: the verdict, short names, heat maps, word by word, the command for a trace."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from dlmsample.ablate.analysis.configs import group
from dlmsample.ablate.analysis.power import detectable, fewest_flips, needed
from dlmsample.ablate.analysis.stats import holm, sign_flip_test
from dlmsample.ablate.report.diffs import word_diff
from dlmsample.ablate.report.naming import labels, swept
from dlmsample.ablate.report.trace import trace_command
from tests.ablate.fakes import FakeStore, answer, answers, cell, written
from tests.ablate.report.test_figures import sweep


def verdict(held: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    files = written(FakeStore(held), tmp_path, monkeypatch)
    found = re.search(r'<ul class="verdict">(.*?)</ul>', files["report.html"], re.DOTALL)
    said = [] if found is None else re.findall(r"<li>(.*?)</li>", found[1].replace("&#39;", "'"))
    assert (said == []) == ("Verdict" not in files["report.html"])
    assert all(
        sentence.split(" (")[0].replace("#", r"\#") in files["report.md"].replace(r"\_", "_") for sentence in said
    )
    return said


def test_what_so_few_examples_can_never_show_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = [(cell("unmask"), answers("11111111")), (cell("t2m"), answers("00000000")), (cell("d3im"), answers("1" * 8))]
    assert verdict(held, tmp_path / "8", monkeypatch)[0].startswith("Told apart")  # 8 flips of 8, two comparisons
    said = verdict([(c, given[:4]) for c, given in held], tmp_path / "4", monkeypatch)
    assert said[0] == (
        "At n = 4 nothing can be told: the exact McNemar test with Holm's adjustment over 2 comparisons at the 5 % "
        "level asks for at least 7 examples that all flip the same way, and there are 4."
    )
    assert verdict(held[:1], tmp_path / "1", monkeypatch) == []


def test_what_is_told_apart_is_named_and_the_rest_is_not_called_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = [
        (cell("unmask"), answers("1" * 20 + "0" * 20)),
        (cell("t2m(threshold=0.1)"), answers("1" * 36 + "0" * 4)),
        (cell("t2m(threshold=0.3)"), answers("1" * 22 + "0" * 18)),
    ]
    said = verdict(held, tmp_path, monkeypatch)
    assert said[0].startswith(
        "Told apart from the baseline #1 unmask (exact McNemar test with Holm's adjustment over 2"
    )
    assert said[1].startswith(
        "#2 t2m threshold=0.1 is better by 40.0 points (95 % interval +25.0 to +55.0, p &lt;0.001"
    )
    assert "does not show that they are equal" in said[2]
    assert re.search(r"\d+ problems would show 5 points.*22 % on average", said[4])
    none = verdict([held[0], held[2]], tmp_path / "none", monkeypatch)
    assert none[0].startswith("At n = 40 none of 1 differences is told from chance (exact McNemar test at the 5 %")


@pytest.mark.parametrize("comparisons", [1, 2, 9, 40])
def test_fewest_flips_are_those_of_the_test(comparisons: int) -> None:
    import numpy as np

    def best(flips: int) -> float:
        return holm([sign_flip_test(np.ones(flips, dtype=np.int64)), *[1.0] * (comparisons - 1)])[0]

    least = fewest_flips(comparisons)
    assert best(least) < 0.05 <= best(least - 1)


def test_sizes_have_the_power_that_is_said() -> None:
    """By simulation of the exact test: near 80 % at the size named, and much less at half of it."""
    import numpy as np

    rng, difference, spread = np.random.default_rng(0), 0.1, 0.3
    up, down = (spread + difference) / 2, (spread - difference) / 2

    def power(examples: int) -> float:
        found = 0
        for gained, lost, _ in rng.multinomial(examples, (up, down, 1 - spread), size=400):
            found += sign_flip_test(np.repeat([1, -1], [gained, lost])) < 0.05
        return found / 400

    size = needed(difference, spread)
    assert 0.7 < power(size) < 0.88
    assert power(size // 2) < 0.6
    assert detectable(size, spread) == difference
    assert needed(difference, spread, 10) > size > needed(0.2, spread)
    with pytest.raises(ValueError, match="at most 1"):
        needed(0.0, spread)


def test_a_policy_is_told_by_what_differs() -> None:
    configs = group([cell for cell, _ in sweep().held])
    found = labels(configs)
    assert found[1] == "unmask tokens_per_step=1"
    assert found[4] == "t2m threshold=0.1 max_remasks=1"
    assert found[10] == "d3im"
    assert swept(configs)["t2m"]["threshold"] == [0.1, 0.2, 0.3]
    alike = group(
        [cell("t2m(a=1)", options={}), cell("t2m(a=2)", options={}), cell("chain", options={"edit": {"x": 1}})]
    )
    assert labels(alike) == {1: "t2m(a=1)", 2: "t2m(a=2)", 3: "chain"}
    nested = [cell(f"chain{x}", policy_name="chain", options={"edit": {"x": x}}) for x in (1, 2)]
    assert list(labels(group(nested)).values()) == ["chain x=1", "chain x=2"]


def test_swept_options_give_a_map_with_absolute_colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = written(sweep(), tmp_path, monkeypatch)["report.html"]
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page)
    assert captions == ["unmask: tokens_per_step", "t2m: threshold by max_remasks"]
    drawn = page[page.index("t2m: threshold by max_remasks") :]
    cells = re.findall(r'<rect [^>]*fill="(#\w+)" /><text [^>]*>([\d.]+)</text>', drawn[: drawn.index("</svg>")])
    assert len(cells) == 6
    assert len({fill for fill, text in cells if text == "75.0"}) == 1
    low = [(cell(f"t2m(a={a})"), answers(verdict)) for a, verdict in ((1, "10000000"), (2, "00000000"))]
    other = written(FakeStore(low), tmp_path / "low", monkeypatch)["report.html"]
    assert '#e3eef9" /><text' in other  # 0 % is lightest, and the best of this grid is not darkest
    figure = other[other.index("<figure>") : other.index("</figure>")]
    assert "#08306b" not in figure


@pytest.mark.parametrize(("before", "after"), [("", ""), ("a b", ""), ("3 + 4 = 7.\n#### 7", "3 + 4 = 8.\n#### 8")])
def test_word_by_word_nothing_is_lost(before: str, after: str) -> None:
    left, right = word_diff(before, after)
    assert ("".join(p.text for p in left), "".join(p.text for p in right)) == (before, after)
    own = [piece.text.strip() for piece in right if piece.own]
    assert own == (["8", "8"] if after else [])


def test_the_command_says_all_that_decided_an_answer() -> None:
    grid = {"checkpoints": [{"model": "nano", "adapter": "scope", "dtype": None}], "top_p": 0.9, "top_k": None}
    given = cell("t2m", "nano+scope", options={"threshold": None, "eos": "none", "on": True}, temperature=0.5)
    words = shlex.split(trace_command(grid, given, answer(3, True, prompt="It's\n$5")) or "")
    assert words[:2] == ["dlmsample", "generate"]
    assert words[-2:] == ["--", "It's\n$5"], "a prompt may begin with a dash"
    told = " ".join(words[2:-2])
    assert "--model nano --adapter scope --policy t2m --set threshold=null --set eos=none --set on=true" in told
    assert "--block-length 32 --max-new-tokens 64 --temperature 0.5 --top-p 0.9 --seed=" in told
    assert trace_command(grid, given, answer(0, True, prompt="a\x1b[2J")) is None
    assert trace_command(grid, cell("chain", "nano+scope", options={"edit": {}}), answer(0, True)) is None
    assert trace_command({}, given, answer(0, True)) is None
    assert trace_command(grid, given, answer(0, True, prompt="-")) is None, "it would mean standard input"


def test_a_value_that_is_the_default_of_another_option_is_told() -> None:
    grid = {"checkpoints": [{"model": "nano", "adapter": None, "dtype": None}], "top_p": 1.0, "top_k": 1}
    told = trace_command(grid, cell("t2m", "nano", temperature=1.0), answer(0, True)) or ""
    assert "--temperature 1.0 --top-k 1" in told
    assert "--top-p" not in told
