"""The store as a whole; PRD 11.2's four panels come first."""

from __future__ import annotations

from deploy.monitoring.grafana import Page, Panel, Target
from deploy.monitoring.promql import latency

PRD_PANELS = (
    Panel(
        "Vector Search Latency",
        "timeseries",
        [Target(latency(0.99), "P99"), Target(latency(0.5), "P50")],
        "Time to find the passages, without embedding the question. Promised: P99 below 100 ms,"
        " P50 below 20 ms (PRD 14.1).",
        unit="ms",
        limit=100,
    ),
    Panel(
        "Embeddings Count by Namespace",
        "stat",
        [Target("sum by (namespace) (pgvector_embeddings_total)", "{{namespace}}")],
        "Embeddings stored, of all models, as PostgreSQL's statistics know it.",
    ),
    Panel(
        "Index Memory Usage",
        "gauge",
        [
            Target(
                "100 * sum by (job, instance) (pgvector_index_size_bytes)"
                " / on (job, instance) pg_database_size_bytes",
                "{{instance}}",
            )
        ],
        "What the vector indexes take of the database. PRD 11.2 divides series that do not match.",
        unit="percent",
        most=100,
        limit=80,
    ),
    Panel(
        "Search Throughput",
        "timeseries",
        [
            Target(
                "sum by (namespace, mode) (rate(pgvector_search_total[5m]))",
                "{{namespace}} {{mode}}",
            )
        ],
        "Searches answered, a second.",
        unit="reqps",
    ),
)

FAILED = "sum(increase(pgvector_search_failures_total[30d]))"
ANSWERED = "(sum(increase(pgvector_search_total[30d])) or vector(0))"

OVERVIEW = Page(
    "pgvector-performance",
    "pgvector Performance",
    "The store as a whole (PRD 11.2).",
    [
        *PRD_PANELS,
        Panel(
            "Availability, 30 days",
            "stat",
            [Target(f"1 - {FAILED} / ({FAILED} + {ANSWERED})", "answered")],
            "Share of searches that reached the API and were answered; promised are 99.9%"
            " (PRD 14.1). `greenlang-vectors slo report` tells the same of a month by the log.",
            unit="percentunit",
            limit=0.999,
            bad_below=True,
            width=6,
        ),
        Panel(
            "Database Answers",
            "stat",
            [Target("min(avg_over_time(greenlang_vectors_up[30d]))", "30 days")],
            "Share of scrapes that found the database up.",
            unit="percentunit",
            limit=0.999,
            bad_below=True,
            width=6,
        ),
        Panel(
            "Failed Searches",
            "timeseries",
            [Target("sum by (reason) (rate(pgvector_search_failures_total[5m]))", "{{reason}}")],
            "A second, by what went wrong; mistakes of callers are not among them.",
            unit="reqps",
        ),
        Panel(
            "Recall",
            "timeseries",
            [Target("pgvector_search_recall", "{{namespace}} {{model}}")],
            "Recall@10 of the collections that serve, as last measured.",
            unit="percentunit",
            limit=0.95,
            bad_below=True,
        ),
        Panel(
            "Question Embedding",
            "timeseries",
            [
                Target(
                    "histogram_quantile(0.5, sum by (le, model)"
                    " (rate(pgvector_question_embedding_ms_bucket[5m])))",
                    "P50 {{model}}",
                )
            ],
            "Time to embed the question of a search, which comes on top of its latency.",
            unit="ms",
        ),
        Panel(
            "Dead Letters",
            "timeseries",
            [Target("sum by (namespace) (pgvector_dead_letters)", "{{namespace}}")],
            "Items that failed and wait for a person.",
        ),
        Panel(
            "Replication Lag",
            "timeseries",
            [Target("pg_replication_lag_seconds", "{{endpoint}}")],
            "How far each reader is behind the writer.",
            unit="s",
            limit=30,
        ),
        Panel(
            "Sessions and Pools",
            "timeseries",
            [
                Target(
                    "sum by (job, instance) (pg_stat_activity_count)"
                    " / on (job, instance) pg_settings_max_connections",
                    "server",
                ),
                Target(
                    "pgvector_pool_connections_in_use / pgvector_pool_connections_limit",
                    "{{instance}} to {{role}} {{endpoint}}",
                ),
            ],
            "Connections in use of those there may be.",
            unit="percentunit",
            limit=0.8,
        ),
        Panel(
            "Locks Waited For",
            "timeseries",
            [Target('sum by (instance) (pg_locks_count{state="waiting"})', "{{instance}}")],
            "Locks that sessions wait for.",
            limit=10,
        ),
        Panel(
            "Pages Found in Memory",
            "timeseries",
            [
                Target(
                    "pg_stat_database_blks_hit"
                    " / (pg_stat_database_blks_hit + pg_stat_database_blks_read)",
                    "{{instance}}",
                )
            ],
            "Share of the database's pages that were found in shared_buffers.",
            unit="percentunit",
            most=1,
        ),
        Panel(
            "Memory and Disk",
            "timeseries",
            [
                Target("pg_database_size_bytes", "database"),
                Target("sum by (job, instance) (pgvector_index_size_bytes)", "vector indexes"),
                Target("pg_settings_shared_buffers_bytes", "shared_buffers"),
            ],
            "Searches are fast while the vector indexes fit in shared_buffers.",
            unit="bytes",
        ),
        Panel(
            "Rows Inserted",
            "timeseries",
            [Target("sum by (relname) (rate(pg_stat_user_tables_n_tup_ins[5m]))", "{{relname}}")],
            "A second, by table.",
        ),
        Panel(
            "Searches Not Logged",
            "timeseries",
            [Target("sum(rate(pgvector_search_log_dropped_total[5m]))", "dropped")],
            "A second; tuning and the service levels of a month do not know of them.",
            unit="reqps",
        ),
    ],
)
