"""Answers as JSON lines for machines, and as text with their statistics for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from dlmsample.cli import screen
from dlmsample.models.text.messages import text_of

if TYPE_CHECKING:
    from rich.console import Console

    from dlmsample.types import Output, RowStats


def template_ids(model: Any, text: str, how: Any = None) -> list[int | None]:
    """The ids of a text with masks, which are None. ``how``: the ``chat`` of the library."""
    from dlmsample.models.template import open_template

    return [None if token == model.mask_id else token for token in open_template(model, text, how).ids]


def write_json(stream: TextIO, asked: Sequence[Any], out: Output, policy: Mapping[str, Any] | None = None) -> None:
    """One object per prompt per line; ASCII only, so that no text can break a line or a terminal.

    ``policy``: its name and options, where the command does not spell them out (``auto``, a file).
    """
    rows = zip(asked, out.texts, out.tokens, out.stats, strict=True)
    for index, (prompt, text, tokens, stats) in enumerate(rows):
        row = {"index": index, "prompt": prompt, "text": text, "tokens": tokens, "stats": stats.asdict()}
        if _approximate(out.cache):
            row["cache"] = out.cache
        if policy is not None:
            row["policy"] = policy
        stream.write(json.dumps(row) + "\n")


def write_text(
    page: Console,
    asked: Sequence[Any],
    out: Output,
    model: Any,
    length: int | None,
    steps: bool,
    given: Sequence[list[int | None] | None],
) -> None:
    """For people: each text, then a dim line of statistics; several prompts are numbered and repeated.

    ``length``: answer positions; None: the prompts are texts with masks. ``steps``: before each text how it came about.
    ``given``: the ids of each text with masks.
    """
    from rich.text import Text

    from dlmsample.cli.answers.steps import show

    for index, (prompt, text, stats) in enumerate(zip(asked, out.texts, out.stats, strict=True)):
        if len(asked) > 1:
            said = prompt if isinstance(prompt, str) else text_of(prompt[-1])
            screen.say(page, f"{'' if index == 0 else chr(10)}[{index + 1}] {said}")
        if steps and out.trace is not None:
            ids = given[index]
            places = length if ids is None else ids.count(None)
            show(page, out.trace[index], places or 0, lambda token: model.tokenizer.decode([token]), ids)
            screen.say(page, "")
        screen.say(page, text)
        cache = f", cache {out.cache}" if _approximate(out.cache) else ""
        page.print(Text(_figures(stats) + cache, "dim"), soft_wrap=True)


def _approximate(cache: str) -> bool:
    """Whether a cache changes what comes out."""
    from dlmsample.models.attention.approximate import APPROXIMATIONS

    return cache in APPROXIMATIONS


def _figures(stats: RowStats) -> str:
    figures = {
        "steps": stats.steps,
        "nfe": stats.nfe,
        "tokens": stats.tokens,
        "tokens/forward": f"{stats.tokens_per_forward:.2f}",
        "edits per 100": f"{stats.edits_per_100:.1f}",
        "forced": "yes (masks left at the bound on steps were filled as they stood)" if stats.forced else "no",
        "finish": stats.finish_reason,
    }
    return ", ".join(f"{name} {value}" for name, value in figures.items())
