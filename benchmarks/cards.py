"""Writes what the family's members do, as measured, into their cards: the last section of each README.md.

    python -m benchmarks.cards

Reads benchmarks/results/nano_family.json (benchmarks.family), nano_diagnose.json (``dlmsample diagnose``), and for a
member that the family's measurement does not have, ablations.json (benchmarks.trained) or parallel.json
(benchmarks.parallel).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.family import comparisons
from benchmarks.trained import devices

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
It helps T2T, its own sampler, by 9.5, 8.7 and 2.5 points over the base at fill 0.3, 0.5 and 0.7 (edit 0.5), in
fewer forwards each time. self_generated_t2t helps it far more. Under D3IM it is as good as scope: the two are
undecided at 24 and at 48 steps.""",
    "scope": """\
The papers imply that the base is worse with D3IM than with Unmask. **That does not hold here**: at 24 and 48 steps
base + D3IM is better by 17.6 and 20.7 points, so that there is little left for SCOPE to add: 2.9 points at 24
steps, barely (corrected p 0.31), and at 48 it is undecided. Against mdm and random_t2t under D3IM it is undecided
at both, and self_generated_t2t is better, by 8.7 and 1.6 points. Part of what D3IM gains on the base is its EOS
rule: without both channels, where nothing else tells it from Unmask, it has 88.4 % against 76.8 % at 48 steps (500
problems, PAPERS.md). On this adapter that rule costs accuracy: at 24 steps 87.0 % with it, 91.0 % without
(`eos=none`). Nor does the preservation of wrong commits fall beyond the interval. The more confident half of this
model's commits is all but free of errors (in the last logged step of SCOPE's training 0.08 % of the positions were
wrong commits, 11.9 % right ones), so it sees next to none to learn from. Where it does help is elsewhere: T2M at
fill 0.5 gains 13.1 points over the base, T2T at fill 0.5, edit 0.5 gains 14.4, each in 0.8 forwards more.""",
    "self_generated_t2t": """\
It has the best accuracy of the adapters in every cell but Unmask with 24 steps over the whole answer (72.6 %
against scope's 73.5 %). With T2T at fill 0.5 it has 97.1 % in 22.8 forwards; the base has the same at one token a
step, in 109.8. It replaces less than random_t2t (11.5 against 20.2 edits per 100 tokens at fill 0.3, edit 0.5) and
is right more often (80.4 % against 44.1 %). It is less sure of its tokens, so that the same threshold costs it more
forwards (57.4 against 34.7 at fill 0.7); with a third fewer, at fill 0.5, it is still ahead of random_t2t at fill
0.7: 97.1 % against 94.8 %. At fill 0.3, with half of the other's forwards, it is behind. The editing is not all of
it: plain Unmask gains 6.3 to 14.2 points over the base at two to five tokens per step, and D3IM 11.6 at 24 steps.
**What it costs**: on 200 short questions (`benchmarks/results/nano_short_members.json`) it has 72.5 % with Unmask
at one token a step, where the base has 86.0 %; T2M and T2T bring it to 86.0 %, in 13.3 forwards, where the other
adapters take 8 to 9.""",
    "base+fca": """\
Better than random remasking at every quota, at two tokens per step barely (corrected p 0.14). Random remasking
takes 4 to 7 % more forwards there, so this holds at about equal forwards too. Those with random remasking at one
token more are no such comparisons: the head takes 15 to 45 % more forwards in them. Its threshold was chosen by
decoding. On a draft it flags a third of the tokens, nearly all of the 2 % that are wrong among them. **A quota is a
poor way to spend forwards**: on the base, Unmask with threshold 0.7 has 93.7 % in 34.5 forwards and T2M at fill 0.7
95.1 % in 36.0, the head at four tokens per step 88.7 % in 37.1. Plain Unmask on the adapter self_generated_t2t is
within 1.5 points of the head on the base at every quota, in fewer forwards; on random_t2t it is worse by 6.8 to
11.1 points.""",
    "base+uniform": """\
Its threshold flags 87 % of the tokens of a draft, and it tells wrong ones from right ones less well than fca. It is
better than Unmask at equal quotas, in more forwards, and worse than fca at every one. Beside random remasking
(93.2, 87.5, 81.7 and 78.2 % at two to five tokens per step, in 8 to 17 % more forwards) it shows no clear gain.""",
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


def parallel(label: str, measured: dict[str, Any]) -> str:
    """The section of a member that was measured for its tokens a forward, as Markdown."""
    cells = {(c["checkpoint"], c["policy"]): c for c in measured["cells"]}
    lines = [
        TITLE,
        f"{measured['problems']:,} problems of the {measured['split']} split, {measured['new_tokens']} new tokens, "
        f"greedy, {measured['dtype'].removeprefix('torch.')}, {measured['device']},",
        f"`{measured['command']}`:",
        "",
        "| policy | exact answers | tokens a forward | base | its tokens a forward |",
        "|---|---|---|---|---|",
    ]
    for (owner, policy), cell in cells.items():
        if owner == label:
            base = cells["base", policy]
            lines.append(
                f"| `{policy}` | {cell['accuracy']:.1%} | {cell['tokens_per_forward']:.2f} | {base['accuracy']:.1%} "
                f"| {base['tokens_per_forward']:.2f} |"
            )
    lines += ["", "One run (seed 0). At equal accuracy, with intervals: `docs/results/parallel.md`."]
    return "\n".join(lines) + "\n"


def beside(run: str, measured: dict[str, Any]) -> str:
    """The section of a member that was measured as an ablation, beside another one, as Markdown."""
    cells = {(c["checkpoint"], c["policy"]): c for c in measured["cells"]}
    rows = [row for row in measured["comparisons"] if row["variant"] == run]
    other = rows[0]["member"].removeprefix("base+")
    lines = [
        TITLE,
        f"{measured['problems']:,} problems of the {measured['split']} split, 160 new tokens, greedy, "
        f"{measured['dtype']}, {devices(measured, run)},",
        f"beside the head `{other}`; `benchmarks/results/ablations.json` has the commands:",
        "",
        f"| policy | exact answers | forwards | {other} | its forwards | points, paired 95 % interval | p, Holm |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        ours, theirs = (cells[name, row["policy"]]["accuracy"] for name in (run, row["member"]))
        lines.append(
            f"| `{row['policy']}` | {ours:.1%} | {row['forwards']:.1f} | {theirs:.1%} "
            f"| {row['member_forwards']:.1f} | {row['points']:+.1f} [{row['low']:+.1f}, {row['high']:+.1f}] "
            f"| {row['p_holm']:.2g} |"
        )
    lines += ["", "One run (seed 0); p is corrected for all comparisons of the record: `docs/results/ablations.md`."]
    return "\n".join(lines) + "\n"


def main() -> None:
    ablated = json.loads((RESULTS / "ablations.json").read_text(encoding="utf-8"))
    measured = json.loads((RESULTS / "parallel.json").read_text(encoding="utf-8"))
    family = json.loads((RESULTS / "nano_family.json").read_text(encoding="utf-8"))
    diagnosed = json.loads((RESULTS / "nano_diagnose.json").read_text(encoding="utf-8"))["runs"]
    for label, folder in members():
        path = folder / "README.md"
        before = path.read_text(encoding="utf-8").partition(TITLE)[0].rstrip("\n")
        before = before.replace('"this folder")  # a folder, or its short name or hub id', f'"{folder.name}")')
        if any(cell["checkpoint"] == label for cell in family["cells"]):
            after = section(label, family, diagnosed)
        elif any(cell["checkpoint"] == f"nano_{folder.name}" for cell in ablated["cells"]):
            after = beside(f"nano_{folder.name}", ablated)
        else:
            after = parallel(label, measured)
        path.write_text(f"{before}\n\n{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
