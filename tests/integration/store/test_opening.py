"""Opening a database: the embedded server, migrations, and errors a person understands."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from greenlang_vectors.errors import DatabaseUnavailable
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import embedded, schema
from greenlang_vectors.store.database import ensure_database, open_database

pytestmark = pytest.mark.integration


def test_opening_again_finds_the_same_server_and_schema(settings: Settings) -> None:
    first, second = open_database(settings), open_database(settings)
    assert first.url == second.url
    with second.connect() as connection:
        assert schema.current(connection) == schema.head()


def test_the_server_is_sized_for_the_machine(server: str) -> None:
    with psycopg.connect(server) as connection:
        row = connection.execute(
            "SELECT pg_size_bytes(current_setting('shared_buffers')),"
            " pg_size_bytes(current_setting('maintenance_work_mem'))"
        ).fetchone()
    assert row is not None
    assert row > (128 * 2**20, 64 * 2**20)


def test_many_may_migrate_a_new_database_at_once(server: str) -> None:
    url = ensure_database(server, "migrated_by_many")

    def migrate(_: int) -> str | None:
        with psycopg.connect(url, autocommit=True) as connection:
            schema.migrate(connection)
            return schema.current(connection)

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(migrate, range(4))) == {schema.head()}


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:hunter2@127.0.0.1:1/nowhere",
        "postgresql://user:hunter2@127.0.0.1:notaport/nowhere",
        "hunter2",
    ],
)
def test_a_database_that_cannot_be_reached_is_named_without_the_password(url: str) -> None:
    with pytest.raises(DatabaseUnavailable) as caught:
        open_database(Settings(database_url=SecretStr(url)))
    assert "GREENLANG_DATABASE_URL" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_stopped_server_comes_up_again_with_its_data(own_data_dir: Path) -> None:
    url = embedded.start(own_data_dir)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (x integer)")
    assert embedded.stop(own_data_dir) is True
    assert embedded.stop(own_data_dir) is False
    with psycopg.connect(embedded.start(own_data_dir)) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
