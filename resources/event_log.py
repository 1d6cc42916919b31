"""What Dagster's own storage never deletes by itself: runs with all that belongs to them, and
events that belong to no run.

`DagsterInstance.delete_run` leaves the outcomes of asset checks and the captured output where they
are. The tables of the event log are alike in every storage (PostgreSQL, SQLite); ticks of schedules
and sensors go by `retention` in dagster.yaml.
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import chain

import dagster as dg
import sqlalchemy as sa
from dagster._core.instance.utils import RUNLESS_RUN_ID
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

RUNS_AT_ONCE = 100

_FINISHED = [
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
]


def delete_runs(instance: dg.DagsterInstance, before: datetime) -> int:
    """Delete finished runs that were made before this moment, with all that belongs to them."""
    finished = dg.RunsFilter(statuses=_FINISHED, created_before=before)
    deleted = 0
    while records := instance.get_run_records(finished, limit=RUNS_AT_ONCE):
        for record in records:
            run_id = record.dagster_run.run_id
            instance.compute_log_manager.delete_logs(prefix=[run_id])
            _delete_check_executions(instance, run_id)
            instance.delete_run(run_id)
        deleted += len(records)
    return deleted


def delete_runless_events(instance: dg.DagsterInstance, before: datetime) -> int:
    """Delete events of no run of before this moment: what sensors observed, how fresh assets were.

    Of each kind, asset and partition the newest stays: it says how things are now.
    """
    storage, deleted = _storage(instance), 0
    events = SqlEventLogStorageTable.c
    newest = (
        sa.select(sa.func.max(events.id))
        .where(events.run_id == RUNLESS_RUN_ID)
        .group_by(events.dagster_event_type, events.asset_key, events.partition)
    )
    old = sa.and_(
        events.run_id == RUNLESS_RUN_ID,
        events.timestamp < before.astimezone(UTC).replace(tzinfo=None),
        events.id.not_in(newest.scalar_subquery()),
    )
    for connected in (storage.index_connection(), storage.run_connection(RUNLESS_RUN_ID)):
        with connected as connection:  # of SQLite these are two files with the same events
            ids = list(chain(*connection.execute(sa.select(events.id).where(old))))
            for start in range(0, len(ids), RUNS_AT_ONCE):
                some = ids[start : start + RUNS_AT_ONCE]
                connection.execute(
                    AssetEventTagsTable.delete().where(AssetEventTagsTable.c.event_id.in_(some))
                )
                connection.execute(SqlEventLogStorageTable.delete().where(events.id.in_(some)))
        deleted = max(deleted, len(ids))
    return deleted


def _delete_check_executions(instance: dg.DagsterInstance, run_id: str) -> None:
    with _storage(instance).index_connection() as connection:
        connection.execute(
            AssetCheckExecutionsTable.delete().where(AssetCheckExecutionsTable.c.run_id == run_id)
        )


def _storage(instance: dg.DagsterInstance) -> SqlEventLogStorage:
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        raise TypeError(f"{type(storage).__name__} is no event log in SQL.")
    return storage
