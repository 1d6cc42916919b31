"""The database: opened when a run, a schedule or a sensor begins, closed when it ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from greenlang_vectors.settings import get_settings
from greenlang_vectors.store.database import Database, open_database


class DatabaseResource(dg.ConfigurableResource[Database]):
    """PostgreSQL with pgvector: GREENLANG_DATABASE_URL, or the embedded server when unset."""

    def create_resource(self, context: dg.InitResourceContext) -> Database:  # noqa: ARG002
        """The database, running and with the current schema."""
        return open_database(get_settings())

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Database]:
        """The database, its connections closed at the end."""
        database = self.create_resource(context)
        try:
            yield database
        finally:
            database.close()
