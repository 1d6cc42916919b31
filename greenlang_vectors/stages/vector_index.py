"""Stage 4: a leaf's rows get the ANN indexes that its collection wants (PRD 5.2)."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from greenlang_vectors.errors import IndexBuildFailed
from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import (
    collections,
    leaves,
    maintenance,
    namespaces,
    segments,
    text_statistics,
)
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.leaves import Leaf


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What a run of the stage did.

    Attributes:
        names: the indexes that serve, oldest rows first.
        built, dropped: what this run did to get there; nothing if it was right already.
        rows: embeddings of the leaf.
        tail_rows: those of them above every index, which are searched by cells, or exactly.
        size_bytes: of all indexes on disk.
    """

    names: list[str]
    built: list[str]
    dropped: list[str]
    rows: int
    tail_rows: int
    size_bytes: int


def build_index(
    database: Database, leaf: Leaf, *, settings: Settings, progress: Progress = silent
) -> IndexReport:
    """Build, merge and drop indexes until the leaf has what its collection and its rows want.

    Raises:
        UnknownNamespace: it is not registered.
        IndexBuildFailed: the build broke off; searches go on with what served before.
    """
    with database.connect() as connection:
        namespaces.get(connection, leaf.namespace)
    report = maintenance.maintain(database, leaf, settings, progress)
    with database.connect() as connection:
        rows = leaves.count(connection, leaf)
        progress(rows, rows, "rows")
        return IndexReport(
            names=[s.index.name for s in report.segments if s.index is not None],
            built=list(report.built),
            dropped=list(report.dropped),
            rows=rows,
            tail_rows=report.tail_rows,
            size_bytes=sum(i.size_bytes for i in segments.on_leaf(connection, leaf)),
        )


def build_indexes(
    database: Database, name: str, *, settings: Settings, progress: Progress = silent
) -> dict[str, IndexReport]:
    """Do so for every collection of a namespace, the serving one first.

    Its words are counted anew if passages came or went, so that full text search knows the rare
    ones from the common.

    Raises:
        UnknownNamespace, IndexBuildFailed: as `build_index` does.
    """
    reports = {}
    with database.connect() as connection:
        namespaces.get(connection, name)
        text_statistics.refresh(connection, name)
        for collection in collections.list_all(connection, name):
            if not collections.stands(connection, collection):
                continue
            try:
                reports[collection.name] = build_index(
                    database, collection.leaf, settings=settings, progress=progress
                )
            except (psycopg.errors.UndefinedTable, IndexBuildFailed):
                if collections.stands(connection, collection):
                    raise
    return reports
