"""SGLang's part of the work, as small as can be: a stand-in of its interface, a model of logits, and a scheduler.

The stand-in has what an algorithm sees of SGLang 0.5.23. Where ``DLMSAMPLE_SGLANG_REAL`` is set, the same tests run
with SGLang's own classes in its place; see ``test_sglang_wheel.py``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

import dlmsample as ds
from dlmsample.models.denoiser import Facts
from dlmsample.plugins.sglang import algorithms
from tests.plugins.stubs import stub_torchvision
from tests.toys import EOS, MASK, _Scripted

VOCAB, BLOCK = 24, 8
REAL = bool(os.environ.get("DLMSAMPLE_SGLANG_REAL"))
Rule = Callable[[Tensor, Tensor], Tensor]
if REAL:
    stub_torchvision()


class StandIn:
    """What ``DllmAlgorithm`` of SGLang is to its subclasses: two loops around ``step``."""

    def __init__(self, config: Any) -> None:
        self.block_size, self.mask_id = config.block_size, config.mask_id
        self.fdfo = config.first_done_first_out_mode

    def init_step_state(self, forward_batch: Any) -> list[Any]:
        return [None] * forward_batch.batch_size

    def max_steps(self, block_size: int) -> int:
        return block_size + 1

    def step(self, forward_batch: Any, full_logits: Tensor, states: list[Any]) -> list[bool]:
        raise NotImplementedError

    def run(self, runner: Any, batch: Any, carried: list[Any] | None = None) -> tuple[Any, ...]:
        """One round ("first done, first out") or a whole block; ids, and which of them count as accepted."""
        if self.fdfo:
            states = list(carried or [None] * batch.batch_size)
            if None in states:
                fresh = self.init_step_state(batch)
                states = [new if old is None else old for old, new in zip(states, fresh, strict=True)]
            done = self.step(batch, runner.forward(batch).logits_output.full_logits, states)
            ids = batch.input_ids.view(batch.batch_size, -1).tolist()
            kept = [None if d else state for d, state in zip(done, states, strict=True)]
            return None, ids, [self.block_size * d for d in done], kept, False
        states = self.init_step_state(batch)
        logits = runner.forward(batch).logits_output.full_logits
        for _ in range(self.max_steps(self.block_size)):
            if all(self.step(batch, logits, states)):
                break
            logits = runner.forward(batch).logits_output.full_logits
        return None, list(batch.input_ids.view(batch.batch_size, -1)), None, None, False


def interface() -> type:
    """SGLang's base class, or the stand-in."""
    return import_module("sglang.srt.dllm.algorithm.base").DllmAlgorithm if REAL else StandIn


def config(name: str, options: Mapping[str, Any], fdfo: bool, block_size: int = BLOCK) -> Any:
    """What an algorithm is made from."""
    given = {
        "algorithm": name,
        "algorithm_config": dict(options),
        "block_size": block_size,
        "mask_id": MASK,
        "max_running_requests": 8,
        "first_done_first_out_mode": fdfo,
    }
    return import_module("sglang.srt.dllm.config").DllmConfig(**given) if REAL else SimpleNamespace(**given)


def ours(name: str, options: Mapping[str, Any] = {}, fdfo: bool = True, block_size: int = BLOCK) -> Any:
    """One of our algorithms."""
    return algorithms(interface())[name](config(name, options, fdfo, block_size))


def table_rule(seed: int, mask_logit: float | None = None, sharpness: float = 3.0) -> Rule:
    """Logits that depend on a position, its token and all tokens of its block; from a table of random numbers."""
    generator = torch.Generator().manual_seed(seed)
    table = torch.randn(997, VOCAB, generator=generator) * sharpness
    table[:, EOS] -= 4
    if mask_logit is not None:
        table[:, MASK] = mask_logit

    def rule(ids: Tensor, positions: Tensor) -> Tensor:
        block = positions // BLOCK
        whole = ((block[:, :, None] == block[:, None, :]) * ids[:, None, :]).sum(-1)
        return table[(37 * positions + 11 * ids + 5 * whole) % len(table)]

    return rule


def model(rule: Rule) -> ds.Denoiser:
    """The same logits for the Sampler; blocks at absolute positions, as SGLang's."""
    facts = Facts(MASK, (EOS,), BLOCK, "bidirectional", "absolute")
    return ds.Denoiser("scripted", _Scripted(rule, VOCAB), None, facts)


def batch(blocks: Sequence[Sequence[int]], starts: Sequence[int], rids: Sequence[str], given: Any = None) -> Any:
    """What a step sees of a batch: blocks behind each other, positions, the requests' ids."""
    offsets = torch.tensor(starts)[:, None] + torch.arange(len(blocks[0]))
    return SimpleNamespace(
        batch_size=len(blocks),
        input_ids=torch.tensor(blocks).view(-1),
        positions=offsets.view(-1).to(torch.int32),
        dllm_prompt_mask=given,
        rids=list(rids),
        mark_forward_metadata_ready=lambda **_: None,
    )


@dataclass(eq=False)
class Runner:
    """Stands for the model; remembers what its last forward saw, and counts."""

    rule: Rule
    forwards: int = 0
    saw: Tensor = field(default_factory=lambda: torch.zeros(0))

    def forward(self, batch: Any, **_: Any) -> Any:
        self.forwards += 1
        shape = (batch.batch_size, -1)
        ids, positions = batch.input_ids.view(shape), batch.positions.view(shape).long()
        self.saw = ids.clone()
        logits = self.rule(ids, positions)
        return SimpleNamespace(
            logits_output=SimpleNamespace(full_logits=logits.flatten(0, 1).clone()), can_run_graph=False
        )


@dataclass(eq=False)
class Asked:
    """A request, as the scheduler knows it."""

    prompt: list[int]
    new: int
    rid: str
    start: int = 0
    output: list[int] = field(default_factory=list)
    block: list[int] | None = None  #: unfinished
    state: Any = None
    rounds: int = 0  #: forwards over its blocks

    @property
    def finished(self) -> bool:
        return len(self.output) >= self.new or EOS in self.output

    @property
    def tokens(self) -> list[int]:
        """As the Sampler gives them."""
        answer = self.output[: self.new]
        return answer[: answer.index(EOS)] if EOS in answer else answer

    def next_block(self) -> list[int]:
        whole = [*self.prompt, *self.output, *[MASK] * BLOCK]
        return self.block or whole[self.start : self.start + BLOCK]

    def commit(self, ids: list[int]) -> None:
        known = len(self.prompt) + len(self.output) - self.start
        self.output += ids[max(known, 0) :] if known < BLOCK else []
        self.start, self.block, self.state = self.start + BLOCK, None, None


def serve(algorithm: Any, prompts: Sequence[Sequence[int]], new: int, rule: Rule, late: int = 0) -> list[Asked]:
    """Answer prompts as SGLang's scheduler would; with ``late``, each joins that many rounds after the one before."""
    runner = Runner(rule)
    asked = [Asked(list(prompt), new, f"request-{n}") for n, prompt in enumerate(prompts)]
    for turn in range(10_000):
        live = [a for n, a in enumerate(asked) if turn >= n * late and not a.finished]
        if not live:
            if all(a.finished for a in asked):
                return asked
            continue
        now = batch([a.next_block() for a in live], [a.start for a in live], [a.rid for a in live])
        before = runner.forwards
        _, ids, accepted, states, _ = algorithm.run(runner, now, [a.state for a in live])
        for n, a in enumerate(live):
            a.rounds += runner.forwards - before
            whole = now.input_ids.view(len(live), BLOCK)[n]
            if accepted is not None and not accepted[n]:
                a.block, a.state = list(ids[n]), states[n]
                continue
            assert torch.equal(whole, runner.saw[n]), "the cache holds other tokens than the block"
            a.commit(whole.tolist())
    raise AssertionError("it does not end")
