"""The schema and its version: migrations are numbered files under `migrations/versions`.

Alembic applies them; it is imported only when there is something to apply.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, cast

import psycopg

from greenlang_vectors.errors import SchemaTooNew
from greenlang_vectors.store.locks import exclusive

MIGRATIONS = Path(__file__).parent / "migrations"


class Versions(NamedTuple):
    """What a database runs on, as PostgreSQL says it."""

    server: str
    pgvector: str


def versions(connection: psycopg.Connection) -> Versions:
    """The versions of the server and of its extension `vector`."""
    row = connection.execute(
        """
        SELECT current_setting('server_version'),
               (SELECT extversion FROM pg_extension WHERE extname = 'vector')
        """
    ).fetchone()
    return Versions(*cast("tuple[str, str]", row))


def head() -> str:
    """The newest schema version this code knows."""
    return max(path.name.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def current(connection: psycopg.Connection) -> str | None:
    """The schema version of the database, None before the first migration."""
    row = connection.execute("SELECT to_regclass('alembic_version')").fetchone()
    if row is None or row[0] is None:
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def migrate(connection: psycopg.Connection) -> None:
    """Bring the database to `head()`; any number of processes may call it at once.

    Raises:
        SchemaTooNew: a newer version of this product has changed it; nothing was done.
        psycopg.Error: what the database refused, as PostgreSQL says it.
    """
    found = current(connection)
    if found == head():
        return
    if found is not None and found > head():
        raise SchemaTooNew(
            f"The database has schema {found}; this version knows {head()} at most.",
            "Install the version that changed it, or restore an export from before.",
        )
    with exclusive(connection, "schema"):
        if current(connection) != head():
            _upgrade(connection)


def _upgrade(connection: psycopg.Connection) -> None:
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from sqlalchemy import create_engine  # noqa: PLC0415
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415
    from sqlalchemy.pool import NullPool  # noqa: PLC0415

    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(
            connection.info.dsn, password=connection.info.password or None
        ),
        poolclass=NullPool,
    )
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    try:
        with engine.begin() as bound:
            config.attributes["connection"] = bound
            command.upgrade(config, "head")
    except DBAPIError as error:
        raise error.orig or error from None
