"""The export of collections as Parquet, which a server has from 1.37 on.

Laid out as the server's `usecases/export` lays it out: `{collection}_{shard}_{range:04d}.parquet`
with the columns of its `ParquetRow`, compressed with zstd, the collection (and the tenant) in the
file's metadata, and `export_metadata.json` beside it. The unnamed vector is little-endian float32;
named ones and properties are JSON as Go writes it: 5.0 is 5 and -0.0 is -0. A snapshot is written
before the request is answered, so the first status is already the last.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from local.weaviate_server import schema, values
from local.weaviate_server.errors import Refused
from local.weaviate_server.schema import UNNAMED, Json
from local.weaviate_server.store import Collection, Shard, Store, StoredObject, Vector

_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("creation_time", pa.int64(), nullable=False),
        pa.field("update_time", pa.int64(), nullable=False),
        pa.field("vector", pa.binary()),
        pa.field("named_vectors", pa.binary()),
        pa.field("multi_vectors", pa.binary()),
        pa.field("properties", pa.binary()),
    ]
)
OBJECTS_A_FILE = 500_000
OBJECTS_A_GROUP = 16_000
"""Of a file and of a row group, at most; a server ends a row group at 32 MiB."""

_SHARD = "shard"
"""The name of the one shard of a collection without tenants (a server makes one up)."""


class Exports:
    """The backend `filesystem` over a folder; without one, exports are disabled."""

    def __init__(self, store: Store, folder: Path | None) -> None:
        self.store = store
        self.folder = folder
        self._done: dict[str, dict[str, Any]] = {}

    def create(self, backend: str, body: dict[str, Any]) -> dict[str, Any]:
        """Export the collections that a request names.

        Raises:
            Refused: there is no such backend, or already such an export.
        """
        if body.get("file_format") != "parquet":
            raise Refused("validation failure list: file_format in body is required")
        folder = self._folder(backend) / str(body["id"])
        if folder.exists():
            raise Refused(
                f"export already exists: export {body['id']!r} already exists at {str(folder)!r}",
                409,
            )
        wanted = [schema.capital(each) for each in body.get("include") or self.store.collections]
        left_out = {schema.capital(each) for each in body.get("exclude") or ()}
        collections = [self.store.get(each) for each in wanted if each not in left_out]
        if not collections:
            raise Refused("export validation error: no exportable classes")
        folder.mkdir(parents=True)
        started = datetime.now(UTC)
        shards = {
            each.name: {
                tenant or _SHARD: _export(folder, each, tenant, shard)
                for tenant, shard in each.shards.items()
            }
            for each in collections
        }
        completed = datetime.now(UTC)
        known = {
            "id": body["id"],
            "backend": backend,
            "startedAt": started.isoformat(),
            "classes": [each.name for each in collections],
        }
        ended = {"completedAt": completed.isoformat(), "shardStatus": shards}
        metadata = {**known, **ended, "status": "SUCCESS"}
        (folder / "export_metadata.json").write_text(json.dumps(metadata))
        self._done[body["id"]] = {
            **metadata,
            "path": str(folder),
            "tookInMs": int((completed - started).total_seconds() * 1000),
        }
        return {**known, "path": str(folder), "status": "STARTED"}

    def status(self, backend: str, export_id: str) -> dict[str, Any]:
        """How far an export is.

        Raises:
            Refused: there is no such export.
        """
        self._folder(backend)
        if export_id not in self._done:
            raise Refused("export not found", 404)
        return self._done[export_id]

    def _folder(self, backend: str) -> Path:
        if self.folder is None:
            raise Refused(
                "export API is disabled; enable it via EXPORT_ENABLED=true or the runtime config"
            )
        if backend != "filesystem":
            raise Refused(f"export validation error: backend {backend} not available")
        return self.folder


def _export(folder: Path, collection: Collection, tenant: str, shard: Shard) -> dict[str, Any]:
    if shard.status == "FROZEN":
        return {"status": "SKIPPED", "skipReason": "tenant is offloaded", "objectsExported": 0}
    kinds = {each["name"]: schema.data_type(each) for each in collection.definition["properties"]}
    rows = [_row(shard.objects[each], kinds) for each in shard.ids]
    metadata = {"collection": collection.name, **({"tenant": tenant} if tenant else {})}
    for number, start in enumerate(range(0, len(rows), OBJECTS_A_FILE)):
        pq.write_table(
            pa.Table.from_pylist(
                rows[start : start + OBJECTS_A_FILE], _SCHEMA.with_metadata(metadata)
            ),
            folder / f"{collection.name}_{tenant or _SHARD}_{number:04d}.parquet",
            row_group_size=OBJECTS_A_GROUP,
            compression="zstd",
            use_dictionary=["id"],
        )
    return {"status": "SUCCESS", "objectsExported": len(rows)}


def _row(stored: StoredObject, kinds: dict[str, str]) -> dict[str, Any]:
    unnamed = stored.vectors.get(UNNAMED)
    named = {name: each for name, each in stored.vectors.items() if name != UNNAMED}
    beacons = {
        name: [
            {"beacon": each, "href": f"/v1/objects/{each.removeprefix(values.BEACON)}"}
            for each in found
        ]
        for name, found in stored.references.items()
    }
    properties = {
        name: _GO[kinds[name]](value) if kinds[name] in _GO else value
        for name, value in stored.properties.items()
    }
    return {
        "id": stored.id,
        "creation_time": stored.created,
        "update_time": stored.updated,
        "vector": unnamed.data if unnamed else None,
        "named_vectors": _json({name: e for name, e in named.items() if not e.multi}),
        "multi_vectors": _json({name: e for name, e in named.items() if e.multi}),
        "properties": _written({**properties, **beacons}).encode(),
    }


_GO: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "phoneNumber": lambda number: {key: value for key, value in number.items() if value},
    "geoCoordinates": lambda place: {
        key: float(str(np.float32(value))) for key, value in place.items()
    },
}
"""What Go's structs make of a value: it leaves out what is empty, and writes a float32 shortly."""


def _written(value: Json) -> str:
    if isinstance(value, dict):
        return f"{{{','.join(f'{_written(key)}:{_written(each)}' for key, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{','.join(map(_written, value))}]"
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return json.dumps(value, ensure_ascii=False)


def _json(vectors: dict[str, Vector]) -> bytes | None:
    if not vectors:
        return None
    inner = ",".join(f'"{name}":{_numbers(vectors[name])}' for name in sorted(vectors))
    return f"{{{inner}}}".encode()


def _numbers(vector: Vector) -> str:
    if vector.multi:
        length = 4 * int.from_bytes(vector.data[:2], "little")
        rows = vector.data[2:]
        parts = [
            _numbers(Vector(rows[start : start + length])) for start in range(0, len(rows), length)
        ]
        return f"[{','.join(parts)}]"
    return f"[{','.join(_number(each) for each in np.frombuffer(vector.data, '<f4'))}]"


def _number(value: np.float32) -> str:
    """The shortest decimal that reads back as this float32, whole numbers without a point."""
    return str(value).removesuffix(".0")
