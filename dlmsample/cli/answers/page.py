"""``--trace``: one page that shows how each answer was decoded, step by step, from the recorded events alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import dlmsample
from dlmsample.models.text.messages import text_of
from dlmsample.types import Output
from dlmsample.viewer.page import trace_page
from dlmsample.viewer.runs import TracedAnswer, TracedRun

if TYPE_CHECKING:
    from dlmsample.decoding.sampler import Sampler
    from dlmsample.policies.base import Policy


def labels(policies: Sequence[Policy]) -> list[str]:
    """What runs are called: by their policy, numbered where that is the same.

    Example:
        >>> labels([dlmsample.T2M(), dlmsample.T2M(threshold=0.2)]), labels([dlmsample.T2M()])
        (['t2m (1)', 't2m (2)'], ['t2m'])
    """
    names = [policy.name for policy in policies]
    return [f"{name} ({at})" if names.count(name) > 1 else name for at, name in enumerate(names, 1)]


def answers_of(
    asked: Sequence[Any],
    runs: Sequence[tuple[Policy, Output]],
    given: Sequence[Sequence[int | None] | None],
    length: int | None,
    gold: Sequence[str],
) -> list[TracedAnswer]:
    """The answers of calls that recorded their events.

    Args:
        asked: prompts, chats or templates.
        runs: policies, and what came of each.
        given: of each template its ids, None at the masks; of a prompt None.
        length: answer positions of prompts; None: templates, whose masks are counted.
        gold: right answers, as far as they are known.
    """
    named = labels([policy for policy, _ in runs])
    answers = []
    for at, (prompt, ids) in enumerate(zip(asked, given, strict=True)):
        places = (length if ids is None else ids.count(None)) or 0
        said = prompt if isinstance(prompt, str) else "\n".join(f"{m['role']}: {text_of(m)}" for m in prompt)
        traced = [
            TracedRun(label, out.texts[at], out.stats[at], (out.trace or ())[at], places)
            for label, (_, out) in zip(named, runs, strict=True)
        ]
        answers.append(TracedAnswer(said, traced, ids, gold[at] if at < len(gold) else None))
    return answers


def run_settings(
    sampler: Sampler, seed: int, length: int | None, stop: Sequence[str], block_length: object, cache: str
) -> dict[str, str]:
    """What else decided the answers, in words, for the end of the page."""
    told = {
        "model": f"{sampler.model!r}",
        "block length": str(block_length),
        "new tokens": None if length is None else str(length),
        "sampling": f"temperature {sampler.temperature:g}, top-p {sampler.top_p:g}, top-k {sampler.top_k or 'all'}",
        "seed": str(seed),
        "cache": cache,
        "stop": ", ".join(map(repr, stop)) or None,
        "dlmsample": dlmsample.__version__,
    }
    return {name: value for name, value in told.items() if value is not None}


def page(
    answers: Sequence[TracedAnswer],
    sampler: Sampler,
    policies: Sequence[Policy],
    settings: dict[str, str],
    command: str | None,
) -> str:
    """The page; what models and prompts say is untrusted and shown as text only."""
    told = [
        {
            "label": label,
            "name": policy.name,
            "rule": policy.summary,
            "paper": policy.paper,
            "options": policy.model_dump(),
        }
        for label, policy in zip(labels(policies), policies, strict=True)
    ]
    model = sampler.model
    assert model.tokenizer is not None
    return trace_page(answers, model.tokenizer.decode, model.eos_ids, told, settings, command)
