"""From what a worker decoded to results: the task's verdicts. Runs in the process that holds the tasks."""

from __future__ import annotations

import traceback

from dlmsample.ablate.spec.cells import Plan
from dlmsample.ablate.storage.records import ExampleResult
from dlmsample.ablate.workers.units import FIGURES, Answers, Failure, Outcome, Reply, Unit, describe


def judge(layout: Plan, unit: Unit, reply: Reply) -> Outcome:
    """The outcome of a unit; a scorer that fails is an outcome too."""
    if isinstance(reply, Failure):
        return Outcome(unit, [], reply.error, reply.traceback)
    try:
        return Outcome(unit, results(layout, unit, reply))
    except Exception as error:  # a task's bug, a library that is gone: the other cells go on
        return Outcome(unit, [], describe(error), traceback.format_exc())


def results(layout: Plan, unit: Unit, answers: Answers) -> list[ExampleResult]:
    """Score a batch. A row depends on its example, its cell and nothing else, but for its share of the time."""
    label = unit.cell.task.label
    score, examples = layout.tasks[label].score, layout.examples[label]
    share = answers.seconds / len(unit.indices)
    found = []
    for index, text, figures in zip(unit.indices, answers.texts, answers.figures, strict=True):
        example = examples[index]
        verdict = score(example, text)
        found.append(
            ExampleResult(
                index=index,
                prompt=example.prompt,
                reference=example.reference,
                answer=example.answer,
                text=text.encode("utf-8", "replace").decode("utf-8"),  # a store takes no half of a character
                extracted=verdict.extracted,
                correct=verdict.correct,
                wall_seconds=share,
                **dict(zip(FIGURES, figures, strict=True)),
            )
        )
    return found
