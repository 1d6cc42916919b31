"""A stand-in server for each test, and official clients connected to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import weaviate

from local.weaviate_server.server import WeaviateServer

Connect = Callable[..., weaviate.WeaviateClient]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Connect the official client to a server; every client is closed in the end."""
    with ExitStack() as clients:

        def connected(server: WeaviateServer, **options: object) -> weaviate.WeaviateClient:
            client = weaviate.connect_to_custom(
                "127.0.0.1",
                server.http_port,
                False,
                "127.0.0.1",
                server.grpc_port,
                False,
                **{"skip_init_checks": True, **options},
            )
            return clients.enter_context(client)

        yield connected


@pytest.fixture
def server() -> Iterator[WeaviateServer]:
    with WeaviateServer() as started:
        yield started


@pytest.fixture
def client(server: WeaviateServer, connect: Connect) -> weaviate.WeaviateClient:
    return connect(server)
