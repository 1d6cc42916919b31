"""Exports and restores beside bare pg_dump and pg_restore, and checksums of a large table.

Both sides dump the same tables with the same compression to the same disk, and restore the same
dump with the same memory and workers; ours also takes checksums, hashes, reads back and compares.
They take turns, forwards and backwards.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import psycopg
from psycopg import sql
from rich.table import Table

from benchmarks.common import checkpoint, console, new_database, number
from benchmarks.common import server as own_server
from benchmarks.rows import fill, new_leaf
from benchmarks.vectors import VectorSource
from greenlang_vectors.backup import contents
from greenlang_vectors.backup.checksums import checksum
from greenlang_vectors.backup.dump import NOT_RESTORED
from greenlang_vectors.backup.export import create
from greenlang_vectors.backup.manifest import DUMP, key
from greenlang_vectors.backup.programs import Program, access, find
from greenlang_vectors.backup.restore import restore
from greenlang_vectors.lifecycle.location import Location, open_location
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.maintenance import maintain

TARGET = 1.15
TARGET_SECONDS = 10.0


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        rows: of the namespace that is exported and restored, with its HNSW index.
        summed: of the table whose checksum is taken.
    """

    rows: int = 200_000
    summed: int = 1_000_000
    rounds: int = 2
    dimensions: int = 384


@dataclass
class Figures:
    """Seconds of each way, by round."""

    pg_dump: list[float] = field(default_factory=list)
    export: list[float] = field(default_factory=list)
    pg_restore: list[float] = field(default_factory=list)
    restore: list[float] = field(default_factory=list)
    checksum: list[float] = field(default_factory=list)
    size_bytes: int = 0


def measure(server_url: str, sizes: Sizes, folder: Path) -> Figures:
    """Time every way; the exports lie in the folder."""
    settings = Settings(backup_location=str(folder))
    location = open_location(str(folder))
    figures = Figures()
    database = new_database(server_url)
    with database.connect() as connection:
        leaf = new_leaf(connection, sizes.dimensions)
        fill(connection, leaf, VectorSource(dimensions=sizes.dimensions).take(sizes.rows))
    maintain(database, leaf, settings)
    made = [""]

    def export() -> None:
        made.append(_made(database, location, leaf, settings))

    for _ in range(sizes.rounds):
        ways = [
            (figures.pg_dump, lambda: _bare_dump(database, leaf, settings, folder)),
            (figures.export, export),
        ]
        _take_turns(server_url, ways)
    figures.size_bytes = (folder / key(made[-1], DUMP)).stat().st_size
    for _ in range(sizes.rounds):
        _take_turns(
            server_url,
            [
                (figures.pg_restore, lambda: _bare_restore(server_url, folder, made[-1], settings)),
                (figures.restore, lambda: _restore(server_url, location, made[-1], settings)),
            ],
        )
    database.close()
    figures.checksum = _checksums(server_url, sizes)
    return figures


def _take_turns(server_url: str, ways: Sequence[tuple[list[float], Callable[[], None]]]) -> None:
    for seconds, way in (*ways, *reversed(ways)):
        checkpoint(server_url)
        began = time.perf_counter()
        way()
        seconds.append(time.perf_counter() - began)


def _made(database: Database, location: Location, leaf: Leaf, settings: Settings) -> str:
    made = create(database, location, leaf.namespace, settings=settings)
    assert made is not None
    return made.export


def _bare_dump(database: Database, leaf: Leaf, settings: Settings, folder: Path) -> None:
    with database.connect() as connection, connection.transaction():
        connection.execute("SET LOCAL ROLE vector_admin")
        names = [each.name for each in contents.relations(connection, leaf.namespace)]
        program = _program("pg_dump", connection, settings)
    environment, _ = access(database.conninfo())
    file = folder / "bare"
    subprocess.run(  # noqa: S603
        [
            program.path,
            "--format=custom",
            f"--compress={settings.backup_compression}",
            "--role=vector_admin",
            f"--file={file}",
            *(f'--table=public."{name}"' for name in names),
        ],
        env=environment,
        check=True,
    )
    os.sync()
    file.unlink()


def _bare_restore(server_url: str, folder: Path, export_id: str, settings: Settings) -> None:
    database, dump = new_database(server_url), folder / key(export_id, DUMP)
    with database.connect() as connection:
        program = _program("pg_restore", connection, settings)
    listed = subprocess.run(  # noqa: S603
        [program.path, "--list", dump], capture_output=True, text=True, check=True
    ).stdout
    left_out = tuple(f" {kind} " for kind in (*NOT_RESTORED, "TABLE ATTACH"))
    wanted = [line for line in listed.splitlines() if not any(kind in line for kind in left_out)]
    environment, _ = access(database.conninfo())
    environment["PGOPTIONS"] = (
        f"-c maintenance_work_mem={settings.index_build_memory_mb}MB"
        f" -c max_parallel_maintenance_workers={settings.index_build_workers}"
    )
    with tempfile.NamedTemporaryFile("w") as chosen:
        chosen.write("\n".join(wanted))
        chosen.flush()
        subprocess.run(  # noqa: S603
            [
                program.path,
                "--no-owner",
                "--no-privileges",
                f"--jobs={settings.index_build_workers + 1}",
                f"--use-list={chosen.name}",
                "--role=vector_admin",
                "--exit-on-error",
                f"--dbname={environment['PGDATABASE']}",
                dump,
            ],
            env=environment,
            check=True,
        )
    _drop(server_url, database)


def _restore(server_url: str, location: Location, export_id: str, settings: Settings) -> None:
    database = new_database(server_url)
    restore(database, location, export_id, settings=settings)
    _drop(server_url, database)


def _drop(server_url: str, database: Database) -> None:
    name = database.name.rpartition("/")[2]
    database.close()
    with psycopg.connect(server_url, autocommit=True) as superuser:
        superuser.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _checksums(server_url: str, sizes: Sizes) -> list[float]:
    database = new_database(server_url)
    some = VectorSource(dimensions=sizes.dimensions).take(min(sizes.summed, 100_000))
    with database.connect() as connection:
        leaf = new_leaf(connection, sizes.dimensions)
        repeated = -(-sizes.summed // len(some))
        fill(connection, leaf, some.repeat(repeated, axis=0)[: sizes.summed])
    checkpoint(server_url)
    seconds = []
    with database.connect() as connection:
        for _ in range(3):
            began = time.perf_counter()
            found = checksum(connection, "public", leaf.name)
            seconds.append(time.perf_counter() - began)
            assert found.rows == sizes.summed
    database.close()
    return seconds


def _program(name: str, connection: psycopg.Connection, settings: Settings) -> Program:
    return find(name, settings, at_least=connection.info.server_version // 10000)


def main() -> None:
    """Print a table of the ways; ROWS, SUMMED and ROUNDS say how much is measured."""
    sizes = Sizes(
        rows=number("ROWS", Sizes.rows),
        summed=number("SUMMED", Sizes.summed),
        rounds=number("ROUNDS", Sizes.rounds),
    )
    with own_server() as server_url, tempfile.TemporaryDirectory(prefix="glv-") as folder:
        figures = measure(server_url, sizes, Path(folder))
    table = Table(
        "way",
        title=f"{sizes.rows:,} embeddings of {sizes.dimensions} dimensions with their HNSW index,"
        f" {figures.size_bytes / 1e6:.0f} MB",
    )
    for column in ("seconds", "beside bare", "target"):
        table.add_column(column, justify="right")
    for bare, ours, way in (
        (figures.pg_dump, figures.export, "export"),
        (figures.pg_restore, figures.restore, "restore"),
    ):
        table.add_row(f"bare pg_{way.replace('export', 'dump')}", f"{median(bare):.1f}", "", "")
        table.add_row(way, f"{median(ours):.1f}", f"{median(ours) / median(bare):.2f}", f"{TARGET}")
    table.add_row(
        f"checksum of {sizes.summed:,} rows",
        f"{median(figures.checksum):.1f}",
        "",
        f"{TARGET_SECONDS:.0f} s",
    )
    console.print(table)
