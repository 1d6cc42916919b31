"""Kafka topics that fill namespaces: a run stores what waits, a sensor asks for it."""

import dagster as dg

from assets.stage import NAMESPACES, explained
from greenlang_vectors.errors import GreenLangError
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import Database
from resources import pools
from resources.embedding import EmbeddingResource
from schedules.described import described
from schedules.sensors import is_busy

UNSET = "GREENLANG_KAFKA_TOPICS names no topic."


@dg.op(pool=pools.EMBEDDING_MODEL)
def consume_waiting_messages(
    context: dg.OpExecutionContext,
    database: dg.ResourceParam[Database],
    embedding: EmbeddingResource,
    settings: dg.ResourceParam[Settings],
) -> None:
    """Store the messages of the namespace's topic until none waits; offsets follow the rows."""
    from greenlang_vectors.ingest import topics  # noqa: PLC0415 - loads slowly
    from greenlang_vectors.ingest.messages import Sink  # noqa: PLC0415

    namespace = context.partition_key
    with explained(context), database.connect() as locking, database.connect() as connection:
        topic = topics.topic_of(settings, namespace)
        embedders = embedding.embedders(database)
        with Sink(connection, namespace, embedders, settings, topic=topic) as sink:
            stored = topics.consume_waiting(settings, locking, sink, namespace, topic)
        context.add_output_metadata(
            {
                "topic": topic,
                "messages": stored.messages,
                "documents": stored.documents,
                "embeddings_written": stored.written,
                "documents_removed": stored.removed,
                "dead_letters": stored.failed,
            }
        )


@dg.job(partitions_def=NAMESPACES, executor_def=dg.in_process_executor)
def consume_topic() -> None:
    """Store what waits in a namespace's topic; `greenlang-vectors consume` does so on and on."""
    consume_waiting_messages()


@described(
    dg.sensor,
    job_name=consume_topic.name,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def topic_messages(
    context: dg.SensorEvaluationContext, settings: dg.ResourceParam[Settings]
) -> dg.SensorResult | dg.SkipReason:
    """A run for each namespace in whose topic messages wait. The group's offsets are the cursor."""
    from greenlang_vectors.ingest import topics  # noqa: PLC0415

    if not settings.kafka_topics:
        return dg.SkipReason(UNSET)
    partitions = NAMESPACES.get_partition_keys(dynamic_partitions_store=context.instance)
    requests: list[dg.RunRequest] = []
    notes: list[str] = []
    for name, topic in topics.topics(settings).items():
        if name not in partitions or is_busy(context.instance, name):
            continue
        try:
            count = topics.waiting(settings, name, topic)
        except GreenLangError as error:
            notes.append(f"{name}: {error}")
            continue
        if count:
            tags = {"greenlang/waiting_messages": str(count)}
            requests.append(dg.RunRequest(partition_key=name, tags=tags))
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=None if requests else " ".join(notes) or "No message waits.",
    )


TOPIC_SENSORS = [topic_messages]
