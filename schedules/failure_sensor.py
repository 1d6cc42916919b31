"""The sensor that tells people of failed runs, and of their end.

It keeps its own cursor, and so is no run failure sensor of Dagster's: those move on even where a
tick breaks off, and know of no message that was sent before.
"""

import time
from datetime import UTC, datetime, timedelta

import dagster as dg

from greenlang_vectors.notifications.channel import Channel
from greenlang_vectors.notifications.delivery import channels_of, deliver
from greenlang_vectors.notifications.message import Notification
from greenlang_vectors.notifications.told import Failure, Told
from greenlang_vectors.settings import Settings
from schedules.described import described
from schedules.failures import PARTITION_TAG, explain, link_to, notification_of

WILL_RETRY_TAG = "dagster/will_retry"
FAILED = dg.DagsterEventType.RUN_FAILURE

TICK_SECONDS = 25.0
"""After this the next tick goes on; Dagster ends one after a minute."""


@described(
    dg.sensor,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def failed_runs(
    context: dg.SensorEvaluationContext, settings: dg.ResourceParam[Settings]
) -> dg.SensorResult:
    """Each failed run is logged in a line, and told to the channels that are set: namespace,
    stage, cause and the command that helps.

    The same failure is told again after GREENLANG_NOTIFY_REPEAT_HOURS only; when its job succeeds
    again that is told, too. A channel that fails is logged, and holds up nothing.
    """
    told = Told.from_json(context.cursor)
    if told.after is None:
        newest = context.instance.fetch_run_status_changes(FAILED, limit=1)
        return dg.SensorResult(
            cursor=Told(newest.cursor, told.failures).as_json(),
            skip_reason="From now on failed runs are told.",
        )
    telling = _Telling(context, settings, told)
    telling.failures()
    telling.ends()
    return dg.SensorResult(
        cursor=told.as_json(), skip_reason=" ".join(telling.said) or "No run has failed."
    )


class _Telling:
    """One tick."""

    def __init__(self, context: dg.SensorEvaluationContext, settings: Settings, told: Told) -> None:
        self._context, self._settings, self._told = context, settings, told
        self._instance = context.instance
        self._channels: list[Channel] = channels_of(settings)
        self._until = time.monotonic() + TICK_SECONDS
        self.said: list[str] = []

    def failures(self) -> None:
        """Every run that failed since the last tick, one after the other."""
        while time.monotonic() < self._until:
            found = self._instance.fetch_run_status_changes(
                FAILED, limit=1, cursor=self._told.after, ascending=True
            )
            if not found.records:
                return
            [record] = found.records
            run = self._instance.get_run_by_id(record.run_id)
            if run is not None and self._is_ours(run):
                self._failure(run, datetime.fromtimestamp(record.timestamp, UTC))
            self._told.after = found.cursor

    def ends(self) -> None:
        """Every failure that was told and whose job has succeeded since."""
        for failure in self._told.open_failures():
            if time.monotonic() >= self._until:
                return
            if (run := self._success(failure)) is not None:
                self._told.forget(failure)
                self._send(
                    Notification(
                        "run.recovered",
                        failure.namespace,
                        failure.job,
                        failure.job,
                        link=link_to(run, self._settings.dagster_url),
                        run_id=run.run_id,
                    )
                )

    def _is_ours(self, run: dg.DagsterRun) -> bool:
        """Whether it is of this code location; others may share the instance."""
        here, origin = self._context.code_location_origin, run.remote_job_origin
        if here is None or origin is None:
            return True
        there = origin.repository_origin.code_location_origin
        return there.location_name == here.location_name

    def _failure(self, run: dg.DagsterRun, at: datetime) -> None:
        line = explain(self._instance, run)
        self._context.log.error(line)
        self.said.append(line)
        if not self._channels or run.tags.get(WILL_RETRY_TAG) == "true":
            return
        notification = notification_of(self._instance, run, at, self._settings.dagster_url)
        repeat = timedelta(hours=self._settings.notify_repeat_hours)
        if self._told.is_news(notification, repeat) and self._send(notification):
            self._told.remember(notification)

    def _send(self, notification: Notification) -> bool:
        """Tell it; whether anybody was reached."""
        deliveries = deliver(self._channels, notification)
        for each in deliveries:
            if not each.delivered:
                self._context.log.warning("Not brought to %s: %s", each.channel, each.said)
        return any(each.delivered for each in deliveries)

    def _success(self, failure: Failure) -> dg.DagsterRun | None:
        """A run that did since what the failed one did not; never of a selection of assets, which
        may be another."""
        if failure.job.startswith("__"):
            return None
        records = self._instance.get_run_records(
            dg.RunsFilter(
                job_name=failure.job,
                statuses=[dg.DagsterRunStatus.SUCCESS],
                tags={} if failure.namespace is None else {PARTITION_TAG: failure.namespace},
                updated_after=datetime.fromisoformat(failure.at),
            ),
            limit=1,
        )
        return records[0].dagster_run if records else None


FAILURE_SENSORS = [failed_runs]
