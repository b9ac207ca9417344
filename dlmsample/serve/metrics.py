"""Figures for Prometheus; nothing that a client sends becomes a label."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from dlmsample.serve.engine.observer import Observer
from dlmsample.types import Answer

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics(Observer):
    """Counts what the engine and the routes report.

    Example:
        >>> metrics = Metrics()
        >>> metrics.forward(3)
        >>> b"dlmsample_forwards_total 1.0" in metrics.text()
        True
    """

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        name = "dlmsample_"
        self._answers = Counter(f"{name}answers", "Complete answers.", ["finish_reason"], registry=registry)
        self._tokens = Counter(f"{name}tokens", "Tokens of complete answers.", registry=registry)
        self._nfe = Counter(f"{name}nfe", "Forwards of complete answers, row by row.", registry=registry)
        self._forwards = Counter(f"{name}forwards", "Forwards of batches.", registry=registry)
        self._cancelled = Counter(f"{name}cancelled", "Answers that nobody waited for any more.", registry=registry)
        self._rows = Histogram(f"{name}rows", "Rows in a forward.", registry=registry, buckets=_ROWS)
        self._took = Histogram(
            f"{name}answer_seconds", "Until an answer was complete.", registry=registry, buckets=_SECONDS
        )
        self._waited = Histogram(
            f"{name}wait_seconds", "Until a place in a batch.", registry=registry, buckets=_SECONDS
        )
        self._requests = Counter(f"{name}requests", "HTTP requests.", ["route", "status"], registry=registry)

    def watch(self, name: str, what: str, read: Callable[[], float]) -> None:
        """A figure that is read when somebody asks."""
        Gauge(f"dlmsample_{name}", what, registry=self._registry).set_function(read)

    def joined(self, waited: float) -> None:
        self._waited.observe(waited)

    def forward(self, rows: int) -> None:
        self._forwards.inc()
        self._rows.observe(rows)

    def completed(self, answer: Answer, took: float) -> None:
        self._answers.labels(answer.stats.finish_reason).inc()
        self._tokens.inc(answer.stats.tokens)
        self._nfe.inc(answer.stats.nfe)
        self._took.observe(took)

    def cancelled(self, count: int) -> None:
        self._cancelled.inc(count)

    def request(self, route: str, status: int) -> None:
        """A response was sent."""
        self._requests.labels(route, str(status)).inc()

    def text(self) -> bytes:
        """All figures, as Prometheus reads them."""
        return generate_latest(self._registry)
