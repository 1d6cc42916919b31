"""Bringing the rows of a namespace under its current data key, in short resumable steps.

A row that carries the current key's mark is done, so a killed run goes on where it stopped.
Vectors, hashes and everything else of a row stay as they are. An embedding whose preview or
metadata is sealed anew moves into its leaf's open segment: there the write touches no ANN graph
(170 rows a second where it does), and the next index build takes it in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString, cast

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from greenlang_vectors.progress import Progress
from greenlang_vectors.store.encryption.cipher import MARK_LENGTH, Cipher, mark
from greenlang_vectors.store.encryption.columns import (
    ChunkColumns,
    DocumentColumns,
    EmbeddingColumns,
)
from greenlang_vectors.store.identity import identifier

ROWS_AT_ONCE = 500
BYTES_AT_ONCE = 16 * 1024 * 1024

Row = tuple[Any, ...]

_PAGE: LiteralString = """
    SELECT {columns} FROM resealing w JOIN {table} t ON t.namespace = %(namespace)s AND {same_key}
    WHERE w.page = %(page)s ORDER BY {key} FOR UPDATE OF t
"""

_METADATA_PENDING = """
    EXISTS (SELECT FROM unnest(%(metadata_keys)s::text[]) AS chosen (key)
            WHERE metadata ? chosen.key
              AND left(metadata ->> chosen.key, %(length)s) IS DISTINCT FROM %(mark)s)
"""


@dataclass(frozen=True)
class _Table:
    """How one table is brought under the current key.

    Attributes:
        pending: condition of the rows that are not.
        key: the columns that name a row beside the namespace.
        columns: the columns that are sealed, as `sealed` takes them.
        share: what part of a page a row is.
        sealed: key and columns of a row, as `update` takes them.
        update: writes a page, one array for each argument.
    """

    name: LiteralString
    pending: LiteralString
    key: tuple[LiteralString, ...]
    columns: tuple[LiteralString, ...]
    share: LiteralString
    sealed: Callable[[Cipher, Row], Row]
    update: LiteralString


def _seal_document(cipher: Cipher, row: Row) -> Row:
    identity, *columns = row
    new = DocumentColumns(*columns).opened(cipher, identity).sealed(cipher, identity)
    return identity, new.title, new.text, Jsonb(new.headings), Jsonb(new.metadata)


def _seal_chunk(cipher: Cipher, row: Row) -> Row:
    document, index, *columns = row
    new = ChunkColumns(*columns).opened(cipher, document, index).sealed(cipher, document, index)
    return document, index, new.content, Jsonb(new.heading_path), Jsonb(new.metadata)


def _seal_embedding(cipher: Cipher, row: Row) -> Row:
    model, identity, document, index, *columns = row
    new = EmbeddingColumns(*columns).opened(cipher, document, index)
    new = new.sealed(cipher, document, index)
    return model, identity, new.content_preview, Jsonb(new.metadata)


TABLES = (
    _Table(
        "documents",
        "(left(text, %(length)s) <> %(mark)s OR " + _METADATA_PENDING + ")",
        ("id",),
        ("title", "text", "headings", "metadata"),
        "greatest(size_bytes / %(bytes)s::float8, 1 / %(rows)s::float8)",
        _seal_document,
        """
        UPDATE documents d SET
            title = new.title, text = new.text, headings = new.headings, metadata = new.metadata,
            language = NULL
        FROM unnest(%b::uuid[], %b::text[], %b::text[], %b::jsonb[], %b::jsonb[])
            AS new (id, title, text, headings, metadata)
        WHERE d.namespace = {namespace} AND d.id = new.id
        """,
    ),
    _Table(
        "document_chunks",
        "(left(content, %(length)s) <> %(mark)s OR " + _METADATA_PENDING + ")",
        ("document_id", "chunk_index"),
        ("content", "heading_path", "metadata"),
        "1 / %(rows)s::float8",
        _seal_chunk,
        """
        UPDATE document_chunks c SET
            content = new.content, language = NULL, metadata = new.metadata,
            heading_path = ARRAY(SELECT jsonb_array_elements_text(new.heading_path))
        FROM unnest(%b::uuid[], %b::integer[], %b::text[], %b::jsonb[], %b::jsonb[])
            AS new (document_id, chunk_index, content, heading_path, metadata)
        WHERE c.namespace = {namespace}
          AND c.document_id = new.document_id AND c.chunk_index = new.chunk_index
        """,
    ),
    _Table(
        "vector_embeddings",
        "(left(content_preview, %(length)s) <> %(mark)s OR " + _METADATA_PENDING + ")",
        ("embedding_model", "id"),
        ("source_id", "chunk_index", "content_preview", "metadata"),
        "1 / %(rows)s::float8",
        _seal_embedding,
        """
        UPDATE vector_embeddings e SET
            content_preview = new.preview, metadata = new.metadata, segment = c.open_segment,
            cell = -1
        FROM unnest(%b::text[], %b::uuid[], %b::text[], %b::jsonb[])
            AS new (model, id, preview, metadata)
        JOIN embedding_collections c
            ON c.namespace = {namespace} AND c.embedding_model = new.model
        WHERE e.namespace = {namespace} AND e.embedding_model = new.model AND e.id = new.id
        """,
    ),
)


def pending_rows(
    connection: psycopg.Connection, namespace: str, key_id: str, metadata_keys: Sequence[str]
) -> int:
    """How many rows are not under this data key; needs no master key."""
    total = 0
    for table in TABLES:
        row = connection.execute(
            sql.SQL("SELECT count(*) FROM {} WHERE namespace = %(namespace)s AND {}").format(
                sql.Identifier(table.name), sql.SQL(table.pending)
            ),
            _arguments(namespace, key_id, metadata_keys),
        ).fetchone()
        total += cast("tuple[int]", row)[0]
    return total


def reseal(connection: psycopg.Connection, cipher: Cipher, progress: Progress) -> int:
    """Bring every row under the cipher's data key, a transaction a page; return how many.

    Raises:
        SealBroken: a row does not open; those before it are done.
        KeyUnavailable: an older data key cannot be unwrapped.
    """
    keys = sorted(cipher.metadata_keys)
    total = pending_rows(connection, cipher.namespace, cipher.key_id, keys)
    done = 0
    progress(done, total, "rows")
    for table in TABLES:
        page = sql.SQL(_PAGE).format(
            table=sql.Identifier(table.name),
            columns=_list("t", table.key + table.columns),
            key=_list("t", table.key),
            same_key=sql.SQL("({}) = ({})").format(_list("t", table.key), _list("w", table.key)),
        )
        update = sql.SQL(table.update).format(namespace=sql.Literal(cipher.namespace))
        for number in range(_list_pages(connection, table, cipher)):
            with connection.transaction():
                rows = connection.execute(
                    page, {"namespace": cipher.namespace, "page": number}
                ).fetchall()
                if rows:
                    sealed = [table.sealed(cipher, row) for row in rows]
                    connection.execute(
                        update, [list(column) for column in zip(*sealed, strict=True)]
                    )
            done += len(rows)
            progress(done, max(done, total), "rows")
    return done


def _list_pages(connection: psycopg.Connection, table: _Table, cipher: Cipher) -> int:
    """List the rows to seal in a temporary table of numbered pages; return how many pages.

    The tables are analyzed first: without statistics PostgreSQL reads them whole for every page.
    """
    arguments = _arguments(cipher.namespace, cipher.key_id, sorted(cipher.metadata_keys))
    connection.execute(
        sql.SQL("ANALYZE {}").format(sql.Identifier(identifier(f"{table.name}_{cipher.namespace}")))
    )
    connection.execute("DROP TABLE IF EXISTS pg_temp.resealing")
    connection.execute(
        sql.SQL(
            """
            CREATE TEMP TABLE resealing AS
            SELECT floor(sum(share) OVER (ORDER BY {key}) - share + 1e-9)::integer AS page, {key}
            FROM (SELECT {key}, {share} AS share FROM {table}
                  WHERE namespace = %(namespace)s AND {pending}) found
            """
        ).format(
            key=sql.SQL(", ").join(map(sql.Identifier, table.key)),
            share=sql.SQL(table.share),
            table=sql.Identifier(table.name),
            pending=sql.SQL(table.pending),
        ),
        arguments,
    )
    connection.execute("CREATE INDEX ON resealing (page)")
    connection.execute("ANALYZE resealing")
    row = connection.execute("SELECT coalesce(max(page) + 1, 0) FROM resealing").fetchone()
    return cast("tuple[int]", row)[0]


def _list(alias: LiteralString, columns: Sequence[LiteralString]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(alias, column) for column in columns)


def _arguments(namespace: str, key_id: str, metadata_keys: Sequence[str]) -> dict[str, Any]:
    return {
        "namespace": namespace,
        "length": MARK_LENGTH,
        "mark": mark(key_id),
        "metadata_keys": list(metadata_keys),
        "rows": ROWS_AT_ONCE,
        "bytes": BYTES_AT_ONCE,
    }
