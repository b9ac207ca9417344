"""Clients that go away, read slowly or wait too long; and what the server shows of itself."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

import dlmsample as ds
from tests.serve.conftest import Running, serving, state_of, until

LONG = {"model": "nano", "prompt": "Ann had", "max_tokens": 256, "options": {"tokens_per_step": 1}}


@pytest.fixture
def fresh(nano: ds.Denoiser) -> Iterator[Running]:
    """A server of one row at a time."""
    with serving(state_of({"nano": nano}, batch_size=1, reader_seconds=1.0, drain_seconds=60.0)) as found:
        yield found


def connect(running: Running, body: dict[str, Any], buffer: int | None = None) -> socket.socket:
    """A raw request that was sent and whose answer was not read."""
    connection = socket.socket()
    if buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    connection.settimeout(120)
    connection.connect(("127.0.0.1", running.port))
    data = json.dumps(body)
    head = f"Host: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n"
    connection.sendall(f"POST /v1/completions HTTP/1.1\r\n{head}\r\n{data}".encode())
    return connection


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_away_frees_its_place(stream: bool, fresh: Running) -> None:
    engine = fresh.state.engine
    first = connect(fresh, {**LONG, "stream": stream})
    until(lambda: engine.running == 1)
    second = connect(fresh, {**LONG, "stream": stream, "seed": 2})
    until(lambda: engine.waiting == 1)
    second.close()  # while it waits
    until(lambda: engine.waiting == 0)
    first.close()  # while it is decoded
    until(lambda: engine.running == 0)
    assert fresh.metric("cancelled_total") == 2
    assert fresh.metric("answers_total") == 0
    assert fresh.ask("/v1/completions", {**LONG, "max_tokens": 8})[0] == 200


def test_a_slow_reader_holds_up_nobody_and_is_let_go(nano: ds.Denoiser) -> None:
    state = state_of({"nano": nano}, reader_seconds=1.0)
    with serving(state, send_buffer=4096) as running:
        body = {**LONG, "stream": True, "drafts": True, "n": 16, "temperature": 2.0, "seed": 0}
        slow = connect(running, body, buffer=2048)
        until(lambda: state.streams == 1)
        assert running.ask("/v1/completions", {**LONG, "max_tokens": 8, "seed": 0})[0] == 200
        until(lambda: state.streams == 0, 240)  # it was given a second
        until(lambda: state.engine.running == state.engine.waiting == 0, 240)
        text = b""
        while part := slow.recv(1 << 16):
            text += part
        assert b"[DONE]" not in text
        slow.close()


def test_an_answer_that_takes_too_long(nano: ds.Denoiser) -> None:
    with serving(state_of({"nano": nano}, batch_size=1, answer_seconds=0.05)) as running:
        code, said = running.ask("/v1/completions", LONG)
        assert (code, said["error"]["type"]) == (504, "server_error")
        until(lambda: running.state.engine.running == 0)
        with connect(running, {**LONG, "stream": True}) as connection:
            text = b""
            while b"error" not in text:
                text += connection.recv(1 << 16)
        assert b"was not complete within 0.05 seconds" in text


def test_a_failure_of_one_group_ends_its_answers_alone(fresh: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: Any) -> Any:
        raise RuntimeError("secret of the device")

    monkeypatch.setattr(ds.D3IM, "step", broken)
    code, said = fresh.ask("/v1/completions", {**LONG, "options": {}, "policy": "d3im"})
    assert (code, said["error"]["message"]) == (500, "decoding failed: RuntimeError")
    assert fresh.ask("/v1/completions", {**LONG, "max_tokens": 8})[0] == 200
    assert fresh.ask("/health") == (200, {"status": "ok"})


def test_figures_for_prometheus(fresh: Running) -> None:
    usages = []
    for seed in range(3):
        code, answer = fresh.ask("/v1/completions", {**LONG, "max_tokens": 8, "seed": seed})
        assert code == 200
        usages.append(answer["usage"])
    fresh.ask("/v1/completions", {})
    text = str(fresh.ask("/metrics")[1])
    assert 'dlmsample_requests_total{route="/v1/completions",status="400"} 1.0' in text
    assert fresh.metric("answers_total") == 3
    assert fresh.metric("tokens_total") == sum(usage["completion_tokens"] for usage in usages)
    nfe = sum(usage["nfe"] for usage in usages)
    assert fresh.metric("nfe_total") == fresh.metric("forwards_total") == nfe
    assert fresh.metric("wait_seconds_count") == 3
    assert "nano" not in text


def test_groups_take_turns_and_none_is_passed_over(nano: ds.Denoiser) -> None:
    """One batch at a time, three policies: all are answered, in the order in which their first requests came."""
    state = state_of({"nano": nano}, batches=1, batch_size=2)
    with serving(state) as running:
        bodies = [{**LONG, "max_tokens": 16, "options": {"tokens_per_step": 1 + at % 3}, "seed": 0} for at in range(7)]
        connections = [connect(running, body) for body in bodies]
        texts = [b"" for _ in bodies]
        for at, connection in enumerate(connections):
            while b"total_tokens" not in texts[at]:
                texts[at] += connection.recv(1 << 16)
            connection.close()
        assert state.engine.groups <= 1
        for body, text in zip(bodies, texts, strict=True):
            sampler = ds.Sampler(nano, ds.Unmask(**body["options"]))
            expected = sampler.generate([body["prompt"]], 16, chat=False).texts[0]
            assert json.loads(text[text.index(b"{") :])["choices"][0]["text"] == expected
