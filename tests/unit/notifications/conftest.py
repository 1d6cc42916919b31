"""Receivers on the loopback, and a message for them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from greenlang_vectors.notifications import delivery
from greenlang_vectors.notifications.message import Notification

from .receivers import HttpReceiver, http_receiver, write_certificate


@pytest.fixture
def hook() -> Iterator[HttpReceiver]:
    with http_receiver() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_certificate(tmp_path_factory.mktemp("tls") / "server.pem")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow one another at once."""
    monkeypatch.setattr(delivery, "LONGEST_WAIT", 0.001)


@pytest.fixture
def failure() -> Notification:
    return Notification(
        "run.failed",
        "csrd",
        "ingest",
        "documents",
        cause="The folder /documents/<csrd> & all cannot be listed.",
        remedy="Make it readable and run again.",
        command="greenlang-vectors dead-letters list --namespace csrd",
        runbook="docs/runbooks/source-unavailable.md",
        link="https://dagster.example/runs/1",
        run_id="1",
        at=datetime(2026, 11, 28, tzinfo=UTC),
    )
