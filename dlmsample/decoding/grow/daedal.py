"""DAEDAL's options, and which Samplers can grow an answer."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from dlmsample.models.denoiser import Denoiser
from dlmsample.policies.base import Policy
from dlmsample.policies.chain import Chain, NamedChain
from dlmsample.policies.edit import Keep
from dlmsample.support.validated import Options
from dlmsample.types import CacheKind

Share = Annotated[float, Field(ge=0, le=1)]


class Daedal(Options):
    """Begin with a short answer and let it grow where the model asks for it; ``max_new_tokens`` is the largest length.

    Rule (DAEDAL, arXiv:2508.00819, and its public code). The *EOS confidence* of a canvas: of the answer's positions
    whose candidate is an EOS take the last ``eos_window``, and divide the sum of their probabilities by ``eos_window``,
    however few they are.

    1. Before the first update the answer is ``initial_length`` masks. While the EOS confidence is below
       ``eos_confidence``, ``factor`` masks are appended and the model is asked again. Then ``eos_window // 2`` EOS are
       appended.
    2. After each update of the policy: where masks of the active block are left whose candidates are below
       ``low_confidence``, and the EOS confidence of the same forward is below ``expand_eos_confidence``, the least sure
       of them becomes ``factor`` masks. What stands behind it moves to the right.

    Nothing grows beyond ``max_new_tokens``: what would stand behind that is cut off. With ``Unmask(threshold=0.9)`` and
    blocks of 32 this is DAEDAL with the values of its code; the other fill rules are ours.

    Args:
        initial_length: masks that an answer begins with.
        factor: masks appended at a time, and masks that one mask becomes.
        eos_window: how many EOS candidates, from the end, the EOS confidence counts.
        eos_confidence: below it the answer is too short to begin with.
        expand_eos_confidence: below it masks are inserted while the answer is decoded.
        low_confidence: a mask whose candidate is less probable may become several.

    Raises:
        ValueError: an option out of range, or an unknown one.

    Example:
        >>> Daedal(initial_length=32).factor
        8

    Deviations: probabilities are those of all policies here, without the mask id. Any of the checkpoint's EOS ids
    counts, and the first one is appended. A row ends with the first block before whose end an EOS stands and no mask;
    the code fills the rest as well and cuts it off. No forward asks for the length of an answer that is as long as can
    be. Rows of a batch never wait for each other, nor end each other's growth. Ties go to the lower position.
    """

    noun: ClassVar[str] = "growth"
    name: ClassVar[str] = "daedal"

    initial_length: Annotated[int, Field(ge=1)] = 64
    factor: Annotated[int, Field(ge=2)] = 8
    eos_window: Annotated[int, Field(ge=1)] = 32
    eos_confidence: Share = 0.5
    expand_eos_confidence: Share = 0.9
    low_confidence: Share = 0.1

    def unused(self, most: int) -> int:
        """How many of an answer's ``most`` positions are not there at first."""
        return max(most - self.initial_length, 0)


def checked(given: Any, model: Denoiser, policy: Policy, cache: CacheKind, batch_size: int, ahead: bool) -> Daedal:
    """The option ``grow`` of a Sampler.

    Args:
        given: what is to be checked.
        model: the checkpoint.
        policy: the Sampler's.
        cache: the Sampler's.
        batch_size: the Sampler's.
        ahead: whether the Sampler fills blocks behind the active one.

    Raises:
        ValueError: no :class:`Daedal`, or a Sampler that cannot do it.
    """
    if not isinstance(given, Daedal):
        raise ValueError(f"grow is a Daedal, such as dlmsample.Daedal(), not {given!r:.40}")
    if model.attention == "block_causal":
        raise ValueError(
            f"{model.name} is block-causal and sees no masks behind its block: leave grow out and give max_new_tokens "
            "room, which costs nothing there"
        )
    if cache != "none":
        raise ValueError(f"grow reads the whole canvas, which a cache does not: leave cache={cache!r} out")
    if ahead:
        raise ValueError("grow moves what stands in the next block: leave next_block out, or grow")
    if not model.eos_ids:
        raise ValueError(
            f"grow asks for the EOS, and {model.name} has none: give load(..., eos_ids=[...]), or leave it"
        )
    if not fills_any_length(policy):
        raise ValueError(
            f"grow adds positions while a block is filled, and {policy.name} with these options counts on those there "
            "are: take Unmask with threshold, tokens_per_step or entropy_bound, or a chain of such a fill with no edit"
        )
    if model.interface.equal_lengths and batch_size != 1:
        raise ValueError(f"rows of {model.name} must be of one length, and grow makes them differ: set batch_size=1")
    return given


def fills_any_length(policy: Policy) -> bool:
    """Whether a policy only fills masks, by a rule that goes on where positions are added or move.

    Example:
        >>> import dlmsample as ds
        >>> [fills_any_length(p) for p in (ds.Unmask(threshold=0.9), ds.Unmask(steps=8), ds.T2M())]
        [True, False, False]
    """
    made = policy.chain if isinstance(policy, NamedChain) else policy
    return isinstance(made, Chain) and made.fill.any_length and isinstance(made.edit, Keep)
