"""What the user typed -> prompts, a block length, a policy."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import dlmsample
from dlmsample.policies.registry import policy_class
from dlmsample.support.registry import unknown

_ROLES = ("system", "user", "assistant", "tool")
Messages = list[dict[str, Any]]
_CHAT = 'write [{"role": "user", "content": "..."}, ...]'


def read_prompts(prompt: str) -> list[str]:
    """The prompt itself, or with ``-`` every non-empty line of standard input.

    Raises:
        ValueError: nothing to answer, or a line that is not UTF-8.
    """
    return _texts(prompt, "prompt")


def read_templates(templates: Sequence[str]) -> list[str]:
    """The texts to fill, likewise.

    Raises:
        ValueError: nothing to fill, or a line that is not UTF-8.
    """
    return [text for template in templates for text in _texts(template, "template")]


def _texts(given: str, kind: str) -> list[str]:
    if given != "-":
        if not given.strip():
            raise ValueError(f"the {kind} is empty: give some text, or - to read {kind}s from standard input")
        return [given]
    lines = (_decode(number, line) for number, line in enumerate(_stdin().split(b"\n"), 1))
    texts = [line for line in lines if line.strip()]
    if not texts:
        raise ValueError(f"no non-empty line on standard input: write a {kind} a line")
    return texts


def _stdin() -> bytes:
    return b"" if sys.stdin is None else sys.stdin.buffer.read()


def read_chats(file: str) -> list[Messages]:
    """The conversations of a JSON file: a list of messages, or a list (or an object with ``messages``) a line.

    Raises:
        ValueError: no such file, or something else in it.
    """
    name = "standard input" if file == "-" else repr(file)
    try:
        text = (_stdin() if file == "-" else Path(file).read_bytes()).decode("utf-8-sig")
    except (OSError, ValueError) as e:  # a name with a null byte; bytes that are not UTF-8
        raise ValueError(f"cannot read {name} (--chat): {getattr(e, 'strerror', None) or e}; give a JSON file") from e
    try:
        return [_messages(json.loads(text))]
    except ValueError as e:
        if getattr(e, "msg", "") != "Extra data":  # of a JSON value, when another line follows
            raise ValueError(f"{name} (--chat) is no conversation: {_said(e)}; {_CHAT}") from e
    chats = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            chats += [_messages(json.loads(line))] if line.strip() else []
        except ValueError as e:
            raise ValueError(f"line {number} of {name} (--chat) is no conversation: {_said(e)}; {_CHAT}") from e
    return chats


def _messages(found: Any) -> Messages:
    if isinstance(found, dict) and "messages" in found:
        found = found["messages"]
    if not isinstance(found, list) or not found:
        raise ValueError("no list of messages")
    for message in found:
        if not isinstance(message, dict) or not all(isinstance(message.get(k), str) for k in ("role", "content")):
            raise ValueError("a message lacks its role or its content")
        if message["role"] not in _ROLES:
            raise ValueError(
                f"a message has the role {message['role']!r}, not {', '.join(_ROLES[:-1])} or {_ROLES[-1]}"
            )
    return found


def _said(error: ValueError) -> str:
    return f"no JSON ({error})" if isinstance(error, json.JSONDecodeError) else str(error)


def _decode(number: int, line: bytes) -> str:
    try:
        return line.removesuffix(b"\r").decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as e:
        byte = e.object[e.start]
        raise ValueError(
            f"line {number} of standard input is not UTF-8 (0x{byte:02x} at byte {e.start + 1}): "
            "convert it, for example with iconv -t UTF-8"
        ) from e


def block_length(given: str | None) -> int | Literal["all"] | None:
    """A number of tokens, ``all``, or None.

    Raises:
        ValueError: neither.
    """
    if given is None or given == "all":
        return given
    try:
        return int(given)
    except ValueError as e:
        raise ValueError(f'--block-length is a number of tokens or "all", not {given!r}') from e


def cache(given: str | None) -> Any:
    """What a Sampler takes as ``cache``.

    Raises:
        ValueError: there is none of that name.
    """
    if given is None:
        return True
    from dlmsample.models.attention.approximate import APPROXIMATIONS

    if given not in (*APPROXIMATIONS, "none"):
        raise unknown("cache", given, [*APPROXIMATIONS, "none"])
    return given != "none" and given


def approximate(cache: str) -> bool:
    """Whether a cache changes what comes out."""
    from dlmsample.models.attention.approximate import APPROXIMATIONS

    return cache in APPROXIMATIONS


def parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """``["threshold=0.2"]`` -> ``{"threshold": 0.2}``; values are YAML scalars.

    Raises:
        ValueError: no ``=``, no value, a value that is no scalar, or the same option twice.

    Example:
        >>> parse_settings(["threshold=0.2", "steps=null"])
        {'threshold': 0.2, 'steps': None}
    """
    import yaml

    options: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = (part.strip() for part in setting.partition("="))
        if not (key and equals and value):
            raise ValueError(f"--set takes option=value, like threshold=0.2 (null for none), not {setting!r}")
        if key in options:
            raise ValueError(f"--set {key} is given twice: keep one")
        try:
            options[key] = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError) as e:
            raise ValueError(f"--set {setting!r}: the value is no YAML: put it in quotes") from e
        if isinstance(options[key], (dict, list, set)):
            raise ValueError(f"--set {setting!r}: the value must be one YAML scalar, like 0.2, true or null")
    return options


#: pydantic's error type -> what it means, in terms of its context.
_MEANING = {
    "less_than_equal": "must be <= {le}",
    "less_than": "must be < {lt}",
    "greater_than_equal": "must be >= {ge}",
    "greater_than": "must be > {gt}",
    "finite_number": "must be a finite number",
    "literal_error": "must be one of {expected}",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "must be a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "must be a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
}


def make_policy(name: str, options: dict[str, Any]) -> Any:
    """The policy, or one line about the first thing wrong with it.

    Raises:
        ValueError: no such policy, no such option, or an option out of range.

    Example:
        >>> make_policy("t2m", {"threshold": 1.5})
        Traceback (most recent call last):
        ValueError: t2m: threshold must be <= 1 (got 1.5)
    """
    cls = policy_class(name)
    for option in options:
        if option not in cls.model_fields:
            raise unknown(f"option of policy {name}", option, cls.model_fields)
    from pydantic import ValidationError

    try:
        return cls(**options)
    except ValidationError as e:
        raise ValueError(f"{name}: {'; '.join(_meaning(dict(error)) for error in e.errors())}") from e


def _meaning(error: dict[str, Any]) -> str:
    message = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return message
    option = error["loc"][0]
    if error["type"] == "missing":
        return f"{option} must be given: --set {option}=..."
    said = message
    if error["type"] in _MEANING:
        bounds = {k: f"{v:g}" if isinstance(v, float) else v for k, v in error.get("ctx", {}).items()}
        said = _MEANING[error["type"]].format(**bounds)
    return f"{option} {said} (got {_shown(error['input'])})"


def _shown(value: Any) -> str:
    """A value as it would be written after ``--set``."""
    names = {None: "null", True: "true", False: "false"}
    return names[value] if value is None or isinstance(value, bool) else repr(value)


class Checkpoint(Protocol):
    """The options that say which checkpoint, and how it is loaded."""

    @property
    def model(self) -> str: ...
    @property
    def adapter(self) -> str | None: ...
    @property
    def head(self) -> str | None: ...
    @property
    def device(self) -> str | None: ...
    @property
    def dtype(self) -> str | None: ...
    @property
    def trust_remote_code(self) -> bool: ...
    @property
    def family(self) -> str | None: ...
    @property
    def revision(self) -> str | None: ...


def load_model(request: Checkpoint, **more: Any) -> Any:
    """The checkpoint that the options name.

    Raises:
        ValueError: as :func:`dlmsample.load`.
    """
    if request.revision is not None:
        more["revision"] = request.revision
    return dlmsample.load(
        request.model,
        adapter=request.adapter,
        head=request.head,
        device=request.device,
        dtype=request.dtype,
        trust_remote_code=request.trust_remote_code,
        family=request.family,
        **more,
    )
