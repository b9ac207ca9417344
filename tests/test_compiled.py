"""The compiled update gives what the plain one gives, for every policy, and is compiled once for many batches."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import dlmsample as ds
from dlmsample import rng
from dlmsample.decoding.captured import executor, pool
from dlmsample.decoding.captured.compiled import Compiled, compiled_update, with_state
from dlmsample.decoding.request import Segmentation, open_rows
from dlmsample.decoding.step import Rows, Settings, advance, tree_map
from dlmsample.kernels.support import runs_kernels
from dlmsample.models.attention.base import Features, Layout
from dlmsample.policies.base import Policy
from dlmsample.policies.select import rank
from dlmsample.policies.zoo import frequencies
from tests.conftest import ZOO
from tests.test_protocol import CASES, _Never
from tests.toys import EOS, MASK, VOCAB

WIDTH = 8
needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler")


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """What a test compiles is dropped behind it."""
    yield
    torch._dynamo.reset()


def settings_of(policy: Policy, temperature: float = 0.0, **changed: Any) -> Settings:
    settings = Settings(policy, MASK, torch.tensor([EOS]), temperature, 1.0, None, cached=True)
    return settings._replace(**changed)


def opened(lengths: list[int], settings: Settings) -> tuple[Rows, Layout]:
    canvases = [[5 + i] * 3 + [MASK] * length for i, length in enumerate(lengths)]
    made = open_rows(canvases, range(len(lengths)), Segmentation(WIDTH, True), MASK, torch.device("cpu"))
    return with_state(made.rows, made.layout, settings, features(len(lengths), 0)), made.layout


def features(rows: int, step: int) -> Features:
    g = torch.Generator().manual_seed(step)
    logits, error = torch.randn(rows, WIDTH, VOCAB, generator=g) * 4, torch.randn(rows, WIDTH, generator=g)
    return Features(logits, error, torch.randn(rows, WIDTH, VOCAB, generator=g) * 4)


def same(ours: Any, theirs: Any) -> None:
    pairs: list[tuple[Tensor, Tensor]] = []
    tree_map(lambda a, b: pairs.append((a, b)), ours, theirs)
    assert pairs
    for a, b in pairs:
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6, equal_nan=True)


def compare(compiled: Compiled, settings: Settings, lengths: list[int], steps: int = 12) -> None:
    """Every number of every step, and the rows where they always are."""
    fixed, layout = opened(lengths, settings)
    fixed = tree_map(torch.clone, fixed)
    plain = tree_map(torch.clone, fixed)
    places = tree_map(lambda t: t.data_ptr(), tuple(fixed)[:8])
    for step in range(steps):
        said = features(len(lengths), step)
        outcome, change = compiled(fixed, layout, said, settings)
        plain, want, theirs = advance(plain, layout, said, settings)
        same((fixed, outcome), (plain, want))
        block = change.block._replace(key=theirs.block.key, step=theirs.block.step)  # which are not to be read
        same((block, *change[1:]), (theirs.block, *theirs[1:]))
    assert places == tree_map(lambda t: t.data_ptr(), tuple(fixed)[:8])


#: The first case of every policy, and what else compiles in a way of its own.
SOME = [p for i, p in enumerate(CASES) if p.name != (CASES[i - 1].name if i else "")]
SOME += [ds.Unmask(entropy_bound=1.0), ds.Unmask(tokens_per_step=2, score="random")]


@pytest.mark.parametrize(
    "policy", [pytest.param(p, marks=pytest.mark.full) if p.name in ZOO else p for p in SOME], ids=repr
)
def test_compiled_is_plain(policy: Policy) -> None:
    settings = settings_of(policy, temperature=0.7)
    compare(compiled_update(settings, WIDTH, True, "eager"), settings, [5, 20, 13])


@pytest.mark.parametrize(
    "changed", [{"cached": False, "whole": True}, {"gaps": True, "special": torch.tensor([0, MASK])}], ids=str
)
def test_texts_and_whole_answers(changed: dict[str, Any]) -> None:
    settings = settings_of(ds.DSC(scorer="random"), **changed)
    compare(compiled_update(settings, WIDTH, True, "eager"), settings, [5, 20, 13])


@pytest.mark.full
@pytest.mark.parametrize("policy", CASES, ids=repr)
def test_whatever_the_options(policy: Policy) -> None:
    for temperature in (0.0, 0.7):
        settings = settings_of(policy, temperature)
        compiled = compiled_update(settings, WIDTH, True, "aot_eager")
        for lengths in ([5, 20, 13],) if temperature else ([5, 20, 13], [21]):
            compare(compiled, settings, lengths)


@needs_compiler
@pytest.mark.full
@pytest.mark.parametrize("policy", SOME, ids=repr)
def test_kernels_of_inductor(policy: Policy) -> None:
    """Loops over memory, the vocabulary's and the noise's too: at most a quarter of the plain operations."""
    from torch._inductor import metrics

    settings = settings_of(policy, temperature=0.7)
    metrics.reset()
    compare(compiled_update(settings, WIDTH, True), settings, [5, 20, 13])
    assert 0 < metrics.generated_kernel_count <= operations(settings) / 4


def operations(settings: Settings) -> int:
    """Of a plain update, views and scalars left out."""
    rows, layout = opened([5, 20, 13], settings)

    class Counting(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = func(*args, **(kwargs or {}))
            self.count += isinstance(out, Tensor) and out.ndim > 0 and not func.is_view
            return out

    with Counting() as counting:
        advance(rows, layout, features(3, 0), settings)
    return counting.count


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=[needs_compiler, pytest.mark.full])])
def test_hashes_are_the_same_bits(backend: str) -> None:
    """Also where a counter is a position, whose product with the golden ratio is no index into anything."""

    def numbers(key: Tensor) -> tuple[Tensor, Tensor]:
        folded = rng.fold(key[:, None], 3, torch.arange(33), -1, key[:, None])
        return folded, rng.uniform(folded)

    g = torch.Generator().manual_seed(0)
    ends = torch.tensor([0, -1, 2**63 - 1, -(2**63)])
    key = torch.cat([ends, torch.randint(-(2**63), 2**63 - 1, (6,), generator=g)])
    for ours, theirs in zip(torch.compile(numbers, backend=backend)(key), numbers(key), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ranks_without_a_sort(dtype: torch.dtype) -> None:
    g = torch.Generator().manual_seed(0)
    score = torch.randint(0, 5, (40, 33), generator=g).to(dtype)
    score[:, :4] = torch.tensor([torch.inf, -torch.inf, torch.nan, -0.0])
    among = torch.rand(40, 33, generator=g) < 0.7
    assert torch.equal(torch.compile(rank, backend="eager")(score, among), rank(score, among))


def test_one_is_compiled_for_any_batch() -> None:
    """Once for one row, and once for more, of any length; other policies do not count."""
    seen: list[str] = []

    def backend(graph: Any, inputs: Any) -> Any:
        seen.append("")
        return graph

    with torch._dynamo.config.patch(recompile_limit=2):
        for k in (1, 2):
            settings = settings_of(ds.Unmask(tokens_per_step=k))
            compiled = compiled_update(settings, WIDTH, True, backend)
            for lengths in ([5, 9], [30, 9, 4], [8] * 6, [70], [3], [12, 3]):
                compare(compiled, settings, lengths, steps=2)
            assert len(seen) == 2 * k


def test_equal_updates_are_one() -> None:
    one = settings_of(ds.T2T())
    update = compiled_update(one, WIDTH, True)
    assert compiled_update(settings_of(ds.T2T(), eos_ids=torch.tensor([7])), WIDTH, True) is update
    assert compiled_update(settings_of(ds.T2T(), temperature=1.0), WIDTH, True) is not update
    assert compiled_update(one, 2 * WIDTH, True) is not update
    assert compiled_update(settings_of(ds.T2T.speed()), WIDTH, True) is not update


class _Listed(_Never):
    """One that cannot be hashed, and is compiled all the same."""

    levels: list[float] = [0.5]


class _Opaque(ds.Unmask):
    """One that no compiler sees through."""

    name: ClassVar[str] = "opaque"

    def step(self, state: Any, block: Any, pred: Any) -> Any:
        torch._dynamo.graph_break()
        return super().step(state, block, pred)


def test_a_policy_that_cannot_be_hashed() -> None:
    settings = settings_of(_Listed())
    compare(compiled_update(settings, WIDTH, True, "eager"), settings, [5, 9], steps=4)


def test_what_cannot_be_compiled_runs_plainly(caplog: pytest.LogCaptureFixture) -> None:
    settings = settings_of(_Opaque(tokens_per_step=2))
    compiled = compiled_update(settings, WIDTH, True, "eager")
    with caplog.at_level(logging.WARNING, "dlmsample"):
        compare(compiled, settings, [5, 9])
        compare(compiled_update(settings, WIDTH, True, "eager"), settings, [5])
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "update of opaque cannot be compiled" in caplog.text


def test_a_mistake_of_the_policy_is_told_as_such() -> None:
    settings = settings_of(ds.DSC())
    rows, layout = opened([9], settings)
    with pytest.raises(ValueError, match="correction head"):
        compiled_update(settings, WIDTH, True, "eager")(
            rows, layout, Features(torch.randn(1, WIDTH, VOCAB), None), settings
        )


def _again(work: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
    """In place of a graph: the work done anew, and its results put where the first ones are."""
    out, first = work(), [True]

    def replay() -> None:
        if first:
            first.clear()
        else:
            tree_map(lambda old, new: old.copy_(new), out, work())

    return replay, out


#: Reduce by the kernel, interpreted, within what is compiled, and beside it.
_KERNEL = """
import torch
from dlmsample import predict
predict._has_kernel = lambda logits: True
g = torch.Generator().manual_seed(0)
logits, current, key = torch.randn(2, 3, 64, generator=g), torch.tensor([[5, 2, 7], [9, 2, 2]]), torch.tensor([3, 4])
excluded = torch.tensor([True, False]), torch.tensor([1, 8])
for options in ({}, {"needs": ("entropy", "margin"), "excluded": excluded}, {"temperature": 1.0, "top_k": 9}):
    def reduced(logits, current, key):
        return predict.predict(logits, current, 2, key=key, **options)
    compiled = torch.compile(reduced, fullgraph=True, backend="aot_eager")(logits, current, key)
    for a, b in zip(compiled, reduced(logits, current, key), strict=True):
        assert (a is None) == (b is None) and (a is None or torch.equal(a, b)), options
print("equal")
"""


@pytest.mark.skipif(find_spec("triton") is None, reason="needs triton")
def test_the_kernel_is_one_operation_of_what_is_compiled() -> None:
    env = os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, "-c", _KERNEL], env=env, capture_output=True, text=True, check=False)
    assert run.stdout.strip() == "equal", run.stderr


def test_where_there_are_kernels_is_a_constant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    Compiled(Settings(ds.T2T(), MASK, None, 0.0, 1.0, None, cached=True), WIDTH, True)  # type: ignore[arg-type]
    where = torch.compile(lambda t: t + int(runs_kernels(t.device)), fullgraph=True, backend="eager")
    assert where(torch.zeros(1)).item() == 0


@pytest.mark.full
def test_captured_decoding_of_nano(monkeypatch: pytest.MonkeyPatch, nano: ds.Denoiser) -> None:
    monkeypatch.setattr(pool, "cuda_graphs", lambda: _again)
    monkeypatch.setattr(pool, "_capturable", lambda plan: True)
    monkeypatch.setattr(executor, "is_fused", lambda module: True)
    monkeypatch.setattr(executor, "compiled_update", partial(compiled_update, backend="aot_eager"))
    prompts = [e.prompt for e in ds.tasks.load("wordproblems", split="valid", limit=3)]
    policy = ds.T2M(max_remasks=2, fill_threshold=0.5)
    ours, theirs = (
        ds.Sampler(nano, policy, batch_size=2, graphs=on).generate(prompts, max_new_tokens=48, record=True)
        for on in (True, False)
    )
    assert ours.tokens == theirs.tokens
    assert ours.stats == theirs.stats
    for one, two in zip(ours.trace or [], theirs.trace or [], strict=True):
        assert [(e.kind, e.step, e.position, e.new) for e in one] == [(e.kind, e.step, e.position, e.new) for e in two]
        assert [e.probability for e in one] == pytest.approx([e.probability for e in two], abs=1e-5)


def test_a_policys_table(tmp_path: Path) -> None:
    """It is given with every call, like all tensors."""
    frequencies.write(tmp_path / "counts.json", [[5, 6, 7, 8, 8, 9]])
    policy = ds.PCSampler(frequencies=str(tmp_path / "counts.json"))
    settings = settings_of(policy, table=policy.table())
    compiled = compiled_update(settings, WIDTH, True, "eager")
    compare(compiled, settings, [5, 20, 13])
    assert compiled._compiled is not None
