"""Whether the hub answers: found out in seconds, where its client would try again for half a minute."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_PATIENCE = 5.0  #: seconds for an answer, where HF_HUB_ETAG_TIMEOUT does not say how many


def reachable() -> bool:
    """Whether the hub answers at all, whatever it says; a yes is remembered, a no is not.

    With HF_HUB_OFFLINE nothing is asked: then the hub's client itself reads its cache alone, and says so.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return True
    try:
        _ask(constants.ENDPOINT)
    except Exception as error:  # the HTTP client has errors of its own, one family in each of its versions
        return not unanswered(error)
    return True


def unanswered(error: BaseException) -> bool:
    """Whether an error, or what led to it, says that no answer came."""
    from huggingface_hub import errors

    kinds = (ConnectionError, TimeoutError, errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled)
    return any(isinstance(link, kinds) or of_transport(link) for link in chain(error))


def of_transport(error: BaseException) -> bool:
    """Of the HTTP client, whichever version: no answer came."""
    return any(kind.__name__ == "TransportError" for kind in type(error).__mro__)


def chain(error: BaseException) -> list[BaseException]:
    """An error and what led to it, each once."""
    links: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in links:
        links.append(link)
        link = link.__cause__ or link.__context__
    return links


@cache
def _ask(endpoint: str) -> None:
    from huggingface_hub import constants, get_session

    patience = constants.HF_HUB_ETAG_TIMEOUT if "HF_HUB_ETAG_TIMEOUT" in os.environ else _PATIENCE
    get_session().head(endpoint, timeout=patience)


@contextmanager
def cached_unless_reachable() -> Iterator[None]:
    """While the hub does not answer, let its client and datasets read their caches alone, without waiting again."""
    if reachable():
        yield
        return
    from huggingface_hub import constants

    copies: list[Any] = [constants, sys.modules.get("datasets.config")]  # of the client's switch
    before = [(place, place.HF_HUB_OFFLINE) for place in copies if place is not None]
    try:
        for place, _ in before:
            place.HF_HUB_OFFLINE = True
        yield
    finally:
        for place, value in before:
            place.HF_HUB_OFFLINE = value
