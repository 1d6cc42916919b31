"""Leaves: the partition that holds one namespace's embeddings of one model, and its collection."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from greenlang_vectors.store import audit, roles
from greenlang_vectors.store.identity import derived_id, identifier
from greenlang_vectors.store.index_settings import IndexSettings
from greenlang_vectors.store.locks import exclusive_transaction

DEFAULT_INDEX = IndexSettings()


@dataclass(frozen=True, slots=True)
class Leaf:
    """The partition that holds one namespace's embeddings of one model."""

    namespace: str
    model: str
    dimensions: int

    @property
    def name(self) -> str:
        """Its table name."""
        return identifier(f"vector_embeddings_{self.namespace}", self.model)

    @property
    def table(self) -> sql.Identifier:
        """Its table, for SQL."""
        return sql.Identifier(self.name)

    @property
    def collection_id(self) -> UUID:
        """The collection that searches this leaf (PRD 6.2)."""
        return derived_id("collection", self.namespace, self.model)


def ensure_leaf(
    connection: psycopg.Connection,
    leaf: Leaf,
    index: IndexSettings = DEFAULT_INDEX,
    description: str | None = None,
) -> None:
    """Create the leaf and its collection unless they are there.

    The first collection of a namespace serves. A vector of other than the leaf's dimensions is
    refused by a CHECK. Vectors stay in the row: out of line, in TOAST, they cost a third of the
    write rate.

    Args:
        index: how a new collection is indexed; one that is there keeps its own.
    """
    if _exists(connection, leaf):
        return
    parent = sql.Identifier(identifier(f"vector_embeddings_{leaf.namespace}"))
    with exclusive_transaction(connection, "leaf", leaf.namespace):
        roles.act_as_admin(connection)
        connection.execute(
            sql.SQL(
                "CREATE TABLE IF NOT EXISTS {leaf} PARTITION OF {parent} "
                "(CONSTRAINT dimensions CHECK (vector_dims(embedding) = {dimensions})) "
                "FOR VALUES IN ({model}) WITH (toast_tuple_target = 8160)"
            ).format(
                leaf=leaf.table,
                parent=parent,
                dimensions=sql.Literal(leaf.dimensions),
                model=sql.Literal(leaf.model),
            )
        )
        audit.watch(connection, leaf.table)
        roles.secure_leaf(connection, leaf.table, leaf.namespace)
        connection.execute(
            """
            INSERT INTO embedding_collections
                (id, name, description, namespace, embedding_model, dimensions, distance_metric,
                 index_settings, serving)
            VALUES (%(id)s, %(name)s, %(description)s, %(namespace)s::varchar, %(model)s,
                    %(dimensions)s, %(metric)s, %(index)s, NOT EXISTS (
                        SELECT FROM embedding_collections
                        WHERE namespace = %(namespace)s::varchar AND serving))
            ON CONFLICT DO NOTHING
            """,
            {
                "id": leaf.collection_id,
                "name": f"{leaf.namespace}/{leaf.model}",
                "description": description,
                "namespace": leaf.namespace,
                "model": leaf.model,
                "dimensions": leaf.dimensions,
                "metric": index.metric,
                "index": Jsonb(index.as_json()),
            },
        )


def drop_leaf(connection: psycopg.Connection, leaf: Leaf) -> None:
    """Remove the leaf with its rows and indexes, and its collection, in one transaction."""
    with connection.transaction():
        audit.record_drop(connection, leaf.table)
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(leaf.table))
        connection.execute("DELETE FROM embedding_collections WHERE id = %s", [leaf.collection_id])


def index_settings(connection: psycopg.Connection, leaf: Leaf) -> IndexSettings:
    """How the leaf's collection is indexed."""
    row = connection.execute(
        "SELECT index_settings FROM embedding_collections WHERE id = %s", [leaf.collection_id]
    ).fetchone()
    return DEFAULT_INDEX if row is None else IndexSettings(**row[0])


def count(connection: psycopg.Connection, leaf: Leaf) -> int:
    """How many embeddings the leaf holds."""
    row = connection.execute(
        "SELECT count(*) FROM vector_embeddings WHERE namespace = %s AND embedding_model = %s",
        [leaf.namespace, leaf.model],
    ).fetchone()
    return 0 if row is None else int(row[0])


def about(connection: psycopg.Connection, leaf: Leaf) -> int:
    """About how many embeddings the leaf holds, by its size; counted where it was never analyzed.

    Counting the rows that came in since it was vacuumed reads every one of them. None where it is
    being dropped: it stands in the catalog then, but has no size.
    """
    row = connection.execute(
        """
        SELECT reltuples / relpages * (coalesce(pg_relation_size(oid), 0)
                                       / current_setting('block_size')::integer)
        FROM pg_class WHERE oid = to_regclass(%s) AND relpages > 0 AND reltuples > 0
        """,
        [leaf.table.as_string(connection)],
    ).fetchone()
    return count(connection, leaf) if row is None else round(row[0])


def analyze(connection: psycopg.Connection, leaf: Leaf) -> None:
    """Tell the planner what the leaf holds, as autovacuum would do later."""
    connection.execute(sql.SQL("ANALYZE {}").format(leaf.table))


def _exists(connection: psycopg.Connection, leaf: Leaf) -> bool:
    row = connection.execute(
        """
        SELECT to_regclass(%s) IS NOT NULL
           AND EXISTS (SELECT FROM embedding_collections WHERE id = %s)
        """,
        [leaf.table.as_string(connection), leaf.collection_id],
    ).fetchone()
    return row is not None and bool(row[0])
