"""``dlmsample generate``: decode prompts and write what came out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

import dlmsample
from dlmsample.cli import inputs, interrupt, screen
from dlmsample.registry import unknown

if TYPE_CHECKING:
    from rich.console import Console

    from dlmsample.types import Output, RowStats

_VIEWS = ("steps",)
_LOADING = ("device_map", "quantization", "allow_pickle")  #: options of ``load`` that few need


@dataclass(frozen=True)
class Request:
    """The options of ``generate`` as typed; see its help."""

    prompt: str
    policy: str = "unmask"
    model: str = "nano"
    adapter: str | None = None
    head: str | None = None
    settings: Sequence[str] = ()
    max_new_tokens: int = 160
    block_length: str | None = None
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int | None = None
    seed: int = 0
    batch_size: int = 32
    device: str | None = None
    dtype: str | None = None
    raw: bool = False
    show: str | None = None
    as_json: bool = False
    trust_remote_code: bool = False
    family: str | None = None
    device_map: str | None = None
    quantization: str | None = None
    allow_pickle: bool = False
    output: str | None = None


def generate(request: Request) -> None:
    """Check what can be checked at once, then load, decode and write.

    Raises:
        ValueError: anything the user can put right.
    """
    if request.show is not None and request.show not in _VIEWS:
        raise unknown("view", request.show, _VIEWS)
    if request.show and request.as_json:
        raise ValueError("--show steps is for people and --json for machines: give one of them")
    block_length = inputs.block_length(request.block_length)
    options = inputs.parse_settings(request.settings)
    screen.check_writable(request.output)
    prompts = inputs.read_prompts(request.prompt)

    policy = inputs.make_policy(request.policy, options)
    screen.silence()
    model = dlmsample.load(
        request.model,
        adapter=request.adapter,
        head=request.head,
        device=request.device,
        dtype=request.dtype,
        trust_remote_code=request.trust_remote_code,
        family=request.family,
        **{key: value for key in _LOADING if (value := getattr(request, key))},
    )
    sampler = dlmsample.Sampler(
        model, policy, block_length, request.temperature, request.top_p, request.top_k, request.batch_size
    )
    with interrupt.raising():
        out = sampler.generate(
            prompts,
            request.max_new_tokens,
            request.seed,
            record=request.show is not None,
            progress=True,
            chat=False if request.raw else None,
        )
        with screen.sink(request.output) as stream:
            if request.as_json:
                _write_json(stream, prompts, out)
            else:
                _write_text(screen.console(stream), prompts, out, model, request.max_new_tokens)


def _write_json(stream: TextIO, prompts: Sequence[str], out: Output) -> None:
    """One object per prompt per line; ASCII only, so that no text can break a line or a terminal."""
    rows = zip(prompts, out.texts, out.tokens, out.stats, strict=True)
    for index, (prompt, text, tokens, stats) in enumerate(rows):
        row = {"index": index, "prompt": prompt, "text": text, "tokens": tokens, "stats": stats.asdict()}
        stream.write(json.dumps(row) + "\n")


def _write_text(page: Console, prompts: Sequence[str], out: Output, model: Any, length: int) -> None:
    """For people: each text, then a dim line of statistics; several prompts are numbered and repeated."""
    from rich.text import Text

    from dlmsample.cli.steps import show

    for index, (prompt, text, stats) in enumerate(zip(prompts, out.texts, out.stats, strict=True)):
        if len(prompts) > 1:
            screen.say(page, f"{'' if index == 0 else chr(10)}[{index + 1}] {prompt}")
        if out.trace is not None:
            show(page, out.trace[index], length, lambda token: model.tokenizer.decode([token]))
            screen.say(page, "")
        screen.say(page, text.strip())
        page.print(Text(_figures(stats), "dim"), soft_wrap=True)


def _figures(stats: RowStats) -> str:
    figures = {
        "steps": stats.steps,
        "nfe": stats.nfe,
        "tokens": stats.tokens,
        "tokens/forward": f"{stats.tokens_per_forward:.2f}",
        "edits per 100": f"{stats.edits_per_100:.1f}",
        "forced": "yes" if stats.forced else "no",
        "finish": stats.finish_reason,
    }
    return ", ".join(f"{name} {value}" for name, value in figures.items())
