"""From measured cells to the zoo's figures: which candidate is asked the test split, and how the policies compare.

Rows are those of benchmarks/zoo.py: checkpoint, policy, label, nfe, accuracy, and which answers are right.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlmsample.ablate.analysis.stats import holm, paired_bootstrap, sign_flip_test, wilson

BUDGETS = (16, 24, 32, 48, 64)
BASELINE = "unmask"
Row = dict[str, Any]


def tuned(trials: Sequence[Row]) -> list[Row]:
    """For each checkpoint, policy and budget the most accurate trial within it, with its ``budget``.

    Of equally accurate ones that with fewer forwards, then the one that stands earlier. Where no trial is within the
    budget there is none.

    Example:
        >>> trial = {"checkpoint": "nano", "policy": "t2t"}
        >>> found = tuned([{**trial, "accuracy": 0.8, "nfe": 30.0}, {**trial, "accuracy": 0.5, "nfe": 20.0}])
        >>> [(row["budget"], row["nfe"]) for row in found]
        [(24, 20.0), (32, 30.0), (48, 30.0), (64, 30.0)]
    """
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in trials:
        groups.setdefault((row["checkpoint"], row["policy"]), []).append(row)
    found = []
    for rows in groups.values():
        for budget in BUDGETS:
            within = [row for row in rows if row["nfe"] <= budget]
            if within:
                found.append({**max(within, key=lambda row: (row["accuracy"], -row["nfe"])), "budget": budget})
    return found


def body(checkpoint: str) -> str:
    """The checkpoint without its head.

    Example:
        >>> body("nano/fca"), body("nano+scope")
        ('nano', 'nano+scope')
    """
    return checkpoint.partition("/")[0]


def figures(tested: Sequence[Row], picked: Sequence[Row], trials: Sequence[Row]) -> dict[str, Any]:
    """Everything the JSON says of the cells.

    Args:
        tested: rows of the test split.
        picked: of :func:`tuned`, with the ``key`` that the same cell has on the test split.
        trials: rows of the validation split.
    """
    by_key = {row["key"]: row for row in tested}
    named = [{name: row[name] for name in ("checkpoint", "policy", "budget", "label", "key")} for row in picked]
    chosen = [row for row in named if row["key"] in by_key]
    return {
        "problems": max((row["problems"] for row in tested), default=0),
        "validation_problems": max((row["problems"] for row in trials), default=0),
        "cells": [{**row, **_interval(row)} for row in tested],
        "tuned": chosen,
        "unmeasured": [row for row in named if row["key"] not in by_key],
        "comparisons": _comparisons(by_key, chosen),
        "best": list(_best(by_key, chosen)),
        "trials": [
            {
                "checkpoint": row["checkpoint"],
                "label": row["label"],
                "accuracy": round(row["accuracy"], 4),
                "nfe": round(row["nfe"], 2),
            }
            for row in trials
        ],
    }


def _interval(row: Row) -> dict[str, float]:
    low, high = wilson(row["accuracy"], row["problems"])
    return {"low": round(low, 4), "high": round(high, 4)}


def _right(row: Row) -> NDArray[np.int64]:
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(row["correct"]), np.uint8))
    return bits[: row["problems"]].astype(np.int64)


def _comparisons(by_key: dict[str, Row], chosen: Sequence[Row]) -> list[Row]:
    """Each tuned policy against the tuned Unmask of its body and budget."""
    bases = {(row["checkpoint"], row["budget"]): row for row in chosen if row["policy"] == BASELINE}
    pairs = [
        (row, base)
        for row in chosen
        if row["policy"] != BASELINE and (base := bases.get((body(row["checkpoint"]), row["budget"]))) is not None
    ]
    if not pairs:
        return []
    differences = np.stack([_right(by_key[row["key"]]) - _right(by_key[base["key"]]) for row, base in pairs], 1)
    low, high = paired_bootstrap(differences)
    chances = [sign_flip_test(column) for column in differences.T]
    return [
        {
            **{name: row[name] for name in ("checkpoint", "policy", "budget", "label")},
            "baseline": base["label"],
            "forwards": round(by_key[row["key"]]["nfe"], 2),
            "baseline_forwards": round(by_key[base["key"]]["nfe"], 2),
            "points": round(100 * float(difference.mean()), 1),
            "low": round(100 * float(least), 1),
            "high": round(100 * float(most), 1),
            "p": p,
            "p_holm": corrected,
            "verdict": ("better" if difference.sum() > 0 else "worse") if corrected < 0.05 else "undecided",
        }
        for (row, base), difference, least, most, p, corrected in zip(
            pairs, differences.T, low, high, chances, holm(chances), strict=True
        )
    ]


def _best(by_key: dict[str, Row], chosen: Sequence[Row]) -> Iterator[Row]:
    """For each budget and checkpoint, and for each budget over all of them (``all``), the most accurate tuned policy.

    Beside it the others whose paired 95 % interval against it, corrected for nothing, holds 0.
    """
    ranked = sorted(chosen, key=lambda row: (-by_key[row["key"]]["accuracy"], by_key[row["key"]]["nfe"]))
    groups = {
        (budget, place): rows
        for budget in BUDGETS
        for place in (*dict.fromkeys(row["checkpoint"] for row in chosen), "all")
        if (rows := [r for r in ranked if r["budget"] == budget and place in ("all", r["checkpoint"])])
    }
    if not groups:
        return
    right = {key: _right(row) for key, row in by_key.items()}
    columns = [right[rows[0]["key"]] - right[row["key"]] for rows in groups.values() for row in rows]
    low = iter(paired_bootstrap(np.stack(columns, 1))[0])  # one call: its draws are the same for every column
    for (budget, place), rows in groups.items():
        first = rows[0]
        close = [row for row, least in zip(rows, low, strict=False) if least <= 0][1:]
        yield {
            "budget": budget,
            "among": place,
            **{name: first[name] for name in ("checkpoint", "policy", "label")},
            **{name: by_key[first["key"]][name] for name in ("accuracy", "nfe")},
            **_interval(by_key[first["key"]]),
            "close": [f"{row['checkpoint']} {row['policy']}" for row in close],
        }
