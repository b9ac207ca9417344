"""Chat messages: what one may hold, and their content as one text or in parts. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Message = Mapping[str, Any]
#: What a prompt may be, for errors.
PROMPT_FORMS = "a prompt is a text, a list of ids, or a list of messages {'role': ..., 'content': text}"


def check_messages(messages: Sequence[Any]) -> list[str]:
    """Each message has a role, and a content that is a text or a list of parts ``{"type": "text", "text": ...}``.

    An assistant's message that calls tools may have no content.

    Returns:
        what each of them says.

    Raises:
        ValueError: one that has not; a part that is no text is named.

    Example:
        >>> check_messages([{"role": "user", "content": "3 + 4?"}])
        ['3 + 4?']
        >>> check_messages([{"role": "user", "content": [{"type": "image", "url": "a.png"}]}])
        Traceback (most recent call last):
        ValueError: a message holds a part of type 'image', and only parts of type 'text' are read: leave it out
    """
    for message in messages:
        if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
            raise ValueError(PROMPT_FORMS)
        content = message.get("content")
        if isinstance(content, str) or (content is None and message.get("tool_calls")):
            continue
        if not isinstance(content, list) or not all(isinstance(part, Mapping) for part in content):
            raise ValueError(PROMPT_FORMS)
        for part in content:
            if part.get("type", "text") != "text" or not isinstance(part.get("text"), str):
                kind = str(part.get("type", "unknown"))[:40]
                raise ValueError(
                    f"a message holds a part of type {kind!r}, and only parts of type 'text' are read: leave it out"
                )
    return [text_of(message) for message in messages]


def text_of(message: Message) -> str:
    """What a message says; parts are joined as they are.

    Example:
        >>> text_of({"role": "user", "content": [{"type": "text", "text": "3 + "}, {"type": "text", "text": "4"}]})
        '3 + 4'
    """
    content = message.get("content")
    return "".join(part["text"] for part in content) if isinstance(content, list) else content or ""


def with_text(message: Message, text: str, parts: bool) -> dict[str, Any]:
    """The message with this content, as one text or as a list of one part.

    Example:
        >>> with_text({"role": "user", "content": "a"}, "b", parts=True)
        {'role': 'user', 'content': [{'type': 'text', 'text': 'b'}]}
    """
    return {**message, "content": [{"type": "text", "text": text}] if parts else text}


def in_form(messages: Sequence[Message], parts: bool) -> list[dict[str, Any]]:
    """Messages with their contents as one text each, or in parts; those that were given in parts stay in theirs.

    Example:
        >>> in_form([{"role": "user", "content": [{"type": "text", "text": "3 + 4?"}]}], parts=False)
        [{'role': 'user', 'content': '3 + 4?'}]
    """
    return [
        dict(message)
        if message.get("content") is None or (parts and not isinstance(message["content"], str))
        else with_text(message, text_of(message), parts)
        for message in messages
    ]
