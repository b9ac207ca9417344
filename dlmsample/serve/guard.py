"""What a request must be before its body is looked at: from whom, for whom, of what kind and size."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Collection

from starlette.requests import ClientDisconnect, Request

from dlmsample.serve.limits import ServerLimits

#: The names of this machine for itself.
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Refused(Exception):
    """A request that is answered with an error.

    Args:
        status: of the HTTP response.
        message: for the client, in one line.
        kind: OpenAI's ``type`` of the error.
        code: OpenAI's ``code``.
    """

    def __init__(self, status: int, message: str, kind: str = "invalid_request_error", code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.kind, self.code = status, message, kind, code


def check_host(request: Request, hosts: Collection[str]) -> None:
    """The name that the client used is one of this server's, so that no other site's name leads here; empty: any.

    Raises:
        Refused: it is not.
    """
    host = (request.headers.get("host") or "").lower()
    name = host[1 : host.find("]")] if host.startswith("[") else host.partition(":")[0]
    if hosts and name not in hosts:
        raise Refused(421, "this server answers to its own address only: use the host that it printed")


def check_key(request: Request, key: str | None) -> None:
    """The request carries the key of the server, if it has one.

    Raises:
        Refused: it does not.
    """
    if key is None:
        return
    scheme, _, given = (request.headers.get("authorization") or "").partition(" ")
    if scheme.lower() != "bearer" or not secrets.compare_digest(given.strip().encode(), key.encode()):
        raise Refused(
            401, "wrong or no API key: send Authorization: Bearer KEY", "authentication_error", "invalid_api_key"
        )


async def read_json_bytes(request: Request, limits: ServerLimits) -> bytes:
    """The body, if it says that it is JSON, is not too large and comes in time.

    Raises:
        Refused: it does not.
    """
    kind = (request.headers.get("content-type") or "").partition(";")[0].strip().lower()
    if kind != "application/json":  # what a form of another site could send without asking is no JSON
        raise Refused(415, "the body must be JSON: send Content-Type: application/json")
    too_large = Refused(413, f"the body is larger than the {limits.body_bytes} bytes that this server reads")
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length[:20]) > limits.body_bytes:
        raise too_large
    parts, size = [], 0
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for part in request.stream():
                size += len(part)
                if size > limits.body_bytes:
                    raise too_large
                parts.append(part)
    except TimeoutError:
        raise Refused(408, f"the body did not come within {limits.body_seconds:g} seconds") from None
    except ClientDisconnect:
        raise Refused(499, "the client went away") from None
    return b"".join(parts)
