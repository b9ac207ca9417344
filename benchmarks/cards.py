"""Writes what the family's members do, as measured, into their cards: the last section of each README.md.

    python -m benchmarks.cards

Reads benchmarks/results/nano_family.json (benchmarks.family) and nano_diagnose.json (``dlmsample diagnose``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.family import comparisons

RESULTS = Path(__file__).parent / "results"
NANO = Path(__file__).parents[1] / "dlmsample" / "models" / "nano"
TITLE = "## What it does"
DIAGNOSE = (
    "dlmsample diagnose nano {} --mask-rate {} --split test --limit 1000 --batch-size 250 --device cuda --dtype float32"
)
BASE = {"base+fca": "base unmask", "base+uniform": "base unmask"}
"""A head's cells stand beside plain decoding at the same quota."""


NOTES = {
    "scope": """\
SCOPE is not the best adapter for its own sampler here: D3IM does better with random_t2t (by 3.9 and 1.4 points at
24 and 48 steps) and with self_generated_t2t (8.8 and 1.3). The papers imply that the base is worse with D3IM than
with Unmask. **That does not hold here**: at 24 and 48 steps base + D3IM is better by 19.0 and 23.4 points, so SCOPE
adds little to it (4.3 and 1.9). Much of that is D3IM's EOS rule: without both channels, where nothing else tells it
from Unmask, it has 88.4 % against 70.8 % at 48 steps on the base (500 problems, PAPERS.md). Nor does the
preservation of wrong commits fall beyond the interval: the more confident half of this model's commits is all but
free of errors (0.07 % of the positions were wrong commits in SCOPE's training, 6.2 % right ones), so it sees next
to none to learn from.""",
    "self_generated_t2t": """\
Its gain under T2T is one at equal thresholds and costs forwards: it goes on replacing (115 edits per 100 tokens at
fill 0.3, edit 0.5, against 22) until `max_post_steps` ends it. **At about equal forwards it loses**: 89.8 % in 37.1
forwards against random_t2t's 95.6 % in 33.2. In a trace (problem 1 of the validation split, fill 0.3) two positions
that disagree ("17 times 17 is 170") are replaced in the same step, each to suit the other, and back again in the
next. T2M, which masks instead, uses the same weights better: 97.4 % in 27.0 forwards.""",
    "base+fca": """\
Random remasking costs more forwards than the head at the same quota (80.4 against 58.3 at two tokens per step). At
equal quotas the two are undecided but for three tokens per step; at about equal forwards the head is better, or
undecided at four against five. Plain Unmask on the adapter random_t2t does as well as the head on the base at every
quota.""",
}
"""What the numbers do not say by themselves."""


def members() -> Iterator[tuple[str, Path]]:
    """(label in the results, folder) of every shipped adapter and head."""
    for folder in sorted((NANO / "adapters").iterdir()):
        yield folder.name, folder
    for folder in sorted((NANO / "heads").iterdir()):
        yield f"base+{folder.name}", folder


def accuracies(label: str, family: dict[str, Any]) -> Iterator[str]:
    """A row per policy: the member, and the base under the same policy (for a head: under Unmask)."""
    cells = {f"{c['checkpoint']} {c['policy']}": c for c in family["cells"]}
    for name, cell in cells.items():
        if cell["checkpoint"] != label:
            continue
        other = f"base {cell['policy']}" if label not in BASE else name.replace(f"{label} dsc", BASE[label])
        base = cells[other]
        yield (
            f"| `{cell['policy']}` | {cell['accuracy']:.1%} | {cell['nfe']:.1f} | {cell['edits_per_100']:.1f} "
            f"| {base['accuracy']:.1%} | {base['nfe']:.1f} |"
        )


def interval(share: dict[str, Any]) -> str:
    if share["value"] is None:
        return "-"
    return f"{share['value']:.1%} [{share['low']:.1%}, {share['high']:.1%}]"


def stress(label: str, diagnosed: list[dict[str, Any]]) -> Iterator[str]:
    """The wrong-commit stress test at mask rate 0.9, of the member and of the base."""
    for name in ("base", label):
        adapter = None if name == "base" else name
        for run in diagnosed:
            found = run["stress"]
            if (run["adapter"], run["head"], found["mask_rate"]) == (adapter, None, 0.9):
                shares = " | ".join(interval(found[key]) for key in ("wrong", "kept", "preserved", "recovered"))
                yield f"| {name} | {shares} |"


def detection(label: str, diagnosed: list[dict[str, Any]]) -> str:
    """How well a head finds wrong tokens, in words."""
    found = next(run["detection"] for run in diagnosed if f"base+{run['head']}" == label)
    return (
        f"On the model's own drafts (`{DIAGNOSE.format(label.replace('base+', '--head '), 0.5)}`): "
        f"{found['positive_rate']:.1%} of "
        f"{found['positions']:,} tokens wrong, AUC {found['auc']:.3f}; at P_error > 0.5 "
        f"precision {found['precision']:.1%}, recall {found['recall']:.1%}."
    )


def section(label: str, family: dict[str, Any], diagnosed: list[dict[str, Any]]) -> str:
    """The section as Markdown."""
    beside = "base, Unmask" if label in BASE else "base"
    lines = [
        TITLE,
        "{problems:,} problems of the {split} split, 160 new tokens, greedy, {dtype}, {device},".format(**family),
        f"`{family['command']}`:",
        "",
        f"| policy | exact answers | forwards | edits per 100 tokens | {beside} | its forwards |",
        "|---|---|---|---|---|---|",
        *accuracies(label, family),
    ]
    claims = [c for c in comparisons(family["cells"], family["problems"]) if c["cell"].startswith(f"{label} ")]
    if claims:
        lines += [
            "",
            "| first against second | forwards | difference, points, paired 95 % interval | first better | p, Holm |",
            "|---|---|---|---|---|",
        ]
        row = (
            "| {claim} | {forwards:.1f}, {baseline_forwards:.1f} | {points:+.1f} [{low:+.1f}, {high:+.1f}] "
            "| {verdict} | {p_holm:.2g} |"
        )
        lines += [row.format(**claim) for claim in claims]
        lines += [
            "",
            "The verdict is the interval's; p is corrected for all comparisons of the record. One run (seed 0):",
            "the intervals are about these weights, not about what another run of the recipe would give.",
        ]
    if label in BASE:
        lines += ["", detection(label, diagnosed)]
    else:
        lines += [
            "",
            "Wrong-commit stress test, the surer half of the masked committed (at mask rate 0.5 hardly one is wrong),",
            f"`{DIAGNOSE.format(f'--adapter {label}', 0.9)}`:",
            "",
            "| | wrong commits | right ones kept | wrong ones preserved | recovered to gold |",
            "|---|---|---|---|---|",
            *stress(label, diagnosed),
        ]
    if label in NOTES:
        lines += ["", NOTES[label]]
    return "\n".join(lines) + "\n"


def main() -> None:
    family = json.loads((RESULTS / "nano_family.json").read_text(encoding="utf-8"))
    diagnosed = json.loads((RESULTS / "nano_diagnose.json").read_text(encoding="utf-8"))["runs"]
    for label, folder in members():
        path = folder / "README.md"
        before = path.read_text(encoding="utf-8").partition(TITLE)[0].rstrip("\n")
        before = before.replace('"this folder")  # a folder, or its short name or hub id', f'"{folder.name}")')
        path.write_text(f"{before}\n\n{section(label, family, diagnosed)}", encoding="utf-8")


if __name__ == "__main__":
    main()
