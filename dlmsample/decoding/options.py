"""The options of a Sampler, checked before any forward; every error names the remedy in one line."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from operator import index
from pathlib import Path
from typing import Any

from dlmsample.models.attention.approximate import APPROXIMATIONS
from dlmsample.models.attention.shadow import takes_shadows
from dlmsample.models.denoiser import Denoiser
from dlmsample.models.embedded import EMBEDDED, folder_of, shipped
from dlmsample.models.loading import load
from dlmsample.policies.base import Policy
from dlmsample.policies.registry import policy as named


def integer(name: str, value: Any) -> int:
    """``value`` as an int; NumPy's integers count, bools and floats do not."""
    try:
        if not isinstance(value, bool):
            return index(value)
    except TypeError:
        pass
    raise ValueError(f"{name} must be an int, not {value!r}")


def real(name: str, value: Any) -> float:
    """``value`` as a float; NumPy's numbers count, bools and tensors do not."""
    if isinstance(value, Real) and not isinstance(value, bool):
        return float(value)
    raise ValueError(f"{name} must be a number, not {value!r}")


def checked(
    model: Any,
    policy: Any,
    block_length: Any,
    temperature: Any,
    top_p: Any,
    top_k: Any,
    batch_size: Any,
    cache: Any,
    refresh: Any,
    suffix: Any = None,
) -> tuple[Denoiser, Policy]:
    """The options of a Sampler.

    Returns:
        the model and the policy, either of which may be given by its name.

    Raises:
        ValueError: nothing of that name, an option out of range, a block length the model cannot do, or a head that is
            missing.
    """
    model = load(model) if isinstance(model, str) else model
    policy = named(policy) if isinstance(policy, str) else policy
    if not isinstance(model, Denoiser) or not isinstance(policy, Policy):
        raise ValueError(
            "Sampler takes a model from dlmsample.load, or its name, and a policy such as T2M() or its name"
        )
    least = model.facts.min_block_length
    if isinstance(block_length, str):
        if block_length != "all":
            raise ValueError(f'block_length is a number of tokens or "all", not {block_length!r}')
    elif block_length is None and model.facts.block_length > model.context:
        raise ValueError(
            f"{model.name} says that its blocks have {model.facts.block_length} tokens, and its context has "
            f"{model.context}: correct its config.json, or give block_length (--block-length)"
        )
    elif block_length is not None and not least <= integer("block_length", block_length) <= model.context:
        raise ValueError(
            f"{model.name} cannot decode blocks of {block_length} tokens: "
            f'give {least} to {model.context}, or "all" for the whole answer'
        )
    if not 0 <= real("temperature", temperature) < float("inf"):
        raise ValueError(f"temperature must be a number, 0 or more, not {temperature!r}")
    if not 0 < real("top_p", top_p) <= 1:
        raise ValueError(f"top_p must lie in (0, 1], not {top_p}")
    if top_k is not None and integer("top_k", top_k) < 1:
        raise ValueError(f"top_k must be 1 or more (or None), not {top_k}")
    if integer("batch_size", batch_size) < 1:
        raise ValueError(f"batch_size must be 1 or more, not {batch_size}")
    needs = policy.needs
    _check_cache(model, policy, needs, cache, refresh, suffix)
    if "error" in needs and model.head is None:
        raise ValueError(_headless(model, policy))
    return model, policy


def check_use(special: Mapping[str, Any], filling: bool, record: bool) -> None:
    """What a Sampler with one of these options cannot do.

    Raises:
        ValueError: it is to fill the masks of texts, or to record events.
    """
    for name, value in special.items():
        if value is not None and (filling or record):
            raise ValueError(f"{name} knows no {'fill' if filling else 'record'}: make a Sampler without it")


def _headless(model: Denoiser, policy: Policy) -> str:
    """Which head to attach: those that come with the model are named."""
    own = list(shipped(folder_of(model.name) if model.name in EMBEDDED else Path(model.name), "head"))
    name = own[0] if own else "..."
    there = f" ({model.name} ships {', '.join(own)})" if own else ", a folder or hub id"
    return (
        f"{policy.name} reads a correction head and {model.name} has none attached: give one{there} by "
        f"load(name, head={name!r}) or model.with_head(head) (--head {own[0] if own else 'NAME'}); "
        'or set scorer="random" (--set scorer=random)'
    )


def _check_cache(model: Denoiser, policy: Policy, needs: frozenset[str], cache: Any, refresh: Any, suffix: Any) -> None:
    """The cache of a Sampler.

    Raises:
        ValueError: not a cache, or not one for this checkpoint and policy.
    """
    if refresh is not None and (integer("refresh", refresh) < 1 or cache not in APPROXIMATIONS):
        raise ValueError(f"refresh is 1 or more forwards, for cache {' or '.join(map(repr, APPROXIMATIONS))} alone")
    if suffix is not None and (integer("suffix", suffix) < 0 or cache not in APPROXIMATIONS):
        raise ValueError(f"suffix is 0 or more positions, for cache {' or '.join(map(repr, APPROXIMATIONS))} alone")
    if "loo_prob" in needs:
        if cache in APPROXIMATIONS:
            raise ValueError(f"{policy.name} hides tokens one by one, which cache={cache!r} does not: leave it out")
        if cache and model.attention == "block_causal" and not takes_shadows(model):
            raise ValueError(
                f"{policy.name} hides tokens one by one, which a block cache cannot where logits are shifted, as those "
                f"of {model.name}: set cache=False"
            )
    if isinstance(cache, bool):
        return
    if cache not in APPROXIMATIONS:
        raise ValueError(f"cache must be True, False, {' or '.join(map(repr, APPROXIMATIONS))}, not {cache!r}")
    if model.attention == "block_causal":
        raise ValueError(f"{model.name} is block-causal and has an exact cache: leave cache={cache!r} out")
    if model.interface.kind != "decoder":
        raise ValueError(f"{model.name} has no cache of keys and values: leave cache={cache!r} out")
