"""Fixtures every test may use: the real data, a real server, a fresh database."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from benchmarks import redis_server
from benchmarks.redis_server import RedisServer
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import embedded, schema
from greenlang_vectors.store.database import Database

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real regulations and retrieval set, where this machine has them."""
    data = REPOSITORY.parent / "shared" / "data"
    if not data.is_dir():
        pytest.skip("real regulations are not on this machine (../shared/data)")
    return data


@pytest.fixture(scope="session")
def data_dir() -> Iterator[Path]:
    """A data directory of the test session's own; its server is stopped at the end."""
    folder = Path(tempfile.mkdtemp(prefix="glv-"))
    yield folder
    embedded.stop(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def own_data_dir() -> Iterator[Path]:
    """A data directory whose server the test may stop."""
    with tempfile.TemporaryDirectory(prefix="glv-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
        embedded.stop(Path(folder))


@pytest.fixture(scope="session")
def server(data_dir: Path) -> str:
    """URL of a running embedded PostgreSQL + pgvector; it need not survive a power cut."""
    url = embedded.start(data_dir)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
    return url


@pytest.fixture(scope="session")
def new_database(server: str) -> Callable[[], str]:
    """Makes databases with the current schema, opened by their owner, who is no superuser.

    The schema is made once; each database is a copy, which takes a tenth of the time.
    """
    original = embedded.owned_database(server, "original")
    with psycopg.connect(original, autocommit=True) as connection:
        schema.migrate(connection)
    copied = sql.SQL("CREATE DATABASE {} TEMPLATE original OWNER {}")

    def create() -> str:
        name = f"test_{uuid4().hex[:12]}"
        with psycopg.connect(server, autocommit=True) as superuser:
            superuser.execute(copied.format(sql.Identifier(name), sql.Identifier(embedded.OWNER)))
        return urlunsplit(urlsplit(original)._replace(path=f"/{name}"))

    return create


@pytest.fixture(scope="module")
def database(new_database: Callable[[], str]) -> Iterator[Database]:
    """An empty database for one test module."""
    database = Database(new_database())
    yield database
    database.close()


@pytest.fixture
def settings(data_dir: Path) -> Settings:
    """Default settings over the test session's data directory."""
    return Settings(data_dir=data_dir)


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis that the test starts, as it needs it."""
    if redis_server.PROGRAM is None:
        pytest.skip("Redis is not on this machine (apt install redis-server)")
    with redis_server.redis_server() as made:
        yield made


@pytest.fixture(scope="session")
def running_redis() -> Iterator[RedisServer]:
    """A Redis for all tests, each of which empties it first."""
    if redis_server.PROGRAM is None:
        pytest.skip("Redis is not on this machine (apt install redis-server)")
    with redis_server.redis_server() as made:
        made.start()
        yield made


@pytest.fixture(scope="session")
def aws_endpoint() -> Iterator[str]:
    """A stand-in for AWS, over HTTP."""
    pytest.importorskip("boto3", reason="needs the extra aws")
    moto = pytest.importorskip("moto.server", reason="needs moto[server]")
    running = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def aws_server(aws_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS's clients ask the stand-in."""
    for name, value in {
        "AWS_ENDPOINT_URL": aws_endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }.items():
        monkeypatch.setenv(name, value)
