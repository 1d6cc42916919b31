"""Failed runs in words: which namespace, which stage or check, why, and what helps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import dagster as dg

from greenlang_vectors.notifications.help import Help, command_of, help_for, runbook_of
from greenlang_vectors.notifications.message import Notification

PARTITION_TAG = "dagster/partition"
CHECK_FAILED = "DagsterAssetCheckFailedError"
TELLING = {
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    dg.DagsterEventType.RUN_FAILURE,
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that went wrong in a run.

    Attributes:
        stage: the asset or op, or the job where neither is known.
        said: all that is said of it, in which `remedy` may stand.
        check: the blocking check of the stage that failed; None where the stage itself did.
        error: the name of the library's error.
    """

    stage: str
    said: str
    check: str | None = None
    remedy: str = ""
    error: str | None = None

    @property
    def line(self) -> str:
        """What failed, and why."""
        who = self.stage if self.check is None else f"the blocking check {self.check}"
        return f"{who} failed: {self.said}"

    @property
    def help(self) -> Help:
        """Where to begin."""
        return help_for(self.stage, self.error, check=self.check is not None)


def faults(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[Fault]:
    """What went wrong, out of the run's event log; at least one."""
    events = [
        entry.dagster_event
        for entry in instance.all_logs(run.run_id, of_type=TELLING)
        if entry.dagster_event is not None
    ]
    found = [
        _fault(event) for event in events if event.is_step_failure and not _is_failed_check(event)
    ]
    found += [
        Fault(each.asset_key.to_user_string(), each.description or "", check=each.check_name)
        for each in (e.asset_check_evaluation_data for e in events if _is_evaluation(e))
        if each.blocking and not each.passed
    ]
    if not found:
        found = [
            Fault(run.job_name, event.message or "") for event in events if event.is_job_failure
        ]
    return found or [Fault(run.job_name, "")]


def explain(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """What went wrong, in one line."""
    said = "; ".join(fault.line for fault in faults(instance, run))
    return _one_line(f"{run.tags.get(PARTITION_TAG, run.job_name)}: {said}")


def notification_of(
    instance: dg.DagsterInstance, run: dg.DagsterRun, at: datetime, dagster_url: str | None
) -> Notification:
    """What people are told of a failed run.

    Args:
        at: when it failed.
        dagster_url: where they reach the UI; None for no link.
    """
    found = faults(instance, run)
    first, namespace = found[0], run.tags.get(PARTITION_TAG)
    cause = first.said.removesuffix(first.remedy).strip()
    return Notification(
        "run.failed",
        namespace,
        run.job_name,
        first.stage,
        check=first.check,
        cause="; ".join([cause, *(fault.line for fault in found[1:])]),
        remedy=first.remedy,
        command=command_of(first.help, namespace),
        runbook=runbook_of(first.help),
        link=link_to(run, dagster_url),
        run_id=run.run_id,
        at=at,
    )


def link_to(run: dg.DagsterRun, dagster_url: str | None) -> str | None:
    """The run in the UI."""
    return None if dagster_url is None else f"{dagster_url.rstrip('/')}/runs/{run.run_id}"


def _is_evaluation(event: dg.DagsterEvent) -> bool:
    return event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION


def _is_failed_check(event: dg.DagsterEvent) -> bool:
    error = event.step_failure_data.error
    return error is not None and error.cls_name == CHECK_FAILED


def _fault(event: dg.DagsterEvent) -> Fault:
    """What the library said, or the innermost error where it said nothing."""
    data, stage = event.step_failure_data, event.step_key or ""
    if data.user_failure_data is not None and data.user_failure_data.description:
        known = data.user_failure_data.metadata
        remedy, name = (known[key].value if key in known else "" for key in ("what_helps", "error"))
        return Fault(
            stage, data.user_failure_data.description, remedy=str(remedy), error=str(name) or None
        )
    error = data.error
    while error is not None and error.cause is not None:
        error = error.cause
    if error is None:
        return Fault(stage, event.message or "")
    return Fault(stage, error.message, error=error.cls_name)


def _one_line(text: str) -> str:
    return " ".join(text.split())
