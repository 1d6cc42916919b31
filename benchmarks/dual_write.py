"""What noting documents for Weaviate costs a bulk load: the same batches with and without it.

Machines drift: the ways take turns forwards and backwards over one leaf, and each such round is
compared with itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

import psycopg
from rich.table import Table

from benchmarks.common import checkpoint, console, measured, new_database, number
from benchmarks.common import server as own_server
from benchmarks.rows import CHUNKS_OF_A_DOCUMENT, FINGERPRINT, new_leaf, rows
from benchmarks.vectors import VectorSource
from greenlang_vectors.store import weaviate_outbox
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.writing import EmbeddingRow, write

SINGLE = "each passage a document of its own"
SEVERAL = f"{CHUNKS_OF_A_DOCUMENT} passages a document"
WITHOUT, NOTED = "written to pgvector alone", "noted for Weaviate"


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    batch: int = 10_000
    rounds: int = 10
    dimensions: int = 384


def measure(server_url: str, sizes: Sizes, *, single: bool) -> list[dict[str, float]]:
    """Seconds of two batches by way, for each round.

    Args:
        single: each passage is a document of its own.
    """
    database = new_database(server_url)
    source = VectorSource(dimensions=sizes.dimensions)
    turns = [WITHOUT, WITHOUT, NOTED, NOTED, WITHOUT]
    batches = [
        (_rows(turn * sizes.batch, sizes.batch, single=single), source.take(sizes.batch))
        for turn in range(len(turns))
    ]
    rounds: list[dict[str, float]] = []
    with database.connect() as connection:
        connection.prepare_threshold = None  # else a plan made for the emptied leaf is kept
        leaf = new_leaf(connection, sizes.dimensions)
        for _ in range(sizes.rounds):
            _note(connection, leaf, WITHOUT)
            connection.execute("TRUNCATE vector_embeddings, vector_audit_log, weaviate_outbox")
            checkpoint(server_url)
            seconds = dict.fromkeys((WITHOUT, NOTED), 0.0)
            for turn, (way, (part, vectors)) in enumerate(zip(turns, batches, strict=True)):
                _note(connection, leaf, way)
                with measured() as took:
                    write(connection, leaf, part, vectors, fingerprint=FINGERPRINT)
                if turn > 0:  # the first one fills the caches
                    seconds[way] += took.seconds
            rounds.append(seconds)
        lag = weaviate_outbox.lag(connection, leaf.namespace)
    database.close()
    assert lag.documents == 2 * sizes.batch // (1 if single else CHUNKS_OF_A_DOCUMENT)
    return rounds


def _rows(first: int, count: int, *, single: bool) -> list[EmbeddingRow]:
    if single:
        return rows(first * CHUNKS_OF_A_DOCUMENT, (first + count) * CHUNKS_OF_A_DOCUMENT)[
            ::CHUNKS_OF_A_DOCUMENT
        ]
    return rows(first, first + count)


def _note(connection: psycopg.Connection, leaf: Leaf, way: str) -> None:
    with connection.transaction():
        if way == NOTED:
            weaviate_outbox.install(connection, leaf.namespace, [leaf])
        else:
            weaviate_outbox.remove(connection, leaf.namespace)


def main() -> None:
    """Print a table; ROUNDS sets how often the ways take turns."""
    sizes = Sizes(rounds=number("ROUNDS", Sizes.rounds))
    table = Table(
        "documents",
        title=f"dual writing: {sizes.batch:,} rows of {sizes.dimensions} dimensions a"
        f" transaction, {2 * sizes.rounds} of each way",
    )
    for column in (WITHOUT, NOTED, "cost", "lowest", "highest"):
        table.add_column(column, justify="right")
    with own_server() as server_url:
        for single in (False, True):
            rounds = measure(server_url, sizes, single=single)
            costs = [seconds[NOTED] / seconds[WITHOUT] - 1 for seconds in rounds]
            table.add_row(
                SINGLE if single else SEVERAL,
                *(
                    f"{median(2 * sizes.batch / seconds[way] for seconds in rounds):,.0f}"
                    for way in (WITHOUT, NOTED)
                ),
                *(f"{cost:+.1%}" for cost in (median(costs), min(costs), max(costs))),
            )
    console.print(table)
    console.print("rows a second")
