"""What the speed benchmark measures and says, on tiny models; no figure itself is looked at."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import dlmsample as ds
from benchmarks import captured, roofline, speed
from benchmarks.captured import Captures
from benchmarks.cell import cell
from benchmarks.order import BATCHES, Wanted, order
from benchmarks.peers import PEERS, Job
from benchmarks.profiles import GAPS, Span, classify, kinds, profiled, profiles_table, read_trace, ready, summary
from benchmarks.speed_report import merge, plot, table
from benchmarks.speed_targets import targets, targets_table
from benchmarks.timed import Timed
from dlmsample.decoding.captured import pool
from tests.test_peers import job

MACHINE = roofline.Machine(1e9, 1e9)
SAME = {"device": "a CPU", "torch": "2", "versions": {}, "prompt_tokens": 32, "new_tokens": 32}


def test_timed_counts_only_while_it_is_open() -> None:
    work = job(ds.Unmask(tokens_per_step=8))
    run = PEERS["ours_plain"].open(work)
    with Timed(work.prompts.device, work.model.body, work.model.lm_head) as clock:
        forwards = run().forwards
    run()
    assert clock.calls == 2 * forwards - 1  # the prompt's forward needs no logits
    assert clock.seconds() > 0


def test_captured_forwards_are_counted_and_made_again_without_the_update(made: list[Any]) -> None:
    work = job(ds.Unmask(tokens_per_step=4), rows=2)
    run = PEERS["ours"].open(work)
    usual = pool.cuda_graphs
    with Captures() as captures:
        run()
    assert pool.cuda_graphs is usual
    assert len(captures) == len(made) > 0
    captures.begin()
    answer = run()
    known = list(made)
    played = captures.times(work.model.lm_head, torch.device("cpu"))
    assert played is not None
    assert 0 < played.forwards <= answer.forwards
    for whole, alone in zip(known, made[len(known) :], strict=False):
        assert 0 < len(alone.notes) < len(whole.notes)
        assert [note[0] for note in alone.notes] == [note[0] for note in whole.notes][: len(alone.notes)]


def test_without_an_lm_head_there_is_no_forward_alone(made: list[Any]) -> None:
    assert captured._alone(lambda: None, nn.Linear(1, 1), pool.cuda_graphs()) is None


def test_a_cell_of_captured_forwards(made: list[Any]) -> None:
    figures, answer = cell("ours", job(ds.Unmask(tokens_per_step=4)), MACHINE, repeats=2)
    assert figures["forward_share"] > 0
    assert figures["captured"]["forwards"] <= answer.forwards
    assert figures["first_seconds"] > 0
    assert figures["first_extra_seconds"] >= 0
    assert len(figures["spread"]) == 2


@pytest.mark.parametrize("peer", ["ours_dual", "ours_prefix"])
def test_a_cell_of_a_captured_approximate_cache(made: list[Any], peer: str) -> None:
    """Of a step's captures only the update calls the LM head; what comes before it counts as forward, too."""
    work = job(ds.Unmask(tokens_per_step=4), "bidirectional")
    figures, answer = cell(peer, work, MACHINE, repeats=2)
    assert made
    assert figures["approximate"]
    assert 0 < figures["captured"]["forwards"] <= answer.forwards
    assert figures["forward_share"] > 0


def test_others_have_no_first_call(made: list[Any]) -> None:
    figures, answer = cell("llada2", job(ds.Unmask(tokens_per_step=4)), MACHINE, repeats=1)
    assert figures["first_extra_seconds"] is None
    assert 0 < figures["forward_share"] < 1
    assert figures["tokens_per_s"] == pytest.approx(len(answer.tokens[0]) / figures["seconds"])


def test_work_grows_with_the_batch() -> None:
    model = job(ds.Unmask()).model
    one, two = roofline.work(model, 1, 16, 32), roofline.work(model, 2, 16, 32)
    assert one.bytes < two.bytes < 2 * one.bytes, "weights are read once for all rows"
    assert two.cache_bytes == 2 * one.cache_bytes == 2 * (two.bytes - one.bytes)
    assert two.flops == pytest.approx(2 * one.flops)
    assert one.seconds(roofline.Machine(one.bytes, 2 * one.flops)) == 1.0


class Counted:
    """Operations of the forwards that end in logits, counted by hooks on body and LM head: a prompt's does not."""

    def __init__(self, model: ds.Denoiser) -> None:
        self.forwards, self.flops, self._pending = 0, 0, 0
        self._counter = FlopCounterMode(display=False)
        body, head = model.body, model.lm_head
        assert isinstance(body, nn.Module)
        assert isinstance(head, nn.Module)
        self._hooks = [part.register_forward_pre_hook(lambda *_: self._begin()) for part in (body, head)]
        self._hooks += [body.register_forward_hook(self._of_body), head.register_forward_hook(self._of_head)]

    def _begin(self) -> None:
        self._counter = FlopCounterMode(display=False)
        self._counter.__enter__()

    def _end(self) -> int:
        self._counter.__exit__(None, None, None)
        return self._counter.get_total_flops()

    def _of_body(self, *_: Any) -> None:
        self._pending = self._end()

    def _of_head(self, *_: Any) -> None:
        self.flops += self._pending + self._end()
        self.forwards += 1

    def close(self) -> None:
        for hook in self._hooks:
            hook.remove()


@pytest.mark.parametrize(
    ("shape", "peer", "spare", "shift"),
    [
        ("llada_8b", "ours_plain", 0, False),
        ("llada_8b", "ours_plain", 0, True),
        ("llada_8b", "ours_prefix", 1, False),
        ("llada_8b", "ours_prefix", 1, True),
        ("llada_8b", "ours_dual", 1, False),
        ("llada_8b", "ours_dual", 1, True),
        ("llada_8b_causal", "ours_plain", 0, False),
        ("llada2_mini", "ours_plain", 0, False),
    ],
)
def test_operations_are_those_that_hooks_count(shape: str, peer: str, spare: int, shift: bool) -> None:
    """What a step must do is what it does, but for a spare position behind each row where a cache is sliced."""
    base = speed.base_model(speed.SHAPES[shape], "cpu", torch.float32, small=True)
    base.module.config._experts_implementation = "eager"  # grouped products are not counted by torch
    model = speed.open_model(shape, base)
    model = replace(model, facts=replace(model.facts, logit_shift=shift))
    prompts = torch.randint(10, 200, (2, 64), generator=torch.Generator().manual_seed(0))
    kind, counted = PEERS[peer], Counted(model)
    with sdpa_kernel(SDPBackend.MATH):  # the others' operations are not counted on a CPU
        answer = kind.open(Job(model, prompts, 96, ds.Unmask(tokens_per_step=4)))()
    counted.close()
    assert answer.steps == 24
    kinds = roofline.forwards(model, 64, 96, answer.steps, kind.approximate)
    assert sum(each.times for each in kinds) == answer.steps
    if model.attention == "block_causal":  # a finished block is forwarded once more, but for the last
        kinds += [roofline.Forward(1, 32, 64 + 32, 64), roofline.Forward(1, 32, 96 + 32, 96)]
    assert sum(each.times for each in kinds) == counted.forwards
    read = [each._replace(keys=each.keys + spare) if each.kept else each for each in kinds]
    made = sum(each.times * roofline.forwarded(model, 2, each).flops for each in read)
    assert counted.flops == made
    if model.attention != "block_causal":
        least = roofline.work(model, 2, 64, 96, answer.steps, kind.approximate)
        assert least.flops * answer.steps == pytest.approx(counted.flops, rel=0.01)


def test_an_approximate_cache_does_less_and_is_bounded_by_each_kind_of_step() -> None:
    """Not by the mean of steps: one that waits for memory does not make another wait less for arithmetic."""
    model = speed.open_model("llada_8b", speed.base_model("llada_8b", "cpu", torch.float32, small=True))
    whole, prefix, dual = (roofline.work(model, 4, 64, 96, 24, kind) for kind in ("", "prefix", "dual"))
    assert dual.flops < prefix.flops < whole.flops
    assert 0 == whole.cache_bytes < prefix.cache_bytes < dual.cache_bytes
    assert not whole.parts
    for least in (prefix, dual):
        assert [share for share, _ in least.parts] == [3 / 24, 21 / 24]
        entering, later = (part for _, part in least.parts)
        assert entering.flops == whole.flops
        assert entering.cache_bytes == 0
        machine = roofline.Machine(later.bytes, (entering.flops + later.flops) / 2)
        mean = roofline.Work(least.bytes, least.flops, least.cache_bytes)
        assert least.seconds(machine) > mean.seconds(machine)


@pytest.mark.parametrize("name", ["speed", "approximate_speed", "mixtures_speed"])
def test_results_hold_the_work_of_their_shape(name: str) -> None:
    """The bounds of every cell in the file are what the formulas give for its shape, and no share is above one."""
    record = speed.read(Path(__file__).parents[1] / "benchmarks" / "results" / f"{name}.json")
    again = speed.recount(record)
    measured = [(a, b) for a, b in zip(record["cells"], again["cells"], strict=True) if "skipped" not in a]
    caches = {"_".join(cell["peer"].split("_")[:2]) for cell, _ in measured if cell.get("approximate")}
    assert caches == (set() if name == "mixtures_speed" else {"ours_prefix", "ours_dual"})
    for had, right in measured:
        for key in ("step_bytes", "step_flops", "cache_bytes", "memory_share", "roofline_share"):
            assert had[key] == pytest.approx(right[key], rel=1e-9), (had["shape"], had["peer"], had["batch"], key)
        assert had["memory_share"] <= had["roofline_share"] + 1e-9 < 1


def _args(**given: Any) -> argparse.Namespace:
    usual = {"device": "cpu", "small": True, "prompt": 32, "new": 32, "repeats": 1, "seconds": 60.0, "policy": None}
    usual |= {"cells": "usual", "dtype": None, "shape": ["llada_8b_causal"], "batch": [1, 2], "peer": None}
    return argparse.Namespace(**usual | given)


def test_a_run_ends_in_a_table_and_a_picture() -> None:
    found = list(speed.cells(_args(peer=["ours", "ours_plain", "llada2", "llada"]), time.perf_counter()))
    assert "machine" in found[0]
    measured = [cell for cell in found[1:] if "skipped" not in cell]
    assert [(c["batch"], c["peer"]) for c in measured] == list(product((1, 2), ("ours", "ours_plain", "llada2")))
    assert {cell["steps"] for cell in measured} == {8}
    assert {cell["agrees"] for cell in measured} == {1.0}
    assert all(0 < cell["forward_share"] < 1 for cell in measured)
    long = measured[0] | {"new": 64}
    record = SAME | {"cells": [*found[1:], long]}
    assert [line.count("|") for line in table(record).splitlines()] == [11] * 4  # not the other length
    assert fromstring(plot(record)).tag.endswith("svg")


def test_approximate_and_other_steps_are_marked_in_the_table() -> None:
    base = {"shape": "s", "policy": "p", "batch": 1, "new": 32, "steps": 8, "tokens_per_s": 50.0, "ms_per_step": 1.0}
    base |= {"roofline_share": 0.5, "forward_share": None, "peak_gib": 1.0}
    made = [base | {"peer": "ours"}, base | {"peer": "ours_dual", "approximate": True}]
    made += [base | {"peer": "llada", "steps": 9}, base | {"peer": "ours_fused", "tokens_per_s": 100.0}]
    row = table(SAME | {"cells": made}).splitlines()[-1]
    assert row == "| s | 1 | 50 | 100 | ≈ 50 | 50* | 2.0× | 1.0 | 50 % |  | 1.0 |"


def test_without_time_no_cell_is_begun() -> None:
    found = list(speed.cells(_args(peer=["llada2"], seconds=-1.0), 0.0))
    assert [cell["skipped"] for cell in found[1:]] == ["no time left"] * 2


def test_how_long_a_cell_will_take() -> None:
    known, want = speed.Known(), Wanted("nano", 8, "llada2", 256)
    known.add(want, "p", 4.0)
    assert known.expected(want, "p", 2) == 8
    assert known.expected(want._replace(batch=32), "p", 2) == 16, "a long run is not repeated"
    assert known.expected(want._replace(new=512), "p", 1) == 8
    known.add(want._replace(batch=1, peer="ours"), "p", 1.0)
    assert known.expected(want._replace(peer="ours"), "p", 1) == 8, "a first run, at half as long per row"


def test_the_usual_order_has_every_shape_and_batch_and_the_targets_first() -> None:
    found = order()
    assert len(found) == len(set(found)) == len(order(small=True))
    assert {want.shape for want in found} == set(speed.SHAPES)
    assert {want.batch for want in found} == set(BATCHES)
    assert {want.peer for want in found} == set(PEERS)
    assert {want.batch for want in order(cells="approximate")} == {1, 8, 32}
    assert {PEERS[want.peer].approximate for want in order(cells="approximate")} == {"", "prefix", "dual"}
    assert {(want.shape, want.batch) for want in found[:12]} == {("llada_8b_causal", batch) for batch in (1, 8, 32)}
    assert speed.wanted(_args(shape=None, batch=None, new=None)) == order(small=True)
    some = speed.wanted(_args(shape=["nano", "sdar_4b"], batch=None, new=None))
    assert some == [want for want in order(small=True) if want.shape in ("nano", "sdar_4b")]


def test_runs_that_were_cut_make_one() -> None:
    cell = {"shape": "nano", "policy": "unmask", "batch": 1, "peer": "ours"}
    cut = SAME | {"command": ["one"], "cells": [cell | {"skipped": "no time left"}]}
    whole = SAME | {"command": ["two"], "cells": [cell | {"seconds": 2.0}]}
    both = merge([cut, whole])
    assert (both["command"], both["cells"]) == (["one", "two"], [cell | {"seconds": 2.0, "new": 32}])
    assert merge([whole, cut])["cells"] == both["cells"]
    machines = [{"bytes_per_s": 1.0}, {"bytes_per_s": 2.0}]
    apart = [run | {"machine": m, "cells": whole["cells"]} for run, m in zip((cut, whole), machines, strict=True)]
    apart[0]["cells"] = [cell | {"batch": 8}]
    assert [c["machine"] for c in merge([merge(apart), cut])["cells"]] == machines
    longer = merge([whole, whole | {"new_tokens": 64}])
    assert ([c["new"] for c in longer["cells"]], longer["new_tokens"]) == ([32, 64], 32)
    with pytest.raises(ValueError, match="differ"):
        merge([cut, whole | {"torch": "3"}])


def _figures(peer: str, batch: int, speed: float, **given: Any) -> dict[str, Any]:
    usual = {"shape": "llada_8b_causal", "policy": "p", "peer": peer, "batch": batch, "tokens_per_s": speed}
    usual |= {"steps": 8, "ms_per_step": 4.0, "roofline_share": 0.8, "forward_share": 0.98, "cache_bytes": batch * 100}
    return usual | {"first_extra_seconds": 5.0, "new": 32} | given


def test_targets() -> None:
    cells = [_figures("ours", 1, 350.0), _figures("ours_fused", 1, 400.0), _figures("ours_fused", 32, 3200.0)]
    cells += [_figures("llada2", 1, 90.0), _figures("diffusers", 1, 100.0), _figures("diffusers", 1, 900.0, steps=9)]
    cells += [_figures("ours_dual", 1, 9e9, shape="llada_8b"), _figures("llada2", 32, 500.0, forward_share=0.5)]
    short = targets(SAME | {"cells": cells})
    assert [t.holds for t in short] == [True, None, False, True, True, True, None, None, True]
    assert short[0].measured.startswith("4.00×")
    assert "only one" in short[2].measured

    cells += [_figures("ours_fused", 1, 350.0, new=640), _figures("ours_fused", 8, 700.0)]
    cells += [_figures("ours_fused", 8, 350.0, new=640, cache_bytes=2400, forward_share=0.9)]
    cells += [_figures("ours_fused", 8, 1.0, shape="nano", first_extra_seconds=61.0)]
    long = targets(SAME | {"cells": cells})
    assert [t.holds for t in long][-3:] == [False, True, False]
    assert long[-2].needed.startswith("≤ 3.0×")
    assert targets_table(SAME | {"cells": cells}).count("**missed**") == 3


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("nvjet_tst_64x8_64x16_4x1_v_bz_splitK_TNT", "matrix products"),
        ("void cutlass::Kernel2<cutlass_80_wmma_tensorop_bf16_s161616gemm_bf16>", "matrix products"),
        ("void cublasLt::splitKreduce_kernel<32, 16, int>", "matrix products"),
        ("fmha_cutlassF_bf16_aligned_64x128_rf_sm80", "attention"),
        ("attend", "attention"),
        ("scan", "vocabulary"),
        ("void at::native::tensor_kernel_scan_innermost_dim<long>", "norms and elementwise"),
        ("triton_per_fused__to_copy_add_mean_mul_pow_rsqrt_0", "norms and elementwise"),
        ("Memcpy DtoH (Device -> Pinned)", "copies"),
        ("zorp", "other"),
    ],
)
def test_what_kernels_are_for(name: str, kind: str) -> None:
    assert classify(name) == kind


def test_small_kernels_around_the_vocabulary_are_the_updates() -> None:
    names = ["index_fill", "gemm", "attend", "combine", "norm", "gemm", "where", "scan", "combine", "topk", "zorp"]
    step = [Span(name, 10.0 * i, 5.0, launch=1) for i, name in enumerate(names)]
    then = [Span("gather", 200.0, 5.0, launch=2), Span("Memcpy DtoH", 210.0, 5.0, launch=3)]
    assert kinds([*step, *then]) == [
        "norms and elementwise",
        "matrix products",
        "attention",
        "attention",
        "norms and elementwise",
        "matrix products",
        "update",
        "vocabulary",
        "vocabulary",
        "update",
        "update",
        "norms and elementwise",
        "copies",
    ]


def test_gaps_are_what_no_kernel_fills() -> None:
    spans = [Span("gemm", 0.0, 10.0), Span("gemm", 5.0, 10.0), Span("zorp", 20.0, 4.0)]  # the first two overlap
    found = summary(spans, wall=39.0, steps=2)
    parts = {part["kind"]: (part["us"], part["kernels"]) for part in found["classes"]}
    assert parts == {"matrix products": (10, 1), "other": (2, 0.5), GAPS: (10, 0)}
    assert found["step_us"] == 19.5


def test_a_trace_file_gives_kernels_or_else_what_operations_took_themselves(tmp_path: Path) -> None:
    def event(name: str, cat: str, ts: float, dur: float, **args: Any) -> dict[str, Any]:
        return {"ph": "X", "name": name, "cat": cat, "ts": ts, "dur": dur, "tid": 1, "args": args}

    outer, inner = event("aten::linear", "cpu_op", 0, 10), event("aten::mm", "cpu_op", 2, 5)
    kernel = event("gemm", "kernel", 50, 3, correlation=7)
    for events in ([outer, inner], [outer, inner, kernel]):
        path = tmp_path / f"{len(events)}.json"
        path.write_text(json.dumps({"traceEvents": [{"ph": "M", "name": "x"}, *events]}), encoding="utf-8")
    own: dict[str, float] = {}
    for span in read_trace(tmp_path / "2.json"):
        own[span.name] = own.get(span.name, 0) + span.length
    assert own == {"aten::linear": 5, "aten::mm": 5}
    assert read_trace(tmp_path / "3.json") == [Span("gemm", 50, 3, 7)]


def test_a_profile_of_an_approximate_cache_is_bounded_by_its_own_forwards() -> None:
    """Not by forwards over the whole canvas at every step."""
    work = job(ds.Unmask(tokens_per_step=4), "bidirectional")
    found = profiled(ready("ours_dual", work), MACHINE)
    rows, prompt = work.prompts.shape
    least = roofline.work(work.model, rows, prompt, work.new, found["steps"], "dual")
    assert found["roofline_us"] == pytest.approx(1e6 * least.seconds(MACHINE))
    assert found["roofline_us"] < 1e6 * roofline.work(work.model, rows, prompt, work.new).seconds(MACHINE)


def test_a_profile_ends_in_a_table() -> None:
    found = profiled(ready("ours_plain", job(ds.Unmask(tokens_per_step=4))), MACHINE)
    kinds_ = {part["kind"] for part in found["classes"]}
    assert {"matrix products", "update", GAPS} <= kinds_
    assert found["steps"] == 10
    lines = profiles_table([found, found]).splitlines()
    assert {line.count("|") for line in lines} == {4}
    assert lines[-1].startswith("| roofline")
