"""Stage 4: the leaf gets the HNSW index of the profile (PRD 5.2.1)."""

from __future__ import annotations

from dataclasses import dataclass

from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import embeddings, indexes, namespaces
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.embeddings import Leaf
from greenlang_vectors.store.indexes import HnswIndex


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What a run of the stage did.

    Attributes:
        name: the index that serves.
        built: whether this run built it; False if it was already right.
        rows: embeddings it covers.
        size_bytes: its size on disk.
    """

    name: str
    built: bool
    rows: int
    size_bytes: int


def build_index(
    database: Database, leaf: Leaf, *, settings: Settings, progress: Progress = silent
) -> IndexReport:
    """Build the leaf's index unless it is there as the profile wants it.

    Raises:
        UnknownNamespace: it is not registered.
        IndexBuildFailed: the build broke off; searches go on without the index.
    """
    index = HnswIndex.of(leaf, settings.index)
    with database.connect() as connection:
        namespaces.get(connection, leaf.namespace)
        embeddings.ensure_leaf(connection, leaf)
    built = indexes.build(
        database,
        index,
        memory_mb=settings.index_build_memory_mb,
        workers=settings.index_build_workers,
        progress=progress,
    )
    with database.connect() as connection:
        sizes = {state.name: state.size_bytes for state in indexes.on_leaf(connection, leaf)}
        rows = embeddings.count(connection, leaf)
        progress(rows, rows, "rows")
        return IndexReport(
            name=index.name,
            built=built,
            rows=rows,
            size_bytes=sizes[index.name],
        )
