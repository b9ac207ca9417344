"""Writes what the family's members do, as measured, into their cards: the last section of each README.md.

    python -m benchmarks.cards

Reads benchmarks/results/nano_family.json (benchmarks.family), nano_diagnose.json (``dlmsample diagnose``), and for a
member that the family's measurement does not have, zoo.json (benchmarks.zoo).
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
    "random_t2t": """\
It helps T2T, its own sampler, by 7.0, 9.7 and 4.7 points over the base at fill 0.3, 0.5 and 0.7 (edit 0.5), in
fewer forwards each time. self_generated_t2t helps it far more. Under D3IM it is as good as scope: the two are
undecided at 24 and at 48 steps.""",
    "scope": """\
The papers imply that the base is worse with D3IM than with Unmask. **That does not hold here**: at 24 and 48 steps
base + D3IM is better by 11.8 and 18.8 points. SCOPE adds 4.9 points to it at 24 steps (corrected p 0.002); at 48,
where the base has 96.7 %, it is undecided. Against as much more plain training (mdm) and against the copying control
it is better at both, at 48 against mdm barely (corrected p 0.20). Against random_t2t under D3IM it is undecided, and
self_generated_t2t is better at 24 steps, by 7.4 points. Part of what D3IM gains is its EOS rule: without both
channels, where nothing else tells it from Unmask, it has 85.2 % on the base at 48 steps against 76.8 % (500
problems, PAPERS.md). The preservation of wrong commits does not fall beyond the interval. Where it helps beside
D3IM: T2M at fill 0.5 gains 11.0 points over the base in 0.4 forwards more, T2T at fill 0.5, edit 0.5 gains 14.6 in
2.1 forwards fewer.""",
    "self_generated_t2t": """\
It has the best accuracy of the adapters in nearly every cell; in Unmask with 24 and 48 steps over the whole answer
it has not (69.1 and 81.9 %, scope 76.2 and 83.1 %). With T2T at fill 0.5 it has 97.9 % in 23.6 forwards; the base
has 98.1 % at one token a step, in 109.6. It replaces less than random_t2t (10.4 against 20.1 edits per 100 tokens at
fill 0.3, edit 0.5) and is right more often (81.4 % against 45.0 %). It is less sure of its tokens, so that the same
threshold costs it more forwards (58.6 against 35.0 at fill 0.7); with a third fewer, at fill 0.5, it is still ahead
of random_t2t at fill 0.7: 97.9 % against 95.3 %. At fill 0.3, with half of the other's forwards, it is behind. The
editing is not all of it: plain Unmask gains 7.9 to 15.8 points over the base at two to five tokens per step, and
D3IM 12.3 at 24 steps. **What it costs**: on 200 short questions (`benchmarks/results/nano_short_members.json`) it has
83.5 % with Unmask at one token a step, where the base has 91.5 %; T2M and T2T bring it to 91.0 %, in 12.5 forwards,
where the other adapters take 8 to 9.""",
    "base+fca": """\
Better than random remasking at every quota, which takes 3 to 6 % more forwards there, so this holds at about equal
forwards too. Those with random remasking at one token more are no such comparisons: the head takes 16 to 46 % more
forwards in them. Its threshold was chosen by decoding; on a draft it flags a third of the tokens, nearly all of the
2 % that are wrong among them. **A quota is a poor way to spend forwards**: on the base, Unmask with threshold 0.7 has
94.2 % in 34.9 forwards and T2M at fill 0.7 95.6 % in 36.5, the head at four tokens per step 88.2 % in 37.3. Plain
Unmask on the adapter self_generated_t2t is as good as the head on the base at two and three tokens a step and better
at four and five, in fewer forwards; on random_t2t it is worse by 5.7 to 12.3 points.""",
    "base+uniform": """\
Its threshold flags 93 % of the tokens of a draft, and it tells wrong ones from right ones less well than fca. It is
better than Unmask at equal quotas, in more forwards, and worse than fca at every one. Beside random remasking (92.7,
87.8, 80.5 and 76.5 % at two to five tokens per step, in 7 to 16 % more forwards) it gains 0.4 to 4.1 points.""",
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


def in_the_zoo(label: str) -> tuple[str, str]:
    """What the zoo calls the member, and what it is set beside: nano, or another head on it.

    Example:
        >>> in_the_zoo("certainty"), in_the_zoo("base+prism"), in_the_zoo("base+joint")
        (('nano+certainty', 'nano'), ('nano/prism', 'nano/fca'), ('nano+joint/joint', 'nano/fca'))
    """
    if label in ("joint", "base+joint"):
        return "nano+joint/joint", "nano/fca"
    head = label.removeprefix("base+")
    return (f"nano/{head}", "nano/fca") if head != label else (f"nano+{label}", "nano")


def tuned(label: str, zoo: dict[str, Any]) -> str:
    """The section of a member that the zoo measured: each policy tuned for each budget, as Markdown."""
    own, other = in_the_zoo(label)
    cells = {cell["key"]: cell for cell in zoo["cells"]}
    found = {(row["checkpoint"], row["policy"], row["budget"]): cells[row["key"]] for row in zoo["tuned"]}
    lines = [
        TITLE,
        f"{zoo['problems']:,} problems of the test split, 160 new tokens, greedy, {zoo['dtype']}, "
        f"{' and '.join(zoo['device'])}; each policy as it was",
        f"tuned for a budget of forwards on {zoo['validation_problems']} problems of the validation split, `{own}`",
        f"beside `{other}`,",
        f"`{zoo['command']}`:",
        "",
        f"| policy | forwards at most | `{own}` | its forwards | `{other}` | its forwards |",
        "|---|---|---|---|---|---|",
    ]
    for (checkpoint, policy, budget), cell in found.items():
        beside = found.get((other, policy, budget))
        if checkpoint == own and beside is not None:
            lines.append(
                f"| `{policy}` | {budget} | {cell['accuracy']:.1%} | {cell['nfe']:.1f} | {beside['accuracy']:.1%} "
                f"| {beside['nfe']:.1f} |"
            )
    lines += ["", "One run (seed 0). Intervals and options: `docs/results/zoo.md`."]
    return "\n".join(lines) + "\n"


def main() -> None:
    zoo = json.loads((RESULTS / "zoo.json").read_text(encoding="utf-8"))
    family = json.loads((RESULTS / "nano_family.json").read_text(encoding="utf-8"))
    diagnosed = json.loads((RESULTS / "nano_diagnose.json").read_text(encoding="utf-8"))["runs"]
    for label, folder in members():
        path = folder / "README.md"
        before = path.read_text(encoding="utf-8").partition(TITLE)[0].rstrip("\n")
        before = before.replace('"this folder")  # a folder, or its short name or hub id', f'"{folder.name}")')
        if any(cell["checkpoint"] == label for cell in family["cells"]):
            after = section(label, family, diagnosed)
        else:
            after = tuned(label, zoo)
        path.write_text(f"{before}\n\n{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
