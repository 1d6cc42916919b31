"""People are told of a failed run once, of its end once, and a channel that fails loses nothing."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pydantic import SecretStr

from greenlang_vectors.notifications import delivery
from greenlang_vectors.settings import Settings
from schedules.failure_sensor import failed_runs
from schedules.failures import notification_of

from .conftest import QUIET, Ingest

pytestmark = pytest.mark.integration

MIDNIGHT = datetime(2026, 11, 28, tzinfo=UTC)


class Hook:
    """A webhook: what it was told; while `status` is none of success, nothing."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.status = 200
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if hook.status == 200:
                    hook.told.append(json.loads(body))
                self.send_response(hook.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"

    def events(self) -> list[tuple[str, str | None, str]]:
        """What it was told since the last time it was asked."""
        told, self.told = self.told, []
        return [(e["type"], e["data"]["namespace"], e["data"]["stage"]) for e in told]


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    monkeypatch.setattr(delivery, "LONGEST_WAIT", 0.001)
    hook = Hook()
    thread = threading.Thread(target=hook.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield hook
    hook.server.shutdown()
    hook.server.server_close()
    thread.join()


class Ticks:
    """The sensor evaluated again and again, its cursor kept as the daemon keeps it."""

    def __init__(self, instance: dg.DagsterInstance, settings: Settings) -> None:
        self.instance, self.settings = instance, settings
        self.cursor: str | None = None

    def __call__(self) -> str:
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, resources={"settings": self.settings}
        ) as context:
            result = failed_runs(context)
        assert isinstance(result, dg.SensorResult)
        assert result.cursor
        self.cursor = result.cursor
        assert isinstance(result.skip_reason, dg.SkipReason)
        return str(result.skip_reason.skip_message)


@pytest.fixture
def ticks(instance: dg.DagsterInstance, hook: Hook) -> Ticks:
    settings = Settings(
        notify_webhook_url=SecretStr(hook.url),
        notify_slack_url=SecretStr("http://127.0.0.1:1/"),  # nobody is there
        dagster_url="https://dagster.example/",
    )
    return Ticks(instance, settings)


@dg.op
def break_or_not(context: dg.OpExecutionContext) -> None:
    if context.run.tags.get("break") == "yes":
        raise dg.Failure("It broke.", metadata={"error": "DatabaseUnavailable"})


@dg.job
def breakable() -> None:
    break_or_not()


def run(instance: dg.DagsterInstance, *, broken: bool, **tags: str) -> dg.ExecuteInProcessResult:
    return breakable.execute_in_process(
        instance=instance,
        run_config=QUIET,
        raise_on_error=False,
        tags={"break": "yes" if broken else "no", **tags},
    )


def test_people_are_told_which_namespace_which_stage_why_and_what_helps(
    ingest: Ingest,
    namespace: Callable[[str], Path],
    ticks: Ticks,
    hook: Hook,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = namespace("csrd")
    folder = folder.rename(folder.with_name("elsewhere"))
    old = ingest("csrd")
    ticks()
    assert hook.events() == []
    result = ingest("csrd")
    capsys.readouterr()
    line = ticks()
    assert line.startswith("csrd: documents failed: ")
    assert line in capsys.readouterr().err
    [told] = hook.told
    data = told["data"]
    assert (data["namespace"], data["job"], data["stage"]) == ("csrd", "ingest", "documents")
    assert str(folder.with_name("csrd")) in data["cause"]
    assert data["remedy"] == "Nothing was changed; make it readable and run again."
    assert data["remedy"] not in data["cause"]
    assert data["command"] == "greenlang-vectors namespaces list"
    assert data["runbook"] == "docs/runbooks/source-unavailable.md"
    assert data["link"] == f"https://dagster.example/runs/{result.run_id}"
    assert result.run_id != old.run_id


def test_the_same_failure_is_told_once_and_its_end_once(
    instance: dg.DagsterInstance, ticks: Ticks, hook: Hook
) -> None:
    ticks()
    csrd, cbam = ({"dagster/partition": name} for name in ("csrd", "cbam"))
    for tags in (csrd, csrd, cbam):
        run(instance, broken=True, **tags)
    assert "It broke." in ticks()
    failed = "run.failed"
    assert hook.events() == [(failed, "csrd", "break_or_not"), (failed, "cbam", "break_or_not")]
    run(instance, broken=True, **csrd)
    ticks()
    assert hook.events() == []
    run(instance, broken=False, **csrd)
    ticks()
    assert hook.events() == [("run.recovered", "csrd", "breakable")]
    ticks()
    assert hook.events() == []
    run(instance, broken=True, **csrd)
    ticks()
    assert hook.events() == [(failed, "csrd", "break_or_not")]


def test_a_failure_that_reached_nobody_is_told_when_it_comes_again(
    instance: dg.DagsterInstance, ticks: Ticks, hook: Hook, capsys: pytest.CaptureFixture[str]
) -> None:
    ticks()
    run(instance, broken=True)
    hook.status = 404
    ticks()
    assert "Not brought to webhook: 127.0.0.1 answers 404" in capsys.readouterr().err
    hook.status = 200
    ticks()
    assert hook.events() == []
    run(instance, broken=True)
    ticks()
    assert hook.events() == [("run.failed", None, "break_or_not")]


def test_a_run_that_is_started_once_more_is_not_told(
    instance: dg.DagsterInstance, ticks: Ticks, hook: Hook
) -> None:
    ticks()
    run(instance, broken=True, **{"dagster/will_retry": "true"})
    assert "It broke." in ticks()
    assert hook.events() == []


def test_without_a_channel_failures_are_logged(
    instance: dg.DagsterInstance, capsys: pytest.CaptureFixture[str]
) -> None:
    ticks = Ticks(instance, Settings())
    ticks()
    result = run(instance, broken=True)
    capsys.readouterr()
    ticks()
    assert "breakable: break_or_not failed: It broke." in capsys.readouterr().err
    told = notification_of(instance, result.dagster_run, MIDNIGHT, None)
    assert (told.link, told.at, told.namespace) == (None, MIDNIGHT, None)
    assert told.runbook == "docs/runbooks/database-unavailable.md"
    assert told.command == "greenlang-vectors status"
