"""`schema upgrade`: a database of any age has this version's schema afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from greenlang_vectors.settings import get_settings
from greenlang_vectors.store import embedded, schema

pytestmark = pytest.mark.integration


def test_an_empty_database_is_upgraded_and_a_current_one_left_alone(
    cli: Callable[..., Any], server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = embedded.owned_database(server, f"empty_{uuid4().hex[:8]}")
    monkeypatch.setenv("GREENLANG_DATABASE_URL", url)
    get_settings.cache_clear()
    with psycopg.connect(url, autocommit=True) as connection:
        assert schema.current(connection) is None
        for _ in range(2):
            result = cli("schema", "upgrade", "--json")
            assert result.code == 0
            assert result.json["schema"] == schema.head() == schema.current(connection)
    assert result.json["pgvector"].startswith("0.")
    said = cli("schema", "upgrade")
    assert (said.code, said.out) == (0, "")
    assert f"version {schema.head()}" in said.said
