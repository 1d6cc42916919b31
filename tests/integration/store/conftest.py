"""The server with TLS that tests of connections share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ...tls_server import INSTALLED, TlsServer, tls_server


@pytest.fixture(scope="session")
def secure() -> Iterator[TlsServer]:
    if not INSTALLED:
        pytest.skip("no PostgreSQL with TLS on this machine (apt install postgresql)")
    with tls_server() as made:
        yield made
