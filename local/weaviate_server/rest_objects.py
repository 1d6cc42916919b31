"""Single objects over REST: each function returns an HTTP status and a body as JSON."""

from __future__ import annotations

import uuid as uuid_lib
from collections.abc import Mapping
from typing import Any

import numpy as np

from local.weaviate_server import schema, values
from local.weaviate_server.errors import Refused
from local.weaviate_server.schema import UNNAMED, Json
from local.weaviate_server.store import Collection, Sent, Shard, Store, StoredObject, Vector

Answer = tuple[int, Json]
Query = Mapping[str, str]


def insert(store: Store, _query: Query, body: Json) -> Answer:
    """POST: write an object that must be new."""
    collection = store.for_writing(body["class"])
    uuid = str(body.get("id") or uuid_lib.uuid4())
    tenant = body.get("tenant", "")
    if uuid in collection.shard(tenant).objects:
        raise Refused(f"id '{uuid}' already exists")
    stored = collection.write(_sent(collection, uuid, body), tenant)
    return 200, _json(collection, stored, tenant, with_vectors=True)


def get(store: Store, name: str, uuid: str, query: Query, _body: Json) -> Answer:
    """GET: an object, with its vectors where they are included."""
    collection, _, stored = _found(store, name, uuid, query.get("tenant", ""))
    with_vectors = "vector" in query.get("include", "")
    return 200, _json(collection, stored, query.get("tenant", ""), with_vectors)


def listed(store: Store, query: Query, _body: Json) -> Answer:
    """GET: a page of objects by cursor."""
    collection = store.get(query.get("class", ""))
    tenant = query.get("tenant", "")
    found = collection.shard(tenant).after(query.get("after", ""), int(query.get("limit", 25)))
    with_vectors = "vector" in query.get("include", "")
    rows = [_json(collection, each, tenant, with_vectors) for each in found]
    return 200, {"deprecations": [], "objects": rows, "totalResults": len(rows)}


def exists(store: Store, name: str, uuid: str, query: Query, _body: Json) -> Answer:
    """HEAD: whether there is such an object."""
    _found(store, name, uuid, query.get("tenant", ""))
    return 204, None


def replace(store: Store, name: str, uuid: str, _query: Query, body: Json) -> Answer:
    """PUT: write an object in the place of one."""
    tenant = body.get("tenant", "")
    collection, _, old = _found(store, name, uuid, tenant)
    stored = collection.write(_sent(collection, uuid, body), tenant, old.created)
    return 200, _json(collection, stored, tenant, with_vectors=True)


def merge(store: Store, name: str, uuid: str, _query: Query, body: Json) -> Answer:
    """PATCH: change what is sent of an object; a property that is sent as null is dropped."""
    tenant = body.get("tenant", "")
    collection, _, old = _found(store, name, uuid, tenant)
    sent = _sent(collection, uuid, body)
    merged = Sent(
        uuid,
        {**old.properties, **sent.properties},
        {**old.vectors, **sent.vectors},
        {**old.references, **sent.references},
    )
    collection.write(merged, tenant, old.created)
    return 204, None


def delete(store: Store, name: str, uuid: str, query: Query, _body: Json) -> Answer:
    """DELETE: take an object out."""
    _, shard, stored = _found(store, name, uuid, query.get("tenant", ""))
    shard.delete(stored.id)
    return 204, None


def add_reference(
    store: Store, name: str, uuid: str, field: str, query: Query, body: Json
) -> Answer:
    """POST: point an object to one more."""
    collection, _, stored = _found(store, name, uuid, query.get("tenant", ""))
    stored.references.setdefault(field, []).extend(_beacons(collection, field, [body]))
    return 200, None


def replace_references(
    store: Store, name: str, uuid: str, field: str, query: Query, body: Json
) -> Answer:
    """PUT: point an object to these alone."""
    collection, _, stored = _found(store, name, uuid, query.get("tenant", ""))
    stored.references[field] = _beacons(collection, field, body)
    return 200, None


def delete_reference(
    store: Store, name: str, uuid: str, field: str, query: Query, body: Json
) -> Answer:
    """DELETE: no longer point an object to that one."""
    collection, _, stored = _found(store, name, uuid, query.get("tenant", ""))
    gone = _beacons(collection, field, [body])
    stored.references[field] = [e for e in stored.references.get(field, []) if e not in gone]
    return 204, None


def add_references(store: Store, _query: Query, body: Json) -> Answer:
    """POST to `/batch/references`: point many objects to one more each."""
    rows = []
    for each in body:
        name, uuid, field = each["from"].removeprefix(values.BEACON).split("/")
        row = {"from": each["from"], "to": each["to"], "result": {"status": "SUCCESS"}}
        try:
            store.get(name).refer(uuid, field, each["to"], each.get("tenant", ""))
        except Refused as refused:
            errors = {"error": [{"message": str(refused)}]}
            row["result"] = {"status": "FAILED", "errors": errors}
        rows.append(row)
    return 200, rows


def _found(
    store: Store, name: str, uuid: str, tenant: str
) -> tuple[Collection, Shard, StoredObject]:
    collection = store.get(name)
    shard = collection.shard(tenant)
    stored = shard.objects.get(uuid.lower())
    if stored is None:
        raise Refused(f"no object with id '{uuid}'", 404)
    return collection, shard, stored


def _sent(collection: Collection, uuid: str, body: Mapping[str, Any]) -> Sent:
    properties, references = {}, {}
    for name, value in (body.get("properties") or {}).items():
        known = schema.property_of(collection.definition, schema.small(name))
        if known is not None and schema.data_type(known) == "ref":
            references[known["name"]] = _beacons(collection, known["name"], value)
        else:
            properties[name] = value
    vectors = {name: _vector(each) for name, each in (body.get("vectors") or {}).items()}
    if body.get("vector"):
        vectors[UNNAMED] = _vector(body["vector"])
    return Sent(uuid, properties, vectors, references)


def _beacons(collection: Collection, name: str, sent: Json) -> list[str]:
    known = schema.property_of(collection.definition, name)
    if known is None:
        raise Refused(f"no such prop with name '{name}' found in class '{collection.name}'")
    return [values.beacon_in_full(each["beacon"], known) for each in sent]


def _vector(sent: list[Any]) -> Vector:
    data = np.asarray(sent, "<f4")
    if data.ndim == 1:
        return Vector(data.tobytes())
    return Vector(data.shape[1].to_bytes(2, "little") + data.tobytes(), multi=True)


def _numbers(vector: Vector) -> list[Any]:
    if not vector.multi:
        return list(np.frombuffer(vector.data, "<f4").tolist())
    length = int.from_bytes(vector.data[:2], "little")
    return list(np.frombuffer(vector.data[2:], "<f4").reshape(-1, length).tolist())


def _json(
    collection: Collection, stored: StoredObject, tenant: str, with_vectors: bool
) -> dict[str, Any]:
    beacons = {
        name: [
            {"beacon": each, "href": f"/v1/objects/{each.removeprefix(values.BEACON)}"}
            for each in found
        ]
        for name, found in stored.references.items()
    }
    found: dict[str, Any] = {
        "class": collection.name,
        "id": stored.id,
        "creationTimeUnix": stored.created,
        "lastUpdateTimeUnix": stored.updated,
        "properties": {**stored.properties, **beacons},
    }
    if tenant:
        found["tenant"] = tenant
    if with_vectors:
        named = {name: _numbers(each) for name, each in stored.vectors.items() if name}
        if UNNAMED in stored.vectors:
            found["vector"] = _numbers(stored.vectors[UNNAMED])
        if named:
            found["vectors"] = named
    return found
