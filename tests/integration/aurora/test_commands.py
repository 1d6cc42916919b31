"""`greenlang-vectors snapshots`: what is printed, what it exits with, what it leaves alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from greenlang_vectors.settings import get_settings

from .conftest import CLUSTER, ELSEWHERE, HOME, READER, WRITER, Aws

if TYPE_CHECKING:
    from ..conftest import Cli

pytestmark = pytest.mark.integration

DAILY, COPY = "greenlang-daily-2026-02-03", "greenlang-dr-daily-2026-02-03"


@pytest.fixture
def snap(aws: Aws, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """`greenlang-vectors snapshots` over the stand-in's cluster."""
    for name, value in {
        "GREENLANG_AURORA_CLUSTER": CLUSTER,
        "GREENLANG_AURORA_REGION": HOME,
        "GREENLANG_AURORA_DR_REGION": ELSEWHERE,
        "GREENLANG_AURORA_DR_KMS_KEY": aws.copy_key,
    }.items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    return lambda *arguments: cli("snapshots", *arguments)


def test_create_makes_what_is_due_on_the_day(snap: Cli) -> None:
    assert snap("create", "--day", "2026-02-03", "--json").json["id"] == DAILY
    assert snap("create", "--day", "2026-02-08", "--json").json["tier"] == "weekly"
    made = snap("create", "--day", "2026-03-01")
    assert (made.code, made.out) == (
        0,
        f"greenlang-monthly-2026-03-01 in {HOME} is available.\n",
    )
    by_hand = snap("create", "--day", "2026-02-03", "--tier", "monthly", "--json").json
    assert by_hand["id"] == "greenlang-monthly-2026-02-03"


def test_list_shows_both_regions(snap: Cli) -> None:
    snap("create", "--day", "2026-02-03")
    assert snap("copy", DAILY, "--json").json["id"] == COPY
    listed = snap("list", "--json").json["snapshots"]
    assert [each["id"] for each in listed if each["manual"]] == [DAILY]
    assert set(listed[0]) == {
        *("id", "arn", "cluster", "region", "taken_at", "status", "progress", "manual", "tier"),
        *("pinned", "verified_at", "copied_from", "encrypted", "engine_version"),
    }
    [copied] = snap("list", "--copies", "--json").json["snapshots"]
    assert (copied["id"], copied["copied_from"]) == (COPY, listed[0]["arn"])
    shown = snap("list").out
    assert DAILY in shown
    assert "automated" in shown


def test_prune_deletes_nothing_until_it_is_told_to(aws: Aws, snap: Cli) -> None:
    old, older = "greenlang-daily-2026-02-02", "greenlang-daily-2026-02-01"
    for day in ("2026-02-01", "2026-02-02", "2026-02-03"):
        snap("create", "--tier", "daily", "--day", day)
    aws.age(old, days=100)
    aws.age(older, days=200)
    dry = snap("prune", "--json").json
    assert (dry["deleted"], [each["id"] for each in dry["snapshots"]]) == (False, [older, old])
    assert "--delete does it" in snap("prune").said
    assert aws.asked("delete_db_cluster_snapshot") == []
    assert snap("pin", old, "--json").json["pinned"]
    done = snap("prune", "--delete", "--json").json
    assert (done["deleted"], [each["id"] for each in done["snapshots"]]) == (True, [older])
    assert aws.manual() == [old, DAILY]
    assert "is not pinned" in snap("unpin", old).out


def test_restores_print_where_to_connect(aws: Aws, snap: Cli) -> None:
    snap("create", "--day", "2026-02-03")
    restored = snap("restore", DAILY, "--as", "greenlang-restored")
    assert restored.code == 0
    assert restored.out.startswith("greenlang-restored.cluster-")
    assert restored.out.endswith(f".{HOME}.rds.amazonaws.com:5432\n")
    aws.backend().clusters[CLUSTER].earliest_restorable_time = datetime(2026, 1, 1, tzinfo=UTC)
    moment = f"{datetime.now(UTC) - timedelta(minutes=10):%Y-%m-%dT%H:%M:%SZ}"
    to_time = ("restore-to-time", moment, "--as", "greenlang-recovery", "--json")
    recovered = snap(*to_time, "--instance-class", "db.r6g.large").json
    assert recovered["restored_from"] == f"{CLUSTER}@{moment}"
    assert set(recovered) == {
        *("cluster", "instance", "endpoint", "port", "restored_from", "seconds")
    }
    instance = aws.backend().databases["greenlang-recovery-instance"]
    assert instance.db_instance_class == "db.r6g.large"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("restore-to-time", "2026-02-03T10:00:00", "--as", "x"), "time with a time zone"),
        (("restore-to-time", "yesterday", "--as", "x"), "time with a time zone"),
        (("restore-to-time", "2020-01-01T00:00:00Z", "--as", "x"), "only from"),
        (("restore", "nothing", "--as", "x"), "no snapshot of"),
        (("pin", "nothing"), "no snapshot of"),
        (("failover", "--to", "nobody", "--yes"), "no reader of"),
        (("retention", "--days", "36"), "1 to 35 days, not 36"),
        (("drill",), "no snapshot to restore"),
    ],
)
def test_mistakes_are_one_line_and_change_nothing(
    aws: Aws, snap: Cli, arguments: tuple[str, ...], said: str
) -> None:
    mistaken = snap(*arguments)
    assert (mistaken.code, mistaken.out) == (2, "")
    assert said in mistaken.said
    assert aws.changes == []


def test_failover_says_who_would_take_over_until_it_is_told_to(aws: Aws, snap: Cli) -> None:
    assert snap("failover").out == f"{READER} would take over from {WRITER}; --yes does it.\n"
    assert aws.changes == []
    done = snap("failover", "--yes", "--json").json
    assert (done["writer"], done["within_rto"]) == (READER, True)


def test_status_fails_where_a_promise_is_breached(snap: Cli) -> None:
    before = snap("status")
    assert before.code == 1
    assert "Daily snapshot: breached, there is no snapshot." in before.said
    snap("create", "--day", "2026-02-03")
    snap("copy", DAILY)
    after = snap("status", "--json")
    assert after.code == 0
    states = {each["name"]: each["state"] for each in after.json["objectives"]}
    assert states["regional disaster"] == "met"
    assert after.json["problems"] == ["automated backups are kept for 7 days instead of 35"]
    assert snap("retention", "--json").json == {"cluster": CLUSTER, "days": 35, "changed": True}
    assert snap("status", "--json").json["problems"] == []


def test_without_a_cluster_nothing_is_asked(cli: Cli) -> None:
    unset = cli("snapshots", "list")
    assert (unset.code, unset.out) == (2, "")
    assert "GREENLANG_AURORA_CLUSTER" in unset.said


def test_without_a_region_for_copies_the_setting_is_named(
    snap: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GREENLANG_AURORA_DR_REGION")
    get_settings.cache_clear()
    assert "GREENLANG_AURORA_DR_REGION" in snap("list", "--copies").said
