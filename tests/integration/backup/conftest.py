"""Namespaces worth exporting, a backup location, and all that PostgreSQL knows of a namespace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg import sql

from greenlang_vectors.errors import ExtractionError
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import dead_letters, embeddings, leaves, namespaces
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.maintenance import maintain

from ..conftest import FINGERPRINT, AddDocument

DOCUMENTS, PASSAGES = 12, 5
DIMENSIONS = 16
MARK = "only-in-{}"
"""What every passage of a namespace says, so that it is found wherever it went."""

ASKED = "what nobody else may read"


@dataclass
class Filled:
    """A namespace with documents, two collections, indexes and what else belongs to one."""

    database: Database
    name: str

    @property
    def leaf(self) -> Leaf:
        """Of the collection that serves."""
        return Leaf(self.name, "toy-16", DIMENSIONS)

    @property
    def other(self) -> Leaf:
        """Of the one beside it."""
        return Leaf(self.name, "Other/Model-8", 8)


def embed(connection: psycopg.Connection, leaf: Leaf) -> None:
    """Give every passage that lacks one a random unit vector."""
    leaves.ensure_leaf(connection, leaf)
    total = embeddings.plan_work(connection, leaf, FINGERPRINT)
    pending = embeddings.pending(connection, leaf, 0, total)
    vectors = np.random.default_rng(total).normal(size=(len(pending), leaf.dimensions))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    embeddings.write(connection, leaf, pending, vectors.astype(np.float32), fingerprint=FINGERPRINT)


def fill(database: Database, name: str, add_document: AddDocument) -> Filled:
    """Register the namespace and put something into every kind of table."""
    filled = Filled(database, name)
    with database.connect() as connection:
        namespaces.register(connection, name)
        with connection.transaction():
            for number in range(DOCUMENTS):
                texts = [
                    f"{MARK.format(name)} – “{number}.{place}”\t\\N \\. für"
                    for place in range(PASSAGES)
                ]
                add_document(connection, name, f"{number}.txt", texts)
        embed(connection, filled.leaf)
        embed(connection, filled.other)
        connection.execute(
            "UPDATE vector_embeddings SET metadata = %s::jsonb WHERE namespace = %s",
            ['{"n": 2.50, "deep": [1, null, "\\\\x"]}', name],
        )
        failed = ExtractionError("encrypted", MARK.format(name), "Open it.")
        dead_letters.record(connection, name, "documents", "x.pdf", failed)
        connection.execute(
            "INSERT INTO vector_search_logs (namespace, id, mode, query_text, top_k, result_count,"
            " plan, latency_ms) VALUES (%s, gen_random_uuid(), 'vector', %s, 1, 1, 'exact', 1)",
            [name, ASKED],
        )
    for leaf in (filled.leaf, filled.other):
        maintain(database, leaf, Settings())
    return filled


@pytest.fixture(scope="module")
def filled(database: Database, add_document: AddDocument) -> Filled:
    """A namespace beside another one, of which nothing may be exported."""
    fill(database, "csrd_other", add_document)
    return fill(database, "csrd", add_document)


@pytest.fixture
def settings(data_dir: Path, folder: Path) -> Settings:
    return Settings(
        data_dir=data_dir, backup_location=str(folder), index_build_workers=1, quality_sample=10
    )


@pytest.fixture
def elsewhere(new_database: Callable[[], str]) -> Iterator[Database]:
    """An empty database to restore into."""
    made = Database(new_database())
    yield made
    made.close()


def rows_of(connection: psycopg.Connection, table: str) -> list[str]:
    """The rows of a table as text, vectors bit by bit, in an order of their own."""
    columns = connection.execute(
        "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute"
        " WHERE attrelid = to_regclass(quote_ident(%s)) AND attnum > 0 AND NOT attisdropped"
        " ORDER BY attname",
        [table],
    ).fetchall()
    values = sql.SQL(", ").join(
        sql.SQL("vector_send({})" if kind == "vector" else "{}").format(sql.Identifier(name))
        for name, kind in columns
    )
    found = connection.execute(
        sql.SQL("SELECT ROW({})::text FROM {}").format(values, sql.Identifier(table))
    )
    return sorted(row for (row,) in found)


def everything_of(connection: psycopg.Connection, namespace: str) -> dict[str, Any]:
    """All that PostgreSQL knows of a namespace's own tables: rows, shape, rules, rights."""
    tables = [
        name
        for (name,) in connection.execute(
            """
            SELECT tree.relid::regclass::text
            FROM pg_inherits
            JOIN pg_class root ON root.oid = inhparent
                 AND root.relnamespace = 'public'::regnamespace
            JOIN pg_class part ON part.oid = inhrelid
                 AND pg_get_expr(part.relpartbound, part.oid)
                     = format('FOR VALUES IN (%%L)', %s::text)
            CROSS JOIN LATERAL pg_partition_tree(part.oid) tree
            ORDER BY 1
            """,
            [namespace],
        )
    ]
    plain = [table.strip('"') for table in tables]
    known: dict[str, Any] = {
        table: rows_of(connection, table)
        for table in plain
        if not table.startswith("vector_search_logs")
    }
    for title, query in SHAPE.items():
        known[title] = connection.execute(query, [plain]).fetchall()
    return known


SHAPE = {
    "columns": """
        SELECT c.relname, attname, format_type(atttypid, atttypmod), attnotnull, attstorage,
               attgenerated, pg_get_expr(adbin, adrelid)
        FROM pg_class c JOIN pg_attribute ON attrelid = c.oid AND attnum > 0
        LEFT JOIN pg_attrdef ON (adrelid, adnum) = (attrelid, attnum)
        WHERE relname = ANY(%s) AND relnamespace = 'public'::regnamespace ORDER BY 1, 2""",
    "bounds": """
        SELECT relname, relkind, pg_get_expr(relpartbound, oid), pg_get_userbyid(relowner),
               relrowsecurity, reloptions,
               ARRAY(SELECT a::text FROM unnest(relacl) AS a ORDER BY 1)
        FROM pg_class WHERE relname = ANY(%s) AND relnamespace = 'public'::regnamespace
        ORDER BY 1""",
    "indexes": """
        SELECT indrelid::regclass::text, pg_get_indexdef(indexrelid), indisvalid,
               (SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid = indexrelid)
        FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
        WHERE relname = ANY(%s) AND relnamespace = 'public'::regnamespace ORDER BY 1, 2""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(c.oid), convalidated,
               conislocal, coninhcount, conparentid <> 0
        FROM pg_constraint c JOIN pg_class ON pg_class.oid = conrelid
        WHERE relname = ANY(%s) AND relnamespace = 'public'::regnamespace ORDER BY 1, 2""",
    "triggers": """
        SELECT tgrelid::regclass::text, tgname, tgenabled, pg_get_triggerdef(t.oid),
               tgparentid <> 0
        FROM pg_trigger t JOIN pg_class ON pg_class.oid = tgrelid
        WHERE relname = ANY(%s) AND relnamespace = 'public'::regnamespace AND NOT tgisinternal
        ORDER BY 1, 2""",
    "policies": """
        SELECT tablename, policyname, roles::text, cmd, qual FROM pg_policies
        WHERE tablename = ANY(%s) ORDER BY 1, 2""",
}
