"""The servers that searches go to, as this process's health check last found them (PRD 9.1)."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client.core import Metric

from greenlang_vectors.monitoring.families import gauge
from greenlang_vectors.store.endpoints import EndpointState

LABELS = ("endpoint", "role")


def metrics(states: Sequence[EndpointState]) -> list[Metric]:
    """Health, lag and pools; asks nobody.

    The lag is told by the heartbeat (`store.monitor`): what a standby says of itself grows on an
    idle system, and Aurora's readers say nothing. Of a reader that does not answer nobody knows it.
    """
    return [
        gauge(
            "pgvector_endpoint_healthy",
            "1 where searches go there.",
            LABELS,
            ((each.name, each.role, each.healthy) for each in states),
        ),
        gauge(
            "pg_replication_lag_seconds",
            "How far a reader is behind the writer.",
            LABELS,
            ((each.name, each.role, each.lag_seconds) for each in states if each.role == "reader"),
        ),
        gauge(
            "pgvector_pool_connections_in_use",
            "Connections this process is using.",
            LABELS,
            ((each.name, each.role, each.in_use) for each in states),
        ),
        gauge(
            "pgvector_pool_connections_limit",
            "Connections this process may use.",
            LABELS,
            ((each.name, each.role, each.limit) for each in states),
        ),
    ]
