"""Examples -> token ids, as in training: the templated prompt, then the gold completion and one EOS."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from dlmsample.models.denoiser import Denoiser
from dlmsample.tasks.base import Example

Given = Example | tuple[Sequence[int], Sequence[int]]
"""A task's example, or (prompt ids, answer ids), taken as they are."""


class Gold(NamedTuple):
    """One example as ids."""

    number: int  #: its place among the examples, which its draws are counted by
    prompt: list[int]
    answer: list[int]

    @property
    def length(self) -> int:
        """Positions of the canvas."""
        return len(self.prompt) + len(self.answer)


def encode(model: Denoiser, examples: Iterable[Given]) -> list[Gold]:
    """The examples in the ids of ``model``.

    Raises:
        ValueError: no example, no tokenizer for text, an empty answer, ids outside the vocabulary, the mask id in an
            example, or one longer than the model's context.

    Example:
        >>> import dlmsample as ds
        >>> model = ds.load("nano")
        >>> [gold] = encode(model, [ds.tasks.Example("1 + 1?", "2", "#### 2")])
        >>> gold.answer[-1] in model.eos_ids, model.decode(gold.answer)
        (True, ' #### 2')
    """
    found = [_encode(model, number, example) for number, example in enumerate(examples)]
    if not found:
        raise ValueError("no example to diagnose on: give at least one")
    return found


def _encode(model: Denoiser, number: int, example: Given) -> Gold:
    if not isinstance(example, Example):
        prompt, answer = example
        gold = Gold(number, model.encode(list(prompt)), model.encode(list(answer)))
    elif model.tokenizer is None:
        raise ValueError(
            f"{model.name} has no tokenizer to encode the examples: save one into its folder, or give pairs of ids"
        )
    else:
        answer = model.tokenizer.encode(example.completion, add_special_tokens=False)
        gold = Gold(number, model.encode(example.prompt), [*answer, *model.eos_ids[:1]])
    if not gold.answer:
        raise ValueError(f"example {number} has no answer: leave it out")
    if model.mask_id in gold.prompt or model.mask_id in gold.answer:
        raise ValueError(f"example {number} holds the mask id {model.mask_id}, which nothing can restore: leave it out")
    if gold.length > model.context:
        raise ValueError(
            f"example {number} has {gold.length} tokens, more than the {model.context} positions of {model.name}: "
            "leave it out, or choose shorter examples"
        )
    return gold
