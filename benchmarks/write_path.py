"""Rows a second into a leaf, beside a bare COPY and beside other libraries, in the same run.

The floor is a binary COPY of bytes that PostgreSQL itself packed, into a table of the same
columns without a key, check or index, in as many transactions. Wall time needs a machine that does
nothing else; the processor time beside it, of the server's process and of this one, hardly does.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import LiteralString

import numpy as np
import psycopg
from numpy.typing import NDArray
from rich.table import Table

from benchmarks import peers
from benchmarks.common import (
    checkpoint,
    console,
    measured,
    new_database,
    number,
    processor_seconds,
)
from benchmarks.common import server as own_server
from benchmarks.rows import FINGERPRINT, new_leaf, rows
from benchmarks.vectors import VectorSource
from greenlang_vectors.store.leaves import Leaf, drop_leaf
from greenlang_vectors.store.writing import EmbeddingRow, write

FLOOR = "floor: bare binary COPY, no constraints"
TOASTED = "the same, vectors out of line (PostgreSQL's default)"
EMPTY = "write, into an empty leaf"
TWO = "the same, two connections in turn"
MORE = "write, into a leaf that holds as many"
UNCHANGED = "write again, nothing changed"
CHANGED = "write again, every text and vector changed"

Batches = list[tuple[Sequence[EmbeddingRow], NDArray[np.float32]]]
_COPY_BYTES = 256 * 1024
_OUT_OF_LINE: LiteralString = "CREATE TABLE floor AS SELECT * FROM vector_embeddings WITH NO DATA"
_IN_LINE: LiteralString = (
    "CREATE TABLE floor WITH (toast_tuple_target = 8160)"
    " AS SELECT * FROM vector_embeddings WITH NO DATA"
)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    rows: int = 100_000
    batch: int = 10_000
    peer_rows: int = 5_000
    repetitions: int = 5
    dimensions: int = 384


Rates = dict[str, list[float]]
"""Rows a second of each way, one for each repetition; nothing of a peer that is not there."""


@dataclass
class Taken:
    """What the ways took.

    Attributes:
        server, client: microseconds of processor time a row, as the rates; nothing of peers.
    """

    rates: Rates = field(default_factory=dict)
    server: Rates = field(default_factory=dict)
    client: Rates = field(default_factory=dict)


def measure(server_url: str, sizes: Sizes, python: Path | None) -> Taken:
    """Every way in turn, as many times as asked.

    Args:
        python: of the environment with the peers; None leaves them out.
    """
    taken = Taken()

    @contextmanager
    def clock(way: str, *connections: psycopg.Connection) -> Iterator[None]:
        pids = [os.getpid(), *(each.info.backend_pid for each in connections)]
        checkpoint(server_url)
        before = [processor_seconds(pid) for pid in pids]
        with measured() as took:
            yield
        client, *server = (
            (processor_seconds(pid) - then) / sizes.rows * 1e6
            for pid, then in zip(pids, before, strict=True)
        )
        taken.rates.setdefault(way, []).append(sizes.rows / took.seconds)
        taken.client.setdefault(way, []).append(client)
        taken.server.setdefault(way, []).append(sum(server))

    database = new_database(server_url)
    source = VectorSource(dimensions=sizes.dimensions)
    first = _batches(sizes, source, 0)
    more = _batches(sizes, source, sizes.rows)
    changed = _batches(sizes, source, sizes.rows, revision=1)
    with (
        database.connect() as connection,
        database.connect() as second,
        tempfile.TemporaryDirectory() as folder,
    ):
        leaf = new_leaf(connection, sizes.dimensions)
        packed = _packed(connection, leaf, first)
        if python is not None:
            peers.save_rows(Path(folder), source.take(sizes.peer_rows))
        for _ in range(sizes.repetitions):
            for way, statement in ((FLOOR, _IN_LINE), (TOASTED, _OUT_OF_LINE)):
                connection.execute(statement)
                with clock(way, connection):
                    _bare_copy(connection, packed)
                connection.execute("DROP TABLE floor")
            _empty(connection, leaf)
            with clock(TWO, connection, second), ThreadPoolExecutor(2) as pool:
                list(
                    pool.map(_write, (connection, second), (leaf, leaf), (first[::2], first[1::2]))
                )
            _empty(connection, leaf)
            for way, batches in (
                (EMPTY, first),
                (MORE, more),
                (UNCHANGED, more),
                (CHANGED, changed),
            ):
                with clock(way, connection):
                    _write(connection, leaf, batches)
            if python is not None:
                for peer in peers.PEERS:
                    took = peers.seconds(python, peer, database.url, Path(folder))
                    taken.rates.setdefault(peer, []).append(sizes.peer_rows / took)
    database.close()
    return taken


def _batches(sizes: Sizes, source: VectorSource, start: int, revision: int = 0) -> Batches:
    return [
        (rows(first, first + sizes.batch, revision), source.take(sizes.batch))
        for first in range(start, start + sizes.rows, sizes.batch)
    ]


def _packed(connection: psycopg.Connection, leaf: Leaf, batches: Batches) -> list[bytes]:
    """Each batch as PostgreSQL writes it out, all columns."""
    out = []
    for part, vectors in batches:
        write(connection, leaf, part, vectors, fingerprint=FINGERPRINT)
        copy_out = "COPY (SELECT * FROM vector_embeddings) TO STDOUT (FORMAT binary)"
        with connection.cursor().copy(copy_out) as copy:
            out.append(b"".join(bytes(block) for block in copy))
        connection.execute("TRUNCATE vector_embeddings")
    return out


def _empty(connection: psycopg.Connection, leaf: Leaf) -> None:
    drop_leaf(connection, leaf)
    new_leaf(connection, leaf.dimensions)


def _bare_copy(connection: psycopg.Connection, packed: list[bytes]) -> None:
    for block in packed:
        with connection.cursor().copy("COPY floor FROM STDIN (FORMAT binary)") as copy:
            for start in range(0, len(block), _COPY_BYTES):
                copy.write(block[start : start + _COPY_BYTES])


def _write(connection: psycopg.Connection, leaf: Leaf, batches: Batches) -> None:
    for part, vectors in batches:
        report = write(connection, leaf, part, vectors, fingerprint=FINGERPRINT)
        assert not report.failures


def ratio(rates: Rates, way: str, other: str) -> float:
    """How many times as fast one way is as another: the median of the repetitions' ratios."""
    return median(a / b for a, b in zip(rates[way], rates[other], strict=True))


def main() -> None:
    """Print a table of the ways and what they are to each other; ROWS sets how many rows."""
    sizes = Sizes()
    asked = number("ROWS", sizes.rows)
    sizes = replace(
        sizes,
        rows=asked,
        batch=min(sizes.batch, asked),
        peer_rows=min(sizes.peer_rows, asked),
    )
    python = peers.environment()
    with own_server() as server_url:
        taken = measure(server_url, sizes, python)
    rates = taken.rates
    table = Table(
        "way",
        title=f"write path: {sizes.rows:,} rows of {sizes.dimensions} dimensions,"
        f" {sizes.batch:,} a transaction, {sizes.repetitions} repetitions",
    )
    for column in ("rows a second", "lowest", "highest", "of the floor", "server µs", "client µs"):
        table.add_column(column, justify="right")
    for way, each in rates.items():
        table.add_row(
            way,
            f"{median(each):,.0f}",
            f"{min(each):,.0f}",
            f"{max(each):,.0f}",
            f"{ratio(rates, way, FLOOR):.2f}",
            *(f"{median(of[way]):.1f}" for of in (taken.server, taken.client) if way in of),
        )
    console.print(table)
    console.print(
        f"of the floor: {ratio(rates, EMPTY, FLOOR):.0%} (target 70%); "
        f"{median(rates[EMPTY]):,.0f} rows a second (target 50,000)\n"
        f"the floor's processor time of the server, of ours:"
        f" {ratio(taken.server, FLOOR, EMPTY):.0%}\n"
        f"cost of writing again, over the first time: unchanged "
        f"{ratio(rates, MORE, UNCHANGED):.2f}, all changed {ratio(rates, MORE, CHANGED):.2f}"
        " (target 1.5)"
    )
    for peer, target in zip(peers.PEERS, (50, 15), strict=True):
        if peer in rates:
            console.print(f"over {peer}: {ratio(rates, EMPTY, peer):.0f} times (target {target})")
