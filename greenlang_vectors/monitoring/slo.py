"""Whether a month's searches kept the service levels of PRD 14.1, by the search log.

Availability is the share of logged searches that were answered; the error budget is what may fail
of so many searches. Latency is that of the answered ones without embedding the question ("query
execution time"). Recall is the lowest that was measured of the collection that serves, or that
searches had before tuning mended it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

import psycopg

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.errors import UsageError
from greenlang_vectors.settings import Settings

AVAILABILITY = 0.999
P50_MS = 20.0
P99_MS = 100.0

UNSEEN = (
    "The log knows of no search that did not reach a process, or that a process could not log"
    " before it ended; --prometheus tells what scrapes saw."
)


@dataclass(frozen=True, slots=True)
class Level:
    """What was promised and what was kept.

    Attributes:
        namespace: None for all of them together.
        searches: logged, answered or not.
        failed: of them, by no fault of whoever asked.
        latency_p50_ms, latency_p99_ms: of the answered ones; None without any.
        recall_at_10: the lowest of the month; None where none was measured.
        recall_target: what the namespace is promised; None for all together.
    """

    namespace: str | None
    searches: int
    failed: int
    latency_p50_ms: float | None
    latency_p99_ms: float | None
    recall_at_10: float | None
    recall_target: float | None

    @property
    def availability(self) -> float | None:
        """The share of searches that were answered; None where nobody searched."""
        return 1 - self.failed / self.searches if self.searches else None

    @property
    def budget_left(self) -> float | None:
        """The share of the month's error budget that is left; below 0 where it is overdrawn."""
        if not self.searches:
            return None
        return 1 - self.failed / (self.searches * (1 - AVAILABILITY))

    @property
    def missed(self) -> list[str]:
        """Which targets were not kept."""
        judged = {
            "availability": self.availability is not None and self.availability < AVAILABILITY,
            "latency_p50_ms": self.latency_p50_ms is not None and self.latency_p50_ms >= P50_MS,
            "latency_p99_ms": self.latency_p99_ms is not None and self.latency_p99_ms >= P99_MS,
            "recall_at_10": self.recall_at_10 is not None
            and self.recall_target is not None
            and self.recall_at_10 < self.recall_target,
        }
        return [target for target, missed in judged.items() if missed]

    def as_json(self) -> dict[str, JSON]:
        """As the command reports it."""
        return {
            **asdict(self),
            "availability": self.availability,
            "budget_left": self.budget_left,
            "missed": [*self.missed],
        }


@dataclass(frozen=True, slots=True)
class Report:
    """A month's service levels.

    Attributes:
        month: "YYYY-MM".
        start: its first moment.
        since: the first moment that the log can speak of; later than `until` where it cannot.
        until: the month's end, or now.
        total: of all namespaces together.
        levels: of each, by name.
        remarks: what the figures do not tell.
    """

    month: str
    start: datetime
    since: datetime
    until: datetime
    total: Level
    levels: list[Level]
    remarks: list[str]

    def as_json(self) -> dict[str, JSON]:
        """As the command reports it."""
        return {
            "month": self.month,
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "targets": {
                "availability": AVAILABILITY,
                "latency_p50_ms": P50_MS,
                "latency_p99_ms": P99_MS,
            },
            "total": self.total.as_json(),
            "namespaces": [level.as_json() for level in self.levels],
            "remarks": [*self.remarks],
        }


def report(
    connection: psycopg.Connection, settings: Settings, month: str | None, now: datetime
) -> Report:
    """The service levels of a month (UTC) up to now.

    Args:
        settings: how many days, and which share, of the searches are logged.
        month: "YYYY-MM"; None for the one that `now` is in.

    Raises:
        UsageError: no month, or one that has not begun.
    """
    start, end = _bounds(month, now)
    until = min(end, now)
    kept_since = now - timedelta(days=settings.search_log_days)
    bounds = {"start": start, "end": end}
    recalls = {row[0]: row[1] for row in connection.execute(_RECALLS, bounds)}
    targets = {
        row[0]: row[1] for row in connection.execute("SELECT name, recall_target FROM namespaces")
    }
    searched = {row[0]: row[1:] for row in connection.execute(_SEARCHES, bounds)}
    levels = [
        _level(name, searched.get(name), recalls.get(name), targets[name])
        for name in sorted(targets)
    ]
    return Report(
        month=f"{start:%Y-%m}",
        start=start,
        since=max(start, kept_since),
        until=until,
        total=_level(None, searched.get(None), None, None),
        levels=levels,
        remarks=_remarks(start, kept_since, settings),
    )


def _level(
    name: str | None,
    searched: tuple[int, int, list[float] | None] | None,
    recall: float | None,
    target: float | None,
) -> Level:
    searches, failed, latencies = searched or (0, 0, None)
    p50, p99 = latencies or (None, None)
    return Level(name, searches, failed, p50, p99, recall, target)


def _remarks(start: datetime, kept_since: datetime, settings: Settings) -> list[str]:
    remarks = [UNSEEN]
    if kept_since > start:
        remarks.append(
            f"Searches before {kept_since:%Y-%m-%d %H:%M} UTC are in the log no more:"
            f" GREENLANG_SEARCH_LOG_DAYS is {settings.search_log_days}."
        )
    if settings.search_log_share < 1:
        remarks.append(
            f"The log holds a sample: GREENLANG_SEARCH_LOG_SHARE is {settings.search_log_share:g}."
        )
    return remarks


def _bounds(month: str | None, now: datetime) -> tuple[datetime, datetime]:
    try:
        start = datetime.strptime(month or f"{now:%Y-%m}", "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        raise UsageError(f"{month!r} is no month.", "Write it YYYY-MM.") from None
    if start > now:
        raise UsageError(f"The month {month} has not begun.")
    return start, (start + timedelta(days=32)).replace(day=1)


_SEARCHES = """
    SELECT namespace, count(*), count(failure),
           percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY latency_ms)
               FILTER (WHERE failure IS NULL)
    FROM vector_search_logs WHERE created_at >= %(start)s AND created_at < %(end)s
    GROUP BY GROUPING SETS ((namespace), ())
"""

_RECALLS = """
    SELECT q.namespace, min(least(q.recall_at_10, q.recall_before))
    FROM search_quality q
    JOIN embedding_collections c
        ON c.namespace = q.namespace AND c.embedding_model = q.embedding_model AND c.serving
    WHERE q.measured_at >= %(start)s AND q.measured_at < %(end)s
    GROUP BY q.namespace
"""
