"""Inserting into a namespace that is being searched, beside the two other ways of doing it.

Each store is filled and indexed once; every run starts from a copy of that database.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import numpy as np
import psycopg
from psycopg import sql
from rich.table import Table

from benchmarks.common import checkpoint, console, new_database, number
from benchmarks.common import server as own_server
from benchmarks.sustained.clients import Load
from benchmarks.sustained.measure import Outcome, run
from benchmarks.sustained.stores import Elsewhere, IndexedTable, Segments, SegmentTables, Store
from benchmarks.vectors import VectorSource

QUERIES = 100


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured.

    Attributes:
        rows: in the store when inserting begins.
        unpaced_rows: the most that are inserted where no pace is set.
        batch: rows of a transaction.
    """

    rows: int = 200_000
    seconds: float = 30
    rows_per_second: int = 10_000
    unpaced_rows: int = 600_000
    batch: int = 1_000
    idle_seconds: float = 10
    window_seconds: float = 5
    dimensions: int = 384


@dataclass(frozen=True, slots=True)
class Way:
    """A store under a load."""

    title: str
    store: type[Segments | IndexedTable]
    paced: bool
    maintained: bool


WAYS = (
    Way("floor: inserts go elsewhere, paced", Elsewhere, paced=True, maintained=False),
    Way("segments, paced", Segments, paced=True, maintained=False),
    Way("segments, paced, with maintenance", Segments, paced=True, maintained=True),
    Way("segments, unpaced, with maintenance", Segments, paced=False, maintained=True),
    Way("one HNSW-indexed table, unpaced", IndexedTable, paced=False, maintained=False),
    Way("a table for each segment, paced", SegmentTables, paced=True, maintained=True),
)


def measure(
    server_url: str,
    sizes: Sizes,
    ways: Sequence[Way] = WAYS,
    report: Callable[[str, Outcome], None] = lambda *_: None,
) -> dict[str, Outcome]:
    """Every way once, each reported as it ends."""
    outcomes = {}
    with tempfile.TemporaryDirectory() as folder:
        vectors_file, queries_file = Path(folder) / "vectors.npy", Path(folder) / "queries.npy"
        paced_rows = round(sizes.rows_per_second * sizes.seconds)
        most = max(sizes.unpaced_rows, paced_rows)
        vectors = VectorSource(1, dimensions=sizes.dimensions).take(sizes.rows + most)
        np.save(vectors_file, vectors)
        np.save(queries_file, VectorSource(2, dimensions=sizes.dimensions).take(QUERIES))
        filled: dict[str, Store] = {}
        for way in ways:
            kind = "segments" if issubclass(way.store, Segments) else "table"
            if kind not in filled:
                filled[kind] = way.store(new_database(server_url).url, sizes.dimensions)
                filled[kind].load(vectors[: sizes.rows])
            with _copy_of(server_url, filled[kind].url) as url:
                outcomes[way.title] = run(
                    server_url,
                    way.store(url, sizes.dimensions),
                    vectors_file,
                    queries_file,
                    sizes.rows,
                    Load(
                        rows=paced_rows if way.paced else sizes.unpaced_rows,
                        batch=sizes.batch,
                        seconds=sizes.seconds,
                        rows_per_second=sizes.rows_per_second if way.paced else None,
                    ),
                    idle_seconds=sizes.idle_seconds,
                    window_seconds=sizes.window_seconds,
                    maintained=way.maintained,
                )
            report(way.title, outcomes[way.title])
    return outcomes


@contextmanager
def _copy_of(server_url: str, url: str) -> Iterator[str]:
    """A copy of a database, dropped at the end."""
    name = f"bench_{uuid4().hex[:8]}"
    parts = urlsplit(url)
    with psycopg.connect(server_url, autocommit=True) as superuser:
        superuser.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy OWNER {}").format(
                sql.Identifier(name),
                sql.Identifier(parts.path[1:]),
                sql.Identifier(parts.username or "postgres"),
            )
        )
        checkpoint(server_url)
        try:
            yield urlunsplit(parts._replace(path=f"/{name}"))
        finally:
            superuser.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def main() -> None:
    """Print a table of the ways, and one of each as it ran; ROWS and SECONDS set its size."""
    sizes = Sizes()
    sizes = replace(
        sizes, rows=number("ROWS", sizes.rows), seconds=number("SECONDS", int(sizes.seconds))
    )
    with own_server() as server_url:
        outcomes = measure(server_url, sizes, report=_print_windows)
    table = Table(
        "",
        title=f"inserting into {sizes.rows:,} searched rows for {sizes.seconds:g} s,"
        f" {sizes.batch:,} a transaction",
    )
    for column in ("rows/s", "p50 ms", "p99 ms", "p99 of idle", "lowest recall@10", "found"):
        table.add_column(column, justify="right")
    for title, outcome in outcomes.items():
        table.add_row(
            title,
            f"{outcome.rows_per_second:,.0f}",
            f"{outcome.p50_ms:.1f}",
            f"{outcome.p99_ms:.1f}",
            f"{outcome.p99_ms / outcome.idle.p99_ms:.1f}",
            f"{min(window.recall for window in outcome.windows):.3f}",
            f"{outcome.found}/{outcome.checked}",
        )
    console.print(table)
    console.print(
        "targets: 10,000 rows a second, p99 at most 2 times idle, recall@10 at least 0.95,"
        " every row found"
    )


def _print_windows(title: str, outcome: Outcome) -> None:
    table = Table("", title=title)
    for column in ("rows", "searches/s", "p50 ms", "p99 ms", "recall@10"):
        table.add_column(column, justify="right")
    for name, window in [("idle", outcome.idle)] + [
        (f"{window.seconds:.1f} s", window) for window in outcome.windows
    ]:
        table.add_row(
            name,
            f"{window.rows:,}",
            f"{window.searches / window.seconds:,.0f}",
            f"{window.p50_ms:.1f}",
            f"{window.p99_ms:.1f}",
            f"{window.recall:.3f}",
        )
    console.print(table)
    console.print(
        f"found by its own vector {outcome.found} of {outcome.checked}, at the latest"
        f" {outcome.found_after_ms:,.0f} ms after the commit; rounds of maintenance:"
        f" {outcome.maintained}; a search visits: {outcome.parts}\n"
    )
