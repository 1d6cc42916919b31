"""What the stand-in is filled with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import weaviate
from weaviate import WeaviateClient

from greenlang_vectors.settings import PROJECT_ROOT
from local.weaviate_server.samples import CHUNKS_PER_SOURCE, books, sample_objects
from local.weaviate_server.server import WeaviateServer


def test_sample_objects_are_the_same_each_time() -> None:
    one, other = list(sample_objects(30, 16, seed=1)), list(sample_objects(30, 16, seed=1))
    assert one == other
    assert one != list(sample_objects(30, 16, seed=2))
    assert len({each.id for each in one}) == 30
    sources = [each.properties["source_id"] for each in one]
    assert {sources.count(each) for each in sources} == {CHUNKS_PER_SOURCE}
    assert any(each.properties["confidence"] is None for each in one)
    lengths = [np.linalg.norm(np.frombuffer(each.vectors[""].data, "<f4")) for each in one]
    np.testing.assert_allclose(lengths, 1, rtol=1e-5)


def test_real_objects_come_back_as_they_were(
    server: WeaviateServer, client: WeaviateClient, shared_data: Path
) -> None:
    path = shared_data / "weaviate" / "books_with_vectors.json"
    for collection, book in books(path):
        server.control.put(collection, [book])
    found = list(client.collections.get("Books").iterator(include_vector=True))
    real = {each["id"]: each for each in json.loads(path.read_text())}
    assert {str(each.uuid) for each in found} == real.keys()
    for each in found:
        book = real[str(each.uuid)]
        assert each.properties == book["properties"]
        assert np.float32(each.vector["default"]).tobytes() == np.float32(book["vector"]).tobytes()


def test_a_server_is_started_from_the_command_line() -> None:
    command = [
        sys.executable,
        "-m",
        "local.weaviate_server",
        "--objects",
        "20",
        "--dimensions",
        "4",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT_ROOT) as process:
        try:
            ports = json.loads(process.stdout.readline())
            with weaviate.connect_to_local(
                port=ports["http_port"], grpc_port=ports["grpc_port"], skip_init_checks=True
            ) as client:
                assert len(list(client.collections.get("Passages").iterator())) == 20
        finally:
            process.terminate()
        assert process.wait(10) == 0
