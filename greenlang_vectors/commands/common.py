"""What every command shares: where it writes, how it opens the database, `--json`, progress."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBars

from greenlang_vectors.errors import UsageError
from greenlang_vectors.progress import Progress
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import Database, open_database

as_json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON and nothing else."
)

PIPED_WIDTH = 200
"""Columns where no terminal says how many it has: a table that is piped is not cut short."""


def _console(stream: TextIO, *, stderr: bool = False) -> Console:
    return Console(stderr=stderr, width=None if stream.isatty() else PIPED_WIDTH)


errors = _console(sys.stderr, stderr=True)
output = _console(sys.stdout)


@contextmanager
def opened(settings: Settings) -> Iterator[Database]:
    """The database of these settings, closed at the end."""
    database = open_database(settings)
    try:
        yield database
    finally:
        database.close()


def embedders_of(database: Database, settings: Settings) -> Any:  # noqa: ANN401 - loads slowly
    """What opens the embedders of collections (`embedding.embedders.Embedders`)."""
    from greenlang_vectors.embedding import embedders  # noqa: PLC0415

    return embedders.embedders_of(
        database, settings, cache_seconds=settings.embedding_cache_seconds
    )


def bars() -> ProgressBars:
    """Progress bars on standard error."""
    return ProgressBars(
        TextColumn("{task.description:>14}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TimeElapsedColumn(),
        console=errors,
    )


def bar(shown: ProgressBars, title: str) -> Progress:
    """A listener that moves a bar of its own, which appears when there is something to show."""
    tasks: list[TaskID] = []

    def report(done: int, total: int, unit: str) -> None:
        if not tasks:
            tasks.append(shown.add_task(title, total=None, unit=unit))
        shown.update(tasks[0], completed=done, total=total, unit=unit)

    return report


def cannot_listen(host: str, port: int, error: OSError | UnicodeError) -> UsageError:
    """What it means that an address is taken, or is none of this machine's."""
    reason = error.strerror if isinstance(error, OSError) else "no such name"
    return UsageError(
        f"Port {port} on {host} cannot be served: {reason}.",
        "Choose another with --port, or stop what listens there.",
    )


def print_json(value: object) -> None:
    """The value as JSON on standard output."""
    json.dump(value, sys.stdout, ensure_ascii=False, indent=2, default=str)
    sys.stdout.write("\n")
