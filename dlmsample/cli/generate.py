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
    typed = settings.typed_options(given)
    screen.check_writable({screen.OUTPUT: given.output, _TRACE: given.trace})
    if given.trace is not None and given.trace == given.output:
        raise ValueError(f"{_TRACE} and --output name the same file: give two")
    if given.trace is None and (given.compare is not None or given.gold):
        raise ValueError("--compare and --gold are for the page of --trace: give that too")
    texts = _read(given)
    for_what = (given.model, given.adapter, given.head)
    chosen = settings.choose_policy(given.policy, *for_what, typed.policy, given.revision)
    other = None if given.compare is None else settings.choose_policy(given.compare, *for_what, {}, given.revision)
    screen.silence()
    threads.use(given.threads)
    from dlmsample.decoding.sampler import Sampler

    model = given.load(given.model, **{key: value for key in _LOADING if (value := getattr(given, key))})
    sampler = Sampler(model, chosen.policy, **{**chosen.options, **typed.sampler})
    for policy in (chosen, other):
        if policy is not None and policy.note:
            policy.say()
    record = "alternatives" if given.trace is not None else given.show is not None
    length = None if given.template else given.max_new_tokens or _NEW_TOKENS
    interrupt.raise_from_here()
    if length is None:
        _check_masks(model, texts, typed.chat)
    how: dict[str, Any] = {"seed": given.seed, "record": record, "chat": typed.chat, "whole": given.go_on}
    if length is not None:
        how |= {"template_args": typed.template, "stop": given.stop or None}
    out = _decoded(sampler, texts, length, progress=True, **how)
    runs = [(sampler.policy, out)]
    if other is not None:
        same = sampler.block_length if length or given.block_length else None
        second = Sampler(model, other.policy, **{**chosen.options, **typed.sampler, "block_length": same})
        runs.append((other.policy, _decoded(second, texts, length, **how)))
    ids = [template_ids(model, text, typed.chat) if length is None else None for text in texts]
    with screen.sink(given.output) as stream:
        if given.as_json:
            write_json(stream, texts, out, None if chosen.spelled else sampler.policy.entry())
        else:
            write_text(screen.console(stream), texts, out, model, length, given.show is not None, ids)
    if given.trace is not None:
        from dlmsample.cli.answers import page

        wide = sampler.block_length if given.block_length or length else "all"
        told = page.run_settings(sampler, given.seed, length, given.stop, wide, out.cache)
        answers = page.answers_of(texts, runs, ids, length, given.gold)
        with screen.sink(given.trace, _TRACE) as stream:
            policies = [policy for policy, _ in runs]
            stream.write(page.page(answers, sampler, policies, told, options.typed("generate", given)))
        beside = f", {' beside '.join(policy.name for policy in policies)}" if other is not None else ""
        screen.tell(f"page of the steps{beside}: {given.trace}")


def _decoded(sampler: Sampler, texts: Sequence[Any], length: int | None, whole: bool = False, **how: Any) -> Output:
    """The texts with their masks filled, or (``length``) answers to them, stripped unless they go on with a text."""
    if length is None:
        return sampler.fill(texts, **how)
    out = sampler.generate(texts, length, **how)
    return out if whole else replace(out, decoded=[text.strip() for text in out.texts])


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
