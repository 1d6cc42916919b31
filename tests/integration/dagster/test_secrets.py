"""No secret where anybody reads: each is planted, a day's work is done and what it wrote searched.

What is written: the command line's output and errors, every logger's lines, Dagster's events and
runs, exports, a dump of the whole database, and the server's log.
"""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import get_args
from uuid import uuid4

import dagster as dg
import pytest
from dagster._serdes import serialize_value
from pydantic import SecretStr

from greenlang_vectors.cli import main
from greenlang_vectors.errors import GreenLangError
from greenlang_vectors.settings import Settings, get_settings
from greenlang_vectors.store import embedded
from greenlang_vectors.store.database import Database, open_database

from .conftest import Ingest

pytestmark = pytest.mark.integration

SECRETS = {
    name: f"planted{uuid4().hex}"
    for name, field in Settings.model_fields.items()
    if SecretStr in (field.annotation, *get_args(field.annotation))
}
"""A value for each secret setting, those that are added later included."""

ELSEWHERE = {
    name: f"planted{uuid4().hex}" for name in ("AWS_SECRET_ACCESS_KEY", "WEAVIATE_API_KEY")
}

CALLED = r"(password|secret|token|api_key|slack_url|webhook_url|database_url|redis_url)$"

WORK = [
    ("status", "--json"),
    ("namespaces", "list", "--json"),
    ("collections", "list", "--json"),
    ("collections", "create", "csrd", "--model", "text-embedding-3-small"),
    ("roles", "create", "planted_login", "--role", "reader", "--namespace", "csrd"),
    ("roles", "list", "--json"),
    ("backup", "create", "csrd", "--json"),
    ("drill", "csrd", "--json"),
    ("backup", "list", "--json"),
    ("audit", "list", "--namespace", "csrd", "--json"),
    ("slo", "report", "--json"),
    ("roles", "drop", "planted_login"),
]
FAILURES = [
    ("collections", "fill", "csrd/text-embedding-3-small"),
    ("migrate", "plan", "csrd", "--file", "plan.json"),
    ("migrate", "dry-run", "csrd"),
    ("search", "x", "--namespace", "nowhere"),
    ("restore", "--namespace", "csrd", "--into", "elsewhere"),
    ("snapshots", "list"),
]
ELSEWHERE_URLS = [
    "postgresql://app:{}@127.0.0.1:1/vectors",
    "postgresql://app:{}@127.0.0.1:notaport/vectors",
    "postgresql://app:{}@127.0.0.1:1/vectors?sslmode=verify-full&sslrootcert=/nowhere",
    "not a url {}",
]


class Tattling(BaseHTTPRequestHandler):
    """A server that refuses everything and repeats what it was sent, as some gateways do."""

    def do_POST(self) -> None:
        said = json.dumps({"error": {"message": f"Incorrect: {self.headers['Authorization']}"}})
        self.send_response(401)
        self.end_headers()
        self.wfile.write(said.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


@pytest.fixture
def tattling() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Tattling) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


@pytest.fixture
def planted(
    fresh: Database,
    server: str,
    tattling: str,
    data_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Settings]:
    """Settings with a secret wherever one may be; the server trusts whoever comes by its socket."""

    def entered(url: str, secret: str) -> str:
        return url.replace("@", f":{secret}@", 1)

    values = {
        **SECRETS,
        "database_url": entered(fresh.url, SECRETS["database_url"]),
        "database_reader_urls": entered(fresh.url, SECRETS["database_reader_urls"]),
        "drill_database_url": entered(server, SECRETS["drill_database_url"]),
        "redis_url": f"redis://:{SECRETS['redis_url']}@127.0.0.1:1/0",
        "data_dir": str(data_dir),
        "backup_location": str(tmp_path / "backups"),
        "backup_compression": "none",
        "openai_base_url": tattling,
        "weaviate_url": "http://127.0.0.1:1",
        "aurora_cluster": "nowhere",
        "aurora_region": "eu-central-1",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"GREENLANG_{name.upper()}", value)
    for name, value in ELSEWHERE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAPLANTED")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    get_settings.cache_clear()
    yield get_settings()
    get_settings.cache_clear()


def test_what_is_called_a_secret_is_typed_as_one() -> None:
    called = {name for name in Settings.model_fields if re.search(CALLED, name)}
    assert {"openai_api_key", "role_password"} <= called <= set(SECRETS)


def test_no_secret_is_written_anywhere(
    planted: Settings,
    fresh: Database,
    namespace: Callable[[str], Path],
    ingest: Ingest,
    instance: dg.DagsterInstance,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    written: dict[str, str] = {}
    (tmp_path / "plan.json").write_text('{"collection": "Old", "content": "text"}')
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["greenlang-vectors", *arguments])
        with pytest.raises(SystemExit) as exit_:
            main()
        said = capsys.readouterr()
        written[f"{len(written)} {' '.join(arguments)}"] = said.out + said.err
        return int(exit_.value.code or 0)

    folder = namespace("csrd")
    secret_database = open_database(planted)
    assert ingest("csrd", database=secret_database).success
    secret_database.close()
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    assert not ingest("csrd", database=Database(_url(planted))).success

    assert [arguments for arguments in WORK if run(*arguments) != 0] == []
    assert [arguments for arguments in FAILURES if run(*arguments) == 0] == [FAILURES[1]]
    for url in ELSEWHERE_URLS:
        monkeypatch.setenv("GREENLANG_DATABASE_URL", url.format(SECRETS["database_url"]))
        get_settings.cache_clear()
        assert run("status", "--json") != 0
        with pytest.raises(GreenLangError) as caught:
            open_database(get_settings())
        written[f"traceback {url}"] = "".join(traceback.format_exception(caught.value))
    for shown in (planted, get_settings(), fresh, vars(fresh)):
        written[f"repr {type(shown)} {len(written)}"] = repr(shown)
    written["model"] = planted.model_dump_json()

    written["log"] = caplog.text
    for record in instance.get_run_records():
        written[f"run {record.dagster_run.run_id}"] = serialize_value(record.dagster_run)
        events = instance.all_logs(record.dagster_run.run_id)
        written[f"events {record.dagster_run.run_id}"] = "\n".join(map(serialize_value, events))
    dump = [embedded.programs() / "pg_dump", f"--dbname={fresh.url}"]
    written["dump"] = subprocess.run(dump, check=True, capture_output=True, text=True).stdout
    for path in (*tmp_path.rglob("*"), *planted.data_dir.rglob("*log")):
        if path.is_file():
            written[str(path)] = path.read_bytes().decode("latin-1")

    assert "csrd" in written["dump"]
    assert any("backups" in name for name in written)
    secrets = {**SECRETS, **ELSEWHERE}
    found = {
        (name, where)
        for where, text in written.items()
        for name, secret in secrets.items()
        if secret in text
    }
    assert found == set()


def _url(settings: Settings) -> str:
    assert settings.database_url is not None
    return settings.database_url.get_secret_value()
