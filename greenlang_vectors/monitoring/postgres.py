"""The server itself (PRD 11.1.2, and what 11.2 and 11.3 compare with): size, sessions, locks.

A role sees the state of its own sessions, and with `pg_monitor` that of all.
"""

from __future__ import annotations

import psycopg
from prometheus_client.core import Metric

from greenlang_vectors.monitoring.families import gauge, named_counter


def metrics(connection: psycopg.Connection) -> list[Metric]:
    """Size, settings, sessions, locks and inserts of the database and its server."""
    sizes = connection.execute(_SIZES).fetchall()
    return [
        gauge(
            "pg_database_size_bytes",
            "Size of the database, in bytes.",
            (),
            (row[:1] for row in sizes),
        ),
        gauge(
            "pg_settings_shared_buffers_bytes",
            "Memory that PostgreSQL keeps pages in, in bytes.",
            (),
            (row[1:2] for row in sizes),
        ),
        gauge(
            "pg_settings_max_connections",
            "Sessions that the server takes.",
            (),
            (row[2:3] for row in sizes),
        ),
        named_counter(
            "pg_stat_database_blks_hit",
            "Pages of the database that were found in memory.",
            (),
            (row[3:4] for row in sizes),
        ),
        named_counter(
            "pg_stat_database_blks_read",
            "Pages of the database that were read from disk.",
            (),
            (row[4:5] for row in sizes),
        ),
        gauge(
            "pg_stat_activity_count",
            "Sessions of clients on the server, by state.",
            ("state",),
            connection.execute(_SESSIONS),
        ),
        gauge(
            "pg_locks_count",
            "Locks on the server that are held, and that are waited for.",
            ("state",),
            connection.execute(_LOCKS),
        ),
        named_counter(
            "pg_stat_user_tables_n_tup_ins",
            "Rows inserted, by table; those of partitions count for the whole.",
            ("relname",),
            connection.execute(_INSERTS),
        ),
    ]


_SIZES = """
    SELECT pg_database_size(d.datid), pg_size_bytes(current_setting('shared_buffers')),
           current_setting('max_connections')::integer, d.blks_hit, d.blks_read
    FROM pg_stat_database d WHERE d.datname = current_database()
"""

_SESSIONS = """
    SELECT coalesce(state, 'unknown'), count(*) FROM pg_stat_activity
    WHERE backend_type = 'client backend' GROUP BY 1
"""

_LOCKS = """
    SELECT state, count(pid)
    FROM (VALUES ('held', true), ('waiting', false)) AS wanted (state, granted)
    LEFT JOIN pg_locks USING (granted)
    GROUP BY state
"""

_INSERTS = """
    SELECT coalesce(pg_partition_root(oid), oid)::regclass, sum(pg_stat_get_tuples_inserted(oid))
    FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
    GROUP BY 1
"""
