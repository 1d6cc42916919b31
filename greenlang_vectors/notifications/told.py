"""Which failures people know of: the same one is told once in a while, and its end once."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

from greenlang_vectors.notifications.message import Notification, sameness

MOST = 500
"""Failures that are remembered; the oldest go."""

FORGOTTEN_AFTER = timedelta(days=30)
"""Nobody waits any longer for the end of a failure."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure that was told.

    Attributes:
        at: when it happened, the last time that it was told, in ISO 8601.
    """

    namespace: str | None
    job: str
    stage: str
    at: str


@dataclass(slots=True)
class Told:
    """What was told, by what makes failures the same; kept as JSON between evaluations.

    Attributes:
        after: the newest failed run that was looked at, as its storage has it; None before.
    """

    after: str | None = None
    failures: dict[str, Failure] = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: str | None) -> Told:
        """As it was kept; nothing was told where there is nothing, or it cannot be read."""
        try:
            kept = json.loads(text or "{}")
            failures = {key: Failure(**each) for key, each in kept.get("failures", {}).items()}
            return cls(kept.get("after"), failures)
        except (ValueError, TypeError, AttributeError):
            return cls()

    def as_json(self) -> str:
        """To be kept."""
        failures = {key: asdict(failure) for key, failure in self.failures.items()}
        return json.dumps({"after": self.after, "failures": failures}, sort_keys=True)

    def is_news(self, notification: Notification, repeat: timedelta) -> bool:
        """Whether the same was not told within this time."""
        known = self.failures.get(_key(notification))
        return known is None or notification.at - datetime.fromisoformat(known.at) >= repeat

    def remember(self, notification: Notification) -> None:
        """It was told."""
        key = _key(notification)
        self.failures.pop(key, None)
        self.failures[key] = Failure(
            notification.namespace,
            notification.job,
            notification.stage,
            notification.at.isoformat(),
        )
        kept = sorted(self.failures.items(), key=lambda item: item[1].at)[-MOST:]
        oldest = notification.at - FORGOTTEN_AFTER
        self.failures = {
            key: each for key, each in kept if datetime.fromisoformat(each.at) >= oldest
        }

    def open_failures(self) -> list[Failure]:
        """The newest of each job of each namespace whose end was not told."""
        newest = sorted(self.failures.values(), key=lambda failure: failure.at)
        return list({(each.job, each.namespace): each for each in newest}.values())

    def forget(self, over: Failure) -> None:
        """The job of the namespace has succeeded again."""
        self.failures = {
            key: each
            for key, each in self.failures.items()
            if (each.job, each.namespace) != (over.job, over.namespace)
        }


def _key(notification: Notification) -> str:
    return hashlib.sha256(sameness(notification).encode()).hexdigest()[:32]
