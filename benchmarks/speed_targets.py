"""Which of the speed targets the results of ``benchmarks.speed`` hold, for LLaDA-8B made block-causal."""

from __future__ import annotations

from typing import Any, NamedTuple

from benchmarks.order import MAIN, PREFIX
from benchmarks.speed_report import LABELS, Cells, done, new_tokens

OURS = ("ours_fused", "ours")
FASTER = {1: 3.5, 8: 6.5, 32: 8.0}
"""Batch -> tokens per second over those of the better other decoder, at least."""
ROOFLINE, OUTSIDE, BATCHED, FLAT, FIRST = 1.3, 0.03, 8.0, 1.10, 60.0


class Target(NamedTuple):
    """One of them."""

    what: str
    needed: str
    measured: str
    holds: bool | None  #: None: not measured


def targets(record: dict[str, Any]) -> list[Target]:
    """All of them, from results that may hold several lengths.

    Of dlmsample the faster of as it comes and compiled counts; of the others those with the same steps.
    """
    every = done(record)
    cells = [cell for cell in every if cell["shape"] == MAIN]
    lengths = sorted({new_tokens(cell, record) for cell in cells})
    usual = [cell for cell in cells if new_tokens(cell, record) == lengths[0]]
    found = [_faster(usual, batch, factor) for batch, factor in FASTER.items()]
    found += [_roofline(usual), _outside(usual), _batched(usual)]
    long = [cell for cell in cells if new_tokens(cell, record) == lengths[-1] != lengths[0]]
    head = f"{lengths[-1]:,} new tokens over {lengths[0]:,}" if long else "long answers over short ones"
    found.append(_flat(usual, long, head))
    found += [_grows(usual, long, batch, head) for batch in sorted({c["batch"] for c in long} - {1}) or [8]]
    return [*found, _first(every)]


def targets_table(record: dict[str, Any]) -> str:
    """Markdown."""
    lines = ["| target | needed | measured | |", "|---|---|---|---|"]
    said = {True: "holds", False: "**missed**", None: "not measured"}
    lines += [
        f"| {what} | {needed} | {measured} | {said[holds]} |" for what, needed, measured, holds in targets(record)
    ]
    return "\n".join(lines)


def _best(cells: Cells, batch: int) -> dict[str, Any] | None:
    """Ours, the fastest."""
    mine = [cell for cell in cells if cell["batch"] == batch and cell["peer"] in OURS]
    return max(mine, key=lambda cell: cell["tokens_per_s"], default=None)


def _faster(cells: Cells, batch: int, factor: float) -> Target:
    what, needed = f"tokens/s at batch {batch} over the better other decoder", f"≥ {factor}×"
    mine = _best(cells, batch)
    others = [c for c in cells if c["batch"] == batch and c["peer"] in PREFIX and mine and c["steps"] == mine["steps"]]
    if mine is None or not others:
        return Target(what, needed, "", None)
    other = max(others, key=lambda cell: cell["tokens_per_s"])
    ratio = mine["tokens_per_s"] / other["tokens_per_s"]
    alone = "" if len(others) == len(PREFIX) else ", the only one measured"
    shown = f"{ratio:.2f}× ({_name(mine)}, over {_name(other)}{alone})"
    return Target(what, needed, shown, ratio >= factor)


def _roofline(cells: Cells) -> Target:
    what, needed = "a step at batch 1 over reading the weights and the cache once", f"≤ {ROOFLINE}×"
    mine = _best(cells, 1)
    if mine is None:
        return Target(what, needed, "", None)
    spread, played = 1 / mine["roofline_share"], mine.get("captured")
    if played is None:
        return Target(what, needed, f"{spread:.2f}× ({mine['ms_per_step']:.2f} ms, {_name(mine)})", spread <= ROOFLINE)
    times = spread * played["ms_with_update"] / mine["ms_per_step"]
    shown = (
        f"{times:.2f}× ({played['ms_with_update']:.2f} ms, {_name(mine)}; {spread:.2f}× with prompt and cache writes)"
    )
    return Target(what, needed, shown, times <= ROOFLINE)


def _outside(cells: Cells) -> Target:
    what, needed = "of a step's time, what is not the model's forward", f"≤ {OUTSIDE:.0%}".replace("%", " %")
    mine = [_best(cells, batch) for batch in sorted({cell["batch"] for cell in cells})]
    shares = [(cell["batch"], 1 - cell["forward_share"]) for cell in mine if cell and cell["forward_share"] is not None]
    if not shares:
        return Target(what, needed, "", None)
    shown = ", ".join(f"{100 * share:.1f} % at batch {batch}" for batch, share in shares)
    return Target(what, needed, shown, max(share for _, share in shares) <= OUTSIDE)


def _batched(cells: Cells) -> Target:
    what, needed = "tokens/s at batch 32 over batch 1", f"≥ {BATCHED:.0f}×"
    many = _best(cells, 32)
    one = next((c for c in cells if many and c["batch"] == 1 and c["peer"] == many["peer"]), None)
    if many is None or one is None:
        return Target(what, needed, "", None)
    ratio = many["tokens_per_s"] / one["tokens_per_s"]
    return Target(what, needed, f"{ratio:.1f}× ({_name(many)})", ratio >= BATCHED)


def _pair(usual: Cells, long: Cells, batch: int) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The same decoder of ours with few and with many new tokens."""
    one = _best(long, batch)
    other = next((c for c in usual if one and c["batch"] == batch and c["peer"] == one["peer"]), None)
    return (other, one) if one and other else None


def _flat(usual: Cells, long: Cells, head: str) -> Target:
    what, needed = f"time per token at batch 1, {head}", f"≤ {FLAT:.2f}×"
    pair = _pair(usual, long, 1)
    if pair is None:
        return Target(what, needed, "", None)
    ratio = pair[0]["tokens_per_s"] / pair[1]["tokens_per_s"]
    return Target(what, needed, f"{ratio:.2f}× ({_name(pair[1])})", ratio <= FLAT)


def _grows(usual: Cells, long: Cells, batch: int, head: str) -> Target:
    what = f"time per token at batch {batch}, {head}"
    pair = _pair(usual, long, batch)
    if pair is None:
        return Target(what, "≤ cache bytes, long over short", "", None)
    ratio = pair[0]["tokens_per_s"] / pair[1]["tokens_per_s"]
    bytes_ = pair[1]["cache_bytes"] / pair[0]["cache_bytes"]
    return Target(what, f"≤ {bytes_:.1f}× (the cache's bytes)", f"{ratio:.2f}× ({_name(pair[1])})", ratio <= bytes_)


def _first(cells: Cells) -> Target:
    what, needed = "a first call over later ones (compile, capture), every shape", f"< {FIRST:.0f} s"
    mine = [c for c in cells if c["peer"] in OURS and c.get("first_extra_seconds") is not None]
    if not mine:
        return Target(what, needed, "", None)
    worst = max(mine, key=lambda cell: cell["first_extra_seconds"])
    shown = f"{worst['first_extra_seconds']:.1f} s at most ({worst['shape']}, batch {worst['batch']}, {_name(worst)})"
    return Target(what, needed, shown, worst["first_extra_seconds"] < FIRST)


def _name(cell: dict[str, Any]) -> str:
    return LABELS[cell["peer"]]
