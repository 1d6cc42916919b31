"""A verification names exactly what is not the same on both sides, and passes where all is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np
import pytest
from psycopg.types.json import Jsonb

from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import ItemError
from greenlang_vectors.migration import verification
from greenlang_vectors.migration.peer import Peer
from greenlang_vectors.migration.plan import Plan
from greenlang_vectors.store import (
    dead_letters,
    weaviate_migrations,
    weaviate_verifications,
)
from greenlang_vectors.store.database import Database
from tests.integration.migration.moving import DIMENSIONS, Side, land, put

from ..conftest import Fill
from .differences import Check, named

if TYPE_CHECKING:
    from local.weaviate_server.store import Sent


pytestmark = pytest.mark.integration


def test_what_is_the_same_is_clean(
    check: Check, database: Database, namespace: str, moved: list[Sent]
) -> None:
    told: list[tuple[int, int, str]] = []
    count = len(moved)

    found = check(progress=lambda *news: told.append(news))

    assert found.clean
    assert (found.weaviate, found.counted, found.pgvector) == (count, count, count)
    assert not found.failures
    assert not found.differences
    assert found.overlap is not None
    assert (found.overlap.queries, found.overlap.k, found.overlap.mean) == (5, 10, 1.0)
    assert max(told) == (count, count, "objects")
    with database.connect() as connection:
        kept = weaviate_verifications.newest(connection, namespace)
    assert kept is not None
    assert kept.clean
    assert kept.figures == found.as_json()


DAMAGES: tuple[tuple[str, Callable[[Side, Sent], object], str], ...] = (
    ("the last bit of a vector here", Side.flip_bit_here, "vector"),
    ("the last bit of a vector there", Side.flip_bit_there, "vector"),
    (
        "a text here, its hash as before",
        lambda side, each: side.here(each, "document_chunks", "content = content || '.'"),
        "content",
    ),
    ("a text here, with its hashes", Side.rewrite_here, "content"),
    (
        "the hash of a text here",
        lambda side, each: side.here(
            each, "document_chunks", "content_hash = encode(sha256(''), 'hex')"
        ),
        "content",
    ),
    (
        "the beginning of a text here",
        lambda side, each: side.here(each, "vector_embeddings", "content_preview = ''"),
        "content",
    ),
    ("a text there", lambda side, each: side.there(each, text="Another text."), "content"),
    (
        "a metadata value here",
        lambda side, each: side.here(
            each,
            "vector_embeddings",
            "metadata = metadata || jsonb_build_object('jurisdiction', 'CH')",
        ),
        "metadata",
    ),
    (
        "the type of a metadata value here",
        lambda side, each: side.here(
            each,
            "vector_embeddings",
            "metadata = metadata || jsonb_build_object("
            "'in_force', (metadata ->> 'in_force')::boolean::integer)",
        ),
        "metadata",
    ),
    ("a metadata value there", lambda side, each: side.there(each, keywords=[]), "metadata"),
    ("a metadata value lost there", lambda side, each: side.there(each, origin=None), "metadata"),
    ("a chunk index there", lambda side, each: side.there(each, chunk_index=99), "document"),
    ("a chunk index here", Side.renumber_here, "document"),
    ("a source there", lambda side, each: side.there(each, source_id="another"), "document"),
    ("an object deleted there", Side.delete_there, "missing in Weaviate"),
    ("a passage deleted here", Side.delete_here, "missing in pgvector"),
    ("an embedding deleted here", Side.delete_embedding_here, "metadata, vector"),
    ("a text deleted here", Side.delete_text_here, "content"),
    (
        "all of an object",
        lambda side, each: side.there(
            each, text=".", chunk_index=99, keywords=[], vector=np.ones(DIMENSIONS, "<f4")
        ),
        "document, content, metadata, vector",
    ),
    ("a text that is none any more", lambda side, each: side.there(each, text=""), "refused"),
)


def test_each_damage_is_named_by_id_and_kind_and_nothing_else_is(
    check: Check, side: Side, moved: list[Sent], database: Database, namespace: str
) -> None:
    expected: dict[str, str] = {}
    for (name, damage, kind), victim in zip(DAMAGES, moved[::5], strict=False):
        damage(side, victim)
        expected[victim.id] = kind

        found = check(queries=1)

        assert named(found) == expected, name
        assert not found.clean
        assert found.differing == len(expected)
    with database.connect() as connection:
        kept = weaviate_verifications.differences(connection, namespace)
    assert {str(each.object_id): each.kind for each in kept} == expected


def test_the_sign_of_zero_and_denormal_numbers_count(
    check: Check, side: Side, moved: list[Sent], planned: Plan
) -> None:
    assert check().clean

    side.lose_signs_here(moved[-1])

    [found] = check().differences
    assert (str(found.object_id), found.kind) == (moved[-1].id, "vector")
    assert found.detail == f"vector {planned.vectors[0].model} differs in 1 of {DIMENSIONS} numbers"


def test_a_title_concerns_every_passage_of_its_document(
    check: Check, side: Side, moved: list[Sent]
) -> None:
    side.here(moved[0], "documents", "title = 'Another'")

    assert named(check()) == {each.id: "document" for each in moved[:5]}


def test_an_added_object_and_an_added_passage_are_named(
    check: Check,
    side: Side,
    moved: list[Sent],
    database: Database,
    namespace: str,
    toys: Embedders,
) -> None:
    added = moved[0]._replace(id=str(uuid4()))
    side.there(added, source_id="added there")
    [passage] = put(database, toys, namespace, "added here", ["A passage."])

    assert named(check()) == {
        added.id: "missing in pgvector",
        str(passage): "missing in Weaviate",
    }


def test_metadata_that_the_plan_does_not_carry_is_not_compared(
    check: Check, side: Side, moved: list[Sent], database: Database, namespace: str, plan: Plan
) -> None:
    own = {plan.content, plan.source_id, plan.chunk_index}
    carried = {name: name for name in moved[0].properties if name not in own}
    naming = plan.model_copy(update={"metadata": carried})
    with database.connect() as connection:
        connection.execute(
            "UPDATE weaviate_migrations SET plan = %s WHERE namespace = %s",
            [Jsonb(naming.model_dump(mode="json")), namespace],
        )

    def add(each: Sent, **metadata: str) -> None:
        side.here(each, "vector_embeddings", "metadata = metadata || %s", Jsonb(metadata))

    add(moved[0], reviewed_by="an application")
    assert check().clean
    add(moved[1], jurisdiction="CH")
    assert named(check()) == {moved[1].id: "metadata"}


def test_an_emptied_target_is_a_failure(check: Check, side: Side, moved: list[Sent]) -> None:
    side.empty_here()

    found = check()

    assert set(named(found).values()) == {"missing in pgvector"}
    assert found.differing == len(moved)
    assert "Nothing is stored in pgvector." in found.failures


def test_an_emptied_source_is_a_failure(check: Check, side: Side, moved: list[Sent]) -> None:
    for each in moved:
        side.delete_there(each)

    found = check()

    assert set(named(found).values()) == {"missing in Weaviate"}
    assert any("is empty" in each for each in found.failures)


def test_two_empty_sides_are_no_success(check: Check, side: Side, moved: list[Sent]) -> None:
    side.empty_here()
    for each in moved:
        side.delete_there(each)

    found = check()

    assert found.differing == 0
    assert not found.clean
    assert len(found.failures) == 2


def test_a_title_that_another_passage_gives_is_no_difference(
    database: Database, peer: Peer, namespace: str, plan: Plan, filled: Fill, check: Check
) -> None:
    titled = plan.model_copy(update={"title": "article"})
    objects = filled(20)
    with database.connect() as connection:
        weaviate_migrations.save_plan(connection, namespace, titled.model_dump(mode="json"))
    land(database, peer, namespace, titled)
    titles = {each.properties["article"] for each in objects if each.properties["article"]}
    assert len(titles) > 4, "each passage of a source says another one"

    assert check().clean

    with database.connect() as connection:
        connection.execute(
            "UPDATE documents SET title = 'Article 0' WHERE namespace = %s AND source_key = %s",
            [namespace, objects[0].properties["source_id"]],
        )
    assert named(check()) == {each.id: "document" for each in objects[:5]}


def test_what_a_backfill_gave_up_on_is_named_with_its_reason(
    check: Check, side: Side, moved: list[Sent], database: Database, namespace: str
) -> None:
    side.delete_here(moved[0])
    error = ItemError("zero_vector", "The vector is zero.")
    with database.connect() as connection:
        dead_letters.record(connection, namespace, "backfill", moved[0].id, error)

    [found] = check().differences

    assert (str(found.object_id), found.kind) == (moved[0].id, "missing in pgvector")
    assert found.detail == "The vector is zero."


def test_more_differences_than_are_named_are_counted(
    check: Check, side: Side, moved: list[Sent], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "MOST_NAMED", 10)
    side.empty_here()

    found = check()

    assert (len(found.differences), found.differing) == (10, len(moved))


def test_pages_that_end_early_are_seen_by_the_count(
    check: Check, moved: list[Sent], peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = peer.count
    monkeypatch.setattr(Peer, "count", lambda _, *place: count(*place) + 1)

    found = check()

    assert found.counted == len(moved) + 1
    assert not found.clean
    assert [each for each in found.failures if "counts another number" in each]
