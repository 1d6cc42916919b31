"""The relay of dual writing: what is committed here is brought to Weaviate (PRD 13.1, phase 1).

It looks at documents, not at changes. Of each that the outbox names, Weaviate's objects are made
what is stored here at that moment, and only then its notes go. So the newest state wins whatever
the order of the notes, a relay that is killed or sends twice does no harm, and while either side
is down the outbox keeps what is to be done. One relay at a time works on a namespace.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import psycopg

from greenlang_vectors.errors import ItemError, UsageError
from greenlang_vectors.migration import destinations
from greenlang_vectors.migration.outgoing import Wanted, outgoing
from greenlang_vectors.migration.peer import Peer, WeaviateRefused, WeaviateUnavailable
from greenlang_vectors.migration.plan import Plan
from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.store import (
    dead_letters,
    weaviate_documents,
    weaviate_migrations,
    weaviate_outbox,
)
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.locks import exclusive
from greenlang_vectors.store.weaviate_outbox import Lag, Noted

logger = logging.getLogger(__name__)

LOCK = "carried to or from Weaviate"
"""Whoever makes one side like the other holds it, with the namespace's name."""

STAGE = "relay"

NOTES = 1000
"""Notes read at once."""

PASSAGES = 2000
"""Passages brought across at once, unless one document has more."""


@dataclass(slots=True)
class RelayReport:
    """What one pass did.

    Attributes:
        alone: False where another relay was at work: nothing was done.
        documents: brought across.
        written, deleted: objects.
        refused: documents that Weaviate refuses; each is a dead letter, and waits until it
            changes or is retried.
        unavailable: what kept Weaviate from answering; what is left waits. None where it did.
        lag: what waits now.
    """

    namespace: str
    alone: bool = True
    documents: int = 0
    written: int = 0
    deleted: int = 0
    refused: int = 0
    unavailable: str | None = None
    lag: Lag = field(default_factory=lambda: Lag(0, 0, 0.0))


def relay(
    database: Database,
    peer: Peer,
    namespace: str,
    *,
    retry: bool = False,
    progress: Progress = silent,
) -> RelayReport:
    """Bring across what was noted until now.

    Args:
        retry: try at once what was put off or refused, too.

    Raises:
        UnknownNamespace, UsageError: it is not written to both, or the collection is gone.
        WeaviateUnavailable: the collection cannot even be looked at; nothing was changed.
    """
    report = RelayReport(namespace)
    with (
        database.connect() as connection,
        exclusive(connection, LOCK, namespace, wait=False) as alone,
    ):
        plan = _written_to_both(connection, namespace)
        report.alone = alone
        if alone:
            if retry:
                weaviate_outbox.retry(connection, namespace)
            _Pass(connection, peer, plan, report).run(progress)
        report.lag = weaviate_outbox.lag(connection, namespace)
    return report


def carry_again(
    connection: psycopg.Connection,
    peer: Peer,
    plan: Plan,
    namespace: str,
    documents: Collection[UUID],
) -> RelayReport:
    """Bring across those of the documents that were put off or refused; the caller holds LOCK.

    Raises:
        WeaviateUnavailable: the collection cannot even be looked at.
    """
    report = RelayReport(namespace)
    if weaviate_outbox.retry(connection, namespace, documents):
        _Pass(connection, peer, plan, report, documents).run(silent)
    return report


def _written_to_both(connection: psycopg.Connection, namespace: str) -> Plan:
    state = weaviate_migrations.get_under_way(connection, namespace)
    plan = Plan.model_validate(state.plan)
    if plan.primary != "pgvector":
        raise UsageError(
            f"Applications write {namespace} to Weaviate: nothing is relayed there.",
            "Run `greenlang-vectors migrate follow`.",
        )
    return plan


class _Pass:
    """One pass over what is noted."""

    def __init__(
        self,
        connection: psycopg.Connection,
        peer: Peer,
        plan: Plan,
        report: RelayReport,
        documents: Collection[UUID] | None = None,
    ) -> None:
        """Args: documents: these alone."""
        self._connection, self._peer, self._plan, self._report = connection, peer, plan, report
        self._documents = documents
        self._namespace, self._collection = report.namespace, plan.collection
        targets = destinations.present(connection, self._namespace, plan) or []
        self._leaves = [target.leaf for target in targets]
        self._outgoing = outgoing(peer, plan, self._namespace, self._leaves)

    def run(self, progress: Progress) -> None:
        """Until nothing is left of what was noted when it began, or Weaviate does not answer."""
        connection, namespace = self._connection, self._namespace
        newest = weaviate_outbox.newest(connection, namespace)
        done, total = 0, weaviate_outbox.lag(connection, namespace).documents
        while noted := weaviate_outbox.read(connection, namespace, NOTES, newest, self._documents):
            for part in self._parts(noted):
                try:
                    self._bring(part)
                except WeaviateUnavailable as error:
                    weaviate_outbox.defer(connection, namespace, part)
                    self._report.unavailable = str(error)
                    return
                done += len(part)
                progress(min(done, total), total, "documents")
        refused = weaviate_outbox.refused(connection, namespace)
        dead_letters.keep_only(connection, namespace, STAGE, refused)

    def _parts(self, noted: Sequence[Noted]) -> Iterator[list[Noted]]:
        """The documents in parts of about so many passages."""
        identities = [each.document_id for each in noted]
        sizes = weaviate_documents.sizes(self._connection, self._namespace, identities)
        part: list[Noted] = []
        passages = 0
        for each in noted:
            size = sizes.get(each.document_id, 1)
            if part and passages + size > PASSAGES:
                yield part
                part, passages = [], 0
            part.append(each)
            passages += size
        yield part

    def _bring(self, noted: Sequence[Noted]) -> None:
        """Make Weaviate's objects of these documents what is stored here."""
        identities = [each.document_id for each in noted]
        with self._connection.transaction():
            self._connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            stored = weaviate_documents.load(self._connection, self._leaves, identities)
            known = weaviate_documents.known_objects(self._connection, self._namespace, identities)
        by_tenant: dict[str, list[Wanted]] = {}
        nothing: list[Noted] = []
        for each in noted:
            here = stored.get(each.document_id)
            try:
                wanted = self._outgoing.wanted(each, here, known.get(each.document_id, ()))
            except ItemError as error:
                key = here.source_key if here else each.source_key
                self._refuse(each, key or str(each.document_id), error)
                continue
            if wanted is None:
                nothing.append(each)
            else:
                by_tenant.setdefault(wanted.tenant, []).append(wanted)
        weaviate_outbox.forget(self._connection, self._namespace, nothing)
        for tenant, documents in by_tenant.items():
            self._send(tenant, documents)

    def _send(self, tenant: str, documents: Sequence[Wanted]) -> None:
        """Send documents of one tenant; one that is refused harms no other."""
        weaviate_documents.remember(
            self._connection,
            self._namespace,
            [
                (each.object_id, tenant, each.document_id, each.chunk_index)
                for document in documents
                for each in document.passages
            ],
        )
        objects = [each for document in documents for each in document.objects]
        superfluous = {each for document in documents for each in document.superfluous}
        try:
            completed = self._outgoing.completed(tenant, objects)
            refused = self._peer.upsert(self._collection, tenant, completed) if completed else {}
            if superfluous:
                self._peer.delete(self._collection, tenant, superfluous)
        except WeaviateRefused as error:
            if len(documents) > 1:
                middle = len(documents) // 2
                self._send(tenant, documents[:middle])
                self._send(tenant, documents[middle:])
            else:
                self._refuse(documents[0].noted, documents[0].key, error)
            return
        done = []
        for document in documents:
            errors = [refused[each.id] for each in document.objects if each.id in refused]
            if errors:
                self._refuse(document.noted, document.key, _refusal(errors))
            else:
                done.append(document.noted)
        with self._connection.transaction():
            weaviate_documents.forget(self._connection, self._namespace, tenant, list(superfluous))
            weaviate_outbox.forget(self._connection, self._namespace, done)
        self._report.documents += len(done)
        self._report.written += len(objects) - len(refused)
        self._report.deleted += len(superfluous)

    def _refuse(self, noted: Noted, key: str, error: ItemError) -> None:
        with self._connection.transaction():
            weaviate_outbox.set_aside(self._connection, self._namespace, [noted])
            dead_letters.record(self._connection, self._namespace, STAGE, key, error)
        self._report.refused += 1


def _refusal(errors: Sequence[str]) -> ItemError:
    return ItemError(
        "refused",
        f"Weaviate refuses {len(errors)} of its objects: {errors[0].rstrip('.')}.",
        "Mend the document, or what Weaviate demands, and relay with --retry.",
    )
