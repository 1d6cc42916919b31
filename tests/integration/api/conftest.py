"""A service over a real database: two tenants with documents of their own, and keys."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from uuid import uuid4

import psycopg
import pytest
import uvicorn
from starlette.testclient import TestClient

from greenlang_vectors.api.app import create_app
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.progress import silent
from greenlang_vectors.settings import Settings
from greenlang_vectors.stages.pipeline import fill
from greenlang_vectors.store import api_keys, namespaces
from greenlang_vectors.store.api_keys import Scope
from greenlang_vectors.store.database import Database

TEXTS = {
    "cement.txt": "Cement plants report the carbon dioxide of clinker.\n\nKilns burn fuel.",
    "steel/plants.md": "# Steel\n\nBlast furnaces emit carbon dioxide when iron is made.",
    "page.html": "<html><body><h1>Hydrogen</h1><p>It is made by electrolysis.</p></body></html>",
}


@dataclass
class Tenants:
    """Two namespaces with a folder each, and what opens them.

    Attributes:
        our_key: reads and writes ours; `reader` only reads it, `their_key` is of theirs.
    """

    ours: str
    theirs: str
    folder: Path
    their_folder: Path
    our_key: str
    reader: str
    their_key: str
    admin: str


Refill = Callable[[str], None]
Client = Callable[[str], TestClient]


@pytest.fixture(scope="module")
def refill(database: Database, toys: Embedders, data_dir: Path) -> Refill:
    """Runs the stages of a namespace, as the pipeline does once the sensor has seen a file."""

    def run(namespace: str) -> None:
        fill(
            database,
            namespace,
            embedders=toys,
            settings=Settings(data_dir=data_dir),
            progress=lambda _: silent,
        )

    return run


@pytest.fixture(scope="module")
def tenants(
    database: Database, refill: Refill, tmp_path_factory: pytest.TempPathFactory
) -> Tenants:
    ours, theirs = f"ours{uuid4().hex[:6]}", f"theirs{uuid4().hex[:6]}"
    folders = {name: tmp_path_factory.mktemp(name) for name in (ours, theirs)}
    for name, folder in folders.items():
        for key, text in TEXTS.items():
            (folder / key).parent.mkdir(exist_ok=True)
            (folder / key).write_text(text)
        with database.connect() as connection:
            namespaces.register(connection, name, source_uri=str(folder))
        refill(name)
    with database.connect() as connection:
        return Tenants(
            ours,
            theirs,
            folders[ours],
            folders[theirs],
            our_key=new_key(connection, [ours], ["read", "write"]),
            reader=new_key(connection, [ours], ["read"]),
            their_key=new_key(connection, [theirs], ["read", "write"]),
            admin=new_key(connection, ["*"], ["admin"]),
        )


def new_key(
    connection: psycopg.Connection, for_namespaces: Sequence[str], scopes: Sequence[Scope]
) -> str:
    return api_keys.create(connection, "test", for_namespaces=for_namespaces, scopes=scopes)[1]


@pytest.fixture(scope="module")
def api_settings(data_dir: Path) -> Settings:
    return Settings(
        data_dir=data_dir,
        api_rate_limit="100000/second",
        api_max_request_bytes=2**28,
        max_document_bytes=200_000,
    )


@pytest.fixture(scope="module")
def service(database: Database, toys: Embedders, api_settings: Settings) -> Iterator[TestClient]:
    """The service, called without a credential."""
    app = create_app(database, api_settings, embedders=toys)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def bearer(service: TestClient) -> Client:
    """The service, called with a key."""

    def client(key: str) -> TestClient:
        made = TestClient(
            service.app,
            headers={"Authorization": f"Bearer {key}"},
            raise_server_exceptions=False,
        )
        made.portal = service.portal
        return made

    return client


@pytest.fixture
def us(bearer: Client, tenants: Tenants) -> TestClient:
    """The service, called by the holder of our key."""
    return bearer(tenants.our_key)


@pytest.fixture(scope="module")
def live(database: Database, toys: Embedders, api_settings: Settings) -> Iterator[str]:
    """Where a real server of the service listens."""
    listening = socket.create_server(("127.0.0.1", 0))
    app = create_app(database, api_settings, embedders=toys)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None))
    thread = Thread(target=server.run, args=([listening],))
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    listening.close()
