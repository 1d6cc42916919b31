"""Embeddings and their indexes, leaf by leaf (PRD 11.1.1): no row of any leaf is read."""

from __future__ import annotations

import psycopg
from prometheus_client.core import Metric

from greenlang_vectors.monitoring.families import gauge, named_counter
from greenlang_vectors.store.leaves import Leaf

LEAF = ("namespace", "model")


def metrics(connection: psycopg.Connection) -> list[Metric]:
    """How many rows, inserts and indexes each leaf has, as statistics and catalogue know it."""
    found = connection.execute(
        "SELECT namespace, embedding_model, dimensions FROM embedding_collections ORDER BY name"
    )
    known = [Leaf(*row) for row in found]
    leaves = {
        "namespaces": [leaf.namespace for leaf in known],
        "models": [leaf.model for leaf in known],
        "tables": [leaf.table.as_string(connection) for leaf in known],
    }
    rows = connection.execute(_ROWS, leaves).fetchall()
    indexes = connection.execute(_INDEXES, leaves).fetchall()
    invalid = dict.fromkeys(((leaf.namespace, leaf.model) for leaf in known), 0)
    for namespace, model, _, _, _, failed in indexes:
        invalid[namespace, model] += failed
    return [
        gauge(
            "pgvector_embeddings_total",
            "Embeddings stored, as PostgreSQL's statistics know it.",
            LEAF,
            ((namespace, model, live) for namespace, model, live, _ in rows),
        ),
        named_counter(
            "pgvector_insert_rate",
            "Embeddings inserted since the statistics began; rate() gives those of a second.",
            LEAF,
            ((namespace, model, inserted) for namespace, model, _, inserted in rows),
        ),
        gauge(
            "pgvector_index_size_bytes",
            "Size of the ANN indexes, in bytes.",
            (*LEAF, "kind"),
            (each[:4] for each in indexes if each[2] in {"hnsw", "ivfflat"}),
        ),
        named_counter(
            "pg_stat_user_indexes_idx_scan",
            "Scans of the indexes of a leaf, by kind of index.",
            (*LEAF, "kind"),
            ((*each[:3], each[4]) for each in indexes),
        ),
        gauge(
            "pgvector_invalid_indexes",
            "Indexes that a failed build left behind; one that is being built is none.",
            LEAF,
            ((*leaf, count) for leaf, count in invalid.items()),
        ),
    ]


# The estimate of live rows begins anew when a crash loses the statistics: until a leaf is analyzed
# or vacuumed again, what the catalogue remembers may be the better one.
_ROWS = """
    SELECT wanted.namespace, wanted.model,
           CASE WHEN greatest(pg_stat_get_last_analyze_time(t.oid),
                              pg_stat_get_last_autoanalyze_time(t.oid),
                              pg_stat_get_last_vacuum_time(t.oid),
                              pg_stat_get_last_autovacuum_time(t.oid)) IS NULL
                THEN greatest(t.reltuples, pg_stat_get_live_tuples(t.oid), 0)
                ELSE pg_stat_get_live_tuples(t.oid) END,
           pg_stat_get_tuples_inserted(t.oid)
    FROM unnest(%(namespaces)s::text[], %(models)s::text[], %(tables)s::text[])
         AS wanted (namespace, model, name)
    JOIN pg_class t ON t.oid = to_regclass(wanted.name)
"""

_INDEXES = """
    SELECT wanted.namespace, wanted.model, a.amname,
           sum(coalesce(pg_relation_size(i.indexrelid), 0)),
           sum(pg_stat_get_numscans(i.indexrelid)),
           count(*) FILTER (WHERE NOT i.indisvalid AND NOT EXISTS (
               SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid))
    FROM unnest(%(namespaces)s::text[], %(models)s::text[], %(tables)s::text[])
         AS wanted (namespace, model, name)
    JOIN pg_index i ON i.indrelid = to_regclass(wanted.name)
    JOIN pg_class c ON c.oid = i.indexrelid
    JOIN pg_am a ON a.oid = c.relam
    GROUP BY wanted.namespace, wanted.model, a.amname
"""
