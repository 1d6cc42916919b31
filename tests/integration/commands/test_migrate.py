"""`greenlang-vectors migrate`, as an operator and as a program use it, over a Weaviate server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from greenlang_vectors.settings import get_settings
from greenlang_vectors.store import namespaces, weaviate_migrations, weaviate_shadow_reads
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.weaviate_shadow_reads import ShadowRead

from ..conftest import Cli, Result

if TYPE_CHECKING:
    from local.weaviate_server.server import WeaviateServer
    from local.weaviate_server.store import Sent

pytestmark = pytest.mark.integration

OBJECTS = 40
PLAN: dict[str, Any] = {
    "vectors": [{"model": "gl-test"}],
    "content": "text",
    "source_id": "source_id",
    "chunk_index": "chunk_index",
    "language": "english",
    "page": 20,
    "ranges": 2,
    "gates": {"hold_seconds": 0, "reads": 3},
}
COMMANDS = ("dry-run", "start", "backfill", "verify", "repair", "rollback", "status")

Migrate = Callable[..., Result]
Prepare = Callable[..., str]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server's backend `filesystem` writes."""
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(scope="module")
def running(exported: Path) -> Iterator[WeaviateServer]:
    pytest.importorskip("weaviate", reason="needs the extra weaviate")
    from local.weaviate_server.server import WeaviateServer

    with WeaviateServer(process=True, exports=exported) as server:
        yield server


@pytest.fixture
def weaviate(running: WeaviateServer) -> Iterator[WeaviateServer]:
    yield running
    running.control.heal()


@pytest.fixture
def environment(weaviate: WeaviateServer, tmp_path: Path) -> dict[str, str]:
    """What tells the commands where Weaviate and the backup location are."""
    return {
        "WEAVIATE_URL": weaviate.url,
        "WEAVIATE_GRPC_PORT": str(weaviate.grpc_port),
        "GREENLANG_BACKUP_LOCATION": str(tmp_path / "backups"),
    }


@pytest.fixture
def migrate(cli: Cli, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Migrate:
    """Runs `greenlang-vectors migrate` over the stand-in."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return lambda *arguments: cli("migrate", *arguments)


@pytest.fixture
def objects() -> list[Sent]:
    pytest.importorskip("weaviate", reason="needs the extra weaviate")
    from local.weaviate_server.samples import sample_objects

    return list(sample_objects(OBJECTS, dimensions=8))


@pytest.fixture
def prepare(
    database: Database, weaviate: WeaviateServer, objects: list[Sent], tmp_path: Path
) -> Prepare:
    """A registered namespace and a collection of Weaviate for it; returns the path of a plan."""
    from local.weaviate_server.samples import PASSAGES

    def make(namespace: str, **changes: object) -> str:
        collection = namespace.capitalize()
        weaviate.control.create({**PASSAGES, "class": collection})
        weaviate.control.put(collection, objects)
        with database.connect() as connection:
            namespaces.register(connection, namespace)
        plan = tmp_path / "plan.json"
        plan.write_text(json.dumps({**PLAN, "collection": collection, **changes}))
        return str(plan)

    return make


def read(connection: psycopg.Connection, namespace: str, overlap: float = 1.0) -> None:
    """As many shadow reads as the gates want."""
    reads = [
        ShadowRead(namespace, 0, False, overlap=overlap, weaviate_ms=9.0, pgvector_ms=4.0)
        for _ in range(3)
    ]
    assert weaviate_shadow_reads.write(connection, reads) == len(reads)


def refused(result: Result, says: str, code: int = 2) -> None:
    """One clear line."""
    assert (result.code, result.out) == (code, "")
    assert says in result.said
    assert result.err.strip().count("\n") == 0


def test_the_whole_way_as_a_program(
    migrate: Migrate, prepare: Prepare, database: Database, tmp_path: Path
) -> None:
    plan = prepare("whole")
    planned = migrate("plan", "whole", "--file", plan, "--json").json
    assert (planned["namespace"], planned["phase"]) == ("whole", "planned")
    assert planned["plan"]["gates"]["reads"] == 3
    assert planned["plan"]["batch"] == 10_000, "what the file does not say is shown, too"

    rehearsed = migrate("dry-run", "whole", "--json").json
    assert (rehearsed["objects"], rehearsed["refused"], rehearsed["problems"]) == (OBJECTS, 0, [])
    assert len(rehearsed["rows"]) == 10
    assert rehearsed["vectors"][0]["dimensions"] == 8

    started = migrate("start", "whole", "--json").json
    assert started == {"namespace": "whole", "phase": "parallel", "noted": 0, "warnings": []}
    assert migrate("relay", "whole", "--once", "--json").json["carried"][0]["report"]["alone"]

    filled = migrate("backfill", "whole", "--json").json
    assert filled == {
        "namespace": "whole",
        "phase": "backfilled",
        "read": OBJECTS,
        "written": OBJECTS,
        "left_alone": 0,
        "failed": 0,
        "swept": 0,
        "objects": OBJECTS,
        "parts": filled["parts"],
    }
    assert migrate("backfill", "whole", "--json").json["written"] == 0
    verified = migrate("verify", "whole", "--json").json
    assert verified["clean"] is True
    assert (verified["weaviate"], verified["pgvector"]) == (OBJECTS, OBJECTS)

    for share in (10, 50, 100):
        with database.connect() as connection:
            read(connection, "whole")
        shifted = migrate("traffic", "whole", str(share), "--json").json
        assert shifted == {"namespace": "whole", "phase": "shifting", "share": share}
    [seen] = migrate("status", "whole", "--json").json["migrations"]
    assert (seen["phase"], seen["share"], seen["waiting"]["documents"]) == ("shifting", 100, 0)
    assert seen["backfill"] == {"objects": OBJECTS, "ranges": 1, "done": 1}
    assert seen["verification"]["clean"] is True
    assert seen["gates"]["open_differences"]["holds"] is True
    assert [step["step"] for step in seen["steps"]] == [
        *("plan", "start", "backfill", "traffic", "traffic", "traffic")
    ]
    assert seen["steps"][-1]["evidence"]["gates"]["overlap"]["value"] == 1.0

    with database.connect() as connection:
        read(connection, "whole")
    ended = migrate("decommission", "whole", "--by", "Ada", "--json").json
    assert (ended["signed_off"]["by"], ended["last_comparison"]["differing"]) == ("Ada", 0)
    assert (tmp_path / "backups" / ended["report"]["markdown"]).is_file()
    assert ended["delete_in_weaviate"]
    refused(migrate("decommission", "whole", "--by", "Ada"), "has ended already")
    refused(migrate("rollback", "whole"), "has ended")
    refused(migrate("backfill", "whole"), "phase decommissioned: it is not under way.")


def test_the_whole_way_as_a_person(migrate: Migrate, prepare: Prepare, database: Database) -> None:
    plan = prepare("person")
    assert "migrate dry-run person" in migrate("plan", "person", "--file", plan).err
    assert "written to both sides" in migrate("start", "person").err
    assert f"{OBJECTS} written" in migrate("backfill", "person").out
    assert f"{OBJECTS} passages in pgvector; 0 differ" in migrate("verify", "person").out
    with database.connect() as connection:
        read(connection, "person")
    assert "answers 10%" in migrate("traffic", "person", "10").err
    shown = migrate("status", "person").out
    for said in ("shifting", "10% of callers", "clean", "≥ 0.9", "40 objects", "no such search"):
        assert said in shown
    assert "answers 0%" in migrate("rollback", "person").err
    assert "phase planned" in migrate("rollback", "person").err
    removed = migrate("rollback", "person", "--remove", "--json").json
    assert removed == {
        "namespace": "person",
        "phase": "planned",
        "share": 0,
        "discarded": 0,
        "removed": OBJECTS // 5,
    }


def test_no_phase_is_skipped(migrate: Migrate, prepare: Prepare) -> None:
    plan = prepare("skips")
    refused(migrate("start", "skips"), "migrate plan")
    migrate("plan", "skips", "--file", plan)
    for command in ("backfill", "verify", "repair", "relay"):
        refused(migrate(command, "skips"), "migrate start")
    refused(migrate("rollback", "skips"), "has not begun")
    refused(migrate("traffic", "skips", "10"), "phase planned")
    assert migrate("start", "skips").code == 0
    refused(migrate("start", "skips"), "has begun")
    refused(migrate("plan", "skips", "--file", plan), "has begun")
    refused(migrate("traffic", "skips", "10"), "phase parallel")
    assert migrate("backfill", "skips").code == 0
    refused(migrate("traffic", "skips", "50"), "the next step is 10%")
    refused(migrate("traffic", "skips", "10"), "open_differences unknown")
    assert migrate("verify", "skips").code == 0
    refused(migrate("traffic", "skips", "10"), "reads 0, not 3 or more")
    refused(migrate("decommission", "skips", "--by", "Ada"), "phase is backfilled, not shifting")


def test_a_difference_fails_and_is_mended(
    migrate: Migrate, prepare: Prepare, weaviate: WeaviateServer, objects: list[Sent]
) -> None:
    migrate("plan", "mended", "--file", prepare("mended"))
    migrate("start", "mended")
    migrate("backfill", "mended")
    lost = objects[7].id
    weaviate.control.delete("Mended", [lost])
    found = migrate("verify", "mended")
    assert found.code == 1
    assert lost in found.out
    again = migrate("verify", "mended", "--json")
    assert again.code == 1
    assert [each["object_id"] for each in again.json["differences"]] == [lost]
    assert migrate("status", "mended").code == 0
    mended = migrate("repair", "mended", "--json")
    assert mended.code == 0
    assert migrate("verify", "mended").code == 0
    assert "names nothing" in migrate("repair", "mended").out


def test_the_servers_own_export_is_read_where_it_is_configured(
    migrate: Migrate, prepare: Prepare, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GREENLANG_WEAVIATE_EXPORT_LOCATION", str(exported))
    monkeypatch.setenv("GREENLANG_WEAVIATE_EXPORT_BACKEND", "s3")
    migrate("plan", "exported", "--file", prepare("exported"))
    rehearsed = migrate("dry-run", "exported")
    assert rehearsed.code == 1
    assert "does not export to s3" in rehearsed.out
    migrate("start", "exported")
    refused(migrate("backfill", "exported"), "Unset GREENLANG_WEAVIATE_EXPORT_BACKEND")
    monkeypatch.setenv("GREENLANG_WEAVIATE_EXPORT_BACKEND", "filesystem")
    get_settings.cache_clear()
    assert "from the server's export to filesystem" in migrate("dry-run", "exported").out
    assert f"{OBJECTS} written" in migrate("backfill", "exported").out
    [seen] = migrate("status", "exported", "--json").json["migrations"]
    assert [step["step"] for step in seen["steps"]] == ["plan", "start", "export", "backfill"]
    assert migrate("verify", "exported").code == 0


def test_what_applications_change_in_weaviate_is_followed(
    migrate: Migrate, prepare: Prepare, weaviate: WeaviateServer, objects: list[Sent]
) -> None:
    migrate("plan", "followed", "--file", prepare("followed", primary="weaviate"))
    refused(migrate("follow", "followed", "--once"), "migrate start")
    assert "follows Weaviate" in migrate("start", "followed").err
    migrate("backfill", "followed")
    refused(migrate("relay", "followed", "--once"), "migrate follow")
    weaviate.control.delete("Followed", [objects[0].id])
    [carried] = migrate("follow", "--once", "--json").json["carried"]
    assert carried["namespace"] == "followed"
    assert (carried["report"]["written"], carried["report"]["deleted"]) == (0, 1)
    assert migrate("follow", "followed", "--once").said.endswith("Nothing waits to be carried.")
    assert migrate("verify", "followed").code == 0


def test_a_breached_gate_is_code_1(migrate: Migrate, prepare: Prepare, database: Database) -> None:
    migrate("plan", "breached", "--file", prepare("breached"))
    migrate("start", "breached")
    migrate("backfill", "breached")
    migrate("verify", "breached")
    with database.connect() as connection:
        read(connection, "breached")
        assert migrate("traffic", "breached", "10").code == 0
        assert migrate("status", "breached").code == 0
        read(connection, "breached", overlap=0.2)
    shown = migrate("status", "breached")
    assert shown.code == 1
    assert "breached" in shown.out


def test_weaviate_down_is_one_line_and_code_1(
    migrate: Migrate, prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate("plan", "down", "--file", prepare("down"))
    monkeypatch.setenv("WEAVIATE_URL", "http://127.0.0.1:9")
    get_settings.cache_clear()
    for command in ("dry-run", "start", "backfill", "verify"):
        refused(migrate(command, "down"), "cannot be reached", code=1)
    assert migrate("status", "down").code == 0, "what is known here needs no Weaviate"


def test_the_relay_goes_on_until_it_is_interrupted(
    database: Database,
    prepare: Prepare,
    migrate: Migrate,
    environment: dict[str, str],
    repository: Path,
) -> None:
    migrate("plan", "looped", "--file", prepare("looped"))
    migrate("start", "looped")
    process = subprocess.Popen(
        [sys.executable, "-m", "greenlang_vectors", "migrate", "relay", "--every", "0.1", "--json"],
        cwd=repository,
        env={**os.environ, **environment, "GREENLANG_DATABASE_URL": database.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert json.loads(process.stdout.readline() + process.stdout.readline() + "}") == {
        "carried": []
    }
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.strip().splitlines() == ["Error: Interrupted."]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["plan", "nowhere"], "--file"),
        (["plan", "nowhere", "--file", "/nowhere.json"], "cannot be read"),
        (["traffic", "csrd"], "0|10|50|100"),
        (["traffic", "csrd", "most"], "not a valid integer"),
        (["traffic", "csrd", "20"], "20% of callers is no step"),
        (["decommission", "csrd"], "--by"),
        (["verify", "csrd", "--queries", "0"], "--queries"),
        (["forget", "csrd"], "No such command"),
        *(([command, "nowhere"], "Unknown namespace 'nowhere'") for command in COMMANDS),
        (["relay", "nowhere", "--once"], "Unknown namespace 'nowhere'"),
        (["traffic", "nowhere", "10"], "Unknown namespace 'nowhere'"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(
    migrate: Migrate, arguments: list[str], says: str
) -> None:
    refused(migrate(*arguments), says)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"source_id": None}, "a chunk_index needs a source_id"),
        ({"colour": "red"}, "colour"),
        ({"gates": {"overlap": 2}}, "gates.overlap"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(
    migrate: Migrate, database: Database, tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({**PLAN, "collection": "Passages", **changes}))
    with database.connect() as connection:
        namespaces.register(connection, "unplanned")
        refused(migrate("plan", "unplanned", "--file", str(plan)), says)
        assert weaviate_migrations.find(connection, "unplanned") is None
