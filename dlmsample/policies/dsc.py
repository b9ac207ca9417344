"""DSC: head-guided remasking, "Teach Diffusion Language Models to Learn from Their Own Mistakes", later BackPlay."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from dlmsample.policies import detect, edit, fill
from dlmsample.policies.chain import Chain, NamedChain, chain


class DSC(NamedChain):
    """Fill k tokens a step; every d-th step reset the K tokens the correction head suspects most, behind a FIFO buffer.

    Rule (arXiv:2601.06428, Algorithm 1; the paper is called BackPlay since its second version): step N of a block
    fills the k most confident masks. When ``N mod d = d − 1`` the head scores the canvas this forward saw; of its
    visible editable positions the top K by ``P_error`` that exceed ``threshold`` and are not in the buffer are
    reset to mask and pushed. The head reads hidden states of the same forward.

    When to use: with a model that has a correction head (objective fca); ``scorer="random"`` needs none and is the
    paper's control.

    Args:
        tokens_per_step: k.
        stride: d, steps.
        max_remasks: K, tokens a time.
        threshold: probability, strict.
        buffer: capacity of the FIFO, positions; None: half the block length, also in a shorter last block.
        scorer: ``head``: the model's correction head; ``random``: P_error ~ U[0, 1] (Table 7).
        eos: ``confidence``: a position whose candidate is an EOS is filled after every other; ``none``: no such rule.

    Raises:
        ValueError: an unknown option, or one out of range.

    Example:
        >>> DSC(scorer="random").needs
        frozenset()

    Deviations: the buffer and N restart with each block; it runs until the block is full (Algorithm 1 prints T
    steps); after 4n remasks in a block remasking stops, so that it ends within ⌈n/k⌉ + 4n steps; the head gives an
    *error* probability (the paper's signs conflict).
    """

    name: ClassVar[str] = "dsc"
    summary: ClassVar[str] = "quota fill + reset what a correction head points at"
    paper: ClassVar[str] = "arXiv:2601.06428"

    tokens_per_step: Annotated[int, Field(ge=1)] = 2
    stride: Annotated[int, Field(ge=1)] = 2
    max_remasks: Annotated[int, Field(ge=0)] = 2
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    buffer: Annotated[int, Field(ge=0)] | None = None
    scorer: Literal["head", "random"] = "head"
    eos: fill.Eos = "none"

    def compose(self) -> Chain:
        detector = detect.Head(self.threshold) if self.scorer == "head" else detect.Random(self.threshold)
        return chain(
            fill.Quota(self.tokens_per_step, eos=self.eos),
            edit.BufferedRemask(detector, self.stride, self.max_remasks, self.buffer),
        )


#: The paper's later name; ``policy("backplay")`` is the same policy.
BackPlay = DSC
