"""The PgBouncer of deploy/kubernetes: a real one with its settings, searched through by TLS 1.3."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import numpy as np
import psycopg
import pytest

from greenlang_vectors.search.nearest import nearest
from greenlang_vectors.store import embedded
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.index_settings import IndexSettings
from greenlang_vectors.store.leaves import Leaf

from ...pooler import PROGRAM, PgBouncer
from ...replication import folder
from ...tls_server import Authority

pytestmark = pytest.mark.integration

CLUSTERS_OWN = ("%include", "[pgbouncer]", "listen_addr", "listen_port", "auth_file")
"""Settings of which the pooler of the tests has its own."""


def settings(repository: Path, place: Path) -> str:
    """pgbouncer.ini with its files in this folder."""
    ini = (repository / "deploy" / "kubernetes" / "base" / "pgbouncer.ini").read_text()
    for mounted in ("/etc/pgbouncer-tls", "/etc/rds"):
        assert mounted in ini
        ini = ini.replace(mounted, str(place))
    return "\n".join(line for line in ini.splitlines() if not line.startswith(CLUSTERS_OWN))


@pytest.fixture(scope="module")
def pooled(database: Database, server: str, repository: Path) -> Iterator[Database]:
    """The module's database, as the API reaches it in the cluster."""
    if PROGRAM is None:
        pytest.skip("PgBouncer is not on this machine (apt install pgbouncer)")
    with folder() as place:
        sockets = Path(parse_qs(urlsplit(server).query)["host"][0])
        authority = Authority("the cluster's own")
        key, certificate = authority.certify("127.0.0.1")
        files = {
            "tls.key": key,
            "tls.crt": certificate,
            "ca.crt": authority.pem,
            "global-bundle.pem": authority.pem,
        }
        for name, content in files.items():
            (place / name).write_bytes(content)
            os.chown(place / name, sockets.stat().st_uid, -1)
        pooler = PgBouncer(
            place,
            sockets,
            [embedded.OWNER],
            uuid4().hex,
            settings=settings(repository, place),
        )
        pooler.start()
        url = pooler.url(database.url, embedded.OWNER)
        made = Database(f"{url}?sslmode=verify-full&sslrootcert={place / 'ca.crt'}")
        try:
            yield made
        finally:
            made.close()
            pooler.stop()


def test_a_search_goes_through_it(
    pooled: Database,
    leaf: Leaf,
    add_document: Callable[..., object],
    embed_all: Callable[[psycopg.Connection, Leaf], int],
) -> None:
    with pooled.connection() as connection:
        add_document(connection, leaf.namespace, "a", [f"Passage {n}." for n in range(20)])
        assert embed_all(connection, leaf) == 20
    query = np.ones(leaf.dimensions, dtype=np.float32)
    with pooled.reading() as connection:
        found = nearest(connection, leaf, query, 5, index=IndexSettings())
        assert connection.pgconn.ssl_in_use
    assert len(found.candidates) == 5


def test_nobody_enters_without_tls(pooled: Database) -> None:
    bare = pooled.url.partition("?")[0]
    with pytest.raises(psycopg.OperationalError, match="SSL required"):
        psycopg.connect(f"{bare}?sslmode=disable")


def test_it_does_not_end_what_takes_less_than_30_seconds(pooled: Database) -> None:
    with pooled.connect() as connection:
        assert connection.execute("SELECT 1 FROM pg_sleep(2.5)").fetchone() == (1,)
