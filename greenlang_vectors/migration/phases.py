"""The beginning of a move, and its way back: dual writing on and off (PRD 13.1, phase 1)."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import psycopg

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.errors import UsageError
from greenlang_vectors.migration import destinations
from greenlang_vectors.migration.mapping import Mapper
from greenlang_vectors.migration.peer import Peer
from greenlang_vectors.migration.plan import Plan
from greenlang_vectors.migration.relay import LOCK
from greenlang_vectors.migration.sample import take, tenants_of
from greenlang_vectors.migration.unfit import Problem
from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.store import weaviate_documents, weaviate_migrations, weaviate_outbox
from greenlang_vectors.store.collection_locks import changing as collections_changing
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.locks import exclusive
from greenlang_vectors.store.weaviate_migrations import State

REMOVED_AT_ONCE = 500
"""Documents removed in one transaction."""


@dataclass(frozen=True, slots=True)
class Started:
    """What a move begins with.

    Attributes:
        noted: documents that were here already and are carried to Weaviate.
        warnings: what does not fit, and is only worth knowing.
    """

    state: State
    noted: int
    warnings: list[Problem]


@dataclass(frozen=True, slots=True)
class Undone:
    """What a way back left.

    Attributes:
        discarded: documents that waited for Weaviate and are not carried there any more.
        removed: documents that came from Weaviate and were removed.
    """

    state: State
    discarded: int
    removed: int


def start(database: Database, peer: Peer, namespace: str) -> Started:
    """Begin a planned move: from now on both sides are written to (planned to parallel).

    Where applications write to pgvector, everything committed from now on is noted for Weaviate,
    and once each document that is here already. The collections of the plan's vectors are made.

    Raises:
        UnknownNamespace: it is not registered.
        UsageError: nothing is planned, the move has begun, the collection or a tenant is not
            there or does not fit the plan, or the namespace is encrypted; nothing was changed.
        WeaviateUnavailable: the collection cannot be looked at; nothing was changed.
        GreenLangError: a long transaction holds the namespace's tables; nothing was changed.
    """
    with database.connect() as connection:
        state = weaviate_migrations.get(connection, namespace)
        _must_be_planned(state)
        plan = Plan.model_validate(state.plan)
        info = peer.describe(plan.collection)
        mapper = Mapper(plan, namespace, info)
        found = mapper.problems()
        _check(plan, found)
        tenants = tenants_of(peer, plan)
        sample = take(peer, mapper, tenants)
        with (
            collections_changing(connection, namespace),
            weaviate_migrations.changing(connection, namespace) as state,
        ):
            _must_be_planned(state)
            if Plan.model_validate(state.plan) != plan:
                raise UsageError(f"{namespace} was planned otherwise meanwhile.", "Start again.")
            targets = destinations.prepare(connection, namespace, plan, info, sample.dimensions)
            weaviate_documents.forget_stale(connection, namespace)
            noted = 0
            if plan.primary == "pgvector":
                leaves = [target.leaf for target in targets]
                weaviate_outbox.install(connection, namespace, leaves)
                noted = weaviate_outbox.note_present(connection, namespace)
            warnings = [each for each in found if not each.fatal]
            evidence: dict[str, JSON] = {
                "primary": plan.primary,
                "server_version": info.server_version,
                "tenants": len(tenants),
                "documents_noted": noted,
                "warnings": [asdict(each) for each in warnings],
            }
            weaviate_migrations.move(
                connection, namespace, "start", phase="parallel", share=0, evidence=evidence
            )
            return Started(weaviate_migrations.get(connection, namespace), noted, warnings)


def rollback(
    database: Database,
    namespace: str,
    *,
    remove: bool = False,
    discard: bool = False,
    progress: Progress = silent,
) -> Undone:
    """End dual writing and go back to a plan; what came from Weaviate stays, unless removed.

    A relay or a follower that is at work is waited for. A killed removal goes on when it is run
    again.

    Args:
        remove: remove the documents that came from Weaviate and that no application has written
            since.
        discard: even if documents wait to be carried to Weaviate, which never has them then.

    Raises:
        UnknownNamespace: it is not registered.
        UsageError: nothing is planned, callers read from pgvector, the move has ended, or
            documents wait; nothing was changed.
        GreenLangError: a long transaction holds the namespace's tables; nothing was changed.
    """
    with database.connect() as connection, exclusive(connection, LOCK, namespace):
        discarded = _end_dual_write(connection, namespace, discard=discard, removing=remove)
        removed = 0
        if remove:
            total = weaviate_documents.count_landed(connection, namespace)
            while gone := weaviate_documents.remove_landed(connection, namespace, REMOVED_AT_ONCE):
                removed += gone
                progress(min(removed, total), total, "documents")
        return Undone(weaviate_migrations.get(connection, namespace), discarded, removed)


def _end_dual_write(
    connection: psycopg.Connection, namespace: str, *, discard: bool, removing: bool
) -> int:
    """Enter the phase `planned`; return how many documents waited for Weaviate."""
    with (
        collections_changing(connection, namespace),
        weaviate_migrations.changing(connection, namespace) as state,
    ):
        if state.phase == "planned" and removing:
            return 0
        _must_be_undoable(state)
        waiting = weaviate_outbox.lag(connection, namespace).documents
        if waiting and not discard:
            raise UsageError(
                f"{waiting} documents of {namespace} wait to be carried to Weaviate.",
                "Run `greenlang-vectors migrate relay` first; --discard leaves them out.",
            )
        weaviate_outbox.remove(connection, namespace)
        weaviate_outbox.clear(connection, namespace)
        weaviate_migrations.forget_progress(connection, namespace)
        weaviate_migrations.move(
            connection,
            namespace,
            "rollback",
            phase="planned",
            share=0,
            evidence={"from": state.phase, "documents_discarded": waiting, "removing": removing},
        )
    return waiting


def _must_be_planned(state: State) -> None:
    if state.phase != "planned":
        raise UsageError(
            f"The migration of {state.namespace} has begun (phase {state.phase}).",
            "`greenlang-vectors migrate status` shows how far it is.",
        )


def _must_be_undoable(state: State) -> None:
    if state.phase == "planned":
        raise UsageError(f"The migration of {state.namespace} has not begun.")
    if state.phase == "decommissioned":
        raise UsageError(f"The migration of {state.namespace} has ended.")
    if state.share:
        raise UsageError(
            f"pgvector answers {state.share}% of the callers of {state.namespace}.",
            f"Run `greenlang-vectors migrate traffic {state.namespace} 0` first.",
        )


def _check(plan: Plan, found: list[Problem]) -> None:
    if fatal := [each for each in found if each.fatal]:
        raise UsageError(
            f"The collection {plan.collection} does not fit the plan: "
            + " ".join(f"{each.message} {each.remedy}" for each in fatal),
            "`greenlang-vectors migrate dry-run` shows all of it.",
        )
