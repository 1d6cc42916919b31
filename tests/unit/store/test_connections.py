"""What every connection is told, and what is said of it."""

from __future__ import annotations

import pytest
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from greenlang_vectors.errors import DatabaseUnavailable
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.connections import Access
from greenlang_vectors.store.database import reader_urls


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://me:hunter2@db.example:6543/vectors", "db.example:6543/vectors"),
        ("postgresql://me:hunter2@a,b:6543/vectors", "a:5432,b:6543/vectors"),
        ("postgresql://a,b/vectors?password=hunter2", "a:5432,b:5432/vectors"),
        ("postgresql://me@/vectors?host=/run/pg&port=5433", "/run/pg:5433/vectors"),
        ("host=a,b port=6543 dbname=vectors password=hunter2", "a:6543,b:6543/vectors"),
    ],
)
def test_a_database_is_named_by_its_hosts_and_never_its_password(url: str, name: str) -> None:
    access = Access(url)
    assert access.name == name
    assert "hunter2" not in repr(access)


def test_no_connection_may_wait_for_ever() -> None:
    made = conninfo_to_dict(Access("postgresql://me@db/vectors").conninfo(3))
    assert made["connect_timeout"] == "3"
    assert made["keepalives"] == "1"
    assert int(str(made["keepalives_idle"])) + 15 <= 25
    assert made["tcp_user_timeout"] == "20000"


def test_what_a_url_says_itself_goes_first() -> None:
    url = "postgresql://me@db/vectors?connect_timeout=7&tcp_user_timeout=1&application_name=mine"
    made = conninfo_to_dict(Access(url).conninfo(3))
    assert (made["connect_timeout"], made["tcp_user_timeout"]) == ("7", "1")
    assert made["application_name"] == "mine"


def test_each_connection_has_a_token_of_its_own_and_tls() -> None:
    asked: list[tuple[str, str, str]] = []

    def tokens(host: str, port: str, user: str) -> str:
        asked.append((host, port, user))
        return f"token {len(asked)}"

    access = Access("postgresql://app:old@db.example/vectors?sslmode=prefer", tokens=tokens)
    first, second = (conninfo_to_dict(access.conninfo()) for _ in range(2))
    assert (first["password"], second["password"]) == ("token 1", "token 2")
    assert first["sslmode"] == "require"
    assert asked == [("db.example", "5432", "app")] * 2


def test_tls_that_verifies_the_server_is_kept() -> None:
    url = "postgresql://app@db/vectors?sslmode=verify-full&sslrootcert=/ca.pem"
    made = conninfo_to_dict(Access(url, tokens=lambda *_: "t").conninfo())
    assert (made["sslmode"], made["sslrootcert"]) == ("verify-full", "/ca.pem")


@pytest.mark.parametrize("url", ["postgresql://app@a,b/x", "postgresql://a/x", "dbname=x user=app"])
def test_a_token_is_for_one_host_and_one_user(url: str) -> None:
    with pytest.raises(DatabaseUnavailable, match="one user and one host"):
        Access(url, tokens=lambda *_: "t").conninfo()


@pytest.mark.parametrize("url", ["hunter2", "postgresql://hunter2:notaport/x?nonsense=hunter2"])
def test_what_is_no_url_is_not_repeated(url: str) -> None:
    with pytest.raises(DatabaseUnavailable, match="READER_URLS") as caught:
        Access(url, "GREENLANG_DATABASE_READER_URLS").conninfo()
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "urls"),
    [
        (None, []),
        ("postgresql://a/x", ["postgresql://a/x"]),
        (
            " postgres://a/x, postgresql://b,c:1/x?target_session_attrs=any,postgresql://d/x ",
            [
                "postgres://a/x",
                "postgresql://b,c:1/x?target_session_attrs=any",
                "postgresql://d/x",
            ],
        ),
    ],
)
def test_reader_urls_are_told_apart(given: str | None, urls: list[str]) -> None:
    settings = Settings(database_reader_urls=None if given is None else SecretStr(given))
    assert reader_urls(settings) == urls
