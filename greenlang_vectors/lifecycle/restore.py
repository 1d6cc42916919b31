"""Restoring: archived embeddings return to their leaf where nothing newer took their place."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import psycopg
from numpy.typing import NDArray

from greenlang_vectors.lifecycle.archive import LOCK
from greenlang_vectors.lifecycle.location import Location
from greenlang_vectors.lifecycle.manifest import load
from greenlang_vectors.lifecycle.reading import opened, rows_of, verify
from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.store import archived, archives, namespaces, writing
from greenlang_vectors.store.archived import StoredRow
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.embedding_jobs import embedding_job
from greenlang_vectors.store.leaves import Leaf, ensure_leaf
from greenlang_vectors.store.locks import exclusive
from greenlang_vectors.store.writing import EmbeddingRow


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What became of the rows of an archive.

    Attributes:
        restored: written; as rows of today, so that the same rule does not take them at once.
        present: their embedding was there already, this one or a newer one.
        gone: their chunk is not there any more, or has changed.
        refused: the writer refused them.
    """

    archive: str
    namespace: str
    model: str
    restored: int
    present: int
    gone: int
    refused: int


def restore(
    database: Database, location: Location, archive_id: str, *, progress: Progress = silent
) -> RestoreReport:
    """Write back every row of an archive that is missing today; repeating it changes nothing.

    All of the archive is verified before the first row is written. It stays where it is.

    Raises:
        UnknownArchive: the location holds nothing of it.
        UnknownNamespace: its namespace is not registered any more.
        ArchiveDamaged: it is not what was written; nothing was changed.
    """
    namespace = load(location, archive_id).namespace
    with database.connect() as connection:
        namespaces.get(connection, namespace)
        with exclusive(connection, LOCK, namespace):
            manifest = opened(connection, location, archive_id)
            verify(location, manifest, progress)
            leaf = manifest.leaf
            ensure_leaf(connection, leaf)
            archives.finish(connection, namespace, archive_id)
            outcomes: Counter[str] = Counter()
            done = 0
            with embedding_job(
                connection, namespace, leaf.model, "archive", source=archive_id
            ) as job:
                for part in manifest.parts:
                    for page in rows_of(location, manifest, part):
                        for fingerprint, rows in _by_fingerprint(page).items():
                            states = _write(connection, leaf, archive_id, rows, fingerprint)
                            restored, refused = states["restored"], states["refused"]
                            job.add(source=restored + refused, processed=restored, failed=refused)
                            outcomes += states
                        done += len(page)
                        progress(done, manifest.rows, "rows")
    return RestoreReport(
        archive=archive_id,
        namespace=namespace,
        model=leaf.model,
        **{name: outcomes[name] for name in ("restored", "present", "gone", "refused")},
    )


def _write(
    connection: psycopg.Connection,
    leaf: Leaf,
    archive_id: str,
    rows: Sequence[StoredRow],
    fingerprint: str,
) -> Counter[str]:
    """Write these rows and forget that they are archived, in one transaction."""
    with connection.transaction():
        standing = archived.standing(connection, leaf, rows)
        missing = [row for row, state in zip(rows, standing, strict=True) if state == "absent"]
        report = writing.write(
            connection,
            leaf,
            [_as_written(row) for row in missing],
            _vectors(missing, leaf.dimensions),
            fingerprint=fingerprint,
        )
        if inexact := [row for row in missing if _as_json(row.metadata) != row.metadata]:
            archived.keep_numbers(connection, leaf, inexact)
        refused = {missing[place].id for place in report.failures}
        archived.forget(
            connection, leaf, archive_id, [row.id for row in rows if row.id not in refused]
        )
    states = Counter[str](standing)
    return Counter(
        restored=report.written,
        present=states["present"],
        gone=states["gone"],
        refused=len(refused),
    )


def _as_written(row: StoredRow) -> EmbeddingRow:
    return EmbeddingRow(
        row.source_type,
        row.source_id,
        row.chunk_index,
        row.content_hash,
        row.content_preview,
        json.loads(row.metadata),
    )


def _as_json(metadata: str) -> str:
    """The metadata after the writer: Python's floats know neither 2.50 nor twenty digits."""
    return json.dumps(json.loads(metadata), ensure_ascii=False)


def _vectors(rows: Sequence[StoredRow], dimensions: int) -> NDArray[np.float32]:
    floats = np.frombuffer(b"".join(row.embedding[4:] for row in rows), ">f4")
    return floats.astype(np.float32).reshape(-1, dimensions)


def _by_fingerprint(rows: Sequence[StoredRow]) -> dict[str, list[StoredRow]]:
    found: defaultdict[str, list[StoredRow]] = defaultdict(list)
    for row in rows:
        found[row.embedding_fingerprint].append(row)
    return found
