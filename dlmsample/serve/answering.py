"""From a request to its response: the engine's events, whole or as a stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any

from starlette.requests import Request

from dlmsample.serve.asks import Ask
from dlmsample.serve.engine.jobs import BlocksDone, Completed, Drafted, EngineEvent, Failed, Job
from dlmsample.serve.engine.thread import Engine, EngineClosed, QueueFull
from dlmsample.serve.guard import Refused
from dlmsample.serve.replies import Reply, error_object
from dlmsample.types import Answer

_FAILED = "server_error"


class Conversation:
    """The jobs of one request, from their submission until the client has all of it or is gone.

    Args:
        ask: what the request asks for.
        engine: that decodes.

    Raises:
        Refused: the engine takes no more at the moment.
    """

    def __init__(self, ask: Ask, engine: Engine) -> None:
        loop = asyncio.get_running_loop()
        self._ask, self._engine, self._reply = ask, engine, Reply(ask)
        self._events: asyncio.Queue[tuple[int, EngineEvent]] = asyncio.Queue()
        self._deadline = loop.time() + engine.limits.answer_seconds

        def tell(index: int, event: EngineEvent) -> None:  # on the engine's thread
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._events.put_nowait, (index, event))

        self.jobs: Sequence[Job] = ask.jobs(tell)
        try:
            engine.submit(self.jobs)
        except QueueFull:
            raise Refused(429, "too many requests wait: try again later", "rate_limit_error", "queue_full") from None
        except EngineClosed:
            raise Refused(503, "the server ends", _FAILED) from None

    async def whole(self, request: Request) -> dict[str, Any]:
        """All answers; given up when the client goes away.

        Raises:
            Refused: they took too long, the client went away, or decoding failed.
        """
        collecting, leaving = asyncio.ensure_future(self._collect()), asyncio.ensure_future(_gone(request))
        try:
            await asyncio.wait({collecting, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not collecting.done():
                raise Refused(499, "the client went away")
            return self._reply.whole(collecting.result())
        finally:
            collecting.cancel()
            leaving.cancel()
            self.leave()

    def leave(self) -> None:
        """Nobody waits for what is left."""
        self._engine.cancel(self.jobs)

    async def stream(self) -> AsyncIterator[dict[str, str]]:
        """The chunks of a stream, each as the data of an event; call :meth:`leave` when it ends."""
        try:
            async for chunk in self._chunks():
                yield {"data": json.dumps(chunk, ensure_ascii=True)}
            yield {"data": "[DONE]"}
        except Refused as refused:
            yield {"data": json.dumps(error_object(refused.message, refused.kind, refused.code))}

    async def _chunks(self) -> AsyncIterator[dict[str, Any]]:
        reply, ask = self._reply, self._ask
        answers: dict[int, Answer] = {}
        for index in range(ask.count if ask.chat else 0):
            yield reply.begin(index)
        while len(answers) < ask.count:
            index, event = await self._next()
            match event:
                case Drafted(events):
                    yield reply.drafted(index, events)
                case BlocksDone(text):
                    yield reply.piece(index, text)
                case Completed(text, answer):
                    answers[index] = answer
                    if text:
                        yield reply.piece(index, text)
                    yield reply.end(index, answer)
                case Failed():
                    raise AssertionError("raised by _next")
        if ask.usage:
            yield reply.usage([answers[index] for index in range(ask.count)])

    async def _collect(self) -> list[Answer]:
        answers: dict[int, Answer] = {}
        while len(answers) < self._ask.count:
            index, event = await self._next()
            if isinstance(event, Completed):
                answers[index] = event.answer
        return [answers[index] for index in range(self._ask.count)]

    async def _next(self) -> tuple[int, EngineEvent]:
        try:
            async with asyncio.timeout_at(self._deadline):
                index, event = await self._events.get()
        except TimeoutError:
            limit = self._engine.limits.answer_seconds
            raise Refused(504, f"the answer was not complete within {limit:g} seconds", _FAILED) from None
        if isinstance(event, Failed):
            raise Refused(500, event.why, _FAILED)
        return index, event


async def _gone(request: Request) -> None:
    """Until the client has closed the connection; its body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
