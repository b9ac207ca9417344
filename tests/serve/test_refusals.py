"""What is not understood, too much, or not allowed is refused at once, in one line, in OpenAI's form."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest

import dlmsample as ds
from tests.serve.conftest import Running, serving, state_of, until

PLAIN = {"model": "nano", "prompt": "Ann", "max_tokens": 4}
CHAT = {"model": "nano", "messages": [{"role": "user", "content": "Ann"}], "max_tokens": 4}


def refused(answer: tuple[int, Any], status: int, *words: str) -> None:
    """An error of OpenAI's form, on one line, that names what is wrong."""
    assert answer[0] == status, answer
    told = answer[1]["error"]
    assert set(told) == {"message", "type", "param", "code"}
    assert "\n" not in told["message"]
    assert "Traceback" not in told["message"]
    for word in words:
        assert word in told["message"], told


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"temprature": 1}, ("unknown field 'temprature'", "did you mean 'temperature'")),
        ({"policy": "t2mm"}, ("unknown policy", "did you mean 't2m'")),
        ({"policy": "t2m", "options": {"treshold": 0.2}}, ("did you mean 'threshold'",)),
        ({"policy": "t2m", "options": {"threshold": 1.5}}, ("threshold must be <= 1",)),
        ({"policy": "dsc"}, ("correction head",)),
        ({"policy": "pc_sampler", "options": {"steps": 4, "frequencies": "/etc/passwd"}}, ("a file of the server",)),
        (
            {
                "policy": "chain",
                "options": {"fill": {"rule": "calibrated", "tokens_per_step": 2, "frequencies": "/etc/passwd"}},
            },
            ("a file of the server",),
        ),
        ({"policy": "os:system"}, ("unknown policy",)),
        ({"policy": "policy.json"}, ("unknown policy",)),
        ({"options": {"steps": "many"}}, ("steps",)),
        ({"n": 0}, ("n must be",)),
        ({"n": True}, ("n must be",)),
        ({"n": 17}, ("16 at most",)),
        ({"seed": 2**63}, ("seed",)),
        ({"temperature": -1}, ("temperature",)),
        ({"top_p": 0}, ("top_p",)),
        ({"top_k": 0}, ("top_k",)),
        ({"max_tokens": 0}, ("max_tokens",)),
        ({"max_tokens": 1025}, ("1024 at most",)),
        ({"max_tokens": 1000, "prompt": "one " * 1900}, ("exceed the context",)),
        ({"block_length": 100000}, ("blocks of 100000",)),
        ({"block_length": "some"}, ("block_length",)),
        ({"stop": [""]}, ("stop string is empty",)),
        ({"stop": ["x"] * 17}, ("stop",)),
        ({"echo": True}, ("echo is not supported",)),
        ({"suffix": "x"}, ("suffix is not supported",)),
        ({"best_of": 2}, ("best_of is not supported",)),
        ({"frequency_penalty": 0.5}, ("frequency_penalty is not supported",)),
        ({"logit_bias": {"5": 1}}, ("logit_bias is not supported",)),
        ({"logprobs": 3}, ("logprobs=3", "alternatives")),
        ({"logprobs": 0, "stream": True}, ("logprobs", "stream")),
        ({"drafts": True}, ("stream=true",)),
        ({"prompt": []}, ("prompt",)),
        ({"prompt": [10**9]}, ("outside the vocabulary",)),
        ({"prompt": [5, 2]}, ("mask",)),
        ({"prompt": 5}, ("prompt",)),
        ({"prompt": "\ud800"}, ("Unicode",)),
        ({"prompt": "x" * 300_000}, ("far longer",)),
        ({"stream_options": {"include_usages": True}}, ("stream_options",)),
    ],
    ids=str,
)
def test_completions(change: dict[str, Any], words: tuple[str, ...], running: Running) -> None:
    answer = running.ask("/v1/completions", {**PLAIN, **change})
    refused(answer, 400, *words)
    assert "--" not in answer[1]["error"]["message"]  # clients have no command line


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"messages": []}, ("messages",)),
        ({"messages": [{"role": "tool", "content": "x"}]}, ("role",)),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]}, ("messages",)),
        ({"tools": [{"type": "function"}]}, ("tools is not supported",)),
        ({"response_format": {"type": "json_object"}}, ("response_format is not supported",)),
        ({"logprobs": True, "top_logprobs": 2}, ("top_logprobs is not supported",)),
        ({"prompt": "x"}, ("unknown field 'prompt'",)),
    ],
    ids=str,
)
def test_chats(change: dict[str, Any], words: tuple[str, ...], running: Running) -> None:
    refused(running.ask("/v1/chat/completions", {**CHAT, **change}), 400, *words)


def test_what_a_message_holds_beside_text_is_passed_over_or_refused(running: Running) -> None:
    empty = {"refusal": None, "annotations": [], "audio": None, "function_call": None, "tool_calls": None}
    talk = [CHAT["messages"][0], {"role": "assistant", "content": "12", **empty}, {"role": "user", "content": "And 3?"}]
    code, said = running.ask("/v1/chat/completions", {**CHAT, "messages": talk})
    assert code == 200, said
    talk[1] = {"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]}
    refused(running.ask("/v1/chat/completions", {**CHAT, "messages": talk}), 400, "tool_calls is not supported", "send")


def test_what_asks_for_nothing_is_harmless(running: Running) -> None:
    nothing = {"user": "me", "frequency_penalty": 0, "presence_penalty": 0.0, "logit_bias": {}, "echo": False}
    assert running.ask("/v1/completions", {**PLAIN, **nothing, "best_of": 1, "suffix": None})[0] == 200
    parts = [
        {"role": "developer", "content": "Be short."},
        {"role": "user", "content": [{"type": "text", "text": "A"}]},
    ]
    more = {"tools": [], "response_format": {"type": "text"}, "store": False, "max_completion_tokens": 4}
    code, said = running.ask("/v1/chat/completions", {"model": "nano", "messages": parts, **more})
    assert code in (200, 400), said  # nano's own template may not know a system's message
    if code == 400:
        assert "chat template" in said["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"model": NaN}', b'{"n": 1, "n": 2}', b"{}"],
    ids=lambda body: repr(body[:12]),
)
def test_malformed_json(body: bytes, running: Running) -> None:
    refused(running.ask("/v1/completions", body), 400)


def test_a_fault_of_ours_is_no_unknown_model(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        return {}["absent"]

    monkeypatch.setattr("dlmsample.serve.app.understand", broken)
    status, told = running.ask("/v1/completions", PLAIN)
    assert (status, told["error"]["type"]) == (500, "server_error")
    assert "absent" not in told["error"]["message"]


def test_unknown_models_paths_and_methods(running: Running) -> None:
    refused(running.ask("/v1/completions", {**PLAIN, "model": "gpt"}), 404, "unknown model")
    refused(running.ask("/v1/nothing"), 404, "/v1/nothing")
    refused(running.ask("/v1/completions"), 405, "GET")
    refused(running.ask("/v1/models", {}), 405, "POST")


def test_what_another_site_could_send(running: Running) -> None:
    refused(running.ask("/v1/completions", PLAIN, Content_Type="text/plain"), 415, "application/json")
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", ""):
        refused(running.ask("/v1/models", Host=host), 421)
    for host in ("localhost", f"127.0.0.1:{running.port}", "[::1]:8000"):
        assert running.ask("/v1/models", Host=host)[0] == 200


@pytest.fixture(scope="module")
def small(nano: ds.Denoiser) -> Iterator[Running]:
    """A server that takes on little and wants a key."""
    limits = {"queue": 2, "batch_size": 1, "body_bytes": 2000, "body_seconds": 0.5, "streams": 1, "prompt_tokens": 50}
    with serving(state_of({"nano": nano}, key="sesame", **limits)) as found:
        yield found


def test_a_key(small: Running) -> None:
    for given in (
        {},
        {"Authorization": "Bearer open"},
        {"Authorization": "sesame"},
        {"Authorization": "Bearer ses\xe4"},
    ):
        refused(small.ask("/v1/models", **given), 401, "API key")
        refused(small.ask("/metrics", **given), 401)
        assert small.ask("/health", **given)[0] == 200
    assert small.ask("/v1/models", Authorization="Bearer sesame")[0] == 200


def test_bodies_that_are_too_large_or_too_slow(small: Running) -> None:
    key = "Authorization: Bearer sesame\r\nContent-Type: application/json\r\nHost: localhost\r\n"

    def raw(head: str, *parts: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", small.port), timeout=30) as connection:
            connection.sendall(f"POST /v1/completions HTTP/1.1\r\n{key}{head}\r\n".encode())
            for part in parts:
                connection.sendall(part)
            return connection.recv(1000)

    large = json.dumps({**PLAIN, "prompt": "x" * 3000})
    refused(small.ask("/v1/completions", large, Authorization="Bearer sesame"), 413, "2000 bytes")
    chunk = b"%x\r\n%s\r\n" % (1500, b"x" * 1500)
    assert raw("Transfer-Encoding: chunked\r\n", chunk, chunk).startswith(b"HTTP/1.1 413")
    assert raw("Content-Length: 100\r\n", b'{"model"').startswith(b"HTTP/1.1 408")
    assert small.ask("/health")[0] == 200


def test_prompts_that_are_too_long(small: Running) -> None:
    body = {**PLAIN, "prompt": "one two three " * 20}
    refused(small.ask("/v1/completions", body, Authorization="Bearer sesame"), 400, "50 at most")


def test_more_than_may_wait(small: Running) -> None:
    key = {"Authorization": "Bearer sesame"}
    refused(small.ask("/v1/completions", {**PLAIN, "n": 3}, **key), 429, "try again")
    assert small.ask("/v1/completions", {**PLAIN, "n": 2}, **key)[0] == 200
    until(lambda: small.state.engine.waiting == 0)


def test_more_streams_than_may_be_open(small: Running) -> None:
    head = "Authorization: Bearer sesame\r\nContent-Type: application/json\r\nHost: localhost\r\n"
    body = json.dumps({"model": "nano", "prompt": "Ann", "stream": True, "max_tokens": 200, "drafts": True})
    with socket.create_connection(("127.0.0.1", small.port), timeout=60) as connection:
        connection.sendall(f"POST /v1/completions HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        assert re.match(rb"HTTP/1.1 200", connection.recv(100))
        key = {"Authorization": "Bearer sesame"}
        refused(small.ask("/v1/completions", {**PLAIN, "stream": True}, **key), 429, "streams")
    until(lambda: small.state.streams == 0)  # the client is gone
    until(lambda: small.state.engine.running == 0)
