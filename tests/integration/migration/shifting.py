"""Namespaces whose callers are being shifted, and shadow reads to judge them by."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

from greenlang_vectors.migration.plan import Gates, Plan
from greenlang_vectors.store import (
    namespaces,
    weaviate_migrations,
    weaviate_shadow_reads,
)
from greenlang_vectors.store.weaviate_migrations import Phase, Step
from greenlang_vectors.store.weaviate_shadow_reads import ShadowRead

GATES = Gates(hold_seconds=0, reads=20, p99_ms=50)


def moving(
    connection: psycopg.Connection,
    phase: Phase = "backfilled",
    *,
    share: int = 0,
    gates: Gates = GATES,
    name: str = "moving",
    plan: Plan | None = None,
) -> str:
    """A namespace in this phase, whatever was of it; its verification is clean from `backfilled`
    on."""
    if name not in {each.name for each in namespaces.list_all(connection)}:
        namespaces.register(connection, name)
    for table in ("steps", "verifications", "differences", "shadow_reads", "outbox", "migrations"):
        connection.execute(
            sql.SQL("DELETE FROM {} WHERE namespace = %s").format(
                sql.Identifier(f"weaviate_{table}")
            ),
            [name],
        )
    plan = plan or Plan(collection="Passages", gates=gates)
    weaviate_migrations.save_plan(connection, name, plan.model_dump(mode="json"))
    reached = weaviate_migrations.PHASES.index(phase)
    for each in weaviate_migrations.PHASES[1 : reached + 1]:
        with weaviate_migrations.changing(connection, name):
            at = share if each == "shifting" else 0
            weaviate_migrations.move(connection, name, each, phase=each, share=at, evidence={})
    if phase in {"backfilled", "shifting"}:
        verified(connection, name)
    return name


def verified(connection: psycopg.Connection, namespace: str, *, differences: int = 0) -> None:
    """A verification that found so many objects to differ."""
    connection.execute("DELETE FROM weaviate_differences WHERE namespace = %s", [namespace])
    connection.execute(
        "INSERT INTO weaviate_verifications (namespace, started_at, clean, figures)"
        " VALUES (%s, now(), %s, '{}')",
        [namespace, differences == 0],
    )
    for _ in range(differences):
        connection.execute(
            "INSERT INTO weaviate_differences (namespace, object_id, kind, detail)"
            " VALUES (%s, gen_random_uuid(), 'content', 'the text is another')",
            [namespace],
        )


def read(connection: psycopg.Connection, namespace: str, count: int = 20, **changes: Any) -> None:  # noqa: ANN401
    """So many shadow reads that found the same on both sides, but for the changes."""
    usual: dict[str, Any] = {
        "share": 0,
        "by_pgvector": False,
        "overlap": 1.0,
        "rank_distance": 0.0,
        "weaviate_ms": 9.0,
        "pgvector_ms": 4.0,
    }
    reads = [ShadowRead(namespace, **usual | changes) for _ in range(count)]
    assert weaviate_shadow_reads.write(connection, reads) == count


FAILED = {"overlap": None, "rank_distance": None, "pgvector_ms": None, "failed": "pgvector"}
"""What is kept of a read in which pgvector failed."""


def ago(connection: psycopg.Connection, namespace: str, seconds: float) -> None:
    """Let all that has happened to the namespace have happened so much earlier."""
    by = timedelta(seconds=seconds)
    connection.execute(
        "UPDATE weaviate_migrations SET share_since = share_since - %s WHERE namespace = %s",
        [by, namespace],
    )
    connection.execute(
        "UPDATE weaviate_steps SET taken_at = taken_at - %s WHERE namespace = %s", [by, namespace]
    )
    connection.execute(
        "UPDATE weaviate_shadow_reads SET read_at = read_at - %s WHERE namespace = %s",
        [by, namespace],
    )


def note_waiting(connection: psycopg.Connection, namespace: str, seconds: float) -> None:
    """A document that has waited for the relay for so long."""
    connection.execute(
        "INSERT INTO weaviate_outbox (namespace, document_id, source_type, source_key, noted_at)"
        " VALUES (%s, gen_random_uuid(), 'document', 'a', %s)",
        [namespace, datetime.now(UTC) - timedelta(seconds=seconds)],
    )


def newest_step(connection: psycopg.Connection, namespace: str) -> Step:
    return weaviate_migrations.steps(connection, namespace)[-1]
