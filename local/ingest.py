"""Runs of the job `ingest` in this process, one namespace after the other."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import dagster as dg

from assets.stage import NAMESPACES
from greenlang_vectors.definitions import build_defs
from local.instance import PROCESS_TAG, process_tag
from local.screen import Screen
from schedules.failures import explain

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
INTERRUPTIONS = {"DagsterExecutionInterruptedError", "KeyboardInterrupt"}


@dataclass(frozen=True, slots=True)
class Run:
    """How the run of one namespace ended.

    Attributes:
        failure: one line that says what went wrong; None if nothing did.
    """

    namespace: str
    seconds: float
    failure: str | None


def ingest_all(instance: dg.DagsterInstance, names: Iterable[str], screen: Screen) -> Iterator[Run]:
    """Run every namespace; one that fails does not keep the others from running."""
    names = list(names)
    instance.add_dynamic_partitions(str(NAMESPACES.name), names)
    job = build_defs(resource_overrides={"progress": screen}).resolve_job_def("ingest")
    for name in names:
        started = time.monotonic()
        result = job.execute_in_process(
            run_config=QUIET,
            instance=instance,
            partition_key=name,
            tags={PROCESS_TAG: process_tag()},
            raise_on_error=False,
        )
        screen.end_stage()
        if _was_interrupted(result):
            raise KeyboardInterrupt
        failure = None if result.success else explain(instance, result.dagster_run)
        yield Run(name, time.monotonic() - started, failure)


def _was_interrupted(result: dg.ExecuteInProcessResult) -> bool:
    """Whether Ctrl-C ended it: Dagster makes a failure of that."""
    errors = [e.step_failure_data.error for e in result.all_events if e.is_step_failure]
    errors += [e.job_failure_data.error for e in result.all_events if e.is_job_failure]
    return any(error is not None and error.cls_name in INTERRUPTIONS for error in errors)
