"""The end of a move (PRD 13.1, phase 4): compared once more, archived, signed off; nothing deleted.

While it is decided nothing is written to Weaviate: the relay waits. What applications write here
meanwhile goes on being noted, so that the last comparison knows it. Only the last transaction ends
dual writing and the move, when archive and report are durable: killed before, it has changed
nothing that matters, and is run again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

import psycopg

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.errors import GreenLangError, UsageError
from greenlang_vectors.lifecycle.location import Location
from greenlang_vectors.lifecycle.sealing import sealed
from greenlang_vectors.migration import archive, final_archive, gates
from greenlang_vectors.migration.gates import Gate
from greenlang_vectors.migration.peer import Peer
from greenlang_vectors.migration.plan import Plan
from greenlang_vectors.migration.relay import LOCK as CARRYING
from greenlang_vectors.migration.report import Report
from greenlang_vectors.migration.sides import Sides
from greenlang_vectors.migration.verification import verify
from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.store import (
    weaviate_migrations,
    weaviate_outbox,
    weaviate_parts,
    weaviate_verifications,
)
from greenlang_vectors.store.collection_locks import changing as collections_changing
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.locks import exclusive
from greenlang_vectors.store.weaviate_migrations import State

STEP = "decommission"

VERIFIED_WITHIN = timedelta(days=1)
"""How old the newest verification may be."""


class NotDecommissioned(GreenLangError):
    """The last comparison found the sides to differ; the move has not ended."""


@dataclass(frozen=True, slots=True)
class Decommissioned:
    """How a move ended.

    Attributes:
        json_key, markdown_key: the report in the backup location, and its SHA-256 as JSON.
    """

    report: Report
    json_key: str
    json_sha256: str
    markdown_key: str

    def as_json(self) -> dict[str, JSON]:
        """As commands and assets report it."""
        return {
            **self.report.as_json(),
            "report": {
                "json": self.json_key,
                "json_sha256": self.json_sha256,
                "markdown": self.markdown_key,
            },
        }


def decommission(
    database: Database,
    peer: Peer,
    location: Location,
    namespace: str,
    *,
    by: str,
    progress: Progress = silent,
) -> Decommissioned:
    """End a namespace's move. Weaviate keeps its data; the report says what deletes it.

    Args:
        by: who signs the report.

    Raises:
        UnknownNamespace: it is not registered.
        UsageError: it cannot end yet; the message says everything that keeps it.
        NotDecommissioned: the last comparison found differences.
        ArchiveDamaged: the archive was not read back as it was written.
        LocationUnavailable, WeaviateUnavailable: either failed; nothing has ended.
        GreenLangError: a long transaction holds the namespace's tables; nothing has ended.
    """
    with database.connect() as connection, exclusive(connection, CARRYING, namespace):
        state, judged = _ready(connection, namespace)
        plan = Plan.model_validate(state.plan)
        compared = verify(database, peer, namespace, patience=0, progress=progress)
        if compared.failures:
            raise NotDecommissioned(
                f"The last comparison of {namespace} failed: {' '.join(compared.failures)}",
                "Repair and verify, then try again; the move goes on.",
            )
        manifest = final_archive.write(
            location,
            namespace,
            Sides(connection, peer, namespace, plan),
            weaviate_parts.list_all(connection, namespace),
            progress,
        )
        report = Report(
            namespace=namespace,
            plan=plan,
            by=by,
            role=_role(connection),
            at=datetime.now(UTC),
            needed_by=needed_by(connection, namespace, plan),
            gates=judged,
            compared=compared,
            not_relayed=weaviate_outbox.lag(connection, namespace).documents,
            manifest=manifest,
            manifest_key=archive.key_of(manifest),
            manifest_sha256=hashlib.sha256(sealed(manifest)).hexdigest(),
            steps=weaviate_migrations.steps(connection, namespace),
        )
        done = _signed(location, report)
        _end(connection, done)
    return done


def obstacles(
    connection: psycopg.Connection, state: State, judged: Sequence[Gate]
) -> Iterator[str]:
    """Everything that keeps a move from ending, in sentences."""
    if state.phase != "shifting":
        yield f"Its phase is {state.phase}, not shifting."
    if state.share != 100:
        yield f"pgvector answers {state.share}% of its callers, not 100%."
    if failing := [gate for gate in judged if not gate.holds]:
        yield f"Gates do not hold: {gates.said(failing)}."
    verified = weaviate_verifications.newest(connection, state.namespace)
    if verified is None:
        yield "It was never verified."
    elif not verified.clean:
        yield "The newest verification is not clean."
    elif datetime.now(UTC) - verified.finished_at > VERIFIED_WITHIN:
        yield f"The newest verification is of {verified.finished_at:%Y-%m-%d %H:%M} UTC."
    if waiting := weaviate_outbox.lag(connection, state.namespace).documents:
        yield f"{waiting:,} documents wait for the relay."


def needed_by(connection: psycopg.Connection, namespace: str, plan: Plan) -> list[str]:
    """Other namespaces that are to move, or are moving, from the same objects of Weaviate."""
    return [
        each.namespace
        for each in weaviate_migrations.list_all(connection)
        if each.namespace != namespace and each.phase != "decommissioned" and plan.meets(each.plan)
    ]


def _ready(connection: psycopg.Connection, namespace: str) -> tuple[State, list[Gate]]:
    """The move and its gates.

    Raises:
        UsageError: it cannot end yet.
    """
    state = weaviate_migrations.get(connection, namespace)
    if state.phase == "decommissioned":
        last = weaviate_migrations.steps(connection, namespace)[-1]
        raise UsageError(
            f"The move of {namespace} has ended already.",
            f"Its report is {last.evidence.get('report')} in the backup location.",
        )
    judged = gates.judge(connection, namespace)
    if found := " ".join(obstacles(connection, state, judged)):
        raise UsageError(
            f"The move of {namespace} cannot end yet. {found}",
            "`greenlang-vectors migrate status` shows how far it is.",
        )
    return state, judged


def _role(connection: psycopg.Connection) -> str:
    row = connection.execute("SELECT session_user").fetchone()
    return cast("tuple[str]", row)[0]


def _signed(location: Location, report: Report) -> Decommissioned:
    """Write the report, as JSON and as Markdown."""
    key = f"{archive.ROOT}/{report.namespace}/report-{report.at:%Y%m%dT%H%M%S%fZ}"
    content = json.dumps(report.as_json(), ensure_ascii=False, indent=1).encode()
    done = Decommissioned(report, f"{key}.json", hashlib.sha256(content).hexdigest(), f"{key}.md")
    location.put(done.json_key, content)
    location.put(done.markdown_key, report.as_markdown(done.json_sha256).encode())
    return done


def _end(connection: psycopg.Connection, done: Decommissioned) -> None:
    """End dual writing and the move, in one transaction.

    Raises:
        UsageError: callers were shifted back meanwhile.
    """
    namespace = done.report.namespace
    with (
        collections_changing(connection, namespace),
        weaviate_migrations.changing(connection, namespace) as state,
    ):
        if (state.phase, state.share) != ("shifting", 100):
            raise UsageError(
                f"The callers of {namespace} were shifted back to {state.share}% meanwhile.",
                "Look at its gates, and shift again.",
            )
        weaviate_outbox.remove(connection, namespace)
        weaviate_outbox.clear(connection, namespace)
        weaviate_migrations.move(
            connection,
            namespace,
            STEP,
            phase="decommissioned",
            share=100,
            evidence={
                "by": done.report.by,
                "report": done.json_key,
                "report_sha256": done.json_sha256,
                "archive": done.report.manifest_key,
                "archive_sha256": done.report.manifest_sha256,
                "objects": done.report.manifest.objects,
                "documents_not_relayed": done.report.not_relayed,
            },
        )
