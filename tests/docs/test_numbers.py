"""The numbers in the pages' tables are those of the files that they name."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import ROOT, name, prose, tables

README = ROOT / "README.md"
POLICIES = ROOT / "docs" / "how-to" / "choose-a-policy.md"
NANO, FAMILY, SPEED = (ROOT / "docs" / "results" / f"{page}.md" for page in ("nano", "family", "speed"))
SHAPES = {
    "LLaDA-8B": "llada_8b_causal",
    "LLaDA-8B, whole canvas": "llada_8b",
    "LLaDA2-mini": "llada2_mini",
    "SDAR-4B": "sdar_4b",
    "nano": "nano",
}


def result(file: str) -> Any:
    return json.loads((ROOT / "benchmarks" / "results" / file).read_text(encoding="utf-8"))


def with_columns(page: Path, *columns: str) -> list[list[dict[str, str]]]:
    """The tables of a page that have these columns; there is one at least."""
    found = [rows for rows in tables(page) if set(columns) <= rows[0].keys()]
    assert found, f"{name(page)} has no table with {columns}"
    return found


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


@pytest.mark.parametrize(
    ("page", "number", "file"),
    [(NANO, 0, "nano_quality.json"), (NANO, 1, "nano_family.json")],
    ids=["nano, quotas", "nano, edits"],
)
def test_quality(page: Path, number: int, file: str) -> None:
    cells = {cell["policy"]: cell for cell in result(file)["cells"] if cell.get("checkpoint", "base") == "base"}
    for row in with_columns(page, "policy", "exact answers")[number]:
        cell = cells[row["policy"]]
        assert row["exact answers"] == percent(cell["accuracy"])
        assert row["forwards (nfe)"] == f"{cell['nfe']:.1f}"
        assert row["edits per 100 tokens"] == f"{cell['edits_per_100']:.1f}"


def _held(options: dict[str, Any]) -> str:
    return "guard=true" if options.get("guard") else "max_edits=2" if options.get("max_edits") else "as it is"


def test_what_holds_edits_back() -> None:
    (table,) = with_columns(FAMILY, "as it is", "guard=true", "max_edits=2")
    with (ROOT / "benchmarks" / "results" / "guard_on_nano_cells.csv").open(newline="") as file:
        cells = [(row, json.loads(row["options"])) for row in csv.DictReader(file)]
    saved = []
    for row in table:
        here = [
            (c, o) for c, o in cells if (c["checkpoint"], str(o["fill_threshold"])) == (row["checkpoint"], row["fill"])
        ]
        found = {_held(o): c for c, o in here}
        for how, c in found.items():
            said = f"{percent(float(c['accuracy']))}, {float(c['nfe']):.1f}, {float(c['edits_per_100']):.1f}"
            assert row[how] == said
        if row["checkpoint"] == "nano":
            saved += [float(found["as it is"]["nfe"]) - float(found[n]["nfe"]) for n in ("guard=true", "max_edits=2")]
    assert f"saves nano as it is {min(saved):.1f} to {max(saved):.1f} forwards" in " ".join(prose(FAMILY).split())


def test_questions_that_were_written_later() -> None:
    one, t2m = (run["tasks"][0] for run in result("nano_later.json")["runs"])
    said = " ".join(NANO.read_text(encoding="utf-8").split())
    interval = f"({100 * one['accuracy']:.0f} %, 95 % interval {100 * one['low']:.0f} to {100 * one['high']:.0f})"
    assert f"answers {one['right']} at one token a step {interval} and {t2m['right']} under T2M" in said
    assert f"of {one['examples']} questions written later in other wordings, {one['right']}:" in " ".join(
        prose(README).split()
    )


def test_the_zoo() -> None:
    """README's table of budgets, and how many pairs are as good as the best ones."""
    record = result("zoo.json")
    by_key = {cell["key"]: cell for cell in record["cells"]}
    tuned = {
        (row["policy"], str(row["budget"])): percent(by_key[row["key"]]["accuracy"])
        for row in record["tuned"]
        if row["checkpoint"] == "nano"
    }
    best = {str(row["budget"]): row for row in record["best"] if row["among"] == "all"}
    (table,) = with_columns(README, "forwards at most", "best pair of all")
    for row in table:
        budget, pair = row.pop("forwards at most"), row.pop("best pair of all")
        assert row == {p: tuned.get((p, budget), "") for p in ("unmask", "t2t", "t2m", "d3im", "wino")}
        first = best[budget]
        adapter = first["checkpoint"].removeprefix("nano+")
        assert pair == f"{first['policy']} with {adapter}: {percent(first['accuracy'])}"
    said = f"At 32 forwards {len(best['32']['close'])} other pairs, at 48 forwards {len(best['48']['close'])}, cannot"
    assert said in " ".join(prose(README).split())


def test_what_won_on_nano() -> None:
    """The figures of the how-to's section are the zoo's."""
    record = result("zoo.json")
    cells = {cell["key"]: cell for cell in record["cells"]}
    tuned = {(row["checkpoint"], row["policy"], row["budget"]): cells[row["key"]] for row in record["tuned"]}

    def share(checkpoint: str, policy: str, budget: int) -> float:
        return 100 * tuned[checkpoint, policy, budget]["accuracy"]

    ahead = share("nano", "wino", 16) - share("nano", "unmask", 16)
    plain, sure = tuned["nano", "unmask", 32], tuned["nano+certainty", "unmask", 16]
    said = " ".join(POLICIES.read_text(encoding="utf-8").split())
    assert f"WINO by {ahead:.0f} points" in said
    assert f"`self_generated_t2t`, D3IM answers {share('nano+self_generated_t2t', 'd3im', 16):.1f} %" in said
    assert f"answers {100 * sure['accuracy']:.1f} % in {sure['nfe']:.1f}" in said
    assert f"needs {plain['nfe']:.1f} forwards for {100 * plain['accuracy']:.1f} % on nano as it is" in said
    family = {(c["checkpoint"], c["policy"]): c["accuracy"] for c in result("nano_family.json")["cells"]}
    whole = [family["base", f"{name}:steps=48,block_length=all"] for name in ("unmask", "d3im")]
    assert "take accuracy from {} to {}".format(*map(percent, whole)) in said


def speeds() -> Iterator[tuple[Path, dict[str, str]]]:
    for page in (README, SPEED):
        for rows in with_columns(page, "shape", "batch", "dlmsample", "compiled"):
            yield from ((page, row) for row in rows)


@pytest.mark.parametrize(
    ("page", "row"), [pytest.param(p, r, id=f"{name(p)} {[*r.values()][:2]}") for p, r in speeds()]
)
def test_speed(page: Path, row: dict[str, str]) -> None:
    found = {
        cell["peer"]: cell["tokens_per_s"]
        for cell in result("speed.json")["cells"]
        if "tokens_per_s" in cell
        and (cell["shape"], cell["batch"]) == (SHAPES[row["shape"]], int(row["batch"]))
        and cell.get("new", 256) == 256
    }
    loop = "llada" if SHAPES[row["shape"]] == "llada_8b" else "llada2"
    peers = {"dlmsample": "ours", "compiled": "ours_fused", "diffusers LLaDA2Pipeline": "diffusers", "loop": loop}
    for column, peer in peers.items():
        assert row[column] == (f"{found[peer]:,.0f}" if peer in found else "")


def test_approximate_speed() -> None:
    """Tokens per second and share of the roofline of the approximate caches, and what was aimed at."""
    (table,) = with_columns(SPEED, "cache", "batch 1", "batch 8", "batch 32")
    cells = {
        (cell["peer"], cell["batch"]): cell
        for cell in result("approximate_speed.json")["cells"]
        if "skipped" not in cell
    }
    shown = {key: f"{c['tokens_per_s']:,.0f} ({100 * c['roofline_share']:.0f} %)" for key, c in cells.items()}
    peers = ("prefix", "prefix_fused", "dual_plain", "dual", "dual_fused")
    for row, peer in zip(table, [*(f"ours_{peer}" for peer in peers), "ours", "ours_fused"], strict=True):
        assert [row[f"batch {batch}"] for batch in (1, 8, 32)] == [shown.get((peer, b), "") for b in (1, 8, 32)]
    (goals,) = with_columns(SPEED, "target for dual, compiled")
    found = [cells["ours_dual_fused", batch]["tokens_per_s"] for batch in (1, 8, 32)]
    measured = [f"{speed:,.0f}" for speed in found] + [f"{found[0] / cells['ours_fused', 1]['tokens_per_s']:.2f}"]
    assert [row["measured"] for row in goals] == measured


def test_speed_of_mixtures() -> None:
    """What the experts of a layer take, and whole steps over what they must take."""
    record = result("experts_speed.json")
    (table,) = with_columns(SPEED, "positions", "transformers' grouped products")
    for row in table:
        cells = [cell for cell in record["cells"] if f"{cell['positions']:,}" == row["positions"]]
        assert [cell["us"] for cell in cells if cell["what"] == "grouped_mm"] == [
            pytest.approx(float(row["transformers' grouped products"].replace(",", "")), abs=0.5)
        ]
        used = [cell["us"] for cell in cells if cell.get("tile") == record["used"]]
        assert [f"{us:,.0f}" for us in used] == [row["dlmsample"]]
    (steps,) = with_columns(SPEED, "LLaDA2-mini, batch", "ms a forward")
    record = result("mixtures_speed.json")
    cells = {str(cell["batch"]): cell for cell in record["cells"]}
    for row in steps:
        cell = cells[row["LLaDA2-mini, batch"]]
        reading = 1000 * cell["step_bytes"] / record["machine"]["bytes_per_s"]
        computing = 1000 * cell["step_flops"] / record["machine"]["flops_per_s"]
        over = cell["captured"]["ms_forward"] / max(reading, computing)
        assert row["tokens/s"] == f"{cell['tokens_per_s']:,.0f}"
        assert [row["reading once, ms"], row["computing, ms"]] == [f"{reading:.1f}", f"{computing:.1f}"]
        assert row["forward over the larger"] == f"{over:.2f}"
        assert ("holds" in row["wanted: ≤ 1.6"]) == (over <= 1.6)


def test_family() -> None:
    """Accuracies and forwards of the nano family, wherever a cell of the table is a cell of the file."""
    cells = result("nano_family.json")["cells"]
    known = {f"{percent(cell['accuracy'])} ({_short(cell['nfe'])})" for cell in cells}
    shown = {
        value
        for rows in [*with_columns(FAMILY, "policy", "nano"), *with_columns(FAMILY, "tokens per step")]
        for row in rows
        for value in list(row.values())[1:]
    }
    assert shown <= known, shown - known


def _short(nfe: float) -> str:
    return f"{nfe:.0f}" if nfe == round(nfe) else f"{nfe:.1f}"


def test_overhead() -> None:
    found = [f"{100 * cell['outside_over_forward']['median']:.1f} %" for cell in result("overhead.json")["overhead"]]
    (table,) = with_columns(SPEED, "policy", "outside / forward")
    assert [row["outside / forward"] for row in table] == found


def test_claims() -> None:
    """The README counts the papers' claims as PAPERS.md does."""
    first = (ROOT / "PAPERS.md").read_text(encoding="utf-8").splitlines()[2]
    counts = [int(word.strip(".,")) for word in first.replace(":", " ").split() if word.strip(".,").isdigit()]
    total, holds, not_holds, undecided = counts
    said = f"Of {total} claims, {holds} hold, {not_holds} do not, and {undecided} stay undecided"
    assert said in " ".join(prose(README).split())


def test_flatness() -> None:
    (table,) = with_columns(SPEED, "new tokens", "64", "512")
    record = result("overhead.json")
    for at, key in ((0, "flat_batch_1"), (2, "flat_batch_16")):
        for cell in record[key]:
            column = str(cell["new_tokens"])
            assert table[at][column] == f"{cell['over_64']['median']:.2f}"
            assert table[at + 1][column] == f"{100 * cell['attention_share']['median']:.0f} %"


def test_profile() -> None:
    """Microseconds and kernels of a step, by kind."""
    (table,) = with_columns(SPEED, "", "batch 1", "batch 32")
    joined = {"update, vocabulary, copies": ("update", "vocabulary", "copies")}
    for cell in result("speed_profile.json")["cells"]:
        kinds = {part["kind"]: part for part in cell["classes"]}
        for row in table:
            label, shown = row[""], row[f"batch {cell['batch']}"]
            if label in ("whole step", "roofline of the step"):
                assert shown == f"{cell['step_us' if label == 'whole step' else 'roofline_us']:,.0f}"
                continue
            parts = [kinds[kind] for kind in joined.get(label, (label,)) if kind in kinds]
            kernels = sum(part["kernels"] for part in parts)
            assert shown == f"{sum(part['us'] for part in parts):,.0f}" + (f" ({kernels:.0f})" if kernels else "")


def test_approximate_caches() -> None:
    record = result("approximate.json")
    (table,) = with_columns(ROOT / "docs" / "results" / "checkpoints.md", "exact", "cache=\"prefix\"")  # fmt: skip
    for row, policy in zip(table, ("unmask:tokens_per_step=2", "unmask:tokens_per_step=4"), strict=True):
        (exact,) = [c for c in record["cells"] if (c["policy"], c["cache"]) == (policy, "none")]
        assert row["exact"] == percent(exact["accuracy"])
        ratios = []
        for cache in ("prefix", "dual"):
            key = (policy, cache, None)
            (cell,) = [c for c in record["cells"] if (c["policy"], c["cache"], c["refresh"]) == key]
            (pair,) = [c for c in record["comparisons"] if (c["policy"], c["cache"], c["refresh"]) == key]
            low, high = 100 * pair["low"], 100 * pair["high"]
            said = f"{percent(cell['accuracy'])} ({100 * pair['difference']:+.1f} [{low:.1f}, {high:.1f}]"
            assert row[f'cache="{cache}"'].startswith(said)
            ratios.append(f"{pair['forward_tokens_ratio']:.2f}×")
        assert list(row.values())[-1] == ", ".join(ratios)


def test_shapes() -> None:
    (table,) = with_columns(ROOT / "docs" / "results" / "checkpoints.md", "shape", "tokens/s", "peak memory")
    for row, shape in zip(table, ("llada2_mini", "llada_8b"), strict=True):
        cells = [
            [
                c
                for c in result("shapes.json")["cells"]
                if (c["shape"], c["policy"], c["batch"]) == (shape, "unmask:tokens_per_step=4", batch)
            ]
            for batch in (1, 8, 32)
        ]
        mean = {
            key: [sum(c[key] for c in same) / len(same) for same in cells]
            for key in ("tokens_per_s", "ms_per_forward", "peak_gib")
        }
        assert row["tokens/s"] == " / ".join(f"{value:,.0f}" for value in mean["tokens_per_s"])
        assert row["ms a forward"] == " / ".join(f"{value:.0f}" for value in mean["ms_per_forward"])
        assert row["peak memory"] == " / ".join(f"{value:.0f}" for value in mean["peak_gib"]) + " GiB"


def test_paired_differences() -> None:
    """Every difference with its interval, in the family's claims, is one of the file's comparisons."""
    known = set()
    for pair in result("nano_family.json")["comparisons"]:
        points, low, high = pair["points"], pair["low"], pair["high"]
        known |= {(_points(points), _points(low), _points(high)), (_points(-points), _points(-high), _points(-low))}
    text = FAMILY.read_text(encoding="utf-8")
    shown = re.findall(r"([+-]\d+\.\d) \[(-?\d+\.\d), (-?\d+\.\d)\]", text)
    shown = {(_points(float(a)), _points(float(b)), _points(float(c))) for a, b, c in shown}
    assert len(shown) > 20
    assert shown <= known, shown - known


def test_diagnoses() -> None:
    known = {
        f"{percent(part['value'])} [{100 * part['low']:.1f}, {100 * part['high']:.1f}]"
        for run in result("nano_diagnose.json")["runs"]
        for part in (run["stress"]["preserved"], run["stress"]["recovered"])
        if part["value"] is not None
    }
    shown = set(re.findall(r"\d+\.\d % \[\d+\.\d, \d+\.\d\]", FAMILY.read_text(encoding="utf-8")))
    assert shown
    assert shown <= known, shown - known


def _points(value: float) -> str:
    return f"{value:.1f}".replace("-0.0", "0.0")


def test_fast_path() -> None:
    """Milliseconds and ratios of every alternative are those of some run with it at that batch size."""
    page = ROOT / "docs" / "results" / "fast-path.md"
    known = {
        (cell["alternative"], f"batch {cell['batch']}", said)
        for file in (ROOT / "benchmarks" / "results").glob("defend_*.json")
        for cell in result(file.name)["cells"]
        if cell.get("ms_per_step")
        for ms in [f"{cell['ms_per_step']:.3f}"]
        for said in (ms, f"{ms} ({cell['ratio']:.2f})" if cell.get("ratio") else ms)
    }
    words = {"", "wrong tokens", "not run", "same as ours"}
    shown = {
        (row["alternative"].split()[-1], column, value)
        for rows in with_columns(page, "alternative", "batch 1", "batch 8", "batch 32")
        for row in rows
        for column, value in row.items()
        if column != "alternative" and value not in words
    }
    assert len(shown) > 20
    assert shown <= known, shown - known


def test_the_server_beside_the_sampler() -> None:
    found = result("serve_load.json")
    (table,) = with_columns(SPEED, "tokens/s", "tokens per processor second")
    for row, side in zip(table, ("offline", "server"), strict=True):
        assert row["tokens/s"] == f"{found[side]['tokens_per_wall_second']['median']:.1f}"
        assert row["tokens per processor second"] == f"{found[side]['tokens_per_cpu_second']['median']:.1f}"
    ratios = found["server_to_offline"]
    said = " ".join(SPEED.read_text(encoding="utf-8").split())
    assert f"gives {100 * ratios['tokens_per_wall_second']:.0f} % of the Sampler's tokens per second" in said
    assert f"and {100 * ratios['tokens_per_cpu_second']:.0f} % of those per processor second" in said
