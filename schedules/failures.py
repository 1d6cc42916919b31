"""A failed run in one line: which namespace, which stage or check, and why."""

from __future__ import annotations

import dagster as dg

PARTITION_TAG = "dagster/partition"
CHECK_FAILED = "DagsterAssetCheckFailedError"


def explain(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """What went wrong, out of the run's event log; the library's errors say what helps."""
    events = [
        entry.dagster_event
        for entry in instance.all_logs(run.run_id)
        if entry.dagster_event is not None
    ]
    faults = [
        f"{event.step_key} failed: {_cause(event)}"
        for event in events
        if event.is_step_failure and not _is_failed_check(event)
    ]
    faults += [
        f"the blocking check {evaluation.check_name} failed: {evaluation.description}"
        for evaluation in (e.asset_check_evaluation_data for e in events if _is_evaluation(e))
        if evaluation.blocking and not evaluation.passed
    ]
    if not faults:
        faults = [event.message or "" for event in events if event.is_job_failure]
    return _one_line(f"{run.tags.get(PARTITION_TAG, run.job_name)}: {'; '.join(faults)}")


def _is_evaluation(event: dg.DagsterEvent) -> bool:
    return event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION


def _is_failed_check(event: dg.DagsterEvent) -> bool:
    error = event.step_failure_data.error
    return error is not None and error.cls_name == CHECK_FAILED


def _cause(event: dg.DagsterEvent) -> str:
    """What the library said, or the innermost error where it said nothing."""
    data = event.step_failure_data
    if data.user_failure_data is not None and data.user_failure_data.description:
        return data.user_failure_data.description
    error = data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message if error is not None else event.message or ""


def _one_line(text: str) -> str:
    return " ".join(text.split())
