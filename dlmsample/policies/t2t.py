"""T2T: token-to-token editing, LLaDA2.1."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from dlmsample.policies import edit, fill
from dlmsample.policies.chain import Chain, NamedChain, chain


class T2T(NamedChain):
    """Fill above one threshold and, from the same forward, replace committed tokens the model now disagrees with.

    Rule (LLaDA2.1, arXiv:2602.08676; SGT2T §3.1): masked positions with ``c > fill_threshold`` are filled (at
    least one); every position visible *before* that fill with ``c > edit_threshold`` and ``x̂ ≠ z`` becomes
    ``x̂``. A block is done after a step whose forward saw no mask and in which no edit fired; see
    :func:`dlmsample.policies.edit.settled`.

    When to use: on checkpoints that were trained to correct visible tokens (LLaDA2.1; nano's adapters random_t2t and
    self_generated_t2t). On others, ``edit_threshold`` near 0 also replaces tokens that were right.

    Args:
        fill_threshold: probability, strict (τ_m2t).
        edit_threshold: probability, strict (τ_t2t); 0.0 edits whenever the candidate differs (a sample, at
            temperatures above 0), None switches editing off.
        max_post_steps: forwards of a block that may see it free of masks.
        max_edits: replacements of one position in a block; None: no limit.
        guard: a position that returns to a token it held before in this block is not edited again.
        eos: ``confidence``: a position whose candidate is an EOS is filled after every other; ``none``: no such rule.

    Raises:
        ValueError: an unknown option, or one out of range.

    Example:
        >>> T2T.speed()
        T2T(fill_threshold=0.5, edit_threshold=0.0, max_post_steps=16, max_edits=None, guard=False, eos='none')

    Deviations: confidence is the untempered float32 softmax without the mask id. ``max_edits`` and ``guard`` are
    ours, and so is the meaning of ``eos="confidence"`` under a threshold: :class:`dlmsample.policies.fill.Threshold`.
    """

    name: ClassVar[str] = "t2t"
    summary: ClassVar[str] = "threshold fill + replace tokens the model disagrees with"
    paper: ClassVar[str] = "arXiv:2602.08676"

    fill_threshold: Annotated[float, Field(ge=0, le=1)] = 0.7
    edit_threshold: Annotated[float, Field(ge=0, le=1)] | None = 0.5
    max_post_steps: Annotated[int, Field(ge=0)] = 16
    max_edits: Annotated[int, Field(ge=0)] | None = None
    guard: bool = False
    eos: fill.Eos = "none"

    @classmethod
    def quality(cls) -> T2T:
        """Q mode: fill 0.7, edit 0.5."""
        return cls(fill_threshold=0.7, edit_threshold=0.5)

    @classmethod
    def speed(cls) -> T2T:
        """S mode: fill 0.5, edit whenever the candidate differs."""
        return cls(fill_threshold=0.5, edit_threshold=0.0)

    def compose(self) -> Chain:
        filling = fill.Threshold(self.fill_threshold, eos=self.eos)
        if self.edit_threshold is None:
            return chain(filling)
        editing = edit.Replace(self.edit_threshold, self.max_edits, self.max_post_steps)
        return chain(filling, edit.Guard(editing) if self.guard else editing)

    @model_serializer(mode="wrap")
    def _dump(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without a guard that is off: what was stored before there was one keeps its name."""
        options = handler(self)
        return options if self.guard else {name: value for name, value in options.items() if name != "guard"}
