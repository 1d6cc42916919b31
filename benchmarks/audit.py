"""What the audit log costs a bulk load: the same batches with and without its triggers, in turn.

What is measured is the processor time of the server's process, which other work on the machine
hardly changes. Machines drift: the ways take turns forwards and backwards over one leaf, and each
such round is compared with itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

import psycopg
from psycopg import sql
from rich.table import Table

from benchmarks.common import checkpoint, console, new_database, number, processor_seconds
from benchmarks.common import server as own_server
from benchmarks.rows import FINGERPRINT, new_leaf, rows
from benchmarks.vectors import VectorSource
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.writing import write

DISABLE = sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER")
ENABLE = sql.SQL("ALTER TABLE {} ENABLE TRIGGER USER")
WITHOUT = "without the triggers"
WAYS = {
    WITHOUT: (DISABLE, "64MB"),
    "with them, work_mem 4 MB": (ENABLE, "4MB"),
    "with them, work_mem 64 MB": (ENABLE, "64MB"),
}


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    batch: int = 10_000
    rounds: int = 10
    dimensions: int = 384


Rounds = list[dict[str, float]]
"""Processor time of two batches by way, in seconds, for each round."""


def measure(server_url: str, sizes: Sizes) -> tuple[Rounds, float]:
    """Processor time of each way in each round, and the bytes of log an embedding leaves."""
    database = new_database(server_url)
    source = VectorSource(dimensions=sizes.dimensions)
    turns = [WITHOUT, *WAYS, *reversed(WAYS)]
    batches = [
        (rows(i * sizes.batch, (i + 1) * sizes.batch), source.take(sizes.batch))
        for i in range(len(turns))
    ]
    rounds: Rounds = []
    with database.connect() as connection:
        connection.prepare_threshold = None  # else a plan made for the emptied leaf is kept
        leaf = new_leaf(connection, sizes.dimensions)
        for _ in range(sizes.rounds):
            _set(connection, leaf, WITHOUT)
            connection.execute("TRUNCATE vector_embeddings, vector_audit_log")
            checkpoint(server_url)
            seconds = dict.fromkeys(WAYS, 0.0)
            for turn, (way, (part, vectors)) in enumerate(zip(turns, batches, strict=True)):
                _set(connection, leaf, way)
                before = processor_seconds(connection.info.backend_pid)
                write(connection, leaf, part, vectors, fingerprint=FINGERPRINT)
                if turn > 0:  # the first one fills the caches
                    seconds[way] += processor_seconds(connection.info.backend_pid) - before
            rounds.append(seconds)
        recorded, size = connection.execute(
            """
            SELECT sum(cardinality(record_ids)), pg_total_relation_size('vector_audit_log')
            FROM vector_audit_log
            """
        ).fetchone() or (0, 0)
    database.close()
    assert recorded == 4 * sizes.batch
    return rounds, size / float(recorded)


def _set(connection: psycopg.Connection, leaf: Leaf, way: str) -> None:
    triggers, work_mem = WAYS[way]
    connection.execute(triggers.format(leaf.table))
    connection.execute("SELECT set_config('work_mem', %s, false)", [work_mem])


def main() -> None:
    """Print a table of the ways; ROUNDS sets how often they take turns."""
    sizes = Sizes(rounds=number("ROUNDS", Sizes.rounds))
    with own_server() as server_url:
        rounds, size = measure(server_url, sizes)
    table = Table(
        "way",
        title=f"audit log: {sizes.batch:,} rows of {sizes.dimensions} dimensions a transaction,"
        f" {2 * sizes.rounds} of each way",
    )
    for column in ("µs a row", "cost", "lowest", "highest"):
        table.add_column(column, justify="right")
    for way in WAYS:
        costs = [seconds[way] / seconds[WITHOUT] - 1 for seconds in rounds]
        table.add_row(
            way,
            f"{median(seconds[way] for seconds in rounds) / 2 / sizes.batch * 1e6:.1f}",
            *(f"{cost:+.1%}" for cost in (median(costs), min(costs), max(costs))),
        )
    console.print(table)
    console.print(f"{size:.0f} bytes of log for each embedding (target of the cost: below 10%)")
