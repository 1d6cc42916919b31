"""How client programs are told whom to ask: secrets by the environment, the rest as it comes."""

from __future__ import annotations

import pytest

from greenlang_vectors.backup.programs import access


def test_a_password_goes_to_the_environment() -> None:
    environment, left = access(
        "host=db.example port=5433 user=u password='a b' dbname=d sslmode=verify-full"
        " keepalives_idle=10 options='-c role=x' sslpassword=other"
    )
    assert environment["PGPASSWORD"] == "a b"
    assert environment["PGHOST"] == "db.example"
    assert environment["PGPORT"] == "5433"
    assert environment["PGDATABASE"] == "d"
    assert environment["PGSSLMODE"] == "verify-full"
    assert environment["PGOPTIONS"] == "-c role=x"
    assert left == "keepalives_idle=10"


def test_what_the_environment_says_already_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSFILE", "/run/secrets/pgpass")
    environment, left = access("host=h dbname=d")
    assert environment["PGPASSFILE"] == "/run/secrets/pgpass"
    assert "PGPASSWORD" not in environment or environment["PGPASSWORD"] == ""
    assert left == ""
