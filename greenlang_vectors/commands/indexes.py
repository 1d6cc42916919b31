"""`greenlang-vectors indexes`: what serves, what it would take to build, and mending it."""

from __future__ import annotations

from dataclasses import asdict

import click
import psycopg
from rich.table import Table

from greenlang_vectors.commands.common import (
    as_json_option,
    bar,
    bars,
    errors,
    opened,
    output,
    print_json,
)
from greenlang_vectors.errors import UsageError
from greenlang_vectors.settings import get_settings
from greenlang_vectors.store import collections, index_health, indexes, leaves, segments
from greenlang_vectors.store.collections import Collection
from greenlang_vectors.store.index_estimates import IndexEstimate, estimate
from greenlang_vectors.store.index_settings import resolved
from greenlang_vectors.store.locks import exclusive
from greenlang_vectors.store.maintenance import maintain

MIB = 2**20


@click.group("indexes")
def indexes_group() -> None:
    """The ANN indexes of a collection (NAMESPACE means the one that serves it)."""


@indexes_group.command("list")
@click.argument("collection")
@as_json_option
def list_indexes(collection: str, as_json: bool) -> None:
    """Show each index of COLLECTION: rows, size, bloat, and what to do about it."""
    with opened(get_settings()) as database, database.connection() as connection:
        found = index_health.health(connection, chosen(connection, collection).leaf)
    if as_json:
        print_json({"collection": collection, "indexes": [asdict(each) for each in found]})
        return
    table = Table("index", "kind", "segments", "rows", "MiB", "bloat", "dead", "advice")
    for each in found:
        end = "…" if each.last is None else str(each.last)
        table.add_row(
            each.name or "",
            f"{each.kind} {each.storage}",
            f"{each.first} to {end}",
            f"{each.rows:,}",
            f"{each.size_bytes / MIB:,.1f}",
            "" if each.bloat is None else f"{each.bloat:.2f}",
            f"{each.dead_share:.0%}",
            each.advice,
        )
    output.print(table)


@indexes_group.command("estimate")
@click.argument("collection")
@click.option("--rows", type=click.IntRange(1), help="For so many rows instead of those it has.")
@as_json_option
def estimate_build(collection: str, rows: int | None, as_json: bool) -> None:
    """Say how large the index of COLLECTION would be, and what memory and time a build takes."""
    settings = get_settings()
    with opened(settings) as database, database.connection() as connection:
        asked = chosen(connection, collection)
        count = rows or leaves.count(connection, asked.leaf)
        index = resolved(asked.index, settings.index, count)
        expected = estimate(connection, index, asked.dimensions, count)
    if as_json:
        print_json({"collection": asked.name, "settings": index.as_json(), **asdict(expected)})
        return
    _print_estimate(asked, expected, settings.index_build_memory_mb)


@indexes_group.command("maintain")
@click.argument("collection")
@as_json_option
def maintain_indexes(collection: str, as_json: bool) -> None:
    """Build, merge and drop indexes of COLLECTION until they are as its rows want them."""
    settings = get_settings()
    with opened(settings) as database:
        with database.connection() as connection:
            leaf = chosen(connection, collection).leaf
        with bars() as shown:
            report = maintain(database, leaf, settings, bar(shown, "indexes"))
    if as_json:
        print_json({"collection": collection, **asdict(report)})
        return
    for what, names in (("Built", report.built), ("Dropped", report.dropped)):
        for name in names:
            errors.print(f"{what} {name}.")
    errors.print(f"{len(report.segments)} segments; {report.tail_rows} rows above the last index.")


@indexes_group.command("rebuild")
@click.argument("collection")
def rebuild_indexes(collection: str) -> None:
    """Build every index of COLLECTION anew beside the old one, then swap them; searches go on."""
    settings = get_settings()
    with opened(settings) as database, database.connect() as connection:
        leaf = chosen(connection, collection).leaf
        with exclusive(connection, "index build"), bars() as shown:
            for index in segments.on_leaf(connection, leaf):
                if index.valid:
                    indexes.rebuild(
                        connection, database, index, settings, bar(shown, index.name[:20])
                    )
    errors.print(f"The indexes of {collection} are built anew.")


def chosen(connection: psycopg.Connection, name: str) -> Collection:
    """The collection of this name, or the one that serves the namespace of this name.

    Raises:
        UsageError: there is none.
    """
    if "/" in name:
        return collections.get(connection, name)
    found = collections.serving(connection, name)
    if found is None:
        raise UsageError(
            f"No collection serves a namespace {name!r}.",
            "`greenlang-vectors collections list` shows those that are there.",
        )
    return found


def _print_estimate(asked: Collection, expected: IndexEstimate, memory_mb: int) -> None:
    table = Table(title=f"{asked.name}: {expected.rows:,} rows", show_header=False)
    table.add_row("on disk", f"{expected.size_bytes / MIB:,.0f} MiB")
    table.add_row("memory to build", f"{expected.memory_bytes / MIB:,.0f} MiB")
    source = "measured here" if expected.measured else "typical of two cores"
    table.add_row("time", f"{expected.seconds:,.0f} s ({source})")
    output.print(table)
    if expected.warning:
        errors.print(f"Warning: {expected.warning}")
    if expected.memory_bytes > memory_mb * MIB:
        errors.print(
            f"Warning: a build may take {memory_mb} MiB (GREENLANG_INDEX_BUILD_MEMORY_MB); "
            "what does not fit goes on slower, on disk."
        )
