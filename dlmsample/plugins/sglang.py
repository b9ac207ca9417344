"""The policies as diffusion algorithms of SGLang's server.

SGLang runs the model, the cache and the scheduler; after each forward over a block it calls the ``step`` of an
algorithm, which changes the block's tokens in place. Here that step is :func:`dlmsample.decoding.step.decide`, the
Sampler's own: no rule is written a second time. Nothing of SGLang is imported before :func:`register` is called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
import yaml
from torch import Tensor

from dlmsample.decoding.options import integer
from dlmsample.decoding.step import Settings, decide, tree_map
from dlmsample.models.attention.base import Features
from dlmsample.policies.base import Policy
from dlmsample.policies.registry import make_policy, policy_class
from dlmsample.rng import fold, sequence_key
from dlmsample.support.registry import unknown
from dlmsample.types import Block

#: What ``--dllm-algorithm`` is given -> the policy.
ALGORITHMS = {
    "DlmsampleUnmask": "unmask",
    "DlmsampleT2T": "t2t",
    "DlmsampleT2M": "t2m",
    "DlmsampleD3IM": "d3im",
    "DlmsampleDSC": "dsc",
}
#: Keys of a configuration that are no options of a policy; the first is SGLang's own.
_OWN = ("block_size", "seed", "eos_ids")
#: What the loop of SGLang's ``DllmAlgorithm`` must call.
_INTERFACE = ("init_step_state", "step", "max_steps")
#: What a policy may need beside the logits of one forward.
_BEYOND_LOGITS = frozenset({"error", "loo_prob", "kl"})
#: Attributes of a request's sampling parameters without a meaning for a block, and what they are when not asked for.
_PARAMETERS = {
    **{"frequency_penalty": 0.0, "presence_penalty": 0.0, "repetition_penalty": 1.0, "min_p": 0.0},
    **{"min_new_tokens": 0, "sampling_seed": None, "logit_bias": None},
    **dict.fromkeys(("json_schema", "regex", "ebnf", "structural_tag")),
}


class AlgorithmOptions(NamedTuple):
    """What a configuration file of SGLang says."""

    policy: Policy
    seed: int | None  #: every request draws from it; None: from its own id
    eos_ids: tuple[int, ...]


class HeldRows(NamedTuple):
    """What is kept of some requests between two forwards of their blocks; the row is the first axis."""

    policy: Any  #: the policy's state
    editable: Tensor  #: bool ``[row, pos]``
    key: Tensor  #: int64 ``[row]``, randomness of the request and the block
    step: Tensor  #: int64 ``[row]``, updates made in the block
    done: Tensor  #: bool ``[row]``, nothing is left to decide


class CarriedRow:
    """One request's row, as SGLang carries it from forward to forward without looking at it."""

    __slots__ = ("held",)

    def __init__(self, held: HeldRows) -> None:
        self.held = held


def read_options(algorithm: str, config: Mapping[str, Any]) -> AlgorithmOptions:
    """What the file behind ``--dllm-algorithm-config`` says; every key must be known.

    Args:
        algorithm: a name of :data:`ALGORITHMS`.
        config: the options of the policy, ``seed``, ``eos_ids`` and SGLang's ``block_size``.

    Raises:
        ValueError: an unknown key, an option out of range, a policy that reads more than logits, or one that ranks
            end-of-text ids which the file does not name.

    Example:
        >>> read_options("DlmsampleT2M", {"threshold": 0.2, "block_size": 32}).policy.threshold
        0.2
        >>> read_options("DlmsampleT2M", {"treshold": 0.2})  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: unknown option of DlmsampleT2M 'treshold'; did you mean 'threshold'? Known: block_size, ...
    """
    if algorithm not in ALGORITHMS:
        raise unknown("algorithm", algorithm, ALGORITHMS)
    name = ALGORITHMS[algorithm]
    known = {*policy_class(name).model_fields, *_OWN}
    for key in config:
        if key not in known:
            raise unknown(f"option of {algorithm}", key, known)
    policy = make_policy(name, {key: value for key, value in config.items() if key not in _OWN})
    if "error" in policy.needs:
        raise ValueError(f"{algorithm}: SGLang runs no correction head: set scorer: random")
    if beyond := policy.needs & _BEYOND_LOGITS:
        raise ValueError(f"{algorithm} needs {', '.join(sorted(beyond))}, and SGLang gives logits alone: use Sampler")
    seed, eos_ids = config.get("seed"), config.get("eos_ids") or ()
    if not isinstance(eos_ids, Sequence) or isinstance(eos_ids, str):
        raise ValueError(f"{algorithm}: eos_ids must be a list of ids, not {eos_ids!r}")
    if getattr(policy, "eos", "none") != "none" and not eos_ids:
        raise ValueError(
            f"{algorithm}: eos: {getattr(policy, 'eos', '')} needs the ids that end a text, which SGLang does not tell "
            "an algorithm: give eos_ids: [...], or set eos: none"
        )
    ids = tuple(integer("eos_ids", i) for i in eos_ids)
    return AlgorithmOptions(policy, None if seed is None else integer("seed", seed), ids)


class BlockAlgorithm:
    """What the classes that SGLang is given do in their ``DllmAlgorithm``'s stead; each block is an answer of its own.

    ``start`` and ``total`` of :class:`~dlmsample.types.Block` are those of one block, for SGLang does not say how long
    an answer is to be: a budget of ``steps`` is spent anew on every block. A block is reported as done by the forward
    that saw its final tokens, because that one leaves their keys and values in the cache.
    """

    algorithm: ClassVar[str]
    block_size: int  #: SGLang's, as is the next
    mask_id: int

    def __init__(self, config: Any) -> None:
        super().__init__(config)  # type: ignore[call-arg]  # SGLang's base comes next
        self.options = read_options(self.algorithm, config.algorithm_config or {})

    @classmethod
    def configure_server_args(cls, server_args: Any) -> None:
        """The file behind ``--dllm-algorithm-config`` is checked here, long before the model is loaded."""
        path = getattr(server_args, "dllm_algorithm_config", None)
        read_options(cls.algorithm, yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {} if path else {})

    @classmethod
    def validate_request(cls, req: Any) -> str | None:
        """What a request asks for and does not get; None: nothing."""
        given = {name: getattr(req.sampling_params, name, None) for name in _PARAMETERS}
        asked = [name for name, value in given.items() if value not in (None, {}, _PARAMETERS[name])]
        asked += ["return_logprob"] if getattr(req, "return_logprob", False) else []
        if not asked:
            return None
        return f"{cls.algorithm} decodes whole blocks, for which {', '.join(asked)} has no meaning: leave it out"

    def max_steps(self, block_size: int) -> int:
        """A bound on the steps of a block: the policy's, and one that reports it."""
        tokens, key = torch.full((1, block_size), self.mask_id), torch.zeros(1, dtype=torch.long)
        held = self._opened(tokens, torch.ones_like(tokens, dtype=torch.bool), key)
        return int(self.options.policy.max_steps(self._block(held, tokens))) + 1

    def init_step_state(self, forward_batch: Any) -> list[Any]:
        """The rows of a batch on entering their blocks; positions that hold a token belong to the prompt."""
        tokens = forward_batch.input_ids.view(-1, self.block_size).long()
        given = getattr(forward_batch, "dllm_prompt_mask", None)  # only where a prompt holds the mask id
        editable = tokens == self.mask_id if given is None else ~given
        seed = self.options.seed
        seeds = [(0, rid.encode()) for rid in forward_batch.rids] if seed is None else [(seed, b"")] * len(tokens)
        keys = torch.tensor([sequence_key(*of, 0) for of in seeds], device=tokens.device)
        number = forward_batch.positions.view(tokens.shape)[:, 0].long() // self.block_size
        return _apart(self._opened(tokens, editable, fold(keys, number)))

    @torch.no_grad()
    def step(self, forward_batch: Any, full_logits: Tensor, states: list[Any]) -> list[bool]:
        """One update of every block, in place; which of them are final and in the cache."""
        held: HeldRows = tree_map(lambda *rows: torch.cat(rows), *(carried.held for carried in states))
        block = self._block(held, forward_batch.input_ids.view(held.editable.shape).long())
        features = Features(full_logits.view(*held.editable.shape, -1), None)
        decided = decide(held.policy, block, features, self._settings(block), ~held.done)
        unchanged = (decided.tokens == block.tokens).all(-1)  # before the next line, for the block may be a view of it
        forward_batch.input_ids.copy_(decided.tokens.view(-1))  # in place: captured graphs read this very tensor
        done = held.done | decided.done
        after = HeldRows(decided.state, held.editable, held.key, held.step + 1, done)
        for carried, now in zip(states, _apart(after), strict=True):
            carried.held = now.held
        return (done & unchanged).tolist()

    def _opened(self, tokens: Tensor, editable: Tensor, key: Tensor) -> HeldRows:
        held = HeldRows(None, editable, key, torch.zeros_like(key), ~editable.any(-1))
        return held._replace(policy=self.options.policy.init(self._block(held, tokens)))

    def _block(self, held: HeldRows, tokens: Tensor) -> Block:
        size = held.editable.sum(-1)
        return Block(
            tokens=tokens,
            editable=held.editable,
            step=held.step,
            start=torch.zeros_like(size),
            stop=size,
            total=size,
            key=fold(held.key, held.step),
            eos_ids=torch.tensor(self.options.eos_ids, dtype=torch.long, device=tokens.device),
            mask_id=self.mask_id,
        )

    def _settings(self, block: Block) -> Settings:
        policy = self.options.policy
        return Settings(policy, self.mask_id, block.eos_ids, 0.0, 1.0, None, cached=True, needs=policy.needs)


def _apart(held: HeldRows) -> list[Any]:
    """The rows one by one, as SGLang mixes them anew for every forward."""
    return [CarriedRow(tree_map(lambda t, i=i: t[i : i + 1], held)) for i in range(len(held.step))]


def algorithms(base: type) -> dict[str, type]:
    """The classes by name, given SGLang's ``DllmAlgorithm``."""
    return {name: type(name, (BlockAlgorithm, base), {"algorithm": name}) for name in ALGORITHMS}


def register() -> None:
    """Make :data:`ALGORITHMS` known to SGLang, in this process: the entry point in its group ``sglang.srt.plugins``.

    Raises:
        ValueError: SGLang is not installed, or is one whose algorithms cannot be added to.
    """
    try:
        known = import_module("sglang.srt.dllm.algorithm").algo_name_to_cls
        base = import_module("sglang.srt.dllm.algorithm.base").DllmAlgorithm
        missing = [name for name in _INTERFACE if not hasattr(base, name)]
    except (ImportError, AttributeError) as e:
        if getattr(e, "name", None) == "sglang":
            raise ValueError("this needs SGLang, on a machine with a GPU: pip install 'dlmsample[sglang]'") from None
        raise ValueError(f"this SGLang takes no algorithms ({e}): pip install 'dlmsample[sglang]'") from e
    if missing:
        raise ValueError(f"the algorithms of this SGLang have no {missing[0]}: pip install 'dlmsample[sglang]'")
    for name, algorithm in algorithms(base).items():
        known.setdefault(name, algorithm)
