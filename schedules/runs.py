"""Runs that schedules ask for."""

from collections.abc import Iterator

import dagster as dg

from assets.stage import NAMESPACES


def of_each_namespace(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """A run for each namespace, once a tick."""
    for name in NAMESPACES.get_partition_keys(dynamic_partitions_store=context.instance):
        yield dg.RunRequest(run_key=name, partition_key=name)
