"""What the stages found, kept for `status`: search quality, check results."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import cast

import psycopg
from psycopg.types.json import Jsonb

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.store.leaves import Leaf


@dataclass(frozen=True, slots=True)
class SearchQuality:
    """How well and how fast a leaf is searched.

    Attributes:
        ef_search: breadth of the searches; of IVFFlat, their probes.
        queries: how many were asked without a filter.
        recall_at_10: share of the exact ten nearest that is found, averaged over queries.
        latency_p50_ms, latency_p99_ms: of these searches, in milliseconds.
        recall_target: what the namespace was promised then.
        recall_before: the lowest recall, without or inside some filter, at the width that was used
            until this measurement, where it had fallen below what was promised; else None.
        filtered: the same inside filters: [{"filter", "queries", "recall_at_10"}, …].
        curve: what tuning measured on its way: [{"width", "recall_at_10", "lowest_recall",
            "latency_p50_ms"}, …] by width, the lowest recall being that without or inside some
            filter; empty where nothing was tuned.
    """

    embedding_model: str
    ef_search: int
    queries: int
    recall_at_10: float
    latency_p50_ms: float
    latency_p99_ms: float
    recall_target: float | None = None
    recall_before: float | None = None
    filtered: list[dict[str, JSON]] = field(default_factory=list)
    curve: list[dict[str, float]] = field(default_factory=list)

    @property
    def lowest(self) -> tuple[float, JSON]:
        """The lowest recall, and the filter inside which it is; None for none."""
        inside = [(cast("float", each["recall_at_10"]), each["filter"]) for each in self.filtered]
        return min([(self.recall_at_10, None), *inside], key=itemgetter(0))


def save_search_quality(
    connection: psycopg.Connection, namespace: str, quality: SearchQuality
) -> None:
    """Add a measurement to the history."""
    connection.execute(
        """
        INSERT INTO search_quality
            (namespace, embedding_model, ef_search, queries, recall_at_10, latency_p50_ms,
             latency_p99_ms, recall_target, recall_before, filtered, curve)
        VALUES (%(namespace)s, %(embedding_model)s, %(ef_search)s, %(queries)s, %(recall_at_10)s,
                %(latency_p50_ms)s, %(latency_p99_ms)s, %(recall_target)s, %(recall_before)s,
                %(filtered)s, %(curve)s)
        """,
        {
            **asdict(quality),
            "namespace": namespace,
            "filtered": Jsonb(quality.filtered),
            "curve": Jsonb(quality.curve),
        },
    )


def search_quality_history(
    connection: psycopg.Connection, leaf: Leaf, most: int
) -> list[tuple[datetime, SearchQuality]]:
    """The last measurements of the leaf and when they were made, newest first."""
    rows = connection.execute(
        """
        SELECT measured_at, embedding_model, ef_search, queries, recall_at_10, latency_p50_ms,
               latency_p99_ms, recall_target, recall_before, filtered, curve
        FROM search_quality WHERE namespace = %s AND embedding_model = %s
        ORDER BY measured_at DESC LIMIT %s
        """,
        [leaf.namespace, leaf.model, most],
    )
    return [(at, SearchQuality(*measured)) for at, *measured in rows]


def newest_search_quality(connection: psycopg.Connection, leaf: Leaf) -> SearchQuality | None:
    """The last measurement of the leaf that was kept."""
    found = search_quality_history(connection, leaf, 1)
    return found[0][1] if found else None


def last_judged(connection: psycopg.Connection, check: str) -> dict[str, datetime]:
    """When each namespace last came to a check; of one that never did, when it was registered."""
    return dict(
        connection.execute(
            """
            SELECT n.name, coalesce(r.checked_at, n.created_at)
            FROM namespaces n LEFT JOIN check_results r ON r.namespace = n.name AND r.name = %s
            """,
            [check],
        ).fetchall()
    )


def save_check(
    connection: psycopg.Connection,
    namespace: str,
    name: str,
    *,
    passed: bool,
    blocking: bool,
    message: str,
) -> None:
    """Keep the newest outcome of a check."""
    connection.execute(
        """
        INSERT INTO check_results (namespace, name, passed, blocking, message)
        VALUES (%s, %s, %s, %s, %s)
        ON CONFLICT (namespace, name) DO UPDATE SET
            passed = excluded.passed, blocking = excluded.blocking,
            message = excluded.message, checked_at = now()
        """,
        [namespace, name, passed, blocking, message],
    )
