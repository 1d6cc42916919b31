"""Which namespaces are moving, as searches have to know it."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg.rows import dict_row
from pydantic import ValidationError

from greenlang_vectors.errors import GreenLangError
from greenlang_vectors.migration.plan import Plan
from greenlang_vectors.store import weaviate_migrations
from greenlang_vectors.store.weaviate_migrations import State


@dataclass(frozen=True, slots=True)
class Move:
    """A namespace that is moving.

    Attributes:
        share: percent of callers whom pgvector answers.
        compared: whether both sides are meant to hold the same: shadow reads say something then.
        complete: whether they were found to by the newest verification: pgvector can stand in
            for Weaviate then.
        collection: what is searched where a request names none; None for the serving one.
    """

    namespace: str
    plan: Plan
    share: int
    compared: bool
    complete: bool
    collection: str | None


def under_way(connection: psycopg.Connection) -> dict[str, Move | GreenLangError]:
    """Every move that has begun and not ended, by namespace; an error where its plan says nothing.

    Who is to answer that namespace's searches is not known then. Others are not concerned.
    """
    states = weaviate_migrations.all_under_way(connection)
    if not states:
        return {}
    with connection.cursor(row_factory=dict_row) as cursor:
        seen = cursor.execute(
            """
            SELECT namespace,
                   (SELECT clean FROM weaviate_verifications v WHERE v.namespace = m.namespace
                    ORDER BY id DESC LIMIT 1) AS clean,
                   (SELECT embedding_model FROM embedding_collections c
                    WHERE c.namespace = m.namespace AND serving) AS serving
            FROM weaviate_migrations m WHERE namespace = ANY(%s)
            """,
            [[state.namespace for state in states]],
        ).fetchall()
    known = {row["namespace"]: row for row in seen}
    return {
        state.namespace: _move(state, **known[state.namespace])
        for state in states
        if state.namespace in known
    }


def _move(
    state: State, *, namespace: str, clean: bool | None, serving: str | None
) -> Move | GreenLangError:
    try:
        plan = Plan.model_validate(state.plan)
    except ValidationError:
        return GreenLangError(
            f"The plan by which {namespace} moves from Weaviate cannot be read by this version.",
            "Run the version that it was made with, or a newer one.",
        )
    first = plan.vectors[0].model
    compared = state.phase in {"backfilled", "shifting"}
    return Move(
        namespace,
        plan,
        state.share,
        compared,
        compared and clean is True,
        None if serving == first else f"{namespace}/{first}",
    )
