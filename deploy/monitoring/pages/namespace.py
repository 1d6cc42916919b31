"""One namespace: what it holds, how it is searched, how its pipeline goes."""

from __future__ import annotations

from deploy.monitoring.grafana import Page, Panel, Target
from deploy.monitoring.promql import latency

OF = '{namespace=~"$namespace"}'

NAMESPACE = Page(
    "pgvector-namespace",
    "pgvector Namespace",
    "One namespace: what it holds, how it is searched, and how its pipeline goes.",
    [
        Panel(
            "Embeddings",
            "stat",
            [Target(f"pgvector_embeddings_total{OF}", "{{namespace}} {{model}}")],
            "Embeddings stored, by model.",
            width=8,
        ),
        Panel(
            "Last Refreshed",
            "stat",
            [Target(f"time() - pgvector_refreshed_timestamp_seconds{OF}", "{{namespace}}")],
            "Since the pipeline last came to its checks; it runs once a day.",
            unit="s",
            limit=36 * 3600,
            width=8,
        ),
        Panel(
            "Checks That Failed",
            "stat",
            [Target('pgvector_checks{namespace=~"$namespace", outcome="failed"}', "{{namespace}}")],
            "By their newest outcome; `greenlang-vectors status` counts them, Dagster names them.",
            limit=1,
            width=8,
        ),
        Panel(
            "Search Latency",
            "timeseries",
            [
                Target(latency(0.99, "le, mode", OF), "P99 {{mode}}"),
                Target(latency(0.5, "le, mode", OF), "P50 {{mode}}"),
            ],
            "By mode, without embedding the question.",
            unit="ms",
            limit=100,
        ),
        Panel(
            "Searches",
            "timeseries",
            [
                Target(
                    f"sum by (mode, model) (rate(pgvector_search_total{OF}[5m]))",
                    "{{mode}} {{model}}",
                )
            ],
            "Answered, a second.",
            unit="reqps",
        ),
        Panel(
            "Recall against the Promise",
            "timeseries",
            [
                Target(f"pgvector_search_recall{OF}", "{{namespace}} measured"),
                Target(f"pgvector_search_recall_target{OF}", "{{namespace}} promised"),
            ],
            "Recall@10 of the collection that serves, as last measured.",
            unit="percentunit",
        ),
        Panel(
            "Recall Measured",
            "stat",
            [
                Target(
                    f"time() - pgvector_search_recall_measured_timestamp_seconds{OF}",
                    "{{namespace}}",
                )
            ],
            "How long ago.",
            unit="s",
            limit=36 * 3600,
        ),
        Panel(
            "Index Size",
            "timeseries",
            [Target(f"pgvector_index_size_bytes{OF}", "{{model}} {{kind}}")],
            "Of the vector indexes.",
            unit="bytes",
        ),
        Panel(
            "Index Scans",
            "timeseries",
            [
                Target(
                    f"sum by (model, kind) (rate(pg_stat_user_indexes_idx_scan{OF}[5m]))",
                    "{{model}} {{kind}}",
                )
            ],
            "A second, by kind. Where searches go on and hnsw has none, none is there or the"
            " planner goes around it.",
        ),
        Panel(
            "Inserts",
            "timeseries",
            [Target(f"sum by (model) (rate(pgvector_insert_rate{OF}[5m]))", "{{model}}")],
            "Embeddings a second; while a job runs, 100 are expected (PRD 11.1.1).",
        ),
        Panel(
            "Jobs",
            "timeseries",
            [
                Target(f"pgvector_jobs_running{OF}", "{{namespace}} running"),
                Target(f"pgvector_jobs_worked_through{OF}", "{{namespace}} chunks worked through"),
            ],
            "Embedding jobs that run, and how far they are.",
        ),
        Panel(
            "Chunks out of the Cache",
            "stat",
            [
                Target(
                    f"pgvector_embedding_cache_hits_total{OF}"
                    f" / pgvector_embedding_job_chunks_total{OF}",
                    "{{namespace}}",
                )
            ],
            "Share of the stored chunks whose vector the cache held.",
            unit="percentunit",
            most=1,
        ),
        Panel(
            "Dead Letters by Stage",
            "timeseries",
            [Target(f"pgvector_dead_letters{OF}", "{{namespace}} {{stage}}")],
            "Items that failed and wait for a person.",
        ),
        Panel(
            "Invalid Indexes",
            "stat",
            [Target(f"pgvector_invalid_indexes{OF}", "{{model}}")],
            "Left behind by failed builds.",
            limit=1,
        ),
        Panel(
            "Move from Weaviate",
            "timeseries",
            [
                Target(f"weaviate_migration_share_ratio{OF}", "{{namespace}} share of callers"),
                Target(f"weaviate_migration_waiting_writes{OF}", "{{namespace}} waiting writes"),
                Target(
                    f"weaviate_migration_open_differences{OF}", "{{namespace}} open differences"
                ),
            ],
            "Of namespaces that move: who answers, and what is still unlike.",
        ),
        Panel(
            "Phase of the Move",
            "stat",
            [Target(f"weaviate_migration_phase{OF}", "{{namespace}} {{phase}}")],
            "planned, parallel, backfilled, shifting or decommissioned.",
        ),
    ],
    choices={"namespace": "label_values(pgvector_search_recall_target, namespace)"},
)
