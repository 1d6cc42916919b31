"""`greenlang-vectors serve` and `api-keys`, as an operator meets them."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import time
from threading import Thread
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psycopg
import pytest

from greenlang_vectors.store import namespaces
from greenlang_vectors.store.database import Database

from ..conftest import Cli, Launch

pytestmark = pytest.mark.integration


@pytest.fixture
def start(database: Database, launch: Launch) -> Launch:
    """Starts `greenlang-vectors serve` over the test's database, in a process of its own.

    Its model is not on this machine: it serves what needs none.
    """
    return lambda *arguments: launch(
        database.url, "serve", *arguments, GREENLANG_EMBEDDING_MODEL="none"
    )


def address_of(process: subprocess.Popen[str]) -> str:
    """Where it says it serves."""
    assert process.stderr is not None
    for line in process.stderr:
        if matched := re.search(r"Serving (http://\S+)", line):
            return matched[1]
    raise AssertionError(f"it ended with {process.wait()}")


def asked(url: str, key: str | None = None) -> int:
    request = Request(url, headers={} if key is None else {"X-API-Key": key})  # noqa: S310
    for _ in range(50):
        try:
            with urlopen(request, timeout=10) as answer:  # noqa: S310 - loopback
                return int(answer.status)
        except HTTPError as error:
            return error.code
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{url} does not answer")


def test_keys_are_made_shown_once_listed_and_revoked(cli: Cli, database: Database) -> None:
    with database.connect() as connection:
        namespaces.register(connection, "keyed")
    made = cli(
        "api-keys", "create", "crawler", "--namespace", "keyed", "--expires", "90d", "--json"
    )
    key = made.json["key"]
    assert re.fullmatch(r"glv_[0-9a-f]{16}_[\w-]{43}", key)
    listed = cli("api-keys", "list", "--json")
    [shown] = [each for each in listed.json["api_keys"] if each["id"] == made.json["id"]]
    assert (shown["name"], shown["namespaces"], shown["scopes"]) == ("crawler", ["keyed"], ["read"])
    secret = key.split("_", 2)[2]
    assert secret not in listed.out
    assert secret not in cli("api-keys", "list").out
    with database.connect() as connection:
        [kept] = connection.execute(
            "SELECT to_jsonb(k)::text FROM api_keys k WHERE id = %s", [made.json["id"]]
        ).fetchall()
    assert secret not in kept[0]
    assert cli("api-keys", "revoke", made.json["id"]).code == 0
    after = cli("api-keys", "list", "--json").json["api_keys"]
    assert next(each for each in after if each["id"] == made.json["id"])["revoked_at"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "x"),
        ("create", "x", "--namespace", "keyed", "--all-namespaces"),
        ("create", "x", "--namespace", "nowhere"),
        ("create", " ", "--all-namespaces"),
        ("create", "x", "--all-namespaces", "--scope", "root"),
        ("create", "x", "--all-namespaces", "--expires", "soon"),
        ("revoke", "nothing"),
    ],
)
def test_mistakes_with_keys_are_one_line(cli: Cli, arguments: tuple[str, ...]) -> None:
    refused = cli("api-keys", *arguments)
    assert refused.code == 2
    assert "Traceback" not in refused.err


def test_without_a_key_it_does_not_serve_and_says_how_to_make_one(
    cli: Cli, database: Database
) -> None:
    with database.connect() as connection:
        connection.execute("UPDATE api_keys SET revoked_at = now()")
    refused = cli("serve", "--port", "0")
    assert refused.code == 2
    assert "greenlang-vectors api-keys create" in refused.said


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])  # noqa: S104
def test_without_authentication_it_serves_this_machine_alone(cli: Cli, host: str) -> None:
    refused = cli("serve", "--no-auth", "--host", host)
    assert refused.code == 2
    assert "api-keys create" in refused.said


def test_a_taken_port_is_one_line(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused = cli("serve", "--no-auth", "--port", str(taken.getsockname()[1]))
    assert refused.code == 2
    assert refused.err.count("\n") == 1
    assert "in use" in refused.err


def test_it_asks_for_keys_and_ends_when_told(start: Launch, cli: Cli) -> None:
    key = cli("api-keys", "create", "x", "--all-namespaces", "--json").json["key"]
    process = start("--port", "0")
    url = address_of(process)
    assert asked(f"{url}/v1/namespaces") == 401
    assert asked(f"{url}/v1/namespaces", key) == 200
    process.send_signal(signal.SIGTERM)
    assert process.stderr is not None
    said = process.stderr.read()
    assert process.wait(30) == 0
    assert "Traceback" not in said
    assert key.split("_", 2)[2] not in said


def test_ctrl_c_ends_it_without_a_traceback(start: Launch) -> None:
    process = start("--port", "0", "--no-auth")
    assert asked(f"{address_of(process)}/healthz") == 200
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    said = process.stderr.read()
    assert process.wait(30) == 130
    assert "Traceback" not in said
    assert said.rstrip().endswith("Error: Interrupted.")


def test_a_request_that_runs_is_answered_before_it_ends(start: Launch, database: Database) -> None:
    """The request waits for a lock; the signal comes; the lock goes; the answer is whole."""
    process = start("--port", "0", "--no-auth")
    url = address_of(process)
    assert asked(f"{url}/v1/namespaces") == 200
    found: list[Any] = []
    with database.connect() as holding, holding.transaction():
        holding.execute("LOCK TABLE namespaces IN ACCESS EXCLUSIVE MODE")
        asking = Thread(target=lambda: found.append(asked(f"{url}/v1/namespaces")))
        asking.start()
        wait_for_lock(database.url)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert process.poll() is None
    asking.join(20)
    assert found == [200]
    assert process.wait(30) == 0


def wait_for_lock(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as watching:
        for _ in range(100):
            row = watching.execute(
                "SELECT count(*) FROM pg_locks WHERE NOT granted"
                " AND relation = 'namespaces'::regclass"
            ).fetchone()
            if row is not None and row[0]:
                return
            time.sleep(0.05)
    raise AssertionError("nobody waits for the lock")
