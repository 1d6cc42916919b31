"""The two tenants, and connections of their logins."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest

from greenlang_vectors.store import leaves, namespaces, roles
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.leaves import Leaf

from ...conftest import wait_until_gone
from .tenants import DIMENSIONS, MODEL, PASSWORD, Connect, Tenants, fill, url_of


@pytest.fixture(scope="module")
def superuser(server: str, database: Database) -> Iterator[psycopg.Connection]:
    url = urlunsplit(urlsplit(server)._replace(path=urlsplit(database.url).path))
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def tenants(database: Database, superuser: psycopg.Connection) -> Tenants:
    made = Tenants(f"ours-{uuid4().hex[:6]}", f"theirs-{uuid4().hex[:6]}")
    for name in (made.ours, made.theirs):
        with database.connect() as connection:
            namespaces.register(connection, name)
            leaves.ensure_leaf(connection, Leaf(name, MODEL, DIMENSIONS))
        fill(superuser, name)
    return made


@pytest.fixture(scope="module")
def connect(database: Database) -> Iterator[Connect]:
    """Connects as a fresh login with these rights: (role, namespace or None), ..."""
    opened: dict[str, psycopg.Connection] = {}

    def as_login(*rights: tuple[roles.Right, str | None]) -> psycopg.Connection:
        login = f"t_{uuid4().hex[:10]}"
        with database.connect() as connection:
            for right, namespace in rights:
                where = [namespace] if namespace else []
                roles.create_login(connection, login, right, where, PASSWORD)
        opened[login] = psycopg.connect(url_of(database, login), autocommit=True)
        return opened[login]

    yield as_login
    with database.connect() as connection:
        for tenant in opened.values():
            tenant.close()
        wait_until_gone(connection, list(opened))
        for login in opened:
            roles.drop_login(connection, login)


@pytest.fixture(scope="module")
def reader(connect: Connect, tenants: Tenants) -> psycopg.Connection:
    return connect(("reader", tenants.ours))


@pytest.fixture(scope="module")
def writer(connect: Connect, tenants: Tenants) -> psycopg.Connection:
    return connect(("writer", tenants.ours))
