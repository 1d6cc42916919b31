"""The state of each namespace's move from Weaviate: plan, phase, and the steps that led there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.errors import UsageError
from greenlang_vectors.store import namespaces

Phase = Literal["planned", "parallel", "backfilled", "shifting", "decommissioned"]

PHASES: tuple[Phase, ...] = ("planned", "parallel", "backfilled", "shifting", "decommissioned")
"""In their order: each is entered from the one before it, and none is skipped."""


class NotUnderWay(UsageError):
    """A namespace whose move has not begun, or has ended."""


@dataclass(frozen=True, slots=True)
class State:
    """How far a namespace's move is.

    Attributes:
        plan: as JSON (`migration.plan.Plan`).
        share: percent of callers whose searches pgvector answers.
        share_since: when it became so.
        export: the server's export that the backfill reads; None where it reads pages.
    """

    namespace: str
    plan: dict[str, JSON]
    phase: Phase
    share: int
    share_since: datetime
    export: str | None
    created_at: datetime
    updated_at: datetime

    @property
    def under_way(self) -> bool:
        """Whether the move has begun and not ended."""
        return self.phase not in {"planned", "decommissioned"}


@dataclass(frozen=True, slots=True)
class Step:
    """Something that was done on the way, where it led, and what it rested on."""

    taken_at: datetime
    taken_by: str
    step: str
    phase: Phase
    share: int
    evidence: dict[str, JSON]


def find(connection: psycopg.Connection, namespace: str) -> State | None:
    """How far the namespace's move is; None where none is planned."""
    with connection.cursor(row_factory=class_row(State)) as cursor:
        return cursor.execute(
            """
            SELECT namespace, plan, phase, share, share_since, export, created_at, updated_at
            FROM weaviate_migrations WHERE namespace = %s
            """,
            [namespace],
        ).fetchone()


def get(connection: psycopg.Connection, namespace: str) -> State:
    """How far the namespace's move is.

    Raises:
        UnknownNamespace: it is not registered.
        NotUnderWay: no move is planned.
    """
    namespaces.get(connection, namespace)
    state = find(connection, namespace)
    if state is None:
        raise NotUnderWay(
            f"No migration of {namespace} is planned.",
            "Plan it with `greenlang-vectors migrate plan`.",
        )
    return state


def get_under_way(connection: psycopg.Connection, namespace: str) -> State:
    """How far a move is that has begun and not ended.

    Raises:
        UnknownNamespace: the namespace is not registered.
        NotUnderWay: no move is planned, it has not begun, or it has ended.
    """
    state = get(connection, namespace)
    if not state.under_way:
        raise NotUnderWay(
            f"The migration of {namespace} is in phase {state.phase}: it is not under way.",
            "`greenlang-vectors migrate start` begins it." if state.phase == "planned" else "",
        )
    return state


def list_all(connection: psycopg.Connection) -> list[State]:
    """Every move, by namespace."""
    with connection.cursor(row_factory=class_row(State)) as cursor:
        return cursor.execute(
            """
            SELECT namespace, plan, phase, share, share_since, export, created_at, updated_at
            FROM weaviate_migrations ORDER BY namespace
            """
        ).fetchall()


def all_under_way(connection: psycopg.Connection) -> list[State]:
    """Every move that has begun and not ended, by namespace."""
    return [state for state in list_all(connection) if state.under_way]


def check_unmapped(connection: psycopg.Connection, namespace: str, *models: str) -> None:
    """See that no move under way fills a collection of the namespace.

    Args:
        models: the collection's, by every name that a plan may give it.

    Raises:
        UsageError: one does.
    """
    row = connection.execute(
        """
        SELECT FROM weaviate_migrations, jsonb_array_elements(plan -> 'vectors') AS mapped
        WHERE namespace = %s AND phase NOT IN ('planned', 'decommissioned')
          AND mapped ->> 'model' = ANY(%s)
        """,
        [namespace, list(models)],
    ).fetchone()
    if row is not None:
        raise UsageError(
            f"The move from Weaviate fills the collection {namespace}/{models[0]}.",
            "End the move first (`greenlang-vectors migrate rollback` or `decommission`).",
        )


def check_not_under_way(connection: psycopg.Connection, namespace: str) -> None:
    """See that the namespace is not being moved, nor will be until the transaction ends.

    Raises:
        UsageError: it is.
    """
    row = connection.execute(
        "SELECT phase FROM weaviate_migrations WHERE namespace = %s FOR SHARE", [namespace]
    ).fetchone()
    if row is not None and row[0] not in {"planned", "decommissioned"}:
        raise UsageError(
            f"The move from Weaviate of {namespace} is under way (phase {row[0]}).",
            "Encrypt the namespace when the move has ended.",
        )


def save_plan(connection: psycopg.Connection, namespace: str, plan: dict[str, JSON]) -> State:
    """Plan a move, or plan it otherwise as long as it has not begun.

    Raises:
        UnknownNamespace: it is not registered.
        UsageError: it has begun; nothing was changed.
    """
    namespaces.get(connection, namespace)
    with connection.transaction():
        connection.execute(
            """
            INSERT INTO weaviate_migrations AS known (namespace, plan) VALUES (%s, %s)
            ON CONFLICT (namespace) DO UPDATE SET plan = excluded.plan, updated_at = now()
            WHERE known.phase = 'planned'
            """,
            [namespace, Jsonb(plan)],
        )
        state = get(connection, namespace)
        if state.phase != "planned":
            raise UsageError(
                f"The migration of {namespace} has begun (phase {state.phase}): its plan stays.",
                "`greenlang-vectors migrate rollback` ends it; then it can be planned anew.",
            )
        record(connection, namespace, "plan", {})
    return state


@contextmanager
def changing(connection: psycopg.Connection, namespace: str) -> Iterator[State]:
    """The state, locked until the transaction this opens ends: who changes it takes turns.

    Raises:
        UnknownNamespace, UsageError: as of `get`.
    """
    with connection.transaction():
        connection.execute(
            "SELECT FROM weaviate_migrations WHERE namespace = %s FOR UPDATE", [namespace]
        )
        yield get(connection, namespace)


def move(
    connection: psycopg.Connection,
    namespace: str,
    step: str,
    *,
    phase: Phase,
    share: int,
    evidence: Mapping[str, JSON],
) -> None:
    """Enter a phase with a share, and record the step; within `changing`."""
    connection.execute(
        """
        UPDATE weaviate_migrations
        SET phase = %(phase)s, updated_at = now(), share = %(share)s,
            share_since = CASE WHEN share = %(share)s THEN share_since ELSE now() END
        WHERE namespace = %(namespace)s
        """,
        {"namespace": namespace, "phase": phase, "share": share},
    )
    record(connection, namespace, step, evidence)


def note_export(connection: psycopg.Connection, namespace: str, export: str) -> None:
    """Note which export of the server the backfill reads, before it is asked for."""
    connection.execute(
        "UPDATE weaviate_migrations SET export = %s WHERE namespace = %s", [export, namespace]
    )


def forget_progress(connection: psycopg.Connection, namespace: str) -> None:
    """Let a backfill begin anew, and forget what verifications found."""
    connection.execute(
        "UPDATE weaviate_migrations SET export = NULL WHERE namespace = %s", [namespace]
    )
    connection.execute("DELETE FROM weaviate_ranges WHERE namespace = %s", [namespace])
    connection.execute("DELETE FROM weaviate_parts WHERE namespace = %s", [namespace])
    connection.execute("DELETE FROM weaviate_differences WHERE namespace = %s", [namespace])


def record(
    connection: psycopg.Connection, namespace: str, step: str, evidence: Mapping[str, JSON]
) -> None:
    """Record a step that was taken, in the phase and with the share there are."""
    connection.execute(
        """
        INSERT INTO weaviate_steps (namespace, step, phase, share, evidence)
        SELECT namespace, %s, phase, share, %s FROM weaviate_migrations WHERE namespace = %s
        """,
        [step, Jsonb(dict(evidence)), namespace],
    )


def steps(connection: psycopg.Connection, namespace: str) -> list[Step]:
    """Every step that was taken, oldest first."""
    with connection.cursor(row_factory=class_row(Step)) as cursor:
        return cursor.execute(
            """
            SELECT taken_at, taken_by, step, phase, share, evidence
            FROM weaviate_steps WHERE namespace = %s ORDER BY id
            """,
            [namespace],
        ).fetchall()
