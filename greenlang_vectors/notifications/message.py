"""What people are told: which namespace, which stage, why, and the command that helps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal

from greenlang_vectors.documents.model import JSON

Event = Literal["run.failed", "run.recovered", "test"]

LONGEST = 1500
"""Characters of a cause or a remedy; the run has the rest."""


@dataclass(frozen=True, slots=True)
class Notification:
    """One message, the same for every channel.

    Attributes:
        namespace: which it is about; None for a job that concerns no single one.
        stage: the asset or op that failed, or the job where that is not known.
        check: the blocking check of the stage that failed; None where the stage itself did.
        cause: what happened, in a sentence or two.
        remedy: what helps, in words.
        command: what to type first; None where nothing is known.
        runbook: the page that says more, in the repository.
        link: the run in Dagster's UI.
        at: when it happened.
    """

    event: Event
    namespace: str | None
    job: str
    stage: str
    check: str | None = None
    cause: str = ""
    remedy: str = ""
    command: str | None = None
    runbook: str | None = None
    link: str | None = None
    run_id: str | None = None
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def title(self) -> str:
        """What happened where, in a few words."""
        whose = self.namespace or self.job
        match self.event:
            case "run.failed" if self.check is not None:
                return f"{whose}: the blocking check {self.check} of {self.stage} failed"
            case "run.failed":
                return f"{whose}: {self.stage} failed"
            case "run.recovered":
                return f"{whose}: {self.stage} succeeded again"
        return "GreenLang Vectors can reach you here"

    def details(self) -> Iterator[tuple[str, str]]:
        """What is known beside the title: (name, value) of each."""
        for name, value in (
            ("Why", self.cause),
            ("What helps", self.remedy),
            ("Command", self.command),
            ("Runbook", self.runbook),
            ("Run", self.link or self.run_id),
        ):
            if value:
                yield name, value

    def as_json(self) -> dict[str, JSON]:
        """As the webhook sends it; fields are only ever added."""
        return {
            "namespace": self.namespace,
            "job": self.job,
            "stage": self.stage,
            "check": self.check,
            "title": self.title,
            "cause": self.cause,
            "remedy": self.remedy,
            "command": self.command,
            "runbook": self.runbook,
            "link": self.link,
            "run_id": self.run_id,
        }


def bounded(notification: Notification) -> Notification:
    """The same, on single lines of a length that every channel takes."""
    return replace(
        notification,
        cause=_one_line(notification.cause),
        remedy=_one_line(notification.remedy),
    )


def sameness(notification: Notification) -> str:
    """Equal for messages that tell the same: numbers in the cause (times, counts, process ids)
    do not matter."""
    cause = re.sub(r"\d+", "#", notification.cause)
    return f"{notification.namespace or notification.job}: {notification.stage}: {cause}"


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
