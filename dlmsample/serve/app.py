"""The routes: OpenAI's, health and figures."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import anyio
from sse_starlette.sse import EventSourceResponse, SendTimeoutError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from dlmsample.serve.answering import Conversation
from dlmsample.serve.asks import understand
from dlmsample.serve.bodies import AnswerBody, ChatBody, CompletionBody, read_body
from dlmsample.serve.checkpoints import ServedModel, UnknownModel, find, policies_told
from dlmsample.serve.engine.thread import Engine
from dlmsample.serve.guard import Refused, check_host, check_key, read_json_bytes
from dlmsample.serve.limits import ServerLimits
from dlmsample.serve.metrics import Metrics
from dlmsample.serve.replies import error_object
from dlmsample.viewer import page as viewer

#: Beside the policy in the page itself.
_PAGE = {"x-content-type-options": "nosniff", "x-frame-options": "DENY", "cache-control": "no-store"}
_LOG = logging.getLogger(__name__)
_Handler = Callable[[Request], Awaitable[Response]]


@dataclass(eq=False)
class ServerState:
    """What the routes share.

    Args:
        models: the checkpoints, by the names that requests use.
        limits: how much is taken on.
        key: that requests must carry; None: none.
        hosts: names that requests may use for this server; empty: any.
    """

    models: Mapping[str, ServedModel]
    limits: ServerLimits = field(default_factory=ServerLimits)
    key: str | None = None
    hosts: Collection[str] = ()
    streams: int = field(default=0, init=False)  #: open at the moment

    def __post_init__(self) -> None:
        self.metrics = Metrics()
        self.engine = Engine(self.limits, self.metrics)
        self.encoding = anyio.Semaphore(1)  # one thread at a time uses the tokenizers for requests
        self.metrics.watch("waiting", "Answers that wait for a place in a batch.", lambda: self.engine.waiting)
        self.metrics.watch("running", "Answers that are being decoded.", lambda: self.engine.running)
        self.metrics.watch("groups", "Batches that are decoded in turns.", lambda: self.engine.groups)
        self.metrics.watch("streams", "Open streams.", lambda: self.streams)


def make_app(state: ServerState) -> Starlette:
    """The application; its engine starts and ends with it."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        state.engine.start()
        yield
        await run_in_threadpool(state.engine.close, 5.0)  # clients are gone: nobody waits for what is left

    async def complete(request: Request) -> Response:
        return await _answer(state, request, CompletionBody)

    async def chat(request: Request) -> Response:
        return await _answer(state, request, ChatBody)

    async def models(request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [served.described() for served in state.models.values()]})

    async def model(request: Request) -> Response:
        try:
            return JSONResponse(find(state.models, request.path_params["name"]).described())
        except UnknownModel as error:
            raise Refused(404, str(error), code="model_not_found") from None

    async def policies(request: Request) -> Response:
        return JSONResponse({"object": "list", "data": policies_told()})

    async def metrics(request: Request) -> Response:
        return Response(state.metrics.text(), media_type="text/plain; version=0.0.4")

    async def health(request: Request) -> Response:
        alive = state.engine.alive
        return JSONResponse({"status": "ok" if alive else "ending"}, 200 if alive else 503)

    async def page(request: Request) -> Response:
        text = viewer.page("live", ("viewer.js", "live.js"), None, connect=True, keyed=state.key is not None)
        return HTMLResponse(text, headers=_PAGE)

    return Starlette(
        routes=[
            _route(state, "/", page, open_to_all=True),
            _route(state, "/v1/completions", complete, "POST"),
            _route(state, "/v1/chat/completions", chat, "POST"),
            _route(state, "/v1/models", models),
            _route(state, "/v1/models/{name:path}", model),
            _route(state, "/v1/policies", policies),
            _route(state, "/metrics", metrics),
            _route(state, "/health", health, open_to_all=True),
        ],
        exception_handlers={HTTPException: _http_error},  # type: ignore[dict-item]
        lifespan=lifespan,
    )


def _route(state: ServerState, path: str, handler: _Handler, method: str = "GET", open_to_all: bool = False) -> Route:
    """A route whose requests are checked first; every error is an object of OpenAI's form."""

    async def guarded(request: Request) -> Response:
        try:
            check_host(request, state.hosts)
            if not open_to_all:
                check_key(request, state.key)
            response = await handler(request)
        except Refused as refused:
            retry = {"retry-after": "1"} if refused.status in (429, 503) else None
            told = error_object(refused.message, refused.kind, refused.code)
            response = JSONResponse(told, refused.status, headers=retry)
        except Exception:
            _LOG.exception("a request failed: %s", path)
            response = JSONResponse(error_object("the server failed: see its log", "server_error"), 500)
        state.metrics.request(path, response.status_code)
        return response

    return Route(path, guarded, methods=[method])


async def _answer(state: ServerState, request: Request, kind: type[AnswerBody]) -> Response:
    data = await read_json_bytes(request, state.limits)
    try:
        body = read_body(kind, data)
        async with state.encoding:
            ask = await run_in_threadpool(understand, body, state.models, state.limits)
    except UnknownModel as error:
        raise Refused(404, str(error), code="model_not_found") from None
    except ValueError as error:
        raise Refused(400, str(error)) from None
    if not ask.stream:
        return JSONResponse(await Conversation(ask, state.engine).whole(request))
    if state.streams >= state.limits.streams:
        raise Refused(429, "too many streams are open: try again later", "rate_limit_error", "too_many_streams")
    conversation = Conversation(ask, state.engine)
    state.streams += 1

    def ended() -> None:
        state.streams -= 1
        conversation.leave()

    return _Stream(conversation.stream(), ended, state.limits)


class _Stream(EventSourceResponse):
    """A stream that says when it has ended, however that came, and ends without ado if its client does not read."""

    def __init__(self, content: AsyncIterator[dict[str, str]], ended: Callable[[], None], limits: ServerLimits) -> None:
        super().__init__(content, send_timeout=limits.reader_seconds, shutdown_grace_period=limits.drain_seconds)
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with suppress(SendTimeoutError):
                await super().__call__(scope, receive, send)
        finally:
            self._ended()


def _http_error(request: Request, error: HTTPException) -> Response:
    """A path or a method that there is not."""
    told = error_object(f"{request.method} {request.url.path[:200]}: {error.detail}", "invalid_request_error")
    return JSONResponse(told, error.status_code, headers=error.headers)
