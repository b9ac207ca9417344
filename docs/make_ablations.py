"""docs/results/ablations.md, made from what benchmarks/trained.py measured.

python docs/make_ablations.py
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.trained import ABLATIONS, SEEDS, Variant, devices, is_seed, variants  # noqa: E402  run as a file

RESULTS = ROOT / "benchmarks" / "results"
FIGURES, EARLIER = RESULTS / "ablations.json", RESULTS / "ablations_third.json"
PAGE = ROOT / "docs" / "results" / "ablations.md"
HEAD = """# Ablations of training

<!-- made by docs/make_ablations.py: do not edit -->

Each recipe differs from that of a shipped adapter or head in its objective alone, and each result is decoded under the
sampler that it is trained for. Points are the difference in exact answers from the shipped one on the same problems,
with a paired bootstrap interval of 95 % over the problems; p is McNemar's exact test, corrected after Holm for all
comparisons of its record. A row is one training run: its interval is about these weights, and what another seed does
is in [a section of its own](#seeds).
"""


def about(name: str) -> str:
    """The first comment of a variant's recipe."""
    for path in (ABLATIONS / f"{name}.yaml", ROOT / "dlmsample" / "recipes" / f"{name}.yaml"):
        if path.exists():
            return " ".join(re.findall(r"^# (.*)$", path.read_text(encoding="utf-8"), re.M))
    raise FileNotFoundError(name)


def page(record: dict[str, Any], earlier: dict[str, Any]) -> str:
    """The whole page: the record, and of the earlier one, of former weights, what has not been measured since."""
    known = [variant for variant in variants() if not is_seed(variant.name)]
    done = {row["variant"] for row in record["comparisons"]}
    before = {row["variant"] for row in earlier["comparisons"]} - done
    parts = [HEAD, _how(record, FIGURES), "", *_compared(record, known, done), "", *_seeds(record), ""]
    parts += ["## On former weights\n", _how(earlier, EARLIER), "", *_compared(earlier, known, before), ""]
    return "\n".join([*parts, *_missing(known, done | before)])


def _how(record: dict[str, Any], path: Path) -> str:
    on = f"{record['problems']:,} problems of the {record['split']} split, 160 new tokens, greedy, {record['dtype']}"
    note = f"**{record['note']}**\n\n" if "note" in record else ""
    return (
        f"{note}{on},\n{devices(record)}, torch {record['torch']};\n"
        f"`{record['command']}`,\n[output](../../benchmarks/results/{path.name}); trained by\n"
        "`benchmarks/train_ablations.sh train OUT`, from `benchmarks/ablations` and `dlmsample/recipes`."
    )


def _compared(record: dict[str, Any], known: list[Variant], shown: set[str]) -> Iterator[str]:
    yield "| run | beside | policy | forwards | points | p |"
    yield "|---|---|---|---|---|---|"
    names = {variant.name for variant in known} & shown
    for row in record["comparisons"]:
        if row["variant"] in names:
            forwards = f"{row['forwards']:.1f}, {row['member_forwards']:.1f}"
            points = f"{row['points']:+.1f} [{row['low']:+.1f}, {row['high']:+.1f}]"
            chance = f"{row['p_holm']:.3f}" if row["p_holm"] >= 0.001 else "< 0.001"
            yield f"| `{row['variant']}` | `{row['member']}` | `{row['policy']}` | {forwards} | {points} | {chance} |"
    yield ""
    yield from (f"* `{name}`: {about(name)}" for name in dict.fromkeys(v.name for v in known) if name in names)


def _missing(known: list[Variant], done: set[str]) -> Iterator[str]:
    left = [variant for variant in known if variant.name not in done and not variant.name.startswith("nano_uniform")]
    if left:
        yield "## Not trained yet\n"
        yield from (f"* `{variant.name}`: {about(variant.name)}" for variant in left)
        yield ""


def _seeds(record: dict[str, Any]) -> Iterator[str]:
    """The accuracy of each member's seeds under each of its policies; the shipped one is seed 0."""
    yield "## Seeds\n"
    cells = {(cell["checkpoint"], cell["policy"]): f"{100 * cell['accuracy']:.1f} %" for cell in record["cells"]}
    rows = []
    for recipe in sorted(SEEDS.glob("*_seed1.yaml")):
        member = recipe.stem.removesuffix("_seed1")
        (variant,) = [variant for variant in variants() if variant.name == recipe.stem]
        shipped = f"base+{member}" if variant.head else member
        for policy in variant.policies:
            found = [cells.get((name, policy), "") for name in (shipped, f"{member}_seed1", f"{member}_seed2")]
            if all(found[:2]):
                rows.append(f"| `{member}` | `{policy}` | {' | '.join(found)} |")
    if not rows:
        yield "Recipes of two more seeds a member are in `benchmarks/seeds`; they have not been trained yet."
        return
    yield "The same recipe with another seed, exact answers. Empty: not trained.\n"
    yield "| member | policy | seed 0, shipped | seed 1 | seed 2 |"
    yield "|---|---|---|---|---|"
    yield from rows


if __name__ == "__main__":
    records = (json.loads(path.read_text(encoding="utf-8")) for path in (FIGURES, EARLIER))
    PAGE.write_text(page(*records), encoding="utf-8")
