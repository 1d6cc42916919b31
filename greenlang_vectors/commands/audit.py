"""`greenlang-vectors audit`: who changed which embeddings, and pgaudit."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, get_args
from uuid import UUID

import click
from rich.markup import escape
from rich.table import Table

from greenlang_vectors.commands.common import as_json_option, errors, opened, output, print_json
from greenlang_vectors.settings import get_settings
from greenlang_vectors.store import audit, namespaces


def _moment(
    _context: click.Context, _parameter: click.Parameter, text: str | None
) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is not an ISO 8601 time, such as 2026-11-22T14:00."
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@click.group("audit")
def audit_group() -> None:
    """Who changed which embeddings, and when."""


@audit_group.command("list")
@click.option("--namespace", default="default", show_default=True, help="It may be gone by now.")
@click.option(
    "--operation",
    type=click.Choice(get_args(audit.Operation), case_sensitive=False),
    help="Only this one.",
)
@click.option("--since", metavar="ISO", callback=_moment, help="Only from this time on (UTC).")
@click.option("--id", "embedding", type=click.UUID, help="The history of this embedding.")
@click.option(
    "--limit", type=click.IntRange(1), default=50, show_default=True, help="The most records."
)
@as_json_option
def list_records(
    namespace: str,
    operation: audit.Operation | None,
    since: datetime | None,
    embedding: UUID | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show the newest records of a namespace, or with --id what became of one embedding."""
    with opened(get_settings()) as database, database.connection() as connection:
        found: list[audit.AuditRecord] | list[audit.EmbeddingChange]
        if embedding is None:
            found = audit.records(
                connection, namespace, operation=operation, since=since, limit=limit
            )
        else:
            found = audit.history(
                connection, namespace, embedding, operation=operation, since=since, limit=limit
            )
        if not found:
            namespaces.get(connection, namespace)
    if as_json:
        about = {} if embedding is None else {"id": embedding}
        print_json({"namespace": namespace, **about, "records": [asdict(one) for one in found]})
    elif found:
        output.print(_table(found))
    else:
        errors.print("Nothing is recorded.")


@audit_group.command("configure")
def configure() -> None:
    """Have pgaudit log writes and DDL where the server has it."""
    with opened(get_settings()) as database, database.connection() as connection:
        output.print(audit.configure_pgaudit(connection), highlight=False)


def _table(found: list[audit.AuditRecord] | list[audit.EmbeddingChange]) -> Table:
    table = Table("when", "who", "operation", "model")
    if isinstance(found[0], audit.AuditRecord):
        table.add_column("embeddings", justify="right")
    else:
        table.add_column("old")
        table.add_column("new")
    for one in found:
        what = (
            [f"{one.embeddings:,}"]
            if isinstance(one, audit.AuditRecord)
            else [
                _content(one.old_hash, one.old_metadata),
                _content(one.new_hash, one.new_metadata),
            ]
        )
        table.add_row(
            f"{one.changed_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
            one.changed_by
            if one.changed_by == one.acting_as
            else f"{one.changed_by} as {one.acting_as}",
            one.operation,
            one.model,
            *what,
        )
    return table


def _content(content_hash: str | None, metadata: dict[str, Any] | None) -> str:
    parts = [] if content_hash is None else [content_hash[:12]]
    parts += [f"{key}={value}" for key, value in (metadata or {}).items()]
    return escape("\n".join(parts))
