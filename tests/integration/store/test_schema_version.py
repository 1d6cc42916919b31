"""A database that a newer version has changed is left alone."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from pydantic import SecretStr

from greenlang_vectors.errors import SchemaTooNew
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import schema
from greenlang_vectors.store.database import open_database

pytestmark = pytest.mark.integration


def test_a_newer_schema_is_refused_in_one_line(new_database: Callable[[], str]) -> None:
    url = new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(SchemaTooNew, match=f"schema 9999; this version knows {schema.head()}"):
            open_database(Settings(database_url=SecretStr(url)))
        assert schema.current(connection) == "9999"
