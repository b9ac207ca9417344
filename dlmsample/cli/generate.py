"""``dlmsample generate``: decode prompts and write what came out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

import dlmsample
from dlmsample.cli import inputs, interrupt, screen
from dlmsample.support.registry import unknown
from dlmsample.support.text import short

if TYPE_CHECKING:
    from rich.console import Console

    from dlmsample.types import Output, RowStats

_VIEWS = ("steps",)
_TRACE = "--trace"
_NEW_TOKENS = 160
_LOADING = ("device_map", "quantization", "allow_pickle", "compile")  #: options of ``load`` that few need


@dataclass(frozen=True)
class Request:
    """The options of ``generate`` as typed; see its help."""

    prompt: str | None = None
    template: Sequence[str] = ()
    chat: str | None = None
    policy: str = "unmask"
    model: str = "nano"
    adapter: str | None = None
    head: str | None = None
    settings: Sequence[str] = ()
    max_new_tokens: int | None = None
    stop: Sequence[str] = ()
    block_length: str | None = None
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int | None = None
    seed: int = 0
    batch_size: int = 32
    cache: str | None = None
    refresh: int | None = None
    device: str | None = None
    dtype: str | None = None
    raw: bool = False
    show: str | None = None
    as_json: bool = False
    trust_remote_code: bool = False
    family: str | None = None
    revision: str | None = None
    device_map: str | None = None
    quantization: str | None = None
    compile: bool = False
    allow_pickle: bool = False
    output: str | None = None
    trace: str | None = None


def generate(request: Request) -> None:
    """Check what can be checked at once, then load, decode and write.

    Raises:
        ValueError: anything the user can put right.
    """
    if request.show is not None and request.show not in _VIEWS:
        raise unknown("view", request.show, _VIEWS)
    if request.show and request.as_json:
        raise ValueError("--show steps is for people and --json for machines: give one of them")
    _check_source(request)
    block_length = inputs.block_length(request.block_length)
    options = inputs.parse_settings(request.settings)
    screen.check_writable(request.output)
    screen.check_writable(request.trace, _TRACE)
    if request.trace is not None and request.trace == request.output:
        raise ValueError(f"{_TRACE} and --output name the same file: give two")
    prompts = _read(request)

    policy = inputs.make_policy(request.policy, options)
    screen.silence()
    model = inputs.load_model(request, **{key: value for key in _LOADING if (value := getattr(request, key))})
    sampler = dlmsample.Sampler(
        model,
        policy,
        block_length,
        request.temperature,
        request.top_p,
        request.top_k,
        request.batch_size,
        cache=inputs.cache(request.cache),
        refresh=request.refresh,
    )
    record = request.show is not None or request.trace is not None
    length = None if request.template else request.max_new_tokens or _NEW_TOKENS
    with interrupt.raising():
        if length is None:
            _check_masks(model, prompts)
            out = sampler.fill(prompts, request.seed, record=record, progress=True)
        else:
            chat = False if request.raw else None
            out = sampler.generate(
                prompts, length, request.seed, record=record, progress=True, chat=chat, stop=request.stop
            )
        with screen.sink(request.output) as stream:
            if request.as_json:
                _write_json(stream, prompts, out)
            else:
                _write_text(screen.console(stream), prompts, out, model, length, request.show is not None)
        if request.trace is not None:
            with screen.sink(request.trace, _TRACE) as stream:
                stream.write(_page(request, prompts, out, sampler, length))


def _check_source(request: Request) -> None:
    """One source of texts, and no option that it would not read."""
    given = {"PROMPT": request.prompt is not None, "--template": request.template, "--chat": request.chat is not None}
    named = [name for name in given if given[name]]
    if not named:
        raise ValueError("nothing to answer: give a PROMPT, --template TEXT or --chat FILE")
    if len(named) > 1:
        raise ValueError(f"{' and '.join(named)} exclude each other: give one of them")
    if request.template and request.max_new_tokens is not None:
        raise ValueError("--max-new-tokens does not go with --template, whose masks are counted: leave it out")
    if request.template and request.stop:
        raise ValueError("--stop does not go with --template, whose masks are all filled: leave it out")
    if request.template and request.raw:
        raise ValueError("--raw does not go with --template, which has no chat template: leave it out")
    if request.chat is not None and request.raw:
        raise ValueError("--raw leaves out the chat template, which --chat needs: leave one of them out")


def _check_masks(model: Any, templates: Sequence[str]) -> None:
    """Every template has something to fill; the library gives the others back as they are."""
    for text in templates:
        if None not in _given(model, text):
            raise ValueError(f'the template "{short(text, 60)}" holds no [MASK]: write one for every token to fill in')


def _read(request: Request) -> list[Any]:
    if request.template:
        return inputs.read_templates(request.template)
    if request.chat is not None:
        return inputs.read_chats(request.chat)
    return inputs.read_prompts(request.prompt or "")


def _write_json(stream: TextIO, prompts: Sequence[Any], out: Output) -> None:
    """One object per prompt per line; ASCII only, so that no text can break a line or a terminal."""
    rows = zip(prompts, out.texts, out.tokens, out.stats, strict=True)
    for index, (prompt, text, tokens, stats) in enumerate(rows):
        row = {"index": index, "prompt": prompt, "text": text, "tokens": tokens, "stats": stats.asdict()}
        if inputs.approximate(out.cache):
            row["cache"] = out.cache
        stream.write(json.dumps(row) + "\n")


def _write_text(
    page: Console, prompts: Sequence[Any], out: Output, model: Any, length: int | None, steps: bool
) -> None:
    """For people: each text, then a dim line of statistics; several prompts are numbered and repeated.

    ``length``: answer positions; None: the prompts are texts with masks. ``steps``: before each text how it came about.
    """
    from rich.text import Text

    from dlmsample.cli.steps import show

    for index, (prompt, text, stats) in enumerate(zip(prompts, out.texts, out.stats, strict=True)):
        if len(prompts) > 1:
            asked = prompt if isinstance(prompt, str) else prompt[-1]["content"]
            screen.say(page, f"{'' if index == 0 else chr(10)}[{index + 1}] {asked}")
        if steps and out.trace is not None:
            given = None if length is not None else _given(model, prompt)
            places = length if given is None else given.count(None)
            show(page, out.trace[index], places or 0, lambda token: model.tokenizer.decode([token]), given)
            screen.say(page, "")
        screen.say(page, text.strip())
        cache = f", cache {out.cache}" if inputs.approximate(out.cache) else ""
        page.print(Text(_figures(stats) + cache, "dim"), soft_wrap=True)


def _page(request: Request, prompts: Sequence[Any], out: Output, sampler: Any, length: int | None) -> str:
    """How the answers came about, as a page."""
    from dlmsample.cli import tracepage

    model = sampler.model
    rows = []
    for prompt, text, stats, events in zip(prompts, out.texts, out.stats, out.trace or (), strict=True):
        given = _given(model, prompt) if length is None else None
        places = length if given is None else given.count(None)
        asked = prompt if isinstance(prompt, str) else "\n".join(f"{m['role']}: {m['content']}" for m in prompt)
        rows.append(tracepage.Decoded(asked, text, stats, events, places or 0, given))
    settings = {
        "model": f"{model!r}",
        "block length": str(sampler.block_length if request.block_length or length else "all"),
        "new tokens": str(length),
        "sampling": f"temperature {sampler.temperature:g}, top-p {sampler.top_p:g}, top-k {sampler.top_k or 'all'}",
        "seed": str(request.seed),
        "cache": out.cache,
        "stop": ", ".join(map(repr, request.stop)) or None,
        "dlmsample": dlmsample.__version__,
    }
    told = {name: value for name, value in settings.items() if value not in (None, "None")}
    return tracepage.page(rows, model.tokenizer.decode, sampler.policy, told)


def _given(model: Any, text: str) -> list[int | None]:
    """The ids of a text with masks, which are None."""
    from dlmsample.models.template import encode_template

    return [None if token == model.mask_id else token for token in encode_template(model, text)]


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
