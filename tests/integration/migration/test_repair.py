"""A repair mends exactly what a verification named, in the direction of who is written to."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import numpy as np
import pytest
from psycopg import sql

from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.migration.peer import Peer
from greenlang_vectors.migration.plan import Plan
from greenlang_vectors.migration.repair import Repaired, repair
from greenlang_vectors.migration.verification import Verification, verify
from greenlang_vectors.store import jobs, weaviate_migrations, weaviate_verifications
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.namespaces import partition
from tests.integration.migration.moving import DIMENSIONS, Side, put

if TYPE_CHECKING:
    from local.weaviate_server.server import WeaviateServer
    from local.weaviate_server.store import Sent

pytestmark = pytest.mark.integration

Mend = Callable[[], Repaired]
Fingers = dict[str, tuple[object, ...]]


@pytest.fixture
def check(database: Database, peer: Peer, namespace: str) -> Callable[[], Verification]:
    return lambda: verify(database, peer, namespace, patience=0, queries=1)


@pytest.fixture
def mend(database: Database, peer: Peer, namespace: str) -> Mend:
    return lambda: repair(database, peer, namespace)


@pytest.fixture
def plan(plan: Plan, request: pytest.FixtureRequest) -> Plan:
    """With the primary that the test asks for."""
    primary = getattr(request, "param", "pgvector")
    return plan.model_copy(update={"primary": primary})


@pytest.fixture
def untouched(
    database: Database, weaviate: WeaviateServer, peer: Peer, namespace: str, plan: Plan
) -> Callable[[set[str]], Fingers]:
    """When each object but these was written last, there, and by which transactions here."""

    def look(but: set[str]) -> Fingers:
        ids = [UUID(each) for each in weaviate.control.ids(plan.collection) if each not in but]
        there = peer.fetch(plan.collection, "", ids, properties=(), vectors=())
        with database.connect() as connection:
            here = connection.execute(
                sql.SQL(
                    """
                    SELECT o.object_id, o.xmin::text, c.xmin::text, e.xmin::text
                    FROM {} o
                    JOIN {} c ON c.document_id = o.document_id AND c.chunk_index = o.chunk_index
                    JOIN {} e ON e.source_id = o.document_id AND e.chunk_index = o.chunk_index
                    """
                ).format(
                    *(
                        partition(table, namespace)
                        for table in ("weaviate_objects", "document_chunks", "vector_embeddings")
                    )
                )
            ).fetchall()
        return {f"there {each.id}": (each.updated_ms,) for each in there.values()} | {
            f"here {row[0]}": row[1:] for row in here if str(row[0]) not in but
        }

    return look


def test_nothing_is_done_where_nothing_differs(
    check: Callable[[], Verification], mend: Mend, moved: list[Sent]
) -> None:
    assert moved
    assert check().clean
    assert mend() == Repaired(mend().namespace)


def test_weaviate_becomes_what_is_stored_here(
    check: Callable[[], Verification],
    mend: Mend,
    side: Side,
    moved: list[Sent],
    database: Database,
    namespace: str,
    toys: Embedders,
    untouched: Callable[[set[str]], Fingers],
) -> None:
    side.flip_bit_there(moved[0])
    side.flip_bit_here(moved[5])
    side.there(moved[10], text="Another text.", keywords=["another"])
    side.there(moved[15], chunk_index=99)
    side.there(moved[20], text="")
    side.delete_there(moved[25])
    side.delete_here(moved[30])
    side.there(moved[35], vector=np.ones(DIMENSIONS, "<f4"), origin=None)
    added = moved[0]._replace(id=str(uuid4()))
    side.there(added, source_id="never carried over")
    [written] = put(database, toys, namespace, "written here", ["A passage."])
    hurt = {moved[each].id for each in range(0, 40, 5)} | {added.id, str(written)}
    assert {str(each.object_id) for each in check().differences} == hurt
    before = untouched(hurt)

    done = mend()

    assert {str(each) for each in done.mended} == hurt
    assert (done.left, done.under_way) == ([], [])
    assert untouched(hurt) == before
    assert check().clean
    assert side.vector_there(moved[5]) == side.vector_here(moved[5]), "pgvector's is right"
    assert side.vector_here(moved[0]) == moved[0].vectors[""].data
    with database.connect() as connection:
        last = weaviate_migrations.steps(connection, namespace)[-1]
    assert (last.step, last.evidence) == ("repair", {"mended": 10, "left": 0, "under_way": 0})
    assert mend().mended == []


@pytest.mark.parametrize("plan", ["weaviate"], indirect=True)
def test_what_is_stored_here_becomes_what_weaviate_has(
    check: Callable[[], Verification],
    mend: Mend,
    side: Side,
    moved: list[Sent],
    database: Database,
    namespace: str,
    untouched: Callable[[set[str]], Fingers],
) -> None:
    side.flip_bit_there(moved[0])
    side.flip_bit_here(moved[5])
    side.there(moved[10], text="Another text.", keywords=["another"])
    side.there(moved[15], chunk_index=99)
    side.delete_there(moved[20])
    side.delete_here(moved[25])
    side.rewrite_here(moved[30])
    added = moved[0]._replace(id=str(uuid4()))
    side.there(added, source_id="not followed yet")
    hurt = {moved[each].id for each in range(0, 35, 5)} | {added.id}
    found = check()
    assert {str(each.object_id) for each in found.differences} <= hurt
    with database.connect() as connection:
        weaviate_verifications.settle(
            connection,
            namespace,
            "",
            [],
            [
                weaviate_verifications.OpenDifference(UUID(each), "", "content", "")
                for each in hurt - {str(each.object_id) for each in found.differences}
            ],
        )
    before = untouched(hurt)

    done = mend()

    assert {str(each) for each in done.mended} == hurt
    assert untouched(hurt) == before
    assert check().clean
    with database.connect() as connection:
        [job] = jobs.newest(connection, [namespace], most=1)
    assert (job.source_type, job.status, job.failed_count) == ("repair", "succeeded", 0)
    assert 0 < job.processed_count <= len(hurt)
    assert side.vector_here(moved[0]) == side.vector_there(moved[0]), "Weaviate's is right"
    assert side.vector_here(moved[5]) == moved[5].vectors[""].data


def test_what_was_deleted_here_goes_from_weaviate(
    check: Callable[[], Verification],
    mend: Mend,
    side: Side,
    moved: list[Sent],
    weaviate: WeaviateServer,
    plan: Plan,
) -> None:
    side.forget_document_here(moved[0])
    gone = {each.id for each in moved[:5]}
    assert {str(each.object_id) for each in check().differences} == gone

    assert {str(each) for each in mend().mended} == gone

    assert gone.isdisjoint(weaviate.control.ids(plan.collection))
    assert check().clean


def test_what_cannot_be_mended_is_told_with_its_reason(
    check: Callable[[], Verification],
    mend: Mend,
    side: Side,
    moved: list[Sent],
    database: Database,
    namespace: str,
) -> None:
    side.here(moved[0], "document_chunks", "content = 'damaged'")
    side.delete_embedding_here(moved[5])
    added = moved[0]._replace(id=str(uuid4()))
    side.there(added, text="")
    check()

    done = mend()

    assert done.mended == []
    assert {str(each.object_id): each.detail.partition(":")[0] for each in done.left} == {
        moved[0].id: "The row here is damaged (the hash stored beside the text is not its)",
        moved[5].id: "A vector is missing here",
        added.id: "text is empty.",
    }
    assert side.vector_there(moved[0]) == moved[0].vectors[""].data, "nothing damaged is sent"
    with database.connect() as connection:
        kept = weaviate_verifications.differences(connection, namespace)
    assert {str(each.object_id) for each in kept} == {moved[0].id, moved[5].id, added.id}
