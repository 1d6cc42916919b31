"""`greenlang-vectors doctor`: its table, its JSON, its exit codes; and PgBouncer in between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr

from greenlang_vectors.commands import doctor as command
from greenlang_vectors.doctor.examination import examine
from greenlang_vectors.doctor.findings import Finding
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import embedded
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.server_settings import POOLER

from ...pooler import PROGRAM, PgBouncer
from ...replication import folder
from ..conftest import Cli

pytestmark = pytest.mark.integration

WELL = Finding("server", "PostgreSQL", "ok", "18.4", "16 or newer", "PRD 5.1")
LATE = Finding("backups", "newest [exports]", "warning", "late", remedy="Run `backup create`.")
OPEN = Finding("tls", "connection", "error", "clear text", "TLS", remedy="Set sslmode.")


@pytest.mark.parametrize(
    ("found", "code"), [([WELL], 0), ([WELL, LATE], 1), ([LATE, WELL, OPEN], 2), ([], 0)]
)
def test_the_exit_code_is_the_worst_finding(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, found: list[Finding], code: int
) -> None:
    monkeypatch.setattr(command, "examine", lambda *_: found)
    assert cli("doctor").code == code


def test_people_see_a_table_with_the_worst_first_and_what_to_do(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "examine", lambda *_: [WELL, LATE, OPEN])
    said = cli("doctor", "--profile", "production")
    assert said.out.index("clear text") < said.out.index("late") < said.out.index("18.4")
    assert "newest [exports]" in said.out
    assert "16 or newer (PRD 5.1)" in said.out
    assert "tls, connection: Set sslmode." in said.err
    assert "1 ok, 1 warning, 1 error" in said.err


def test_json_is_all_that_was_looked_at(cli: Cli) -> None:
    said = cli("doctor", "--json")
    assert said.code == 2  # the tests' server has fsync off
    assert said.json["profile"] == "dev"
    checks = {(each["area"], each["check"]): each for each in said.json["findings"]}
    assert checks["server", "fsync"]["level"] == "error"
    assert checks["settings", "shared_buffers"].keys() == {
        *("area", "check", "level", "found", "expected", "source", "remedy")
    }
    assert cli("doctor", "--profile", "huge").code == 2


@pytest.fixture(scope="module")
def pgbouncer(server: str) -> Iterator[PgBouncer]:
    if PROGRAM is None:
        pytest.skip("PgBouncer is not on this machine (apt install pgbouncer)")
    sockets = Path(parse_qs(urlsplit(server).query)["host"][0])
    with folder() as place:
        made = PgBouncer(
            *(place, sockets, [embedded.OWNER, "postgres"], "word"),
            settings=f"stats_users = {embedded.OWNER}\nreserve_pool_size = 10",
        )
        made.start()
        yield made
        made.stop()


def test_a_pooler_in_between_is_compared_with_the_prd(
    pgbouncer: PgBouncer, database: Database, settings: Settings
) -> None:
    url = pgbouncer.url(database.url, embedded.OWNER)
    found = examine(settings.model_copy(update={"database_url": SecretStr(url)}), "dev")
    pooled = {each.check: each for each in found if each.area == "pgbouncer"}
    assert pooled.keys() == {*POOLER}
    assert pooled["pool_mode"].level == "ok"
    assert pooled["reserve_pool_size"].level == "ok"
    assert pooled["query_timeout"].level == "ok"
    assert pooled["default_pool_size"].level == "warning"
    assert "default_pool_size = 50" in pooled["default_pool_size"].remedy
    direct = examine(settings.model_copy(update={"database_url": SecretStr(database.url)}), "dev")
    assert not [each for each in direct if each.area == "pgbouncer"]
