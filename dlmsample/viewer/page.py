"""Pages with the viewer: one file each, which asks nobody for anything.

The script is fixed text whose hash stands in the page's policy, so that a browser runs this script and no other. What
models, prompts and settings say is data: escaped in the markup, and JSON in a block that no browser executes.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from dlmsample.support.html import allow, render
from dlmsample.viewer.runs import DecodeIds, TracedAnswer, figures, run_data

_HERE = Path(__file__).parent
#: Answers on a page, and how many of them are open at first.
MOST, _OPEN = 100, 3


def trace_page(
    answers: Sequence[TracedAnswer],
    decode: DecodeIds,
    eos_ids: Collection[int],
    policies: Sequence[Mapping[str, Any]],
    settings: Mapping[str, str],
    command: str | None = None,
) -> str:
    """How answers were decoded, step by step.

    Args:
        answers: in the prompts' order; those past ``MOST`` are counted only.
        decode: ids to text, special tokens kept.
        eos_ids: ids that end an answer.
        policies: of each run, its name, rule, paper and options.
        settings: what else decided the answers, for people.
        command: that made the page.
    """
    shown = [
        {
            "number": number,
            "prompt": answer.prompt,
            "gold": answer.gold,
            "runs": [{"label": run.label, "text": run.text, "figures": figures(run.stats)} for run in answer.runs],
        }
        for number, answer in enumerate(answers[:MOST], 1)
    ]
    data = [[run_data(run, decode, eos_ids, a.given) for run in a.runs] for a in answers[:MOST]]
    return page(
        "trace",
        ("viewer.js", "trace.js"),
        data,
        answers=shown,
        left_out=len(answers) - len(shown),
        open=len(shown) if len(shown) <= _OPEN else 1,
        policies=policies,
        settings=settings,
        command=command,
    )


def page(name: str, scripts: Sequence[str], data: Any, connect: bool = False, **values: Any) -> str:
    """A page from this folder's template ``name.html.j2``.

    Args:
        name: of the template.
        scripts: files of this folder, in the order in which they run.
        data: what the scripts read, as JSON.
        connect: whether they may talk to the server that the page comes from.
        values: what the template uses.
    """
    from markupsafe import Markup

    script = "\n".join((_HERE / file).read_text(encoding="utf-8") for file in scripts)
    told = json.dumps(data, ensure_ascii=True).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    allowed = allow(script) + ("; connect-src 'self'" if connect else "")
    return render(_HERE, name, script=Markup(script), data=Markup(told), allowed=allowed, **values)
