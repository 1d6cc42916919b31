"""`schema`: the version of the database's tables, brought up to that of this program."""

from __future__ import annotations

import click

from greenlang_vectors.commands.common import as_json_option, errors, opened, print_json
from greenlang_vectors.settings import get_settings
from greenlang_vectors.store import schema


@click.group("schema")
def schema_group() -> None:
    """The version of the database's tables."""


@schema_group.command("upgrade")
@as_json_option
def upgrade(as_json: bool) -> None:
    """Bring the database to the schema of this version, as the owner of the database.

    Every command does so where its login may; a deployment does it once, before its services start
    with logins that may not. Repeating it changes nothing.
    """
    with opened(get_settings()) as database, database.connect() as connection:
        version = schema.current(connection)
        runs_on = schema.versions(connection)
    if as_json:
        print_json({"schema": version, "server": runs_on.server, "pgvector": runs_on.pgvector})
    else:
        errors.print(
            f"The schema is version {version}, on PostgreSQL {runs_on.server} with pgvector"
            f" {runs_on.pgvector}.",
            highlight=False,
        )
