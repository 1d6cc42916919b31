"""Whether `plan` predicts what is built: bytes, log and seconds of leaves of several sizes.

Each size has a leaf of its own, filled by the product's writer and indexed by its index manager.
The smallest size's builds tell how quick this machine is (`builds.machine_factor`); the times of
the others are predicted with that. Targets: sizes within 10%, times within 30%. A million rows take
about half an hour: ROWS=10000,100000,1000000.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import cast

import psycopg
from rich.table import Table

from benchmarks.common import checkpoint, console, corpora, new_database
from benchmarks.common import server as own_server
from benchmarks.rows import FINGERPRINT, new_leaf, rows
from benchmarks.vectors import VectorSource
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.embedding.opening import open_embedder
from greenlang_vectors.planning.builds import MeasuredBuild, build_seconds, machine_factor
from greenlang_vectors.planning.present import PresentLeaf, present
from greenlang_vectors.planning.report import human
from greenlang_vectors.planning.sizes import LeafSizes, leaf_sizes
from greenlang_vectors.progress import silent
from greenlang_vectors.settings import Settings
from greenlang_vectors.stages.chunks import cut_chunks
from greenlang_vectors.stages.documents import load_documents
from greenlang_vectors.store import filter_indexes, indexes, namespaces, segments
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.index_estimates import memory_bytes, size_bytes
from greenlang_vectors.store.index_settings import IndexSettings, resolved
from greenlang_vectors.store.indexes import IndexDefinition
from greenlang_vectors.store.leaves import Leaf, drop_leaf
from greenlang_vectors.store.locks import exclusive
from greenlang_vectors.store.writing import write

BATCH = 10_000
BITS_UP_TO = 200_000
"""Rows of the largest leaf that is indexed by bits as well."""

KINDS = {
    "HNSW, vector": IndexSettings(m=16, ef_construction=200),
    "HNSW, halfvec": IndexSettings(storage="halfvec", m=16, ef_construction=200),
    "HNSW, bit": IndexSettings(storage="bit", m=16, ef_construction=200),
    "IVFFlat, vector": IndexSettings(kind="ivfflat"),
    "IVFFlat, halfvec": IndexSettings(kind="ivfflat", storage="halfvec"),
}


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    rows: tuple[int, ...] = (10_000, 100_000)
    dimensions: int = 384


@dataclass(frozen=True, slots=True)
class Built:
    """An index that was built and dropped again.

    Attributes:
        wal_bytes: written meanwhile.
        fits: whether it had the memory it wanted.
    """

    index: IndexSettings
    seconds: float
    size_bytes: int
    wal_bytes: int
    fits: bool


@dataclass(frozen=True, slots=True)
class Filled:
    """A leaf of so many rows.

    Attributes:
        found: as the asset `capacity_plan` sees it, one HNSW index standing.
        load_wal, audit_bytes: of writing the rows.
        builds: by their title.
    """

    rows: int
    found: PresentLeaf
    load_wal: int
    audit_bytes: int
    builds: dict[str, Built]


def measure(server_url: str, sizes: Sizes) -> list[Filled]:
    """Every size in turn, the smallest first."""
    settings = Settings(profile="staging")
    database = new_database(server_url)
    filled = []
    with database.connect() as connection:
        for count in sorted(sizes.rows):
            leaf = new_leaf(connection, sizes.dimensions, namespace="bench")
            filled.append(_leaf(database, connection, leaf, count, server_url, settings))
            drop_leaf(connection, leaf)
            connection.execute("TRUNCATE vector_audit_log")
    database.close()
    return filled


def _leaf(
    database: Database,
    connection: psycopg.Connection,
    leaf: Leaf,
    count: int,
    server_url: str,
    settings: Settings,
) -> Filled:
    checkpoint(server_url)
    before = _log_position(connection)
    _fill(connection, leaf, count)
    load_wal = _log_position(connection) - before
    connection.execute("VACUUM ANALYZE vector_embeddings")
    last = segments.seal(connection, leaf)
    builds = {}
    with exclusive(connection, "index build"):
        for title, wanted in reversed(KINDS.items()):
            if wanted.storage == "bit" and count > BITS_UP_TO:
                continue
            index = resolved(wanted, settings.index, count)
            definition = IndexDefinition(leaf, index, indexes.family(leaf, wanted), 0, last)
            for standing in segments.on_leaf(connection, leaf):
                indexes.drop(connection, standing.name)
            checkpoint(server_url)
            builds[title] = _build(database, connection, definition, count, settings)
        filter_indexes.follow(connection, leaf, segments.cover(segments.on_leaf(connection, leaf)))
    [found] = present(connection, settings).leaves
    return Filled(count, found, load_wal, _size(connection, "vector_audit_log"), builds)


def _fill(connection: psycopg.Connection, leaf: Leaf, count: int) -> None:
    source = VectorSource(1, dimensions=leaf.dimensions)
    for first in range(0, count, BATCH):
        part = rows(first, min(first + BATCH, count))
        report = write(connection, leaf, part, source.take(len(part)), fingerprint=FINGERPRINT)
        assert not report.failures


def _build(
    database: Database,
    connection: psycopg.Connection,
    definition: IndexDefinition,
    count: int,
    settings: Settings,
) -> Built:
    before = _log_position(connection)
    indexes.build(connection, database, definition, count, settings, silent)
    wal = _log_position(connection) - before
    row = connection.execute(
        "SELECT seconds, size_bytes FROM index_builds ORDER BY finished_at DESC LIMIT 1"
    ).fetchone()
    seconds, size = cast("tuple[float, int]", row)
    wanted = memory_bytes(definition.settings, definition.leaf.dimensions, count)
    fits = wanted <= settings.index_build_memory_mb * 2**20
    return Built(definition.settings, seconds, size, wal, fits)


def _log_position(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')")
    return int(cast("tuple[int]", row.fetchone())[0])


def _size(connection: psycopg.Connection, table: str) -> int:
    row = connection.execute("SELECT pg_total_relation_size(%s::regclass)", [table]).fetchone()
    return int(cast("tuple[int]", row)[0])


def parts(filled: Filled) -> dict[str, tuple[int, int]]:
    """(measured, predicted) bytes of everything but the ANN indexes."""
    found, predicted = filled.found, _predicted(filled)
    return {
        "rows": (found.heap_bytes, predicted.heap),
        "out of line (TOAST)": (found.toast_bytes, predicted.toast),
        "B-trees": (found.key_bytes, predicted.keys),
        "index on metadata": (found.filter_bytes, predicted.filter_index),
        "audit log": (filled.audit_bytes, predicted.audit),
        "WAL of the load": (filled.load_wal, predicted.load_wal),
    }


def _predicted(filled: Filled) -> LeafSizes:
    index = next(iter(filled.builds.values())).index
    return leaf_sizes(index, filled.found.collection.dimensions, filled.rows, filled.found.shape)


def calibration(filled: Sequence[Filled], dimensions: int) -> float | None:
    """How many times as long builds take here, by those of the smallest size."""
    builds = [
        MeasuredBuild(built.index, dimensions, filled[0].rows, built.seconds)
        for built in filled[0].builds.values()
        if built.fits
    ]
    return machine_factor(builds, cores=Settings().index_build_workers + 1)


COPIES = 4
"""How often a corpus is taken the second time: what the further ones add does not hold what a
small index takes whatever is in it."""


@dataclass(frozen=True, slots=True)
class Texts:
    """What texts take beside their vectors: bytes, chunks that are searched, their tokens."""

    chunks: int
    tokens: int
    chunk_bytes: int
    words_bytes: int
    document_bytes: int

    def less(self, other: Texts) -> Texts:
        """What this has beyond the other."""
        return Texts(*(a - b for a, b in zip(astuple(self), astuple(other), strict=True)))


def measure_texts(server_url: str, folder: Path) -> Texts:
    """What a corpus adds to one that is as large at least."""
    with tempfile.TemporaryDirectory() as place:
        shutil.copytree(folder, Path(place, "0"))
        one = _texts(server_url, Path(place))
        for number in range(1, COPIES):
            shutil.copytree(folder, Path(place, str(number)))
        return _texts(server_url, Path(place)).less(one)


def _texts(server_url: str, folder: Path) -> Texts:
    """Documents and chunks of a folder, all in one namespace, none of them embedded."""
    database, settings = new_database(server_url), Settings()
    embedder = open_embedder(database, settings.embedding_model, cache_seconds=None)
    with database.connect() as connection:
        namespaces.register(connection, "texts", source_uri=str(folder))
    load_documents(database, "texts", max_bytes=settings.max_document_bytes, cache_seconds=0)
    report = cut_chunks(
        database,
        "texts",
        embedders=Embedders.only(embedder),
        chunk_tokens=settings.chunk_tokens,
        cache_seconds=0,
    )
    with database.connect() as connection:
        connection.execute("VACUUM ANALYZE document_chunks_texts, documents_texts")
        row = connection.execute(
            "SELECT coalesce(sum(pg_relation_size(i.indexrelid)), 0)::bigint FROM pg_index i"
            " JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam"
            " WHERE i.indrelid = 'document_chunks_texts'::regclass AND a.amname = 'gin'"
        ).fetchone()
        words = int(cast("tuple[int]", row)[0])
        chunks = _size(connection, "document_chunks_texts") - words
        documents = _size(connection, "documents_texts")
    database.close()
    return Texts(report.searched, report.tokens, chunks, words, documents)


def main() -> None:
    """Print measured beside predicted; ROWS lists the sizes."""
    given = os.environ.get("ROWS")
    sizes = Sizes() if given is None else Sizes(tuple(int(each) for each in given.split(",")))
    with own_server() as server_url:
        filled = measure(server_url, sizes)
        texts = {name: measure_texts(server_url, folder) for name, folder in corpora().items()}
    for each in filled:
        console.print(_parts_table(each))
    console.print(_builds_table(filled, sizes.dimensions))
    console.print(_texts_table(texts))


def _parts_table(filled: Filled) -> Table:
    table = Table("part", title=f"{filled.rows:,} rows")
    for column in ("measured", "predicted", "off by", "bytes a row"):
        table.add_column(column, justify="right")
    for name, (measured, predicted) in parts(filled).items():
        table.add_row(
            name,
            human(measured),
            human(predicted),
            _off(predicted, measured),
            f"{measured / filled.rows:,.1f}",
        )
    return table


def _builds_table(filled: Sequence[Filled], dimensions: int) -> Table:
    """Sizes, log and times; a build that had less memory than it wanted is marked."""
    cores = Settings().index_build_workers + 1
    machine = calibration(filled, dimensions)
    told = "unknown" if machine is None else f"{machine:.2f}"
    table = Table("index", title=f"indexes, {cores} processes; this machine over docs': {told}")
    for column in ("rows", "size", "off by", "WAL", "seconds", "offline", "off by", "calibrated"):
        table.add_column(column, justify="right")
    table.add_column("off by", justify="right")
    for each in filled:
        for title, built in each.builds.items():
            offline = build_seconds(built.index, dimensions, each.rows, cores=cores)
            here = offline * (machine or 1.0)
            table.add_row(
                title,
                f"{each.rows:,}",
                human(built.size_bytes),
                _off(size_bytes(built.index, dimensions, each.rows), built.size_bytes),
                human(built.wal_bytes),
                f"{built.seconds:,.1f}{'' if built.fits else ' (spilled)'}",
                f"{offline:,.1f}",
                _off(offline, built.seconds),
                f"{here:,.1f}",
                _off(here, built.seconds),
            )
    return table


def _texts_table(texts: Mapping[str, Texts]) -> Table:
    table = Table("corpus", title="texts: bytes for each token of the searched chunks")
    for column in ("chunks", "tokens a chunk", "chunks' tables", "words' index", "documents"):
        table.add_column(column, justify="right")
    for name, each in texts.items():
        taken = (each.chunk_bytes, each.words_bytes, each.document_bytes)
        table.add_row(
            name,
            f"{each.chunks:,}",
            f"{each.tokens / each.chunks:,.0f}",
            *(f"{size / each.tokens:.2f}" for size in taken),
        )
    return table


def _off(predicted: float, measured: float) -> str:
    return f"{(predicted - measured) / measured:+.1%}" if measured else ""
