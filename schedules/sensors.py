"""Sensors: Dagster follows the registry, and runs follow the sources."""

import json

import dagster as dg

from assets.stage import NAMESPACES
from greenlang_vectors.documents.source import listing_fingerprint, source_from_uri
from greenlang_vectors.errors import GreenLangError
from greenlang_vectors.settings import get_settings
from greenlang_vectors.store import collections, maintenance, namespaces
from greenlang_vectors.store.database import Database
from schedules.described import described
from schedules.failures import PARTITION_TAG
from schedules.jobs import ingest, maintain_indexes

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@described(
    dg.sensor,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def namespace_registry(
    context: dg.SensorEvaluationContext, database: dg.ResourceParam[Database]
) -> dg.SensorResult | dg.SkipReason:
    """Dagster's partitions are the registered namespaces."""
    with database.connection() as connection:
        registered = {namespace.name for namespace in namespaces.list_all(connection)}
    known = set(_partitions(context))
    added, dropped = sorted(registered - known), sorted(known - registered)
    requests: list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest] = []
    if added:
        requests.append(NAMESPACES.build_add_request(added))
    if dropped:
        requests.append(NAMESPACES.build_delete_request(dropped))
    if not requests:
        return dg.SkipReason("The partitions are the registered namespaces.")
    return dg.SensorResult(dynamic_partitions_requests=requests)


@described(
    dg.sensor,
    job=ingest,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def source_changes(
    context: dg.SensorEvaluationContext, database: dg.ResourceParam[Database]
) -> dg.SensorResult:
    """A run for each namespace whose source holds other files than were last worked through.

    A bucket that tells a queue of its changes (`bucket_events`) is listed for it only until it was
    worked through once.
    One listing asks for one run: the cursor remembers which listing that was, so that a source
    whose run fails waits for a change or for the daily refresh.
    """
    with database.connection() as connection:
        registered = namespaces.list_all(connection)
    asked: dict[str, str] = json.loads(context.cursor or "{}")
    remembered: dict[str, str] = {}
    requests: list[dg.RunRequest] = []
    notes: list[str] = []
    partitions = set(_partitions(context))
    for namespace in registered:
        name, uri = namespace.name, namespace.source_uri
        if uri is None or name not in partitions or _tells_itself(namespace):
            continue
        if name in asked:
            remembered[name] = asked[name]
        try:
            listing = listing_fingerprint(source_from_uri(uri).list())
        except GreenLangError as error:
            notes.append(f"{name}: {error}")
            continue
        if listing in (namespace.source_fingerprint, asked.get(name)):
            continue
        if is_busy(context.instance, name):
            notes.append(f"{name}: its sources changed; a run is already under way.")
            continue
        requests.append(dg.RunRequest(partition_key=name))
        remembered[name] = listing
    return dg.SensorResult(
        run_requests=requests,
        cursor=json.dumps(remembered, sort_keys=True),
        skip_reason=None if requests else " ".join(notes) or "No source has changed.",
    )


@described(
    dg.sensor,
    job=maintain_indexes,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def growing_tails(
    context: dg.SensorEvaluationContext, database: dg.ResourceParam[Database]
) -> dg.SensorResult:
    """A run for each namespace in which more rows wait for an index than a scan should read."""
    partitions = set(_partitions(context))
    with database.connection() as connection:
        waiting = {
            collection.namespace
            for collection in collections.list_all(connection)
            if collection.namespace in partitions
            and maintenance.due(connection, collection.leaf, get_settings())
        }
    requests = [
        dg.RunRequest(partition_key=name)
        for name in sorted(waiting)
        if not is_busy(context.instance, name)
    ]
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=None if requests else "No namespace has rows that wait for an index.",
    )


def _tells_itself(namespace: namespaces.Namespace) -> bool:
    return (
        get_settings().s3_events_queue_url is not None
        and (namespace.source_uri or "").startswith("s3://")
        and namespace.source_fingerprint is not None
    )


def _partitions(context: dg.SensorEvaluationContext) -> list[str]:
    return list(NAMESPACES.get_partition_keys(dynamic_partitions_store=context.instance))


def is_busy(instance: dg.DagsterInstance, namespace: str) -> bool:
    """Whether a run of the namespace is queued or under way."""
    unfinished = dg.RunsFilter(statuses=UNFINISHED, tags={PARTITION_TAG: namespace})
    return bool(instance.get_run_ids(unfinished, limit=1))


SENSORS = [namespace_registry, source_changes, growing_tails]
