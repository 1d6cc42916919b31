"""Documents that are sent: files to the HTTP API, messages to a topic, passages in files."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from urllib3 import encode_multipart_formdata

from benchmarks.api import served
from benchmarks.common import MIB, checkpoint, new_database
from benchmarks.pipeline import copy_floor
from benchmarks.rows import rows
from benchmarks.sources.way import Section, Sizes, Way, take
from benchmarks.vectors import VectorSource
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.ingest.importing import import_passages
from greenlang_vectors.ingest.messages import Sink
from greenlang_vectors.ingest.passage_files import PassageFile
from greenlang_vectors.ingest.topics import consume_batch
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import api_keys, namespaces
from greenlang_vectors.store.database import Database

LARGE_BYTES = 8 * MIB
MODEL = "supplied-384"
PARTITIONS = 4
SECONDS = 30


def uploads(server_url: str, made: Sequence[str], sizes: Sizes, folder: Path) -> list[Section]:
    """Files through the HTTP API of a server of its own, over one connection."""
    database = new_database(server_url)
    source = folder / "uploaded"
    source.mkdir()
    with database.connect() as connection:
        namespaces.register(connection, "acts", source_uri=str(source))
        _, key = api_keys.create(connection, "benchmark", for_namespaces=["acts"], scopes=["write"])
    small = [text.encode() for text in made[: sizes.uploads]]
    large = [bytes([place]) * LARGE_BYTES for place in range(sizes.large_uploads)]
    with served(database) as address:
        client = HTTPConnection(*address)
        sections = [
            ("files", _files(kind, files, folder, client, key))
            for kind, files in (("4 KB", small), ("8 MiB", large))
        ]
        client.close()
    database.close()
    return sections


def _files(
    kind: str, files: Sequence[bytes], folder: Path, client: HTTPConnection, key: str
) -> list[Way]:
    def alone() -> None:
        for place, data in enumerate(files):
            with (folder / f"{kind} {place}").open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())

    def upload() -> None:
        for place, data in enumerate(files):
            _upload(client, key, f"{kind} {place}.md", data)

    size = sum(map(len, files))
    return [
        take(f"floor: {kind} each, synced to disk", len(files), size, alone),
        take(f"upload, {kind} each", len(files), size, upload),
    ]


def _upload(client: HTTPConnection, key: str, name: str, data: bytes) -> None:
    body, kind = encode_multipart_formdata({"namespace": "acts", "file": (name, data)})
    headers = {"Authorization": f"Bearer {key}", "Content-Type": kind}
    client.request("POST", "/v1/documents", body, headers)
    answer = client.getresponse()
    said = answer.read()
    if answer.status != HTTPStatus.ACCEPTED:
        raise SystemExit(f"The API refused an upload: {said.decode()}")


def topic(server_url: str, made: Sequence[str], embedders: Embedders) -> Section:
    """Messages of a topic: polled alone, and stored, cut and embedded."""
    from confluent_kafka import Consumer, Producer, TopicPartition  # noqa: PLC0415 - an extra

    quiet = {"log_level": 2}
    cluster = Producer({"bootstrap.servers": "none:1", "test.mock.num.brokers": 1, **quiet})
    [broker] = cluster.list_topics(timeout=SECONDS).brokers.values()
    brokers = {"bootstrap.servers": f"{broker.host}:{broker.port}", **quiet}
    producer = Producer(brokers)
    for place, text in enumerate(made):
        value = json.dumps({"text": text, "media_type": "text/markdown"})
        producer.produce("acts", key=f"{place:05}", value=value)
    producer.flush(SECONDS)

    def opened(group: str) -> Any:  # noqa: ANN401 - confluent-kafka carries no types
        consumer = Consumer(
            {
                **brokers,
                "group.id": group,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
            }
        )
        consumer.assign([TopicPartition("acts", each) for each in range(PARTITIONS)])
        return consumer

    def poll() -> None:
        consumer, got = opened("alone"), 0
        while got < len(made):
            got += consumer.poll(SECONDS) is not None
        consumer.close()

    database = new_database(server_url)
    with database.connect() as connection:
        namespaces.register(connection, "acts")
        sink = Sink(connection, "acts", embedders, Settings())

        def store() -> None:
            consumer, got = opened("acts"), 0
            while got < len(made):
                got += consume_batch(consumer, sink).messages
            consumer.close()

        size = sum(map(len, made))
        ways = [
            take("floor: topic, polled alone", len(made), size, poll),
            take("topic, stored and embedded", len(made), size, store),
        ]
    database.close()
    return "messages", ways


def imports(server_url: str, sizes: Sizes, embedders: Embedders, folder: Path) -> Section:
    """Files of passages, with vectors and without."""
    records: list[dict[str, Any]] = [
        {"source_id": str(row.source_id), "content": row.preview, "metadata": row.metadata}
        for row in rows(0, sizes.rows)
    ]
    vectors = VectorSource().take(sizes.rows)
    plain, lines, columns = (
        folder / name for name in ("passages.jsonl", "vectors.jsonl", "vectors.parquet")
    )
    plain.write_text("".join(json.dumps(each) + "\n" for each in records))
    with lines.open("w") as file:
        for record, vector in zip(records, vectors, strict=True):
            file.write(json.dumps({**record, "embedding": vector.tolist()}) + "\n")
    table = pa.Table.from_pylist(records)
    pq.write_table(table.append_column("embedding", pa.array(list(vectors))), columns)
    database = new_database(server_url)
    ways = []
    for name, path, model in (
        ("import, JSONL of passages", plain, None),
        ("import, JSONL with vectors", lines, MODEL),
        ("import, Parquet with vectors", columns, MODEL),
        ("the same again", columns, MODEL),
    ):
        namespace = path.name.replace(".", "-")
        with database.connect() as connection:
            namespaces.register(connection, namespace)
        checkpoint(server_url)
        load = partial(_import, database, namespace, path, model, embedders)
        ways.append(take(name, sizes.rows, path.stat().st_size, load))
    seconds, copied = copy_floor(database)
    database.close()
    return "rows", [Way("floor: binary COPY of the rows", copied, 0, seconds, 0), *ways]


def _import(
    database: Database, namespace: str, path: Path, model: str | None, embedders: Embedders
) -> None:
    report = import_passages(
        database,
        namespace,
        PassageFile(path),
        embedders=embedders,
        model=model,
        batch_size=1000,
        cache_seconds=0,
    )
    if report.failed:
        raise SystemExit(f"{report.failed} rows were refused: {report.problems}")
