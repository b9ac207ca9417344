"""Where a step's time goes: its kernels by what they are for, and the gaps between them."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.profiler import ProfilerActivity

from benchmarks import roofline
from benchmarks.cell import timed
from benchmarks.peers import PEERS, Answer, Job, Opened

PRODUCTS, ATTENTION, VOCABULARY, UPDATE, COPIES, SMALL, OTHER, GAPS = (
    "matrix products",
    "attention",
    "vocabulary",
    "update",
    "copies",
    "norms and elementwise",
    "other",
    "gaps between kernels",
)
#: What a kernel's name, in lower case, says; the first that fits.
_NAMES = (
    (ATTENTION, r"flash|fmha|attention|^attend|sdpa"),
    (VOCABULARY, r"^scan(_|$)|softmax|argmax"),
    (
        PRODUCTS,
        r"^multiply$|gemm|gemv|cutlass|nvjet|cublas|splitk|xmma|wgmma|triton_tem|triton_mm|grouped_mm|::(b|add)?mm$|dot_ker",
    ),
    (COPIES, r"memcpy|memset"),
    (
        SMALL,
        r"triton_|elementwise|norm|reduce|cat|copy|scatter|gather|index|fill|sort|topk|embedding|scan|where|mean|sum",
    ),
    (SMALL, r"^aten::|rsqrt|sigmoid|silu|rotary|arange|compare|bitonic|histogram|prefix|unrolled|vectorized"),
)
_FOLLOWS = re.compile(r"^combine(_|$)")
"""The second half of a reduction: what the kernel before it is for, it is for."""
_WORK = {"kernel", "gpu_memcpy", "gpu_memset"}


class Span(NamedTuple):
    """A kernel that ran; on a CPU an operation, without those that it called."""

    name: str
    begin: float  #: microseconds
    length: float  #: microseconds
    launch: int | None = None  #: kernels of one launch, a graph's, share it


def classify(name: str) -> str:
    """What a kernel is for, by its name alone.

    Example:
        >>> classify("nvjet_tst_128x64_64x4_2x1_v_bz_TNT"), classify("pytorch_flash::flash_fwd_kernel"), classify("?")
        ('matrix products', 'attention', 'other')
    """
    return next((kind for kind, names in _NAMES if re.search(names, name.lower())), OTHER)


def kinds(spans: list[Span]) -> list[str]:
    """What each kernel is for, by its name and its place: spans in the order of time.

    Small kernels between the last matrix product and the vocabulary's, and from there to the next matrix product or
    the graph's end, are the update's. In a loop without graphs the next forward's first ones are among them.
    """
    found: list[str] = []
    for span in spans:
        follows = found and _FOLLOWS.match(span.name)
        found.append(found[-1] if follows else classify(span.name))
    for at in [i for i, kind in enumerate(found) if kind == VOCABULARY]:
        for step in (-1, 1):
            place = at + step
            while 0 <= place < len(found) and found[place] not in (PRODUCTS, ATTENTION):
                if step > 0 and _graph_ends(spans, place):
                    break
                if found[place] in (SMALL, OTHER):
                    found[place] = UPDATE
                place += step
    return found


def _graph_ends(spans: list[Span], place: int) -> bool:
    """Whether the kernel at ``place`` begins another launch than the one before it, which was a graph's."""
    before = spans[place - 1].launch
    graph = place > 1 and before is not None and before == spans[place - 2].launch
    return graph and spans[place].launch != before


def summary(spans: Iterable[Span], wall: float, steps: int) -> dict[str, Any]:
    """Microseconds and kernels of one step, by kind.

    Args:
        spans: of a whole run.
        wall: microseconds that such a run takes when nobody looks.
        steps: of the run.
    """
    ordered = sorted(spans, key=lambda span: span.begin)
    times: dict[str, list[float]] = {}
    names: dict[tuple[str, str], list[float]] = {}
    busy, until = 0.0, float("-inf")
    for span, kind in zip(ordered, kinds(ordered), strict=True):
        times.setdefault(kind, []).append(span.length)
        names.setdefault((kind, span.name[:80]), []).append(span.length)
        end = span.begin + span.length
        busy += max(0.0, end - max(until, span.begin))
        until = max(until, end)
    classes = [
        {"kind": kind, "us": sum(each) / steps, "kernels": len(each) / steps}
        for kind, each in sorted(times.items(), key=lambda item: -sum(item[1]))
    ]
    classes.append({"kind": GAPS, "us": max(0.0, wall - busy) / steps, "kernels": 0})
    longest = sorted(names.items(), key=lambda item: -sum(item[1]))[:15]
    return {
        "step_us": wall / steps,
        "classes": classes,
        "longest": [
            {"kind": kind, "name": name, "us": sum(each) / steps, "kernels": len(each) / steps}
            for (kind, name), each in longest
        ],
    }


class Ready(NamedTuple):
    """A decoder whose first runs are over."""

    peer: str
    job: Job
    run: Opened
    answer: Answer
    seconds: float  #: of a run


def ready(peer: str, job: Job) -> Ready:
    """Prepare and time a decoder; before any profile is taken, for that may slow down what follows."""
    run = PEERS[peer].open(job)
    for _ in range(2):  # the second captures what occurs once in a run
        run()
    return Ready(peer, job, run, *timed(run, job.prompts.device))


def profiled(subject: Ready, machine: roofline.Machine) -> dict[str, Any]:
    """The summary of a run, beside the roofline of the same step."""
    peer, job, run, answer, seconds = subject
    device = job.prompts.device
    on_gpu = device.type == "cuda"
    with torch.profiler.profile(activities=[ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU]) as seen:
        run()
        roofline.synchronize(device)
    with tempfile.TemporaryDirectory() as folder:
        seen.export_chrome_trace(f"{folder}/trace.json")
        spans = read_trace(Path(folder) / "trace.json")
    rows, prompt = job.prompts.shape
    least = roofline.work(job.model, rows, prompt, job.new, answer.steps, PEERS[peer].approximate)
    head = {"shape": job.model.name, "peer": peer, "batch": len(job.prompts), "new": job.new, "steps": answer.steps}
    return {
        **head,
        "forwards": answer.forwards,
        "roofline_us": 1e6 * least.seconds(machine),
        **summary(spans, 1e6 * seconds, answer.steps),
    }


def trace(job: Job, peer: str, path: Path) -> str:
    """A trace of two blocks for ``chrome://tracing`` or Perfetto; returns its table of operations."""
    run = PEERS[peer].open(Job(job.model, job.prompts, 2 * job.width, job.policy))
    run()
    with torch.profiler.profile() as seen:
        run()
        roofline.synchronize(job.prompts.device)
    seen.export_chrome_trace(str(path))
    order = "self_cpu_time_total" if job.prompts.device.type == "cpu" else "self_device_time_total"
    return seen.key_averages().table(sort_by=order, row_limit=25)


def read_trace(path: Path) -> list[Span]:
    """The kernels of a trace file; where there are none, the CPU's operations."""
    events = [e for e in json.loads(path.read_text(encoding="utf-8"))["traceEvents"] if e.get("ph") == "X"]
    kernels = [e for e in events if e.get("cat") in _WORK]
    if kernels:
        return [Span(e["name"], e["ts"], e["dur"], e.get("args", {}).get("correlation")) for e in kernels]
    return _own_times([e for e in events if e.get("cat") == "cpu_op"])


def _own_times(events: list[dict[str, Any]]) -> list[Span]:
    """Operations that call others, in pieces: each without what it called."""
    spans: list[Span] = []
    open_ones: list[list[Any]] = []  # name, where its next piece begins, end

    def close(until: float) -> None:
        while open_ones and open_ones[-1][2] <= until:
            name, begin, end = open_ones.pop()
            spans.append(Span(name, begin, max(0.0, end - begin)))
            if open_ones:
                open_ones[-1][1] = end

    main = max((e["tid"] for e in events), key=[e["tid"] for e in events].count, default=None)
    for e in sorted((e for e in events if e["tid"] == main), key=lambda e: (e["ts"], -e["dur"])):
        close(e["ts"])
        if open_ones:
            name, begin, _ = open_ones[-1]
            spans.append(Span(name, begin, max(0.0, e["ts"] - begin)))
        open_ones.append([e["name"], e["ts"], e["ts"] + e["dur"]])
    close(float("inf"))
    return [span for span in spans if span.length]


def profiles_table(profiles: list[dict[str, Any]]) -> str:
    """Markdown: a column for each profile, microseconds a step and kernels in brackets."""
    order = list(dict.fromkeys(part["kind"] for one in profiles for part in one["classes"]))
    order = [kind for kind in order if kind != GAPS] + [GAPS]
    heads = ["microseconds a step (kernels)", *(f"{p['shape']}, {p['peer']}, batch {p['batch']}" for p in profiles)]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for kind in order:
        found = [next((part for part in one["classes"] if part["kind"] == kind), None) for one in profiles]
        shown = [
            "" if p is None else f"{p['us']:,.0f}" + (f" ({p['kernels']:.0f})" if p["kernels"] else "") for p in found
        ]
        lines.append("| " + " | ".join([kind, *shown]) + " |")
    for name, key in (("whole step", "step_us"), ("roofline of the step", "roofline_us")):
        lines.append("| " + " | ".join([name, *(f"{one[key]:,.0f}" for one in profiles)]) + " |")
    return "\n".join(lines)
