"""What Prometheus is told (PRD 11.1): requests, searches, connections, the search log.

Labels have few values: namespaces are registered ones, routes are templates, never what was sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from greenlang_vectors.errors import (
    DatabaseBusy,
    DatabaseUnavailable,
    EmbeddingFailed,
    ModelUnavailable,
)
from greenlang_vectors.monitoring import endpoints as endpoint_metrics
from greenlang_vectors.monitoring.families import counter
from greenlang_vectors.search.model import Mode, SearchAnswer
from greenlang_vectors.store.endpoints import EndpointState

CONTENT_TYPE = CONTENT_TYPE_LATEST

LATENCY_MS = (1, 2, 3, 5, 7.5, 10, 15, 20, 30, 50, 75, 100, 150, 250, 500, 1000, 2500, 5000, 10000)
"""Bounds around the targets of PRD 14.1: 20 ms for half the searches, 100 ms for 99%."""

EMBED_MS = (1, 2, 5, 10, 20, 30, 50, 75, 100, 150, 250, 500, 1000, 2500, 5000)

REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

FAILURES = (DatabaseBusy, DatabaseUnavailable, ModelUnavailable, EmbeddingFailed)
"""Errors that are no fault of the caller, by which failed searches are told apart."""

OTHER = "other"

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The figures of one service.

    Args:
        endpoints: the database's, and their pools.
        dropped: searches that were not logged.
        shadow_dropped: shadow reads that were not made, while a namespace moves from Weaviate.
    """

    def __init__(
        self,
        endpoints: Callable[[], Sequence[EndpointState]],
        dropped: Callable[[], int],
        shadow_dropped: Callable[[], int],
    ) -> None:
        self._registry = CollectorRegistry()
        self._searches = Counter(
            "pgvector_search",
            "Searches that were answered.",
            ["namespace", "model", "mode"],
            registry=self._registry,
        )
        self._latency = Histogram(
            "pgvector_search_latency_ms",
            "Time to find the passages, in milliseconds, without embedding the question.",
            ["namespace", "model", "mode"],
            buckets=LATENCY_MS,
            registry=self._registry,
        )
        self._embedding = Histogram(
            "pgvector_question_embedding_ms",
            "Time to embed the question of a search, in milliseconds.",
            ["namespace", "model"],
            buckets=EMBED_MS,
            registry=self._registry,
        )
        self._failures = Counter(
            "pgvector_search_failures",
            "Searches that failed by no fault of the caller.",
            ["mode", "reason"],
            registry=self._registry,
        )
        for mode in get_args(Mode):
            for reason in (*(each.__name__ for each in FAILURES), OTHER):
                self._failures.labels(mode, reason)
        self._requests = Counter(
            "http_requests",
            "Requests by route and status.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "http_request_duration_seconds",
            "Time from a request's head to the end of its answer.",
            ["method", "route"],
            buckets=REQUEST_SECONDS,
            registry=self._registry,
        )
        self._registry.register(_Live(endpoints, dropped, shadow_dropped))

    def searched(self, namespace: str, answer: SearchAnswer) -> None:
        """Count an answered search of a registered namespace."""
        model = (answer.collection or "").partition("/")[2]
        self._searches.labels(namespace, model, answer.mode).inc()
        self._latency.labels(namespace, model, answer.mode).observe(answer.search_ms)
        if answer.embed_ms:
            self._embedding.labels(namespace, model).observe(answer.embed_ms)

    def failed(self, mode: Mode, error: Exception) -> None:
        """Count a search that failed. Of which namespace is not told: there may be none."""
        reasons = (each.__name__ for each in FAILURES if isinstance(error, each))
        self._failures.labels(mode, next(reasons, OTHER)).inc()

    def requested(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request.

        Args:
            route: the template of its path.
        """
        method = method if method in METHODS else OTHER
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def exposition(self) -> bytes:
        """All figures, as Prometheus reads them."""
        return generate_latest(self._registry)


class _Live(Collector):
    """Figures that are read when they are asked for."""

    def __init__(
        self,
        endpoints: Callable[[], Sequence[EndpointState]],
        dropped: Callable[[], int],
        shadow_dropped: Callable[[], int],
    ) -> None:
        self._endpoints = endpoints
        self._dropped = dropped
        self._shadow_dropped = shadow_dropped

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        yield from endpoint_metrics.metrics(self._endpoints())
        yield counter(
            "pgvector_search_log_dropped",
            "Searches that were not logged because the log could not be written.",
            (),
            [(self._dropped(),)],
        )
        yield counter(
            "weaviate_shadow_reads_dropped",
            "Searches that were not asked of the other side, too, while their namespace moves.",
            (),
            [(self._shadow_dropped(),)],
        )

    def describe(self) -> Iterator[Metric]:
        """Nothing: the names do not collide, and the figures are live."""
        return iter(())
