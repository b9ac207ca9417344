"""``dlmsample generate``: decode prompts and write what came out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dlmsample.cli import interrupt, options, prompts, screen, settings, threads
from dlmsample.cli.answers.asked import GenerateOptions
from dlmsample.cli.answers.lines import template_ids, write_json, write_text
from dlmsample.support.registry import unknown
from dlmsample.support.text import short

if TYPE_CHECKING:
    from dlmsample.decoding.sampler import Sampler
    from dlmsample.types import Output

_VIEWS = ("steps",)
_TRACE = "--trace"
_NEW_TOKENS = 160
_LOADING = ("device_map", "quantization", "allow_pickle", "compile")  #: options of ``load`` that few need


def generate(given: GenerateOptions) -> None:
    """Check what can be checked at once, then load, decode and write.

    Raises:
        ValueError: anything the user can put right.
    """
    if given.show is not None and given.show not in _VIEWS:
        raise unknown("view", given.show, _VIEWS)
    if given.show and given.as_json:
        raise ValueError("--show steps is for people and --json for machines: give one of them")
    _check_source(given)
    asked = {
        "block_length": settings.block_length(given.block_length),
        **{name: getattr(given, name) for name in ("temperature", "top_p", "top_k")},
    }
    changed = settings.parse_settings(given.settings)
    arguments = settings.parse_template_args(given.template_arg)
    screen.check_writable({screen.OUTPUT: given.output, _TRACE: given.trace})
    if given.trace is not None and given.trace == given.output:
        raise ValueError(f"{_TRACE} and --output name the same file: give two")
    if given.trace is None and (given.compare is not None or given.gold):
        raise ValueError("--compare and --gold are for the page of --trace: give that too")
    other = None if given.compare is None else settings.make_policy(given.compare, {})
    texts = _read(given)

    chosen = settings.choose_policy(given.policy, given.model, given.adapter, given.head, changed, given.revision)
    screen.silence()
    threads.use(given.threads)
    from dlmsample.decoding.sampler import Sampler

    model = given.load(given.model, **{key: value for key in _LOADING if (value := getattr(given, key))})
    sampler = Sampler(
        model,
        chosen.policy,
        **{**chosen.options, **{name: value for name, value in asked.items() if value is not None}},
        batch_size=given.batch_size,
        cache=settings.cache(given.cache),
        refresh=given.refresh,
    )
    if chosen.note:
        screen.note(chosen.note)
    record = "alternatives" if given.trace is not None else given.show is not None
    length = None if given.template else given.max_new_tokens or _NEW_TOKENS
    with interrupt.raising():
        if length is None:
            _check_masks(model, texts, given.how)
            out = sampler.fill(texts, given.seed, record=record, progress=True, chat=given.how)
        else:
            how = {"chat": given.how, "template_args": arguments, "stop": given.stop or None}
            out = sampler.generate(texts, length, given.seed, record=record, progress=True, **how)
            out = replace(out, decoded=[text.strip() for text in out.texts])
        runs = [(sampler.policy, out)]
        if other is not None:
            runs.append((other, _compared(sampler, other, texts, length, given, arguments)))
        with screen.sink(given.output) as stream:
            if given.as_json:
                write_json(stream, texts, out)
            else:
                ids = [template_ids(model, text, given.how) if length is None else None for text in texts]
                write_text(screen.console(stream), texts, out, model, length, given.show is not None, ids)
        if given.trace is not None:
            from dlmsample.cli.answers import page

            wide = sampler.block_length if given.block_length or length else "all"
            told = page.run_settings(sampler, given.seed, length, given.stop, wide, out.cache)
            ids = [template_ids(model, text, given.how) if length is None else None for text in texts]
            answers = page.answers_of(texts, runs, ids, length, given.gold)
            with screen.sink(given.trace, _TRACE) as stream:
                policies = [policy for policy, _ in runs]
                stream.write(page.page(answers, sampler, policies, told, options.typed("generate", given)))


def _compared(
    first: Sampler,
    policy: Any,
    texts: Sequence[Any],
    length: int | None,
    given: GenerateOptions,
    arguments: dict[str, Any],
) -> Output:
    """The same prompts under another policy, for the page."""
    block_length: Any = None if length is None and not given.block_length else first.block_length
    sampler = type(first)(
        first.model,
        policy,
        block_length,
        first.temperature,
        first.top_p,
        first.top_k,
        first.batch_size,
        cache=settings.cache(given.cache),
        refresh=first.refresh,
    )
    if length is None:
        return sampler.fill(texts, given.seed, record="alternatives", chat=given.how)
    how = {"chat": given.how, "template_args": arguments, "stop": given.stop or None}
    out = sampler.generate(texts, length, given.seed, record="alternatives", **how)
    return replace(out, decoded=[text.strip() for text in out.texts])


def _check_source(given: GenerateOptions) -> None:
    """One source of texts, and no option that it would not read."""
    sources = {"PROMPT": given.prompt is not None, "--template": given.template, "--chat": given.chat is not None}
    named = [name for name in sources if sources[name]]
    if not named and not prompts.piped():
        raise ValueError(prompts.NOTHING)
    if len(named) > 1:
        raise ValueError(f"{' and '.join(named)} exclude each other: give one of them")
    if given.template and given.max_new_tokens is not None:
        raise ValueError("--max-new-tokens does not go with --template, whose masks are counted: leave it out")
    if given.template and given.stop:
        raise ValueError("--stop does not go with --template, whose masks are all filled: leave it out")
    if given.template and given.raw:
        raise ValueError("--raw does not go with --template, which has no chat template: leave it out")
    if given.raw and given.text:
        raise ValueError(
            "--raw and --text exclude each other: --raw adds the tokenizer's special tokens, --text nothing"
        )
    if given.chat is not None and given.text:
        raise ValueError("--text takes a PROMPT or --template that is templated already: leave out --chat or --text")
    if given.chat is None and given.go_on:
        raise ValueError("--continue goes on with the last message of --chat: give one, or leave it out")
    if given.template_arg and (given.template or given.raw or given.text):
        raise ValueError("--template-arg is for a chat template, which is left out here: leave it out, too")
    if given.chat is not None and given.raw:
        raise ValueError("--raw leaves out the chat template, which --chat needs: leave one of them out")


def _read(given: GenerateOptions) -> list[Any]:
    if given.template:
        return prompts.read_templates(given.template)
    if given.chat is not None:
        return prompts.read_chats(given.chat)
    return prompts.read_prompts(given.prompt)


def _check_masks(model: Any, templates: Sequence[str], how: Any) -> None:
    """Every template has something to fill; the library gives the others back as they are.

    A note tells of signs that the tokenizer does not know: they come back, though the model cannot read them.
    """
    unknown_id = getattr(model.tokenizer, "unk_token_id", None)
    for text in templates:
        ids = template_ids(model, text, how)
        if None not in ids:
            raise ValueError(f'the template "{short(text, 60)}" holds no [MASK]: write one for every token to fill in')
        if unknown_id is not None and (count := ids.count(unknown_id)):
            parts = "part" if count == 1 else "parts"
            screen.note(f'{count} {parts} of "{short(text, 60)}" are unknown to the tokenizer: kept, but not read')
