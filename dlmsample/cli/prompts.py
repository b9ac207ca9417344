"""What is to be answered: prompts, templates and chats, from the command line, a file or standard input.

Only ``\\n`` ends a line (a ``\\r`` before it is dropped): U+2028 and U+0085 are text. A byte order mark at the
beginning is skipped.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlmsample.models.text.messages import check_messages
from dlmsample.support.files import example_hint
from dlmsample.support.text import parse_json

_ROLES = ("system", "user", "assistant", "tool")
ChatMessages = list[dict[str, Any]]
NOTHING = "nothing to answer: give a PROMPT, --template TEXT or --chat FILE"
_CHAT = 'write [{"role": "user", "content": "..."}, ...]'


def piped() -> bool:
    """Whether standard input is a pipe or a file, and not somebody who types."""
    return sys.stdin is not None and not sys.stdin.buffer.isatty()


def read_prompts(prompt: str | None) -> list[str]:
    """The prompt itself, or with ``-`` or None every non-empty line of standard input.

    Raises:
        ValueError: nothing to answer, or a line that is not UTF-8.
    """
    if prompt is None:
        lines = _lines()
        if not lines:
            raise ValueError(f"{NOTHING}, or write a prompt a line on standard input")
        return lines
    return _texts(prompt, "prompt")


def read_templates(templates: Sequence[str]) -> list[str]:
    """The texts to fill: each as it is, or with ``-`` every non-empty line of standard input.

    Raises:
        ValueError: nothing to fill, or a line that is not UTF-8.
    """
    return [text for template in templates for text in _texts(template, "template")]


def _texts(given: str, kind: str) -> list[str]:
    if given != "-":
        if not given.strip():
            raise ValueError(f"the {kind} is empty: give some text, or - to read {kind}s from standard input")
        return [given]
    texts = _lines()
    if not texts:
        raise ValueError(f"no non-empty line on standard input: write a {kind} a line")
    return texts


def _lines() -> list[str]:
    """The non-empty lines of standard input."""
    lines = (_decode(number, line) for number, line in enumerate(_stdin().split(b"\n"), 1))
    return [line for line in lines if line.strip()]


def _stdin() -> bytes:
    return b"" if sys.stdin is None else sys.stdin.buffer.read()


def _decode(number: int, line: bytes) -> str:
    try:
        return line.removesuffix(b"\r").decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as e:
        byte = e.object[e.start]
        raise ValueError(
            f"line {number} of standard input is not UTF-8 (0x{byte:02x} at byte {e.start + 1}): "
            "convert it, for example with iconv -t UTF-8"
        ) from e


def read_chats(file: str) -> list[ChatMessages]:
    """The conversations of a JSON file: a list of messages, or a list (or an object with ``messages``) a line.

    Args:
        file: its path; ``-``: standard input.

    Raises:
        ValueError: no such file, or something else in it.
    """
    name = "standard input" if file == "-" else repr(file)
    try:
        text = (_stdin() if file == "-" else Path(file).read_bytes()).decode("utf-8-sig")
    except (OSError, ValueError) as e:  # a name with a null byte; bytes that are not UTF-8
        why = f"{getattr(e, 'strerror', None) or e}; give a JSON file{example_hint(file)}"
        raise ValueError(f"cannot read {name} (--chat): {why}") from e
    try:
        return [_messages(parse_json(text, once=True))]
    except ValueError as e:
        if getattr(e, "msg", "") != "Extra data":  # of a JSON value, when another line follows
            raise ValueError(f"{name} (--chat) is no conversation: {_reason(e)}; {_CHAT}") from e
    chats = []
    for number, line in enumerate(text.split("\n"), 1):
        try:
            chats += [_messages(parse_json(line, once=True))] if line.strip() else []
        except ValueError as e:
            raise ValueError(f"line {number} of {name} (--chat) is no conversation: {_reason(e)}; {_CHAT}") from e
    return chats


def _messages(found: Any) -> ChatMessages:
    if isinstance(found, dict) and "messages" in found:
        found = found["messages"]
    if not isinstance(found, list) or not found:
        raise ValueError("no list of messages")
    for message in found:
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise ValueError("a message lacks its role or its content")
        if not (message.get("tool_calls") or isinstance(message.get("content"), (str, list))):
            raise ValueError("a message lacks its role or its content")
        check_messages([message])
        if message["role"] not in _ROLES:
            raise ValueError(
                f"a message has the role {message['role']!r}, not {', '.join(_ROLES[:-1])} or {_ROLES[-1]}"
            )
    return found


def _reason(error: ValueError) -> str:
    return f"no JSON ({error})" if isinstance(error, json.JSONDecodeError) else str(error)
