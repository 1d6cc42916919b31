"""Shifting callers from Weaviate to pgvector, a step at a time, and back at once (PRD 13.1)."""

from __future__ import annotations

import psycopg

from greenlang_vectors.errors import UsageError
from greenlang_vectors.migration import gates
from greenlang_vectors.migration.callers import SHARES, step_up
from greenlang_vectors.migration.gates import Gate
from greenlang_vectors.store import weaviate_migrations
from greenlang_vectors.store.weaviate_migrations import State


def set_share(connection: psycopg.Connection, namespace: str, share: int) -> State:
    """Let pgvector answer this share of callers; the step and what it rests on are recorded.

    Upwards a step at a time, each when the gates have held; downwards at once, to any step. The
    first step ends the phase `backfilled`. A share that is set again changes nothing.

    Args:
        connection: in autocommit, or the step is one of the caller's transaction.
        share: percent, one of `callers.SHARES`.

    Raises:
        UnknownNamespace: it is not registered.
        UsageError: no such step can be taken now; the message says what keeps it.
    """
    if share not in SHARES:
        known = ", ".join(map(str, SHARES))
        raise UsageError(f"{share}% of callers is no step.", f"Steps are {known}.")
    with weaviate_migrations.changing(connection, namespace) as state:
        if state.phase not in {"backfilled", "shifting"}:
            raise UsageError(
                f"The migration of {namespace} is in phase {state.phase}: its callers stay where"
                " they are.",
                "They are shifted in the phases backfilled and shifting.",
            )
        if share == state.share:
            return state
        judged = gates.judge(connection, namespace)
        if share > state.share:
            _check_step_up(state, share, judged)
        weaviate_migrations.move(
            connection,
            namespace,
            "traffic",
            phase="shifting",
            share=share,
            evidence={"from": state.share, "gates": gates.evidence(judged)},
        )
        return weaviate_migrations.get(connection, namespace)


def _check_step_up(state: State, share: int, judged: list[Gate]) -> None:
    following = step_up(state.share)
    if share != following:
        raise UsageError(
            f"pgvector answers {state.share}% of the callers of {state.namespace}: the next step"
            f" is {following}%, not {share}%.",
            f"Run `greenlang-vectors migrate traffic {state.namespace} {following}` first.",
        )
    if failing := [gate for gate in judged if not gate.holds]:
        raise UsageError(
            f"The gates of {state.namespace} do not hold: {gates.said(failing)}.",
            "Wait for more reads, or mend what keeps them; `greenlang-vectors migrate status`"
            " shows all of them.",
        )
