"""The server with TLS that tests of connections share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ...tls_server import HOST, INSTALLED, TlsServer, tls_server


@pytest.fixture(scope="session")
def tls_session() -> Iterator[TlsServer]:
    if not INSTALLED:
        pytest.skip("no PostgreSQL with TLS on this machine (apt install postgresql)")
    with tls_server() as made:
        yield made


@pytest.fixture
def secure(tls_session: TlsServer) -> Iterator[TlsServer]:
    """Presents a certificate that is good, whatever the test before left."""
    presented = tls_session.certificate.read_bytes()
    yield tls_session
    if tls_session.certificate.read_bytes() != presented:
        tls_session.present(*tls_session.authority.certify(HOST, "127.0.0.1"))
