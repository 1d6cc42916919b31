"""Sensors of sources that say themselves when something has changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

import dagster as dg

from assets.stage import NAMESPACES
from greenlang_vectors.documents.source import S3Source, source_from_uri
from greenlang_vectors.errors import GreenLangError
from greenlang_vectors.ingest.event_queue import EventQueue, Taken
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import namespaces
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.namespaces import Namespace
from schedules.described import described
from schedules.jobs import ingest
from schedules.sensors import is_busy

UNSET = "GREENLANG_S3_EVENTS_QUEUE_URL names no queue."

MOST_MESSAGES = 500
"""Of one tick: the cursor holds their receipts."""

WAIT_SECONDS = 5


class Cursor(NamedTuple):
    """What is kept between ticks.

    Attributes:
        receipts: of messages whose namespaces an earlier tick kept or asked runs for: it is kept
            only after that, so they may be deleted now.
        waiting: changes of namespaces that no run was asked for yet.
    """

    receipts: list[str]
    waiting: dict[str, int]


@described(
    dg.sensor,
    job=ingest,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def bucket_events(
    context: dg.SensorEvaluationContext,
    database: dg.ResourceParam[Database],
    settings: dg.ResourceParam[Settings],
) -> dg.SensorResult | dg.SkipReason:
    """A run for each namespace below whose bucket S3 says that objects have changed.

    A message is deleted by the tick after the one that asked for its run, so that none is lost with
    a daemon that dies: what comes twice asks for a run that finds nothing to do. Changes of a
    namespace that has a run under way wait for the next one, which lists the bucket anew.
    """
    if settings.s3_events_queue_url is None:
        return dg.SkipReason(UNSET)
    before = Cursor(**json.loads(context.cursor)) if context.cursor else Cursor([], {})
    with database.connection() as connection:
        registered = namespaces.list_all(connection)
    try:
        sources = _buckets(registered)
        queue = EventQueue(settings.s3_events_queue_url)
        queue.delete(before.receipts)
        taken = queue.take(sources, most=MOST_MESSAGES, wait_seconds=WAIT_SECONDS)
        note = _note(queue, taken)
    except GreenLangError as error:
        return dg.SkipReason(str(error))
    if taken.unreadable:
        context.log.error("%s %s", note, " ".join(taken.unreadable))
    waiting = {
        name: count
        for name in sources
        if (count := before.waiting.get(name, 0) + taken.objects[name])
    }
    partitions = NAMESPACES.get_partition_keys(dynamic_partitions_store=context.instance)
    ready = [name for name in waiting if name in partitions and not is_busy(context.instance, name)]
    requests = [
        dg.RunRequest(
            partition_key=name, tags={"greenlang/changed_objects": str(waiting.pop(name))}
        )
        for name in ready
    ]
    return dg.SensorResult(
        run_requests=requests,
        cursor=json.dumps(Cursor(taken.receipts, waiting)._asdict()),
        skip_reason=None if requests else note,
    )


def _buckets(registered: Sequence[Namespace]) -> dict[str, S3Source]:
    """The sources of the namespaces whose source is a bucket."""
    opened = {each.name: source_from_uri(each.source_uri) for each in registered if each.source_uri}
    return {name: source for name, source in opened.items() if isinstance(source, S3Source)}


def _note(queue: EventQueue, taken: Taken) -> str:
    if not taken.unreadable:
        return f"No event of a namespace's bucket; {taken.elsewhere} of others were dropped."
    after = (
        "its dead-letter queue takes them in time."
        if queue.dead_letter_queue()
        else "it has no dead-letter queue and shows them again until they expire: give it one."
    )
    return f"{len(taken.unreadable)} messages are no events of S3 and stay in the queue; {after}"


SOURCE_SENSORS = [bucket_events]
