"""`greenlang-vectors jobs`: runs of embedding work, and which of them nobody works at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from uuid import UUID

import click
from rich.markup import escape
from rich.table import Table

from greenlang_vectors.commands.common import as_json_option, errors, opened, output, print_json
from greenlang_vectors.settings import get_settings
from greenlang_vectors.store import jobs, namespaces
from greenlang_vectors.store.jobs import STUCK, Job

_STATUSES = ("running", "succeeded", "failed", "interrupted", STUCK)


@click.group("jobs")
def jobs_group() -> None:
    """Runs of embedding work."""


@jobs_group.command("list")
@click.option("--namespace", metavar="NAME", help="Only of this namespace.")
@click.option("--status", type=click.Choice(_STATUSES), help="Only those that are so.")
@click.option("--most", type=click.IntRange(1), default=20, show_default=True, metavar="N")
@as_json_option
def list_jobs(namespace: str | None, status: str | None, most: int, as_json: bool) -> None:
    """Show the newest jobs. A stuck one was killed; the next run of `ingest` goes on with it."""
    with opened(get_settings()) as database, database.connection() as connection:
        if namespace is not None:
            namespaces.get(connection, namespace)
        found = jobs.newest(connection, namespace, status, most=most)
    if as_json:
        print_json({"jobs": [asdict(job) for job in found]})
        return
    output.print(_table(found))
    if stuck := sorted({job.namespace for job in found if job.status == STUCK}):
        errors.print(
            f"Nobody works at the stuck ones any more: start the job ingest of {', '.join(stuck)}"
            " in Dagster, or wait for the schedule daily_refresh.",
            highlight=False,
        )


@jobs_group.command("show")
@click.argument("identity", metavar="ID", type=click.UUID)
@as_json_option
def show_job(identity: UUID, as_json: bool) -> None:
    """Show one job whole, with its error."""
    with opened(get_settings()) as database, database.connection() as connection:
        job = jobs.get(connection, identity)
    if as_json:
        print_json(asdict(job))
        return
    table = Table.grid(padding=(0, 2))
    for name, value in asdict(job).items():
        if value is not None:
            shown = _at(value) if isinstance(value, datetime) else str(value)
            table.add_row(name.replace("_", " "), escape(shown))
    output.print(table)


def _table(found: Sequence[Job]) -> Table:
    table = Table("started", "collection", "status", "chunks", "written", "failed", "seconds", "id")
    for job in found:
        seconds = ((job.completed_at or datetime.now(UTC)) - job.started_at).total_seconds()
        table.add_row(
            _at(job.started_at),
            job.collection or f"{job.namespace} (dropped)",
            job.status,
            str(job.source_count),
            str(job.processed_count),
            str(job.failed_count),
            f"{seconds:.1f}",
            str(job.id),
        )
    return table


def _at(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
