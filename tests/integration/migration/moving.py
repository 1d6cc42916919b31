"""What was moved, looked at as a whole, and damaged on either side behind everybody's back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from greenlang_vectors import direct
from greenlang_vectors.documents.direct import DirectDocument
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.migration.mapping import Mapper
from greenlang_vectors.migration.peer import Peer
from greenlang_vectors.migration.plan import Plan
from greenlang_vectors.store import collections, documents, weaviate_outbox
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.identity import document_id, embedding_ids
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.namespaces import partition
from greenlang_vectors.store.weaviate_rows import Rows, Target

if TYPE_CHECKING:
    from local.weaviate_server.server import WeaviateServer
    from local.weaviate_server.store import Sent

UNNAMED = ""

DIMENSIONS = 8


TABLES = {
    "documents": """
        SELECT source_key, title, origin, source_type, text, text_hash, language, metadata::text
        FROM documents WHERE namespace = %(namespace)s""",
    "chunks": """
        SELECT d.source_key, c.chunk_index, c.level, c.content, c.content_hash, c.token_count,
               c.language, c.words::text
        FROM document_chunks c JOIN documents d ON d.namespace = c.namespace
            AND d.id = c.document_id WHERE c.namespace = %(namespace)s""",
    "embeddings": """
        SELECT d.source_key, e.chunk_index, e.content_hash, e.content_preview, e.metadata::text,
               e.embedding_fingerprint, e.source_type, vector_send(e.embedding)
        FROM vector_embeddings e JOIN documents d ON d.namespace = e.namespace
            AND d.id = e.source_id WHERE e.namespace = %(namespace)s""",
    "objects": """
        SELECT o.object_id, o.tenant, d.source_key, o.chunk_index, o.updated_ms
        FROM weaviate_objects o JOIN documents d ON d.namespace = o.namespace
            AND d.id = o.document_id WHERE o.namespace = %(namespace)s""",
    "ranges": """
        SELECT tenant, first, last, position, objects, done
        FROM weaviate_ranges WHERE namespace = %(namespace)s""",
    "dead letters": """
        SELECT stage, item, reason FROM dead_letters WHERE namespace = %(namespace)s""",
}


def tables(connection: psycopg.Connection, namespace: str) -> dict[str, Counter[Any]]:
    """Every row of a namespace's move, by table, without what names the namespace."""
    return {
        name: Counter(connection.execute(query, {"namespace": namespace}).fetchall())
        for name, query in TABLES.items()
    }


def land(database: Database, peer: Peer, namespace: str, plan: Plan) -> None:
    """Bring every object over, as a backfill does."""
    mapper = Mapper(plan, namespace, peer.describe(plan.collection))
    passages = [
        mapper.passage(each)
        for tenant in peer.tenants(plan.collection)
        for page in peer.pages(
            plan.collection,
            tenant,
            after=None,
            last=UUID(int=2**128 - 1),
            size=plan.page,
            properties=mapper.properties,
            vectors=mapper.vectors,
        )
        for each in page
    ]
    with database.connect() as connection:
        targets = [
            Target(collections.ensure_supplied(connection, leaf).leaf, "test")
            for leaf in (
                Leaf(namespace, mapped.model, len(passages[0].vectors[place]))
                for place, mapped in enumerate(plan.vectors)
            )
        ]
        landed = Rows(namespace, targets, "english").land(connection, passages)
    assert landed.written == len(passages)


def put(
    database: Database, toys: Embedders, namespace: str, key: str, texts: Sequence[str]
) -> list[UUID]:
    """Let an application write a document; returns the embeddings of its passages."""
    seed = int.from_bytes(key.encode()[-4:])
    with database.connect() as connection:
        leaf = collections.list_all(connection, namespace)[0].leaf
        vectors = np.random.default_rng(seed).normal(size=(len(texts), leaf.dimensions))
        direct.put(
            connection,
            toys,
            namespace,
            [DirectDocument(key, texts)],
            supplied=direct.SuppliedVectors(leaf.model, vectors.astype(np.float32)),
            cache_seconds=60,
        )
    document = document_id(namespace, "document", key)
    places = [(document, index) for index in range(len(texts))]
    return [UUID(bytes=each.tobytes()) for each in embedding_ids(namespace, places, leaf.model)]


class Side:
    """Changes objects of one namespace's move here or there."""

    def __init__(
        self,
        database: Database,
        weaviate: WeaviateServer,
        namespace: str,
        plan: Plan,
        tenant: str = "",
    ) -> None:
        self._database, self._weaviate, self._namespace = database, weaviate, namespace
        self._collection, self._tenant = plan.collection, tenant

    def there(
        self,
        each: Sent,
        vector: NDArray[np.float32] | None = None,
        **properties: Any,  # noqa: ANN401 - what JSON holds
    ) -> None:
        """Write the object with other properties, or with another vector."""
        from local.weaviate_server.store import Sent, Vector

        vectors = each.vectors if vector is None else {UNNAMED: Vector(vector.tobytes())}
        changed = Sent(each.id, {**each.properties, **properties}, vectors)
        self._weaviate.control.put(self._collection, [changed], self._tenant)

    def here(self, each: Sent, table: str, assignments: str, *values: object) -> None:
        """Update the object's row of a table."""
        self._run(each, table, "UPDATE {table} t SET " + assignments, *values)

    def vector(self, each: Sent) -> NDArray[np.float32]:
        """The object's vector as it was sent."""
        return np.frombuffer(each.vectors[UNNAMED].data, "<f4").copy()

    def vector_there(self, each: Sent) -> bytes:
        return self._weaviate.control.vectors(self._collection, each.id, self._tenant)[UNNAMED].data

    def vector_here(self, each: Sent) -> bytes:
        with self._database.connect() as connection:
            row = connection.execute(
                sql.SQL(
                    """
                    SELECT e.embedding FROM {} e JOIN {} o
                    ON e.source_id = o.document_id AND e.chunk_index = o.chunk_index
                    WHERE o.object_id = %s
                    """
                ).format(
                    partition("vector_embeddings", self._namespace),
                    partition("weaviate_objects", self._namespace),
                ),
                [UUID(each.id)],
            ).fetchone()
        assert row is not None
        return np.asarray(row[0].to_numpy(), "<f4").tobytes()

    def forget_document_here(self, each: Sent) -> None:
        """Delete the object's whole document as an application does; the note for it is lost."""
        with self._database.connect() as connection:
            known = connection.execute(
                "SELECT document_id FROM weaviate_objects WHERE namespace = %s AND object_id = %s",
                [self._namespace, UUID(each.id)],
            ).fetchone()
            assert known is not None
            documents.remove_all(connection, self._namespace, [known[0]], cache_seconds=60)
            connection.execute(
                "INSERT INTO weaviate_deletions (namespace, document_id) VALUES (%s, %s)"
                " ON CONFLICT DO NOTHING",
                [self._namespace, known[0]],
            )
            connection.execute(
                "DELETE FROM weaviate_outbox WHERE namespace = %s", [self._namespace]
            )

    def flip_bit_there(self, each: Sent) -> None:
        self.there(each, vector=_flipped(self.vector(each)))

    def flip_bit_here(self, each: Sent) -> None:
        self.embed(each, _flipped(self.vector(each)))

    def lose_signs_here(self, each: Sent) -> None:
        self.embed(each, np.where(self.vector(each) == 0, np.float32(0), self.vector(each)))

    def embed(self, each: Sent, vector: NDArray[np.float32]) -> None:
        self.here(each, "vector_embeddings", "embedding = %s", vector)

    def rewrite_here(self, each: Sent) -> None:
        """Another text, with every hash and preview of it."""
        rewritten = "content_hash = encode(sha256('Another text.'), 'hex')"
        self.here(each, "document_chunks", f"content = 'Another text.', {rewritten}")
        self.here(each, "vector_embeddings", f"content_preview = 'Another text.', {rewritten}")

    def renumber_here(self, each: Sent) -> None:
        for table in ("document_chunks", "vector_embeddings", "weaviate_objects"):
            self.here(each, table, "chunk_index = 99")

    def delete_there(self, each: Sent) -> None:
        self._weaviate.control.delete(self._collection, [each.id], self._tenant)

    def delete_here(self, each: Sent) -> None:
        self.delete_embedding_here(each)
        self.delete_text_here(each)

    def delete_embedding_here(self, each: Sent) -> None:
        self._run(each, "vector_embeddings", "DELETE FROM {table} t")

    def delete_text_here(self, each: Sent) -> None:
        self._run(each, "document_chunks", "DELETE FROM {table} t")

    def empty_here(self) -> None:
        """No passage is left; which objects they were is still known."""
        with self._database.connect() as connection, weaviate_outbox.from_weaviate(connection):
            for table in ("vector_embeddings", "document_chunks", "documents"):
                connection.execute(
                    sql.SQL("DELETE FROM {}").format(partition(table, self._namespace))
                )

    def _run(self, each: Sent, table: str, statement: str, *values: object) -> None:
        whose = {
            "documents": "t.id = {document}",
            "vector_embeddings": "t.source_id = {document} AND t.chunk_index = {chunk}",
            "document_chunks": "t.document_id = {document} AND t.chunk_index = {chunk}",
            "weaviate_objects": "t.object_id = {object}",
        }[table]
        with self._database.connect() as connection, weaviate_outbox.from_weaviate(connection):
            known = connection.execute(
                "SELECT document_id FROM weaviate_objects WHERE namespace = %s AND object_id = %s",
                [self._namespace, UUID(each.id)],
            ).fetchone()
            assert known is not None
            done = connection.execute(
                sql.SQL(statement + " WHERE " + whose).format(
                    table=partition(table, self._namespace),
                    document=sql.Literal(known[0]),
                    chunk=sql.Literal(each.properties["chunk_index"]),
                    object=sql.Literal(UUID(each.id)),
                ),
                values or None,
            )
            assert done.rowcount > 0


def _flipped(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    bits = vector.view("<u4")
    bits[-1] ^= 1
    return vector
