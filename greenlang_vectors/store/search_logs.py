"""The table vector_search_logs (PRD 6.2): what was asked, with what filters, and how it went.

Corrected against the PRD: partitioned by namespace, so that no tenant sees what another asks; the
query's vector without a typmod, as models differ; users by any name, latency in parts of a
millisecond, and with each search its mode, collection, filter and plan.

Of an encrypted namespace neither the question nor its vector is kept, for a vector can be inverted
approximately and a question says more than the passages it finds; nor, where values of metadata
are sealed, is a filter on metadata.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.types.json import Jsonb

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.store.leaves import Leaf

ROWS_AT_ONCE = 10_000
"""Rows deleted in one transaction, and the newest searches that tuning looks at."""

STATEMENT_SECONDS = 10


@dataclass(frozen=True, slots=True, eq=False)
class LoggedSearch:
    """One search that was answered, or failed by no fault of whoever asked.

    Attributes:
        collection: "<namespace>/<model>"; None where the namespace held nothing yet, or the search
            failed.
        mode: "vector", "text" or "hybrid".
        query_text: the question, whatever characters it holds; None where a vector took its place.
        query_vector: shape (dimensions,); None in a text search.
        filter: its canonical JSON (`filters.as_json`); None without one.
        returned: passages that came back.
        plan: how they were found, in words.
        latency_ms: of the search without embedding the question, milliseconds; of one that failed,
            until it did.
        user: who asked, by whatever name the caller knows him.
        failure: the name of the error; None where it was answered.
    """

    namespace: str
    collection: str | None
    mode: str
    query_text: str | None
    query_vector: NDArray[np.float32] | None
    filter: JSON
    top_k: int
    threshold: float | None
    returned: int
    plan: str
    latency_ms: float
    user: str | None
    failure: str | None = None
    id: UUID = field(default_factory=uuid4)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


def write(connection: psycopg.Connection, searches: Sequence[LoggedSearch]) -> int:
    """Keep these searches; repeating it changes nothing. Returns how many the database took.

    A search it refuses (of a namespace dropped meanwhile, say) does not keep the others out.

    Args:
        connection: in autocommit, of someone who may write to their namespaces.
    """
    sealed = _sealed_metadata(connection)
    by_namespace: dict[str, list[dict[str, object]]] = {}
    for search in searches:
        by_namespace.setdefault(search.namespace, []).append(_row(_without_secrets(search, sealed)))
    return sum(_insert(connection, rows) for rows in by_namespace.values())


def prune(connection: psycopg.Connection, days: int) -> int:
    """Delete searches of longer than this many days ago; return how many.

    Args:
        connection: in autocommit; a transaction deletes `ROWS_AT_ONCE` at most.
    """
    deleted = 0
    names = [row[0] for row in connection.execute("SELECT name FROM namespaces ORDER BY name")]
    for name in names:
        while count := connection.execute(
            """
            DELETE FROM vector_search_logs
            WHERE namespace = %(namespace)s AND (created_at, id) IN (
                SELECT created_at, id FROM vector_search_logs
                WHERE namespace = %(namespace)s
                  AND created_at < now() - make_interval(days => %(days)s)
                ORDER BY created_at LIMIT %(most)s)
            """,
            {"namespace": name, "days": days, "most": ROWS_AT_ONCE},
        ).rowcount:
            deleted += count
    return deleted


def frequent_filters(
    connection: psycopg.Connection, collection: str, most: int, days: int
) -> list[JSON]:
    """The filters most often used in searches of a collection by vectors, most frequent first."""
    rows = connection.execute(
        """
        SELECT filter FROM (
            SELECT filter FROM vector_search_logs
            WHERE namespace = split_part(%(collection)s, '/', 1)
              AND collection = %(collection)s AND mode IN ('vector', 'hybrid')
              AND created_at > now() - make_interval(days => %(days)s)
            ORDER BY created_at DESC LIMIT %(read)s
        ) recent
        WHERE filter IS NOT NULL GROUP BY filter ORDER BY count(*) DESC, filter LIMIT %(most)s
        """,
        {"collection": collection, "days": days, "read": ROWS_AT_ONCE, "most": most},
    )
    return [row[0] for row in rows]


def query_vectors(
    connection: psycopg.Connection, leaf: Leaf, filter_: JSON, most: int, days: int
) -> NDArray[np.float32]:
    """Vectors the leaf was asked with last, each once, shape (at most `most`, leaf.dimensions).

    Args:
        filter_: inside this filter; None for searches without one.
    """
    rows = connection.execute(
        """
        SELECT query_embedding FROM (
            SELECT query_embedding, filter, created_at FROM vector_search_logs
            WHERE namespace = %(namespace)s AND collection = %(collection)s
              AND created_at > now() - make_interval(days => %(days)s)
              AND vector_dims(query_embedding) = %(dimensions)s
            ORDER BY created_at DESC LIMIT %(read)s
        ) recent
        WHERE filter IS NOT DISTINCT FROM %(filter)s
        GROUP BY query_embedding ORDER BY max(created_at) DESC, query_embedding LIMIT %(most)s
        """,
        {
            "namespace": leaf.namespace,
            "collection": f"{leaf.namespace}/{leaf.model}",
            "dimensions": leaf.dimensions,
            "days": days,
            "read": ROWS_AT_ONCE,
            "filter": None if filter_ is None else Jsonb(filter_),
            "most": most,
        },
    )
    vectors = [row[0].to_numpy() for row in rows]
    return np.array(vectors, np.float32).reshape(-1, leaf.dimensions)


def latencies(connection: psycopg.Connection, namespace: str, days: int) -> NDArray[np.float64]:
    """Milliseconds of a namespace's newest answered searches, `ROWS_AT_ONCE` at most."""
    rows = connection.execute(
        """
        SELECT latency_ms FROM vector_search_logs
        WHERE namespace = %s AND failure IS NULL
          AND created_at > now() - make_interval(days => %s)
        ORDER BY created_at DESC LIMIT %s
        """,
        [namespace, days, ROWS_AT_ONCE],
    )
    return np.array([row[0] for row in rows], np.float64)


def _insert(connection: psycopg.Connection, rows: Sequence[Mapping[str, object]]) -> int:
    """Keep rows of one namespace, all in one transaction; how many the database took."""
    try:
        with connection.transaction(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('statement_timeout', %s, true)", [f"{STATEMENT_SECONDS}s"]
            )
            cursor.executemany(_INSERT, rows)
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.CheckViolation):
        return 0
    except psycopg.DataError:
        return sum(_insert(connection, [row]) for row in rows) if len(rows) > 1 else 0
    return len(rows)


_INSERT = """
    INSERT INTO vector_search_logs
        (namespace, id, created_at, collection, mode, query_text, query_embedding, filter, top_k,
         threshold, result_count, plan, latency_ms, user_id, failure)
    VALUES (%(namespace)s, %(id)s, %(at)s, %(collection)s, %(mode)s, %(text)s, %(vector)s,
            %(filter)s, %(top_k)s, %(threshold)s, %(returned)s, %(plan)s, %(latency)s, %(user)s,
            %(failure)s)
    ON CONFLICT DO NOTHING
"""


def _sealed_metadata(connection: psycopg.Connection) -> dict[str, list[str]]:
    """Metadata keys whose values are sealed, by encrypted namespace."""
    return dict(
        connection.execute("SELECT namespace, metadata_keys FROM encrypted_namespaces").fetchall()
    )


def _without_secrets(search: LoggedSearch, sealed: Mapping[str, Sequence[str]]) -> LoggedSearch:
    keys = sealed.get(search.namespace)
    if keys is None:
        return search
    told = bool(keys) and any(name.startswith("metadata.") for name in _fields(search.filter))
    return replace(
        search, query_text=None, query_vector=None, filter=None if told else search.filter
    )


def _fields(filter_: JSON) -> Iterator[str]:
    """What fields the JSON of a filter names."""
    if isinstance(filter_, list):
        for part in filter_:
            yield from _fields(part)
    elif isinstance(filter_, dict):
        for key, value in filter_.items():
            if key == "field" and isinstance(value, str):
                yield value
            yield from _fields(value)


def _row(search: LoggedSearch) -> dict[str, object]:
    return {
        "namespace": search.namespace,
        "id": search.id,
        "at": search.at,
        "collection": search.collection,
        "mode": search.mode,
        "text": None if search.query_text is None else _storable(search.query_text),
        "vector": _vector(search.query_vector),
        "filter": None if search.filter is None else Jsonb(_storable_json(search.filter)),
        "top_k": search.top_k,
        "threshold": search.threshold,
        "returned": search.returned,
        "plan": _storable(search.plan),
        "latency": search.latency_ms,
        "user": None if search.user is None else _storable(search.user),
        "failure": search.failure,
    }


def _vector(vector: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
    if vector is None or not np.isfinite(vector).all():
        return None
    return np.asarray(vector, np.float32)


def _storable(text: str) -> str:
    """The text with a replacement character for what PostgreSQL does not take."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\ufffd")


def _storable_json(value: JSON) -> JSON:
    match value:
        case str():
            return _storable(value)
        case float() if not math.isfinite(value):
            return str(value)
        case list():
            return [_storable_json(item) for item in value]
        case dict():
            return {_storable(key): _storable_json(item) for key, item in value.items()}
    return value
