"""TLS to a real server (PRD 10.2): whom the product speaks to, whom it refuses, what it says."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from greenlang_vectors.backup import programs
from greenlang_vectors.backup.errors import ProgramFailed
from greenlang_vectors.cli import main
from greenlang_vectors.errors import DatabaseUnavailable
from greenlang_vectors.settings import Settings, get_settings
from greenlang_vectors.store import embedded
from greenlang_vectors.store.connections import Access, through_pooler
from greenlang_vectors.store.database import Database, open_database
from resources.run_storage import RunStorageFromEnvironment

from ...pooler import PROGRAM, PgBouncer
from ...replication import folder
from ...tls_server import HOST, PROGRAMS, Authority, TlsServer

pytestmark = pytest.mark.integration

Change = Callable[[TlsServer], AbstractContextManager[None]]


def settings_of(server: TlsServer, **others: Any) -> Settings:  # noqa: ANN401 - any setting
    """What an operator sets: the URL, and the file of the certificates to trust."""
    given = {"database_url": SecretStr(server.url("kept")), "database_sslrootcert": server.root}
    return Settings(**{key: _text(value) for key, value in {**given, **others}.items()})


def _text(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


def entered(settings: Settings) -> psycopg.Connection:
    assert settings.database_url is not None
    return Access.of(settings, settings.database_url.get_secret_value()).connect()


def tls_version(connection: psycopg.Connection) -> object:
    query = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    row = connection.execute(query).fetchone()
    return row and row[0]


@contextmanager
def presenting(server: TlsServer, *hosts: str, **how: int) -> Iterator[None]:
    server.present(*server.authority.certify(*hosts, **how))
    yield


def test_a_server_is_verified_and_spoken_to_in_tls_1_3(secure: TlsServer) -> None:
    with entered(settings_of(secure)) as connection:
        assert tls_version(connection) == "TLSv1.3"
    with entered(settings_of(secure, database_channel_binding="require")) as connection:
        assert tls_version(connection) == "TLSv1.3"


@pytest.mark.parametrize(
    ("change", "settings", "said", "remedy"),
    [
        pytest.param(
            nullcontext,
            {"database_sslrootcert": "elsewhere.pem"},
            "certificate verify failed",
            "GREENLANG_DATABASE_SSLROOTCERT",
            id="another authority",
        ),
        pytest.param(
            lambda server: presenting(server, "other.test"),
            {},
            "does not match host name",
            "Name the server as its certificate does",
            id="another name",
        ),
        pytest.param(
            lambda server: presenting(server, HOST, days=-1),
            {},
            "certificate verify failed",
            "has expired",
            id="expired",
        ),
        pytest.param(
            lambda server: server.having(ssl_max_protocol_version="TLSv1.2"),
            {},
            "protocol version",
            "GREENLANG_DATABASE_SSL_MIN_PROTOCOL_VERSION may be TLSv1.2",
            id="TLS 1.2 only",
        ),
        pytest.param(
            lambda server: server.having(ssl="off"),
            {},
            "does not support SSL",
            "Let the server speak TLS",
            id="no TLS",
        ),
        pytest.param(
            nullcontext,
            {"database_sslrootcert": None, "database_sslmode": "disable"},
            "no encryption",
            "GREENLANG_DATABASE_SSLMODE",
            id="TLS alone",
        ),
        pytest.param(
            nullcontext,
            {"database_sslrootcert": "empty.pem"},
            "root certificate file",
            "GREENLANG_DATABASE_SSLROOTCERT",
            id="no certificates",
        ),
    ],
)
def test_a_connection_that_is_refused_says_why_and_what_helps(
    secure: TlsServer,
    tmp_path: Path,
    change: Change,
    settings: dict[str, str | None],
    said: str,
    remedy: str,
) -> None:
    (tmp_path / "elsewhere.pem").write_bytes(Authority("another authority").pem)
    (tmp_path / "empty.pem").write_text("")
    if named := settings.get("database_sslrootcert"):
        settings = {**settings, "database_sslrootcert": str(tmp_path / named)}
    with change(secure), pytest.raises(DatabaseUnavailable, match=said) as caught:
        open_database(settings_of(secure, **settings))
    assert remedy in caught.value.remedy
    assert secure.password not in str(caught.value)


def test_tls_1_2_is_spoken_where_the_settings_allow_it(secure: TlsServer) -> None:
    allowing = settings_of(secure, database_ssl_min_protocol_version="TLSv1.2")
    with secure.having(ssl_max_protocol_version="TLSv1.2"), entered(allowing) as connection:
        assert tls_version(connection) == "TLSv1.2"


def test_the_command_line_says_it_in_one_line(
    secure: TlsServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(Authority("another authority").pem)
    monkeypatch.setenv("GREENLANG_DATABASE_URL", secure.url("kept"))
    monkeypatch.setenv("GREENLANG_DATABASE_SSLROOTCERT", str(bundle))
    monkeypatch.setattr(sys, "argv", ["greenlang-vectors", "status"])
    get_settings.cache_clear()
    try:
        with pytest.raises(SystemExit) as exit_:
            main()
    finally:
        get_settings.cache_clear()
    said = capsys.readouterr().err
    assert exit_.value.code == 1
    assert said.count("\n") == 1
    assert "GREENLANG_DATABASE_SSLROOTCERT" in said


def test_a_certificate_is_changed_while_a_pool_lives(secure: TlsServer, tmp_path: Path) -> None:
    """Renewed by the same authority, then by another, which the file names in time or too late."""
    bundle, other = tmp_path / "bundle.pem", Authority("the next authority")
    bundle.write_bytes(secure.authority.pem)
    settings = settings_of(secure, database_sslrootcert=bundle)
    database = Database(Access.of(settings, secure.url("kept")).url)
    try:
        with database.connection() as open_before:
            secure.present(*secure.authority.certify(HOST))
            with database.connection() as renewed:
                assert tls_version(renewed) == "TLSv1.3"
                secure.present(*other.certify(HOST))
                with pytest.raises(DatabaseUnavailable, match="certificate verify failed"):
                    database.connect()
                bundle.write_bytes(secure.authority.pem + other.pem)
                with database.connection() as replaced:
                    assert tls_version(replaced) == "TLSv1.3"
            assert tls_version(open_before) == "TLSv1.3"
    finally:
        database.close()


def test_a_pooler_is_verified_like_a_server(secure: TlsServer) -> None:
    if PROGRAM is None:
        pytest.skip("PgBouncer is not on this machine (apt install pgbouncer)")
    tls = (
        f"client_tls_sslmode = require\nclient_tls_protocols = tlsv1.3\n"
        f"client_tls_key_file = {secure.key}\nclient_tls_cert_file = {secure.certificate}\n"
    )
    with folder() as place:
        bouncer = PgBouncer(
            place, secure.folder, ["kept"], "pw", server_port=secure.port, settings=tls
        )
        bouncer.start()
        url = bouncer.url(secure.url("kept"), "kept")
        try:
            with entered(settings_of(secure, database_url=SecretStr(url))) as connection:
                assert through_pooler(connection)
                assert connection.pgconn.ssl_in_use
            bound = settings_of(
                secure, database_url=SecretStr(url), database_channel_binding="require"
            )
            with pytest.raises(DatabaseUnavailable, match="CHANNEL_BINDING where a pooler"):
                entered(bound)
            stranger = place / "stranger.pem"
            stranger.write_bytes(Authority("another authority").pem)
            with pytest.raises(DatabaseUnavailable, match="certificate verify failed"):
                entered(
                    settings_of(secure, database_url=SecretStr(url), database_sslrootcert=stranger)
                )
        finally:
            bouncer.stop()


def test_pg_dump_has_the_same_tls_and_the_token(secure: TlsServer, tmp_path: Path) -> None:
    def dumped(root: Path, program: Path = PROGRAMS) -> bytes:
        url = Access.of(settings_of(secure, database_sslrootcert=root), secure.url("app")).url
        database = Database(url, tokens=secure.token)
        found = programs.find("pg_dump", Settings(pg_bin_dir=program), at_least=15)
        with programs.output(found, ["--schema-only"], database.conninfo()) as blocks:
            return b"".join(blocks)

    assert b"PostgreSQL database dump complete" in dumped(secure.root)
    stranger = tmp_path / "stranger.pem"
    stranger.write_bytes(Authority("another authority").pem)
    with pytest.raises(ProgramFailed, match=r"verify failed.*GREENLANG_DATABASE_SSLROOTCERT"):
        dumped(stranger)
    with pytest.raises(ProgramFailed, match="GREENLANG_PG_BIN_DIR"):
        dumped(secure.root, embedded.programs())


@pytest.mark.parametrize("user", ["kept", "app"])
def test_dagsters_storage_has_the_same_tls_and_tokens(
    secure: TlsServer, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    """The server takes nobody without TLS, and `app` by its token alone."""
    monkeypatch.setattr(
        "resources.run_storage.AwsWifTokenProvider._fetch_token",
        lambda _: (secure.token(HOST, str(secure.port), "app"), 0.0),
    )
    name = f"runs_of_{user}"
    made = sql.SQL("CREATE DATABASE {} OWNER {}")
    secure.ask(made.format(sql.Identifier(name), sql.Identifier(user)))
    url = secure.url(user, name).replace("postgresql", "postgresql+psycopg2", 1)
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", url)
    monkeypatch.setattr(
        "resources.run_storage.get_settings",
        lambda: settings_of(secure, database_iam_region="eu-central-1"),
    )
    storage = RunStorageFromEnvironment.from_config_value(None, {})
    assert "sslmode=verify-full" in storage.postgres_url
    assert storage.run_storage.get_runs_count() == 0
