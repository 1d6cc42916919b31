"""The export a server has from 1.37 on, asked for by the official client."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from weaviate import WeaviateClient
from weaviate.classes.config import Configure
from weaviate.exceptions import UnexpectedStatusCodeError
from weaviate.export.export import ExportCreateReturn, ExportFileFormat, ExportStorage

from local.weaviate_server.samples import PASSAGES, sample_objects
from local.weaviate_server.server import WeaviateServer

HARD = np.array([-0.0, 1e-45, 3.4028235e38, 0.1, 1.0], np.float32)

Connect = Callable[..., WeaviateClient]


def export(client: WeaviateClient, name: str, **options: object) -> ExportCreateReturn:
    return client.export.create(
        export_id=name,
        backend=ExportStorage.FILESYSTEM,
        file_format=ExportFileFormat.PARQUET,
        **options,
    )


def test_an_export_holds_every_object_in_the_order_of_the_ids(
    connect: Connect, tmp_path: Path
) -> None:
    with WeaviateServer(exports=tmp_path) as server:
        server.control.create(PASSAGES)
        server.control.put("Passages", list(sample_objects(50, 8)))
        ended = export(connect(server), "first", wait_for_completion=True)
        assert ended.status.value == "SUCCESS"
        assert ended.shard_status["Passages"]["shard"].objects_exported == 50
        file = pq.ParquetFile(tmp_path / "first" / "Passages_shard_0000.parquet")
        assert file.schema_arrow.metadata[b"collection"] == b"Passages"
        rows = file.read().to_pylist()
        assert [row["id"] for row in rows] == server.control.ids("Passages")
        vector = server.control.vectors("Passages", rows[0]["id"])[""].data
        assert rows[0]["vector"] == vector
        assert rows[0]["named_vectors"] is None
        assert json.loads(rows[0]["properties"])["source_id"].startswith("32023R")


def test_named_vectors_and_tenants_are_exported(connect: Connect, tmp_path: Path) -> None:
    with WeaviateServer(exports=tmp_path) as server:
        client = connect(server)
        client.collections.create("Other")
        client.collections.create(
            "Shared",
            multi_tenancy_config=Configure.multi_tenancy(enabled=True, auto_tenant_creation=True),
            vector_config=Configure.Vectors.self_provided(name="text"),
        )
        shared = client.collections.get("Shared")
        shared.with_tenant("one").data.insert({}, vector={"text": HARD.tolist()})
        started = export(client, "named", include_collections=["Shared"])
        assert (started.status.value, started.collections) == ("STARTED", ["Shared"])
        (path,) = (tmp_path / "named").glob("*.parquet")
        assert path.name == "Shared_one_0000.parquet"
        (row,) = pq.ParquetFile(path).read().to_pylist()
        read = json.loads(row["named_vectors"], parse_int=float)["text"]
        assert np.array(read, np.float32).tobytes() == HARD.tobytes()


def test_an_export_is_made_once_and_only_where_it_is_enabled(
    connect: Connect, tmp_path: Path
) -> None:
    with WeaviateServer(exports=tmp_path) as server:
        server.control.create(PASSAGES)
        client = connect(server)
        export(client, "once")
        with pytest.raises(UnexpectedStatusCodeError, match="already exists"):
            export(client, "once")
        with pytest.raises(UnexpectedStatusCodeError, match="export not found"):
            client.export.get_status(export_id="never", backend=ExportStorage.FILESYSTEM)
        assert not client.export.cancel(export_id="once", backend=ExportStorage.FILESYSTEM)
    with WeaviateServer() as server, pytest.raises(UnexpectedStatusCodeError, match="disabled"):
        export(connect(server), "off")
