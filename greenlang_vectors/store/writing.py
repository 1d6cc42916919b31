"""The one writer of embeddings: binary COPY packed from numpy, straight into the leaf.

Rows that are new go into the leaf itself; rows that are there and have changed go through a
temporary table and an upsert; rows that are there unchanged cost one index probe. A batch the
server refuses is halved until the row it refuses is alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql
from psycopg.copy import LibpqWriter

from greenlang_vectors.errors import ItemError, UsageError
from greenlang_vectors.store import cells
from greenlang_vectors.store.bulk import landing
from greenlang_vectors.store.cells import Cells
from greenlang_vectors.store.index_settings import IndexSettings
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.packing import (
    BLOCK_ROWS,
    COLUMNS,
    HEADER,
    TRAILER,
    BatchConstants,
    pack,
)
from greenlang_vectors.store.soundness import CheckedRows

STATEMENT_BLOCKS = 24
"""Blocks of one COPY: what the audit trigger sees of them fits into AUDIT_MEMORY_KB."""

AUDIT_MEMORY_KB = 16 * 1024
"""`work_mem` while writing: PostgreSQL takes 4 KB for a row of 2.3 KB that a trigger is to see."""

STATEMENT_ROWS = STATEMENT_BLOCKS * BLOCK_ROWS

SAMPLE_ROWS = 64
"""Rows of a batch that are looked up to tell whether it is new; if so, it is copied at once."""

LOOKUP_ROWS = 500
"""Rows that are looked up while those before them are decoded."""

UNSENT_BYTES = 2**20
"""Rows are packed on while the socket is full, up to so many bytes. Whoever waits until a Unix
socket takes more is woken when three quarters of it have been read, and packs while the server
has nothing left to do; with more, libpq moves all that is unsent at each sending."""

_COPY = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)")
_COLUMN_LIST = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
_STAGING = """
    CREATE TEMP TABLE IF NOT EXISTS staged_embeddings (
        id uuid, source_id uuid, chunk_index integer, content_hash varchar, embedding vector,
        segment integer, cell smallint, embedding_model varchar, embedding_fingerprint varchar,
        namespace varchar, source_type varchar, content_preview text, metadata jsonb
    ) WITH (toast_tuple_target = 8160) ON COMMIT DROP
"""


class EmbeddingRow(NamedTuple):
    """What is stored beside a vector.

    Attributes:
        content_hash: SHA-256 of the text, 64 hexadecimal digits.
        preview: the beginning of the text (PRD 6.1: 500 characters).
        metadata: None keeps what a row already has.
    """

    source_type: str
    source_id: UUID
    chunk_index: int
    content_hash: str
    preview: str | None
    metadata: Mapping[str, object] | None = None


class _Stored(NamedTuple):
    content_hash: str
    fingerprint: str
    metadata: Mapping[str, object]


@dataclass
class WriteReport:
    """What became of a batch.

    Attributes:
        inserted, updated, unchanged: rows.
        failures: why a row was not stored, by its place in the batch; `reason` is one of
            "wrong_dimensions", "not_finite", "zero_vector", "out_of_range", "duplicate_key",
            "refused".
    """

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    failures: dict[int, ItemError] = field(default_factory=dict)

    @property
    def written(self) -> int:
        """Rows that are other than before."""
        return self.inserted + self.updated


def write(
    connection: psycopg.Connection,
    leaf: Leaf,
    rows: Sequence[EmbeddingRow],
    vectors: NDArray[np.float32] | Sequence[NDArray[np.float32]],
    *,
    fingerprint: str,
) -> WriteReport:
    """Store these vectors in one transaction; writing the same again changes nothing.

    A row that cannot be stored is a failure of its own; all others land. Every row that is
    written lands in the leaf's open segment, so that no ANN graph is touched (see `segments`), and
    in the cell its vector is nearest to, where the leaf has any (see `cells`).

    Args:
        vectors: shape (len(rows), leaf.dimensions), or as many vectors one by one.
        fingerprint: model, weights and settings they were made with.

    Raises:
        UsageError: the leaf has no collection, or there are not as many vectors as rows.
    """
    if len(rows) != len(vectors):
        raise UsageError(f"{len(rows)} rows came with {len(vectors)} vectors.")
    if not rows:
        return WriteReport()
    with connection.transaction():
        segment, generation, index = _destination(connection, leaf)
        constants = BatchConstants(leaf, fingerprint, segment)
        nearest = None if generation is None else cells.load(connection, leaf, generation)
        batch = _Batch(leaf, rows, vectors, constants, index, nearest)
        return batch.write(connection)


class _Batch:
    """The rows of one `write`, told apart into new, changed, unchanged and impossible."""

    def __init__(
        self,
        leaf: Leaf,
        rows: Sequence[EmbeddingRow],
        vectors: NDArray[np.float32] | Sequence[NDArray[np.float32]],
        constants: BatchConstants,
        index: IndexSettings,
        nearest: Cells | None,
    ) -> None:
        self._leaf = leaf
        self._rows = rows
        self._constants = constants
        self._checked = CheckedRows(leaf, rows, vectors, index)
        self._cells = np.full(len(rows), cells.NONE, np.int16)
        if nearest is not None:
            sound = self._checked.sound(list(range(len(rows))))
            self._cells[sound] = nearest.of(self._checked.vectors[sound])
        self._known_metadata: dict[int, Mapping[str, object]] = {}

    def write(self, connection: psycopg.Connection) -> WriteReport:
        """Land every row that can be landed, side by side those that a search reads together."""
        report = WriteReport(failures=self._checked.failures)
        rest: list[int] = np.argsort(self._cells, kind="stable").tolist()
        raced: list[int] = []

        def insert(part: list[int]) -> int:
            try:
                with connection.transaction():
                    return self._copy(connection, self._leaf.table, part)
            except psycopg.errors.UniqueViolation:
                raced.extend(part)
                return 0

        def update(part: list[int]) -> int:
            with connection.transaction():
                return sum(
                    self._upsert(connection, part[start : start + STATEMENT_ROWS])
                    for start in range(0, len(part), STATEMENT_ROWS)
                )

        if not self._known(connection, rest[:: max(1, len(rest) // SAMPLE_ROWS)]):
            report.inserted = _halving(rest, insert, report.failures)
            rest, raced = raced, []
        rest = self._checked.sound(rest)
        known = self._known(connection, rest)
        changed = [i for i in rest if i in known and not self._is_stored(i, known[i])]
        report.unchanged = len(known) - len(changed)
        self._known_metadata = {i: known[i].metadata for i in changed}
        new = [i for i in rest if i not in known]
        report.inserted += _halving(new, insert, report.failures)
        report.updated = _halving([*changed, *raced], update, report.failures)
        return report

    def _known(self, connection: psycopg.Connection, places: list[int]) -> dict[int, _Stored]:
        """What the leaf holds of the rows at these places."""
        if not places:
            return {}
        with connection.cursor() as cursor:
            found = cursor.stream(  # never prepared: a plan made for an empty leaf reads all of it
                sql.SQL(
                    """
                    SELECT asked.place, e.content_hash, e.embedding_fingerprint, e.metadata
                    FROM unnest(%s::uuid[]) WITH ORDINALITY AS asked (id, place)
                    CROSS JOIN LATERAL (
                        SELECT content_hash, embedding_fingerprint, metadata FROM {}
                        WHERE id = asked.id AND namespace = %s AND embedding_model = %s LIMIT 1
                    ) e
                    """
                ).format(self._leaf.table),
                [_array(self._checked.ids(places)), self._leaf.namespace, self._leaf.model],
                size=LOOKUP_ROWS,
            )
            return {places[place - 1]: _Stored(*rest) for place, *rest in found}

    def _is_stored(self, i: int, stored: _Stored) -> bool:
        row = self._rows[i]
        wanted = stored.metadata if row.metadata is None else dict(row.metadata)
        return stored == (row.content_hash, self._constants.fingerprint, wanted)

    def _copy(self, connection: psycopg.Connection, table: sql.Identifier, part: list[int]) -> int:
        """Copy the rows, the next block being packed while the server works on the last."""
        blocks = self._packed(part)
        block = next(blocks, None)
        copied = 0
        with landing(connection, table, COLUMNS) as target, connection.cursor() as cursor:
            statement = _COPY.format(target, _COLUMN_LIST)
            while block is not None:
                sender = LibpqWriter(cursor, flush_threshold=UNSENT_BYTES)
                with cursor.copy(statement, writer=sender) as copy:
                    copy.write(HEADER)
                    for _ in range(STATEMENT_BLOCKS):
                        if block is not None:
                            copy.write(block)
                            block = next(blocks, None)
                    copy.write(TRAILER)
                copied += cursor.rowcount
        return copied

    def _upsert(self, connection: psycopg.Connection, part: list[int]) -> int:
        connection.execute(_STAGING)
        connection.execute("TRUNCATE staged_embeddings")
        self._copy(connection, sql.Identifier("staged_embeddings"), part)
        return connection.execute(
            sql.SQL(
                """
                INSERT INTO {leaf} AS known ({columns})
                SELECT {columns} FROM staged_embeddings
                ON CONFLICT (namespace, embedding_model, id) DO UPDATE SET
                    content_hash = excluded.content_hash,
                    content_preview = excluded.content_preview,
                    embedding = excluded.embedding,
                    embedding_fingerprint = excluded.embedding_fingerprint,
                    metadata = excluded.metadata,
                    segment = excluded.segment,
                    cell = -2 - excluded.cell,
                    updated_at = now()
                WHERE (known.content_hash, known.embedding_fingerprint, known.metadata)
                    IS DISTINCT FROM
                    (excluded.content_hash, excluded.embedding_fingerprint, excluded.metadata)
                """
            ).format(leaf=self._leaf.table, columns=_COLUMN_LIST)
        ).rowcount

    def _packed(self, part: list[int]) -> Iterator[bytes]:
        for start in range(0, len(part), BLOCK_ROWS):
            block = self._checked.sound(part[start : start + BLOCK_ROWS])
            if block:
                yield pack(
                    [self._rows[i] for i in block],
                    [self._metadata(i) for i in block],
                    self._checked.ids(block),
                    self._checked.vectors[block],
                    self._cells[block],
                    self._constants,
                )

    def _metadata(self, i: int) -> Mapping[str, object] | None:
        given = self._rows[i].metadata
        return self._known_metadata.get(i) if given is None else given


def _halving(
    part: list[int], attempt: Callable[[list[int]], int], failures: dict[int, ItemError]
) -> int:
    """How many rows the attempts changed; what the server refuses is halved down to one row."""
    if not part:
        return 0
    try:
        return attempt(part)
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        if len(part) == 1:
            failures[part[0]] = ItemError(
                "refused",
                f"The database refused the row: {_first_line(error)}.",
                "Mend the item and run the stage again.",
            )
            return 0
    middle = len(part) // 2
    return _halving(part[:middle], attempt, failures) + _halving(part[middle:], attempt, failures)


def _array(ids: NDArray[np.void]) -> str:
    """The identities as a PostgreSQL array in text: quicker than thousands of UUID objects."""
    digits = ids.tobytes().hex()
    return "{" + ",".join(digits[i : i + 32] for i in range(0, len(digits), 32)) + "}"


def _first_line(error: psycopg.Error) -> str:
    return (error.diag.message_primary or str(error).partition("\n")[0]).rstrip(".")


def _destination(
    connection: psycopg.Connection, leaf: Leaf
) -> tuple[int, UUID | None, IndexSettings]:
    """The open segment, the generation of cells that holds there, and how the leaf is indexed."""
    row: tuple[int, UUID | None, dict[str, Any], str] | None = connection.execute(
        """
        SELECT open_segment,
               (SELECT id FROM embedding_cells WHERE collection_id = c.id
                ORDER BY first_segment DESC LIMIT 1),
               index_settings,
               set_config('work_mem',
                   greatest(pg_size_bytes(current_setting('work_mem')) / 1024, %s) || 'kB', true)
        FROM embedding_collections c WHERE id = %s
        """,
        [AUDIT_MEMORY_KB, leaf.collection_id],
    ).fetchone()
    if row is None:
        raise UsageError(
            f"{leaf.namespace} has no collection of the model {leaf.model}.",
            "Create it with `greenlang-vectors collections create`.",
        )
    return row[0], row[1], IndexSettings(**row[2])
