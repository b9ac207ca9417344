"""Captured forwards give the tokens and figures that plain ones give: nano in float32 under every policy, no timing.

    python -m benchmarks.same --device cuda --limit 8 --max-new-tokens 64 > benchmarks/results/same.txt

A line a setting: in how many answers ``graphs=True``, in a first or second call, differs from ``graphs=False``. Then
the same where a forward cannot be captured, in two threads, and on a second GPU. With ``compile`` answers may differ by
rounding: they are counted, and no failure.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import torch

import dlmsample as ds
from benchmarks.quality import device_name, parse_policy

Row = tuple[list[int], Any]


class Job(NamedTuple):
    prompts: list[str]
    new: int
    batch: int


def generate(sampler: ds.Sampler, job: Job, **options: Any) -> list[Row]:
    out = sampler.generate(job.prompts, job.new, **options)
    return list(zip(out.tokens, out.stats, strict=True))


def stop(sampler: ds.Sampler, job: Job) -> list[Row]:
    return generate(sampler, job, stop=[".", "####"])


def stream(sampler: ds.Sampler, job: Job) -> list[Row]:
    """Of each prompt twice."""
    answers = sampler.stream([*job.prompts, *job.prompts], job.new)
    return [(answer.tokens, answer.stats) for answer in sorted(answers, key=lambda answer: answer.number)]


def fill(sampler: ds.Sampler, job: Job) -> list[Row]:
    """Every fourth word of the prompts."""
    words = (prompt.split() for prompt in job.prompts)
    out = sampler.fill([" ".join("[MASK]" if at % 4 == 3 else w for at, w in enumerate(text)) for text in words])
    return list(zip(out.tokens, out.stats, strict=True))


class Setting(NamedTuple):
    """A policy, what answers are asked for, and a Sampler's options."""

    policy: str
    way: Callable[[ds.Sampler, Job], list[Row]] = generate
    options: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        return " ".join([self.policy, self.way.__name__, *(f"{key}={value}" for key, value in self.options)])

    def sampler(self, model: ds.Denoiser, job: Job, graphs: bool) -> ds.Sampler:
        policy, block_length = parse_policy(self.policy)
        return ds.Sampler(model, policy, block_length, batch_size=job.batch, graphs=graphs, **dict(self.options))


WARM = (("temperature", 0.7), ("top_p", 0.9))
SETTINGS = (
    *(Setting(f"unmask:{b}") for b in ("tokens_per_step=1", "steps=24", "threshold=0.6", "entropy_bound=0.3")),
    *(Setting(f"unmask:tokens_per_step=2,score={score}") for score in ("margin", "entropy", "random")),
    *(Setting(name) for name in ("klass:threshold=0.5,kl=0.05", "credit:threshold=0.6", "saber", "pc_sampler")),
    *(Setting(name) for name in ("prophet:steps=24,early=4", "core:steps=24,every=2,protect=4")),
    Setting("proseco:steps=24,max_corrections=2"),
    *(Setting(name) for name in ("rcr:steps=24", "p2:steps=24,eta=0.5", "tolerator:steps=12,rounds=12", "wino")),
    *(Setting(f"remdm:steps=24,sigma={sigma}") for sigma in ("cap,eta=0.05", "rescale,eta=0.1", "conf")),
    *(Setting(f"t2t{rest}") for rest in ("", ":fill_threshold=0.3,edit_threshold=0.0", ":edit_threshold=null")),
    *(Setting(f"t2m:fill_threshold=0.5,detector={name}") for name in ("low_prob", "t2t_remask", "logit_diff")),
    *(
        Setting(f"d3im:steps=24,block_length=all,eos={e}")
        for e in ("confidence", "none", "logit_nonfinal", "logit_all")
    ),
    *(Setting(f"d3im:steps=24,{channel}=false") for channel in ("t2t", "t2m")),
    *(Setting(f"dsc:{rest}") for rest in ("tokens_per_step=2", "stride=1,buffer=0", "stride=1,scorer=random")),
    *(Setting(policy, options=WARM) for policy in ("unmask:tokens_per_step=2", "t2t", "d3im:steps=24")),
    Setting("unmask:tokens_per_step=4", options=(("temperature", 1.0), ("top_k", 20))),
    Setting("t2m", options=(("cache", False),)),
    *(Setting(policy, fill) for policy in ("t2t", "unmask:tokens_per_step=2,block_length=16", "d3im:steps=8")),
    *(Setting(policy, way) for policy in ("t2t", "unmask:threshold=0.6") for way in (stop, stream)),
)


class Found(NamedTuple):
    """One line: answers that differ, and lines in the log that say a forward could not be captured."""

    part: str
    setting: str
    answers: int
    different: int
    logged: int = 0
    bad: bool = False


@contextmanager
def log_lines() -> Iterator[list[str]]:
    """What the package warns of meanwhile."""
    lines: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: lines.append(record.getMessage())
    logger = logging.getLogger("dlmsample")
    logger.addHandler(handler)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)


def compare(model: ds.Denoiser, setting: Setting, job: Job, part: str, expected: int = 0) -> Found:
    """Captured forwards against plain ones; ``expected`` lines in the log are right."""
    with log_lines() as lines:
        captured = setting.sampler(model, job, True)
        ours = [setting.way(captured, job) for _ in range(2)]
    theirs = setting.way(setting.sampler(model, job, False), job)
    wrong = sum(not one == two == three for one, two, three in zip(*ours, theirs, strict=True))
    return Found(part, str(setting), len(theirs), wrong, len(lines), wrong > 0 or len(lines) != expected)


def refused(model: ds.Denoiser, setting: Setting, job: Job) -> Found:
    """A forward that looks at a value cannot be captured: a line in the log, and plain forwards."""
    embeddings = model.module.get_input_embeddings()
    hook = embeddings.register_forward_hook(lambda module, args, out: out * out.isfinite().all().item())
    try:
        return compare(model, setting, job, "refused", expected=int(model.device.type == "cuda"))
    finally:
        hook.remove()


def threads(model: ds.Denoiser, settings: Sequence[Setting], job: Job) -> list[Found]:
    """Each setting in a thread and with a Sampler of its own, at the same time."""
    plain = [s.way(s.sampler(model, job, False), job) for s in settings]
    with log_lines() as lines, ThreadPoolExecutor(len(settings)) as pool:
        ours = list(pool.map(lambda s: s.way(s.sampler(model, job, True), job), settings))
    return [
        Found("threads", str(s), len(two), n := sum(map(tuple.__ne__, one, two)), len(lines), bool(n or lines))
        for s, one, two in zip(settings, ours, plain, strict=True)
    ]


def compiled(model: ds.Denoiser, settings: Sequence[Setting], job: Job) -> Iterator[Found]:
    """Tokens of compiled layers against plain ones; a difference is no failure."""
    fused = ds.load("nano", head="fca", device=str(model.device), dtype="float32", compile=True)
    for s in settings:
        one, two = (s.way(s.sampler(m, job, m is fused), job) for m in (fused, model))
        yield Found("compile", str(s), len(two), sum(a[0] != b[0] for a, b in zip(one, two, strict=True)))


def check(model: ds.Denoiser, job: Job, settings: Sequence[Setting], compile: bool) -> Iterator[Found]:
    """Every line in turn."""
    some = settings[:: max(1, len(settings) // 6)]
    yield from (compare(model, setting, job, model.device.type) for setting in settings)
    yield refused(model, settings[0], job)
    yield from threads(model, (settings[0], settings[-1]), job)
    if compile:
        yield from compiled(model, some, job)
    if model.device.type == "cuda" and torch.cuda.device_count() > 1:
        other = ds.load("nano", head="fca", device="cuda:1", dtype="float32")
        with torch.cuda.device(1):  # forwards are captured on the current GPU
            yield from (compare(other, setting, job, "cuda:1") for setting in some)


def main(args: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--limit", type=int, default=24, help="problems")
    parser.add_argument("--max-new-tokens", type=int, default=160)
    parser.add_argument("--batch-size", type=int, default=10, help="fewer than problems: slots are filled again")
    parser.add_argument("--no-compile", action="store_true", help="leave compiled layers out")
    parser.add_argument("--json", type=Path, default=None, help="write the results here")
    given = parser.parse_args(args)
    prompts = [example.prompt for example in ds.tasks.load("wordproblems", split="test", limit=given.limit)]
    job, found = Job(prompts, given.max_new_tokens, given.batch_size), list[Found]()
    model = ds.load("nano", head="fca", device=given.device, dtype="float32")
    for one in check(model, job, SETTINGS, not given.no_compile):
        counts = f"{one.different:>3} of {one.answers} differ, {one.logged} logged"
        print(f"{one.part:<8} {counts}  {one.setting}", "WRONG" * one.bad, flush=True)
        found.append(one)
    exact, wrong = [one for one in found if one.part != "compile"], sum(one.bad for one in found)
    print(f"{len(exact)} exact settings, {sum(one.answers for one in exact)} answers: {wrong} settings wrong")
    if given.json is not None:
        command = "python -m benchmarks.same " + " ".join(sys.argv[1:] if args is None else args)
        record = {"command": command, "device": device_name(model), "torch": version("torch"), "wrong": wrong}
        record |= {"dlmsample": ds.__version__, "settings": [one._asdict() for one in found]}
        given.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
