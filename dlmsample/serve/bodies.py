"""The bodies of requests: OpenAI's fields and this server's own, each known, harmless, or refused by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dlmsample.support.registry import unknown
from dlmsample.support.text import one_line
from dlmsample.support.validated import sentence

#: OpenAI's fields that change nothing here.
_HARMLESS = frozenset(
    (
        *("user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"),
        *("prompt_cache_retention", "parallel_tool_calls", "tool_choice", "function_call"),
        *("reasoning_effort", "verbosity"),
    )
)
#: Fields that are refused unless they ask for nothing: the values that do, and why.
_REFUSED: Mapping[str, tuple[tuple[Any, ...], str]] = {
    "frequency_penalty": ((0,), "all positions of a block are predicted at once, so there are no counts to penalise"),
    "presence_penalty": ((0,), "all positions of a block are predicted at once, so there are no counts to penalise"),
    "logit_bias": (({},), "policies decide by the model's own confidence, which a bias would falsify"),
    "best_of": ((1,), "an answer has no likelihood to rank by: ask for n answers"),
    "echo": ((False,), "the prompt is not scored: put it in front of the answer yourself"),
    "suffix": (("",), "text behind the answer is not read: Sampler.fill decodes masks inside a text"),
    "tools": (([],), "no tools are called"),
    "functions": (([],), "no functions are called"),
    "response_format": (({"type": "text"},), "the answer's form cannot be forced"),
    "modalities": ((["text"],), "answers are text"),
    "audio": ((), "answers are text"),
    "prediction": ((), "a draft is not read"),
    "web_search_options": ((), "nothing is looked up"),
    "top_logprobs": ((0,), "only the probability of the token that was placed is kept: use logprobs"),
}

#: What a message holds that a client has from an answer, and sends back with the next question.
_OF_ANSWERS = frozenset(
    ("refusal", "annotations", "audio", "function_call", "tool_calls", "reasoning", "reasoning_content")
)

Strings = Annotated[list[str], Field(max_length=16)]
_Body = TypeVar("_Body", bound="AnswerBody")


class StreamOptions(BaseModel):
    """What a stream tells beside the answer."""

    model_config = ConfigDict(extra="forbid", strict=True)
    include_usage: bool = False
    include_obfuscation: bool = False


class AnswerBody(BaseModel):
    """What both kinds of requests have in common."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    model: str
    n: Annotated[int, Field(ge=1)] = 1
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    stop: str | Strings | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    # this server's own
    policy: str | None = None
    options: dict[str, Any] | None = None
    block_length: Annotated[int, Field(ge=1)] | Literal["all"] | None = None
    top_k: Annotated[int, Field(ge=1)] | None = None
    drafts: bool = False

    @property
    def stops(self) -> list[str]:
        """The stop strings as a list."""
        return [self.stop] if isinstance(self.stop, str) else list(self.stop or ())


class CompletionBody(AnswerBody):
    """``POST /v1/completions``."""

    prompt: str | list[int] | list[str] | list[list[int]]
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: Annotated[int, Field(ge=0)] | None = None


class TextPart(BaseModel):
    """A part of a message."""

    model_config = ConfigDict(extra="forbid", strict=True)
    type: Literal["text"]
    text: str


class ChatMessage(BaseModel):
    """A message of a chat. What this server or a client sends along without saying anything is passed over."""

    model_config = ConfigDict(extra="forbid", strict=True)
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]
    name: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, given: Any) -> Any:
        """Of what an answer's message holds beside its text: nothing where it is null or empty, an error where not."""
        if not isinstance(given, dict):
            return given
        for name in _OF_ANSWERS & given.keys():
            if given[name] not in (None, []):
                raise ValueError(f"{name} is not supported: this server answers with text: send role and content alone")
        return {name: value for name, value in given.items() if name not in _OF_ANSWERS}

    @property
    def text(self) -> str:
        """What it says."""
        return self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)


class ChatBody(AnswerBody):
    """``POST /v1/chat/completions``."""

    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = None


def read_body(kind: type[_Body], data: bytes) -> _Body:
    """The body of a request.

    Raises:
        ValueError: no JSON object, an unknown or refused field, or a wrong value; in one line.

    Example:
        >>> read_body(CompletionBody, b'{"model": "nano", "prompt": "x", "echo": true}')
        Traceback (most recent call last):
        ValueError: echo is not supported: the prompt is not scored: put it in front of the answer yourself
    """
    try:
        body = json.loads(data, parse_constant=_no_constant, object_pairs_hook=_without_twins)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the body is no JSON: {one_line(error, 200)}") from None
    if not isinstance(body, dict):
        raise ValueError("the body must be a JSON object")
    given: dict[str, Any] = {}
    for name, value in body.items():
        if name in _HARMLESS:
            continue
        if name in _REFUSED:
            neutral, why = _REFUSED[name]
            if value is not None and not any(type(value) is type(v) and value == v for v in _numbers(neutral)):
                raise ValueError(f"{name} is not supported: {why}")
        elif name not in kind.model_fields:
            raise unknown("field", name[:200], kind.model_fields)
        else:
            given[name] = value
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        raise ValueError(_explained(dict(error.errors()[0]))) from None


def _explained(error: dict[str, Any]) -> str:
    place = ".".join(str(part) for part in error["loc"] if not str(part).startswith(("list[", "constrained")))
    return one_line(sentence(error, place), 200)


def _numbers(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """These values, and 0.0 beside 0."""
    return (*values, *(float(v) for v in values if type(v) is int))


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is given twice")
    return found
