"""Chat messages as one text, by the template of a tokenizer: what a template may do wrong is found out here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from dlmsample.models.text.messages import PROMPT_FORMS, Message, check_messages, in_form, with_text
from dlmsample.support.registry import unknown
from dlmsample.support.text import one_line

Prompt = str | Sequence[int] | Sequence[Message]
#: How a prompt becomes a text, see :meth:`dlmsample.models.denoiser.Denoiser.encode`.
Chat = bool | Literal["text", "continue"] | None
#: How a rendered chat ends: with the beginning of the next answer; behind its last message; within its last message.
Ending = Literal["answer", "closed", "open"]
#: In place of what a message says, to see whether a template shows it.
_OTHER = "another text"
#: Behind what the last message says, to see where it ends; characters that no template changes.
_END = "\ue000\ue0e0\ue000"
#: What a template is always given; no argument of the caller's.
_OWN = frozenset({"add_generation_prompt", "continue_final_message", "conversation", "messages", "tokenize"})
#: What :meth:`apply_chat_template` takes for itself.
_OPTIONS = frozenset(
    {"chat_template", "max_length", "padding", "return_assistant_tokens_mask", "return_dict", "return_tensors"}
    | {"tokenizer_kwargs", "truncation"}
)
NO_TOKENIZER = "give prompts as lists of ids, read `.tokens`"
_INSTEAD = "give the prompt as plain text (chat=False, --raw)"


class Written(NamedTuple):
    """The text of a prompt."""

    text: str
    framed: bool  #: the tokenizer adds the special tokens that it adds to any text


def _is_framed(tokenizer: Any | None, prompt: Prompt, chat: Chat) -> bool:
    """Whether a prompt is a text to which the tokenizer adds the special tokens that it adds to any text."""
    return isinstance(prompt, str) and (
        chat is False or (chat is None and not getattr(tokenizer, "chat_template", None))
    )


def write(
    name: str,
    tokenizer: Any | None,
    prompt: Prompt,
    chat: Chat,
    template_args: Mapping[str, Any] | None,
    answer: bool = True,
) -> Written | None:
    """The text that a prompt is encoded from; None for ids.

    Args:
        name: of the checkpoint, for errors.
        tokenizer: of the checkpoint.
        prompt: text, chat messages, or ids.
        chat: how it becomes a text.
        template_args: further variables of the chat template.
        answer: end a chat with the beginning of the next answer.

    Raises:
        ValueError: no tokenizer for a text, messages without a template or that it refuses, an argument that it does
            not read, or a ``chat`` that does not fit the prompt.
    """
    if not (chat is None or chat is True or chat is False or chat in ("text", "continue")):
        raise ValueError(f'chat is None, True, False, "text" or "continue", not {chat!r:.40}')
    if isinstance(prompt, str):
        messages: Any = [{"role": "user", "content": prompt}]
    elif not isinstance(prompt, Sequence) or isinstance(prompt, bytes):
        raise ValueError(PROMPT_FORMS + f", not {type(prompt).__name__} (tensors and arrays: .tolist())")
    elif all(type(i) is int for i in prompt):
        return None
    else:
        messages = prompt
    said = [prompt] if isinstance(prompt, str) else check_messages(messages)
    if tokenizer is None:
        raise ValueError(f"{name} has no tokenizer to encode text: {NO_TOKENIZER}")
    try:
        "".join(said).encode()
    except UnicodeEncodeError as e:
        raise ValueError(f"the prompt is not valid Unicode text ({e.reason}); decode it as UTF-8") from e
    framed = _is_framed(tokenizer, prompt, chat)
    if isinstance(prompt, str) and (framed or chat == "text"):
        if template_args:
            raise ValueError(
                "template arguments are for a chat template, and none is applied here: leave them out (--template-arg)"
            )
        return Written(prompt, framed)
    if chat == "text":
        raise ValueError('chat="text" (--text) takes texts, not messages: leave it out')
    if chat == "continue" and isinstance(prompt, str):
        raise ValueError('chat="continue" (--continue) takes messages whose last is the assistant\'s, not a text')
    ending: Ending = "open" if chat == "continue" else "answer" if answer else "closed"
    return Written(render(name, tokenizer, messages, said, ending, template_args), framed=False)


def render(
    name: str,
    tokenizer: Any,
    messages: Sequence[Message],
    said: Sequence[str],
    ending: Ending,
    arguments: Mapping[str, Any] | None = None,
) -> str:
    """Messages as one text.

    A template takes the content of a message as one text, or in parts: the form that shows the last message is taken.
    ``closed``: the text is rendered with and without the beginning of an answer. Where both are the same, what the
    template writes behind any chat, such as LLaDA-8B's header of the next answer, is cut off. ``open``: all that the
    template writes behind the content of the last message is cut off.

    Args:
        name: of the checkpoint, for errors.
        tokenizer: has the chat template.
        messages: as :func:`~dlmsample.models.text.messages.check_messages` takes them.
        said: what each of them says, which it returns.
        ending: how the text ends.
        arguments: further variables of the template, such as ``enable_thinking`` or ``tools``.

    Raises:
        ValueError: no template, one that refuses these messages, fails or leaves out the last one, or an argument that
            it does not read.
    """
    if not tokenizer.chat_template:
        raise ValueError(f"{name} has no chat template: give the prompt as plain text (chat=False, --raw)")
    template = _Template(f"the chat template of {name}", tokenizer, dict(arguments or {}))
    if ending == "open" and (not messages or messages[-1]["role"] != "assistant"):
        raise ValueError("there is no turn to continue: the last message must be one of the assistant's")
    failure: ValueError | None = None
    for parts in (False, True):
        try:
            return template.text(in_form(messages, parts), said[-1] if said else "", ending, parts)
        except ValueError as e:
            failure = failure or e
    assert failure is not None
    raise failure


class _Template:
    def __init__(self, name: str, tokenizer: Any, arguments: dict[str, Any]) -> None:
        self._name, self._tokenizer, self._arguments = name, tokenizer, arguments
        self._check_arguments()

    def text(self, messages: list[dict[str, Any]], said: str, ending: Ending, parts: bool) -> str:
        """Messages as one text, of which the last says ``said``."""
        if ending == "open":
            return self._open(messages, said, parts)
        text = self._apply(messages, ending == "answer")
        if said.strip() not in text and text == self._apply(_last_says(messages, _OTHER, parts), ending == "answer"):
            raise ValueError(f"{self._name} leaves out what the last message says: {_INSTEAD}")
        if ending == "closed" and text == self._apply(messages, True):
            return text.removesuffix(self._always())
        return text

    def _open(self, messages: list[dict[str, Any]], said: str, parts: bool) -> str:
        text = self._apply(_last_says(messages, said + _END, parts), False)
        before, found, _ = text.rpartition(_END)
        if not found:
            raise ValueError(f"{self._name} leaves out what the last message says, so it cannot be continued")
        return before

    def _always(self) -> str:
        """The header of an answer that the template writes behind any chat, asked for or not; "" where it writes none.

        It is what no messages at all are rendered to, if a chat ends in it and goes on behind it with an answer.
        """
        user, answer = {"role": "user", "content": _OTHER}, {"role": "assistant", "content": _OTHER}
        try:
            nothing, asked, answered = (self._apply(chat, False) for chat in ([], [user], [user, answer]))
        except ValueError:  # a template need not take these
            return ""
        return nothing if asked.endswith(nothing) and answered.startswith(asked) else ""

    def _apply(self, messages: list[dict[str, Any]], answer: bool) -> str:
        from jinja2 import TemplateError

        try:  # as a list of chats, for there may be no message
            return self._tokenizer.apply_chat_template(
                [messages], tokenize=False, add_generation_prompt=answer, **self._arguments
            )[0]
        except TemplateError as e:
            if type(e) is not TemplateError:  # a template's own refusal has no kind
                raise ValueError(f"{self._name} fails ({one_line(e, 200)}): repair it, or {_INSTEAD}") from e
            why = one_line(e)
            raise ValueError(f"{self._name} refuses these messages: {why}; change their roles or order") from e
        except Exception as e:  # a template is a program that comes with the checkpoint
            why = " ".join(f"{type(e).__name__}: {e}".split())[:200]
            raise ValueError(f"{self._name} fails ({why}): repair it, or {_INSTEAD}") from e

    def _check_arguments(self) -> None:
        """Refuse arguments that the template does not read, for it would ignore them silently."""
        if not self._arguments:
            return
        if own := sorted({*self._arguments} & (_OWN | _OPTIONS)):
            raise ValueError(f"{own[0]} is no argument of a chat template that can be given: leave it out")
        known = self._variables()
        for argument in self._arguments:
            if known is not None and argument not in known:
                raise unknown(f"argument of {self._name}", argument, sorted(known - _OWN))

    def _variables(self) -> set[str] | None:
        """The names that the template reads; None: it cannot be told."""
        import jinja2
        from jinja2 import meta

        try:
            text = self._tokenizer.get_chat_template(tools=self._arguments.get("tools"))
            return meta.find_undeclared_variables(
                jinja2.Environment(extensions=["jinja2.ext.loopcontrols"]).parse(text)
            )
        except Exception:  # tags of transformers' own, or a template that is none: rendering says so
            return None


def _last_says(messages: list[dict[str, Any]], text: str, parts: bool) -> list[dict[str, Any]]:
    return [*messages[:-1], with_text(messages[-1], text, parts)]
