"""docs/results/zoo.md, made from what benchmarks/zoo.py measured; without its JSON the page says that there is none.

python docs/make_zoo.py
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / "benchmarks" / "results" / "zoo.json"
PAGE = ROOT / "docs" / "results" / "zoo.md"
COMMAND = "python -m benchmarks.zoo --device cuda --workers 3 --tf32 --minutes 8 --json benchmarks/results/zoo.json"
HEAD = """# The zoo: which sampler at which budget with which training?

Sixteen policies on nano and five adapters, and `dsc` with each of its four heads, at their published defaults and tuned
for 16, 24, 32, 48 and 64 forwards an answer.
"""
UNMEASURED = f"""{HEAD}
This has not been measured yet for the checkpoints that are shipped. The candidates are in
[examples/zoo_on_nano.yaml](../../examples/zoo_on_nano.yaml); on one GPU

```sh
{COMMAND}
python docs/make_zoo.py
```

measures them, the first command as often as it says that cells are left, and the second writes this page from the JSON.
"""
MARKS = {"better": " ▲", "worse": " ▼", "undecided": ""}


def page(record: dict[str, Any] | None) -> str:
    """The whole page; None: nothing has been measured."""
    if record is None or not record["tuned"]:
        return UNMEASURED
    return "\n".join([HEAD, *_how(record), *_winners(record), *_tuned(record), *_defaults(record), *_chosen(record)])


def _how(record: dict[str, Any]) -> Iterator[str]:
    where, versions = " and ".join(record["device"]), f"torch {record['torch']}, transformers {record['transformers']}"
    yield (
        f"Exact answers on {record['problems']:,} problems of the test split, in brackets forwards; greedy, 160 new\n"
        f"tokens, {_dtype(record)}, {where}, {versions};\n"
        f"`{record['command']}`,\n"
        f"[output](../../benchmarks/results/zoo.json), [candidates](../../examples/zoo_on_nano.yaml). Tuned: of a\n"
        f"policy's candidates the most accurate on {record['validation_problems']} problems of the validation split,\n"
        f"among those that took no more forwards there than the budget; on the test split they may take a little\n"
        f"more. `dsc` runs with a head and is compared with `unmask` on the same weights without it, where the grid\n"
        f"has that: not for `nano+joint/joint`, whose weights were trained together with its head.\n\n"
        f"Forwards are no unit of time. A forward of `wino` computes a second block beside the first, shadows that\n"
        f"verify it; with `block_length=all` every forward computes the whole answer, and without it one block.\n"
        f"Seconds of `unmask`, `t2m` and `t2t` are in [accuracy with few forwards](parallel.md), of no others yet."
    )
    if check := record["tf32_check"]:
        with_it, without = map(_percent, check["accuracy"])
        yield (
            f"\nTensorFloat-32 changed whether {check['answers_right_in_one_only']} of {check['problems']} answers\n"
            f"of {check['checkpoint']}, `{check['label']}`, are right ({with_it} with it, {without} without)."
        )
    if record["left"] or record["failed"]:
        count = f"{record['left']} cells have not been measured, {len(record['failed'])} failed"
        yield f"\nNot whole: {count}. Their places say `not run`; the winners are among what was measured."
    yield ""


def _dtype(record: dict[str, Any]) -> str:
    return record["dtype"] + (" with products by TensorFloat-32" if record["tf32"] else "")


def _winners(record: dict[str, Any]) -> Iterator[str]:
    yield "## Which sampler wins?\n"
    yield (
        "The most accurate tuned policy for each budget, and in the last column over all checkpoints, with its Wilson\n"
        "interval of 95 %. + n: so many others cannot be told apart from it, because the paired 95 % interval of the\n"
        "difference, uncorrected, includes 0. The best of many is partly luck.\n"
    )
    places = _checkpoints(record)
    best = {(row["budget"], row["among"]): row for row in record["best"]}
    yield _line(["budget", *places, "of all"])
    yield _rule(len(places) + 2)
    for budget in record["budgets"]:
        cells = [_winner(best.get((budget, place)), "") for place in places]
        first = best.get((budget, "all"))
        yield _line([str(budget), *cells, _winner(first, f"{first['checkpoint']} " if first else "")])
    yield ""


def _winner(row: dict[str, Any] | None, where: str) -> str:
    if row is None:
        return ""
    close = f" + {len(row['close'])}" if row["close"] else ""
    interval = f"[{100 * row['low']:.1f}, {100 * row['high']:.1f}]"
    return f"{where}`{row['policy']}` {_percent(row['accuracy'])} {interval} ({row['nfe']:.1f}){close}"


def _tuned(record: dict[str, Any]) -> Iterator[str]:
    yield "## Tuned for a budget\n"
    compared = record["comparisons"]
    count = {verdict: sum(row["verdict"] == verdict for row in compared) for verdict in MARKS}
    counts = f"{count['better']} are better, {count['worse']} worse, {count['undecided']} undecided"
    yield (
        f"▲ and ▼: better and worse than `unmask` tuned for the same budget on the same checkpoint, by McNemar's\n"
        f"exact test at 5 %, corrected after Holm for all {len(compared)} comparisons: {counts}.\n"
        f"Empty: no candidate is within the budget. Differences with their intervals are in the output.\n"
    )
    by_key = {row["key"]: row for row in record["cells"]}
    verdicts = {(row["checkpoint"], row["policy"], row["budget"]): row["verdict"] for row in compared}
    found = {(row["checkpoint"], row["policy"], row["budget"]): by_key[row["key"]] for row in record["tuned"]}
    wanted = {(row["checkpoint"], row["policy"], row["budget"]) for row in record["unmeasured"]}
    for place in _checkpoints(record):
        yield f"### {place}\n"
        yield _line(["policy", *(f"{budget} forwards" for budget in record["budgets"])])
        yield _rule(len(record["budgets"]) + 1)
        for policy in _policies(record, place):
            keys = [(place, policy, budget) for budget in record["budgets"]]
            yield _line(
                [
                    f"`{policy}`",
                    *(
                        _share(found[key]) + MARKS[verdicts.get(key, "undecided")]
                        if key in found
                        else "not run" * (key in wanted)
                        for key in keys
                    ),
                ]
            )
        yield ""


def _defaults(record: dict[str, Any]) -> Iterator[str]:
    yield "## Published defaults\n"
    yield (
        "Each policy as its paper or public code has it, the whole answer one block where they have it so. Budgets\n"
        "differ widely: the number in brackets belongs to every comparison.\n"
    )
    places = _checkpoints(record)
    cells = {(row["checkpoint"], row["policy"]): row for row in record["cells"] if row["default"]}
    yield _line(["policy", *places])
    yield _rule(len(places) + 1)
    for policy in _policies(record):
        suits = [place for place in places if (policy == "dsc") == ("/" in place)]  # heads are there for DSC alone
        shown = [
            _share(cells[place, policy]) if (place, policy) in cells else "not run" * (place in suits)
            for place in places
        ]
        yield _line([f"`{policy}`", *shown])
    yield ""


def _chosen(record: dict[str, Any]) -> Iterator[str]:
    yield "## What was chosen\n"
    yield "The winners' options; those of all others are under `tuned` in the output.\n"
    yield _line(["budget", "checkpoint", "policy"])
    yield _rule(3)
    for row in record["best"]:
        if row["among"] != "all":
            yield _line([str(row["budget"]), row["checkpoint"], f"`{row['label']}`"])
    yield ""


def _checkpoints(record: dict[str, Any]) -> list[str]:
    return [place for place in record["checkpoints"] if any(row["checkpoint"] == place for row in record["cells"])]


def _policies(record: dict[str, Any], place: str | None = None) -> list[str]:
    """Those with a cell, in the grid's order."""
    there = {row["policy"] for row in record["cells"] if place in (None, row["checkpoint"])}
    order = dict.fromkeys(row["label"].partition("(")[0] for row in record["trials"])
    return [policy for policy in order if policy in there]


def _share(row: dict[str, Any]) -> str:
    return f"{_percent(row['accuracy'])} ({row['nfe']:.1f})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _rule(columns: int) -> str:
    return "|" + "---|" * columns


def measured() -> dict[str, Any] | None:
    """What has been measured, if there is a file."""
    return json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else None


if __name__ == "__main__":
    PAGE.write_text(page(measured()), encoding="utf-8")
