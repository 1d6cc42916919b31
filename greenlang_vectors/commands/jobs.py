"""`greenlang-vectors jobs`: runs of embedding work, and which of them nobody works at."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import get_args
from uuid import UUID

import click
from rich.markup import escape
from rich.table import Table

from greenlang_vectors.commands.common import as_json_option, errors, opened, output, print_json
from greenlang_vectors.settings import get_settings
from greenlang_vectors.store import jobs, namespaces
from greenlang_vectors.store.jobs import STUCK, Job, Status

_STATUSES = get_args(Status)


@click.group("jobs")
def jobs_group() -> None:
    """Runs of embedding work, and writes of applications."""


@jobs_group.command("list")
@click.option("--namespace", metavar="NAME", help="Only of this namespace.")
@click.option("--status", type=click.Choice(_STATUSES), help="Only those that are so.")
@click.option("--most", type=click.IntRange(1), default=20, show_default=True, metavar="N")
@as_json_option
def list_jobs(namespace: str | None, status: Status | None, most: int, as_json: bool) -> None:
    """Show the newest jobs. A stuck one was killed; the next run of its work goes on with it."""
    with opened(get_settings()) as database, database.connection() as connection:
        among = None if namespace is None else [namespaces.get(connection, namespace).name]
        found = jobs.newest(connection, among, status, most=most)
    if as_json:
        print_json({"jobs": [job.as_json() for job in found]})
        return
    output.print(_table(found))
    if commands := dict.fromkeys(job.resume for job in found if job.status == STUCK):
        errors.print("Nobody works at the stuck ones any more. What goes on with them:")
        for command in filter(None, commands):
            errors.print(f"    {command}", soft_wrap=True, highlight=False, markup=False)


@jobs_group.command("show")
@click.argument("identity", metavar="ID", type=click.UUID)
@as_json_option
def show_job(identity: UUID, as_json: bool) -> None:
    """Show one job whole, with its error and the command that does what is left of it."""
    with opened(get_settings()) as database, database.connection() as connection:
        job = jobs.get(connection, identity)
    _show(job, as_json)


@jobs_group.command("dismiss")
@click.argument("identity", metavar="ID", type=click.UUID)
@as_json_option
def dismiss_job(identity: UUID, as_json: bool) -> None:
    """Note a stuck job as interrupted, where nobody is to go on with it."""
    with opened(get_settings()) as database, database.connection() as connection:
        job = jobs.dismiss(connection, identity)
    _show(job, as_json)


def _show(job: Job, as_json: bool) -> None:
    if as_json:
        print_json(job.as_json())
        return
    table = Table.grid(padding=(0, 2))
    for name, value in job.as_json().items():
        if value is not None:
            shown = _at(value) if isinstance(value, datetime) else str(value)
            table.add_row(name.replace("_", " "), escape(shown))
    output.print(table)


def _table(found: Sequence[Job]) -> Table:
    table = Table(
        *("started", "collection", "from", "status", "passages", "stored", "failed"),
        *("seconds", "id"),
    )
    for job in found:
        seconds = ((job.completed_at or datetime.now(UTC)) - job.started_at).total_seconds()
        table.add_row(
            _at(job.started_at),
            job.collection or job.namespace,
            job.source_type,
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
