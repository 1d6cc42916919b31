"""Dagster stores what waits in a topic: the sensor asks for a run, and the run leaves nothing."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

pytest.importorskip("confluent_kafka", reason="needs the extra kafka")

from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import Database
from schedules.topics import consume_topic, topic_messages
from tests.integration.dagster.conftest import QUIET
from tests.integration.dagster.toy import ToyEmbedding

from .kafka import Cluster, Topic

pytestmark = pytest.mark.integration


def test_what_waits_in_a_topic_is_stored_by_one_run(database: Database, toys: Embedders) -> None:
    with database.connect() as connection, dg.DagsterInstance.ephemeral() as instance:
        topic = Topic(Cluster(), connection, toys)
        settings = topic.settings.model_copy(
            update={"kafka_topics": f"{topic.namespace}={topic.name}, elsewhere=nothing"}
        )

        def asked(settings: Settings = settings) -> list[Any]:
            with dg.build_sensor_context(
                instance=instance, resources={"settings": settings}
            ) as context:
                result = topic_messages(context)
            requests = result.run_requests or [] if isinstance(result, dg.SensorResult) else []
            return [request.partition_key for request in requests]

        topic.send(("a", {"text": "It binds."}), ("b", {"text": "It ends."}), ("c", b"poison"))
        assert asked() == []  # Dagster does not know the namespace yet
        instance.add_dynamic_partitions("namespace", [topic.namespace])
        assert asked() == [topic.namespace]
        assert asked(Settings()) == []
        result = consume_topic.execute_in_process(
            instance=instance,
            partition_key=topic.namespace,
            resources={"database": database, "embedding": ToyEmbedding(), "settings": settings},
            run_config=QUIET,
        )
        assert result.success
        assert (set(topic.rows), topic.letters) == ({"a", "b"}, {"c": "damaged"})
        assert asked() == []
