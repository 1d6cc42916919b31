"""Values as Weaviate's protobufs carry them, read into JSON and written from it.

Read straight from the client's own messages, vectors by `numpy.frombuffer`: the client's objects
hold each vector as a list of Python floats. What stands where: the client's
`collections/queries/base_executor.py` and `collections/batch/grpc_batch.py`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from weaviate.proto.v1 import base_pb2, batch_pb2, search_get_pb2

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.migration.objects import WeaviateObject
from greenlang_vectors.migration.schema import BEACON, REFERENCE, PropertyInfo


def read_objects(reply: search_get_pb2.SearchReply, tenant: str) -> list[WeaviateObject]:
    """The objects of a reply, in its order."""
    return [
        WeaviateObject(
            object_id(result.metadata),
            tenant,
            read_properties(result.properties),
            _vectors(result.metadata),
            result.metadata.last_update_time_unix,
        )
        for result in reply.results
    ]


def read_properties(found: search_get_pb2.PropertiesResult) -> dict[str, JSON]:
    """An object's properties, those it lacks as None; references as beacons."""
    properties = _fields(found.non_ref_props)
    for reference in found.ref_props:
        beacons: list[JSON] = [
            f"{BEACON}{each.target_collection}/{object_id(each.metadata)}"
            for each in reference.properties
        ]
        known = properties.get(reference.prop_name)
        properties[reference.prop_name] = [*known, *beacons] if isinstance(known, list) else beacons
    return properties


def write_object(
    target: batch_pb2.BatchObject, each: WeaviateObject, known: Mapping[str, PropertyInfo]
) -> None:
    """Fill in an object's properties and vectors; properties that are None are left out."""
    target.properties.SetInParent()
    _write(target.properties, each.properties, known)
    for name, value in each.properties.items():
        if value is not None and name in known and known[name].data_type == REFERENCE:
            _write_reference(target.properties, known[name], value)
    for vector_name, vector in each.vectors.items():
        if vector_name is None:
            target.vector_bytes = vector_bytes(vector)
        else:
            target.vectors.add(
                name=vector_name,
                vector_bytes=vector_bytes(vector),
                type=base_pb2.Vectors.VECTOR_TYPE_SINGLE_FP32,
            )


def vector_bytes(vector: NDArray[np.float32]) -> bytes:
    """A vector as the protocol carries it: little-endian float32."""
    return vector.astype("<f4", copy=False).tobytes()


def object_id(metadata: search_get_pb2.MetadataResult) -> UUID:
    """The id, which a server sends in two forms."""
    return UUID(bytes=metadata.id_as_bytes) if metadata.id_as_bytes else UUID(metadata.id)


def _vectors(metadata: search_get_pb2.MetadataResult) -> dict[str | None, NDArray[np.float32]]:
    found: dict[str | None, NDArray[np.float32]] = {}
    if metadata.vector_bytes:
        found[None] = np.frombuffer(metadata.vector_bytes, "<f4")
    for each in metadata.vectors:
        if each.type == base_pb2.Vectors.VECTOR_TYPE_MULTI_FP32:
            dimensions = int.from_bytes(each.vector_bytes[:2], "little")
            rows = np.frombuffer(each.vector_bytes, "<f4", offset=2)
            found[each.name] = rows.reshape(-1, dimensions)
        elif each.vector_bytes:
            found[each.name] = np.frombuffer(each.vector_bytes, "<f4")
    return found


def _fields(found: Any) -> dict[str, JSON]:  # noqa: ANN401 - a protobuf message
    fields = found.fields
    return {name: _value(fields[name]) for name in fields}


def _value(value: Any) -> JSON:  # noqa: ANN401 - a protobuf message
    kind = value.WhichOneof("kind")
    if kind in _SCALARS:
        found: JSON = getattr(value, kind)
        return found
    return None if kind is None else _READ[kind](getattr(value, kind))


def _list(value: Any) -> JSON:  # noqa: ANN401 - a protobuf message
    kind = value.WhichOneof("kind")
    return [] if kind is None else _READ_LIST[kind](getattr(value, kind).values)


def _numbers(code: str) -> Callable[[bytes], list[JSON]]:
    def read(packed: bytes) -> list[JSON]:
        return list(struct.unpack(f"<{len(packed) // 8}{code}", packed))

    return read


def _geo(value: Any) -> JSON:  # noqa: ANN401 - a protobuf message
    return {"latitude": _float32(value.latitude), "longitude": _float32(value.longitude)}


def _float32(value: float) -> float:
    """A number of 32 bits in the decimal digits that it was given in."""
    return float(str(np.float32(value)))


def _phone(value: Any) -> JSON:  # noqa: ANN401 - a protobuf message
    return {
        "input": value.input,
        "internationalFormatted": value.international_formatted,
        "nationalFormatted": value.national_formatted,
        "defaultCountry": value.default_country,
        "countryCode": value.country_code,
        "national": value.national,
        "valid": value.valid,
    }


_SCALARS = frozenset(
    {
        "number_value",
        "bool_value",
        "date_value",
        "uuid_value",
        "int_value",
        "blob_value",
        "text_value",
    }
)
_READ: dict[str, Callable[[Any], JSON]] = {
    "object_value": _fields,
    "list_value": _list,
    "geo_value": _geo,
    "phone_value": _phone,
    "null_value": lambda _: None,
}
_READ_LIST: dict[str, Callable[[Any], list[JSON]]] = {
    **dict.fromkeys(("bool_values", "date_values", "uuid_values", "text_values"), list),
    "number_values": _numbers("d"),
    "int_values": _numbers("q"),
    "object_values": lambda rows: [_fields(each) for each in rows],
}


def _write(
    target: Any,  # noqa: ANN401 - BatchObject.Properties or ObjectPropertiesValue
    properties: Mapping[str, JSON],
    known: Mapping[str, PropertyInfo],
) -> None:
    plain: dict[str, JSON] = {}
    for name, value in properties.items():
        info = known.get(name)
        kind = "text" if info is None else info.data_type
        if value is None or kind == REFERENCE:
            continue
        nested = {} if info is None else info.nested
        if kind == "object" and isinstance(value, dict):
            _write(target.object_properties.add(prop_name=name).value, value, nested)
        elif isinstance(value, list):
            _write_list(target, name, kind, value, nested)
        elif kind == "phoneNumber" and isinstance(value, dict):
            plain[name] = {key: value[key] for key in ("input", "defaultCountry") if value.get(key)}
        else:
            plain[name] = value
    target.non_ref_properties.update(plain)


def _write_list(
    target: Any,  # noqa: ANN401
    name: str,
    kind: str,
    value: list[JSON],
    nested: Mapping[str, PropertyInfo],
) -> None:
    if not value:
        target.empty_list_props.append(name)
    elif kind == "object[]":
        rows = target.object_array_properties.add(prop_name=name)
        for each in _mappings(value):
            _write(rows.values.add(), each, nested)
    elif kind == "int[]":
        target.int_array_properties.add(prop_name=name, values=value)
    elif kind == "number[]":
        packed = struct.pack(f"<{len(value)}d", *value)
        target.number_array_properties.add(prop_name=name, values_bytes=packed)
    elif kind == "boolean[]":
        target.boolean_array_properties.add(prop_name=name, values=value)
    else:
        target.text_array_properties.add(prop_name=name, values=value)


def _mappings(rows: Iterable[JSON]) -> Iterable[dict[str, JSON]]:
    return (row for row in rows if isinstance(row, dict))


def _write_reference(
    target: batch_pb2.BatchObject.Properties, known: PropertyInfo, value: JSON
) -> None:
    by_collection: dict[str, list[str]] = {}
    for beacon in value if isinstance(value, list) else [value]:
        collection, _, identity = str(beacon).removeprefix(BEACON).rpartition("/")
        by_collection.setdefault(collection, []).append(identity)
    for collection, identities in by_collection.items():
        if len(known.targets) == 1:
            target.single_target_ref_props.add(prop_name=known.name, uuids=identities)
        else:
            target.multi_target_ref_props.add(
                prop_name=known.name, uuids=identities, target_collection=collection
            )
