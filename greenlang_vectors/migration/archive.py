"""The archive of a move: every object as Weaviate gave it, as Parquet in the backup location.

A folder `weaviate/NAMESPACE` holds the parts, each written before the transaction that carries its
objects over and noted in it. A part that no transaction noted is what a killed run left, and goes.
A manifest, sealed as those of other archives are, names the parts of one moment.
"""

from __future__ import annotations

import hashlib
import io
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.lifecycle.location import Location
from greenlang_vectors.lifecycle.manifest import ArchiveDamaged, read
from greenlang_vectors.lifecycle.sealing import sealed
from greenlang_vectors.migration.objects import WeaviateObject
from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.store.weaviate_parts import Part

ROOT = "weaviate"
PAGE_OBJECTS = 1000
"""Objects of a row group, which is read at once."""

_MANIFEST = "manifest-"
_encode = json.JSONEncoder(ensure_ascii=False).encode


class MoveManifest(BaseModel):
    """What the archive of a move holds.

    Attributes:
        collection: of Weaviate.
        properties: what was asked of each object.
        vectors: by name; "" for the only one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    namespace: str
    collection: str
    properties: tuple[str, ...]
    vectors: tuple[str, ...]
    created_at: datetime
    objects: int
    parts: tuple[Part, ...]


def put(
    location: Location,
    namespace: str,
    objects: Sequence[WeaviateObject],
    vectors: Sequence[str | None],
) -> Part:
    """Write a part of these objects; it counts once it is noted.

    Raises:
        LocationUnavailable: it cannot be written.
    """
    starts = range(0, len(objects), PAGE_OBJECTS)
    pages = [encoded(objects[start : start + PAGE_OBJECTS], vectors) for start in starts]
    return put_pages(location, namespace, pages, vectors)


def put_pages(
    location: Location,
    namespace: str,
    pages: Sequence[pa.RecordBatch],
    vectors: Sequence[str | None],
) -> Part:
    """Do so with pages that are encoded already."""
    stream = io.BytesIO()
    schema = _schema(vectors)
    # Vectors are noise to a compressor: it would take as long as all else and save a tenth.
    compression = {name: "none" if name.startswith("vector") else "zstd" for name in schema.names}
    with pq.ParquetWriter(
        stream, schema, compression=compression, use_dictionary=False, write_statistics=False
    ) as writer:
        for page in pages:
            writer.write_batch(page)
    data = stream.getvalue()
    objects = sum(page.num_rows for page in pages)
    name = f"{_now():%Y%m%dT%H%M%S%fZ}-{secrets.token_hex(3)}.parquet"
    location.put(_key(namespace, name), data)
    return Part(name, objects, len(data), hashlib.sha256(data).hexdigest())


def encoded(objects: Sequence[WeaviateObject], vectors: Sequence[str | None]) -> pa.RecordBatch:
    """Objects as a part holds them; their properties are JSON."""
    ids = pa.array([each.id.bytes for each in objects], pa.binary(16))
    return pa.RecordBatch.from_arrays(
        [
            pa.ExtensionArray.from_storage(pa.uuid(), ids),
            pa.array([each.tenant for each in objects], pa.string()),
            pa.array([each.updated_ms for each in objects], pa.int64()),
            pa.array([_json(each.properties) for each in objects], pa.string()),
            *(_lists(objects, name) for name in vectors),
        ],
        schema=_schema(vectors),
    )


def seal(
    location: Location,
    namespace: str,
    collection: str,
    parts: Sequence[Part],
    properties: Sequence[str],
    vectors: Sequence[str | None],
) -> MoveManifest:
    """Write the manifest of these parts; it is the one that counts from now on.

    Raises:
        LocationUnavailable: it cannot be written.
    """
    manifest = MoveManifest(
        namespace=namespace,
        collection=collection,
        properties=tuple(properties),
        vectors=tuple(name or "" for name in vectors),
        created_at=_now(),
        objects=sum(part.objects for part in parts),
        parts=tuple(parts),
    )
    location.put(key_of(manifest), sealed(manifest))
    return manifest


def key_of(manifest: MoveManifest) -> str:
    """The manifest's key in the backup location."""
    name = f"{_MANIFEST}{manifest.created_at:%Y%m%dT%H%M%S%fZ}.json"
    return _key(manifest.namespace, name)


def load(location: Location, namespace: str) -> MoveManifest | None:
    """The newest manifest of a namespace's archive; None before the first.

    Raises:
        ArchiveDamaged: it is not what was written.
    """
    folder = f"{ROOT}/{namespace}"
    found = [each for each in location.keys(folder) if each.startswith(f"{folder}/{_MANIFEST}")]
    if not found:
        return None
    manifest = read(location.get(found[-1]) or b"", MoveManifest, folder)
    if manifest.namespace != namespace:
        raise ArchiveDamaged(folder, f"its manifest is that of {manifest.namespace}")
    return manifest


def verify(location: Location, manifest: MoveManifest, progress: Progress = silent) -> None:
    """Read all of an archive back and compare it with its manifest.

    Raises:
        ArchiveDamaged: a part is missing or is not, bit by bit, what was written.
    """
    done = 0
    for part in manifest.parts:
        for page in objects_of(location, manifest, part):
            done += len(page)
            progress(done, manifest.objects, "objects")
    if done != manifest.objects:
        raise ArchiveDamaged(f"{ROOT}/{manifest.namespace}", "its parts hold other objects")


def objects_of(
    location: Location, manifest: MoveManifest, part: Part
) -> Iterator[list[WeaviateObject]]:
    """The pages of a part, whose bytes are verified before the first and rows after the last.

    Raises:
        ArchiveDamaged: the part is missing or is not what was written.
    """
    archive = f"{ROOT}/{manifest.namespace}"
    data = location.get(_key(manifest.namespace, part.name))
    if data is None:
        raise ArchiveDamaged(archive, f"{part.name} is missing")
    if len(data) != part.size_bytes or hashlib.sha256(data).hexdigest() != part.sha256:
        raise ArchiveDamaged(archive, f"{part.name} does not match its SHA-256")
    rows = 0
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        for group in range(file.num_row_groups):
            page = _objects(file.read_row_group(group), manifest.vectors)
            rows += len(page)
            yield page
    except (pa.ArrowException, OSError) as error:
        raise ArchiveDamaged(archive, f"{part.name} is no such Parquet file") from error
    if rows != part.objects:
        raise ArchiveDamaged(archive, f"{part.name} holds {rows} objects, not {part.objects}")


def remove_strays(location: Location, namespace: str, noted: Sequence[Part]) -> None:
    """Remove the parts that killed runs left: those that no transaction noted."""
    known = {_key(namespace, part.name) for part in noted}
    location.delete(
        [
            each
            for each in location.keys(f"{ROOT}/{namespace}")
            if each.endswith(".parquet") and each not in known
        ]
    )


def _schema(vectors: Sequence[str | None]) -> pa.Schema:
    return pa.schema(
        {
            "id": pa.uuid(),
            "tenant": pa.string(),
            "updated_ms": pa.int64(),
            "properties": pa.string(),
            **{_column(name): pa.list_(pa.float32()) for name in vectors},
        }
    )


def _json(properties: Mapping[str, JSON]) -> str:
    """JSON; orjson, which is quick, writes NaN and infinity as null, too."""
    quick = orjson.dumps(properties).decode()
    if quick.count("null") == list(properties.values()).count(None):
        return quick
    return _encode(properties)


def _lists(objects: Sequence[WeaviateObject], name: str | None) -> pa.Array:
    """A vector of each object; those of one that has several follow each other."""
    found = [each.vectors.get(name) for each in objects]
    floats = [vector.reshape(-1) for vector in found if vector is not None]
    lengths = np.array([0 if vector is None else vector.size for vector in found], np.int32)
    return pa.ListArray.from_arrays(
        pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32()),
        pa.array(np.concatenate(floats) if floats else np.empty(0, np.float32), pa.float32()),
        mask=pa.array([vector is None for vector in found], pa.bool_()),
    )


def _objects(table: pa.Table, vectors: Sequence[str]) -> list[WeaviateObject]:
    [batch] = table.combine_chunks().to_batches() or [None]
    if batch is None:
        return []
    columns = {name: batch.column(name) for name in ("tenant", "updated_ms", "properties")}
    ids = [UUID(bytes=each) for each in batch.column("id").storage.to_pylist()]
    found: list[dict[str | None, np.ndarray]] = [{} for _ in ids]
    for name in vectors:
        column = batch.column(_column(name))
        floats, offsets = column.values.to_numpy(), column.offsets.to_numpy()
        for place, present in enumerate(column.is_valid().to_pylist()):
            if present:
                found[place][name or None] = floats[offsets[place] : offsets[place + 1]]
    return [
        WeaviateObject(identity, tenant, json.loads(properties), own, updated)
        for identity, own, tenant, updated, properties in zip(
            ids, found, *(column.to_pylist() for column in columns.values()), strict=True
        )
    ]


def _column(name: str | None) -> str:
    return f"vector:{name}" if name else "vector"


def _key(namespace: str, name: str) -> str:
    return f"{ROOT}/{namespace}/{name}"


def _now() -> datetime:
    return datetime.now(UTC)
