"""Search replies, put together from bytes: what was asked of an object's properties is kept ready.

A page of thousands of objects would otherwise be built message by message, and the stand-in would
be what a benchmark of its reader measures.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from google.protobuf.message import Message
from weaviate.proto.v1 import base_pb2, search_get_pb2

from local.weaviate_server import schema, values
from local.weaviate_server.errors import Refused
from local.weaviate_server.schema import UNNAMED, Definition
from local.weaviate_server.store import Collection, Store, StoredObject

_SINGLE = base_pb2.Vectors.VECTOR_TYPE_SINGLE_FP32
_MULTI = base_pb2.Vectors.VECTOR_TYPE_MULTI_FP32


class Field(NamedTuple):
    """A property to return, and of an object property which of its fields."""

    name: str
    known: Definition
    fields: tuple[Field, ...] = ()


class Reference(NamedTuple):
    """A reference to return, and what of the objects it points to."""

    name: str
    asked: Asked


class Near(NamedTuple):
    """An object that a search ranks: near a vector, by words, or by both."""

    found: StoredObject
    distance: float | None = None
    certainty: float | None = None
    score: float | None = None


@dataclass(frozen=True)
class Asked:
    """What a request wants of each object of a collection."""

    collection: Collection
    fields: tuple[Field, ...]
    references: tuple[Reference, ...]
    metadata: search_get_pb2.MetadataRequest
    key: bytes


def asked(
    store: Store,
    collection: Collection,
    properties: search_get_pb2.PropertiesRequest | None,
    metadata: search_get_pb2.MetadataRequest,
) -> Asked:
    """Read what a request asks for; without properties, all but blobs and references.

    Raises:
        Refused: it names a property that the collection lacks.
    """
    definition = collection.definition
    fields: list[Field] = []
    references: list[Reference] = []
    if properties is None or properties.return_all_nonref_properties:
        fields = [_whole(each) for each in schema.plain_properties(definition)]
    if properties is not None:
        if not fields:
            fields = [_whole(_known(definition, each)) for each in properties.non_ref_properties]
        fields += [_part(definition, each) for each in properties.object_properties]
        for reference in properties.ref_properties:
            known = _known(definition, reference.reference_property)
            target = reference.target_collection or known["dataType"][0]
            references.append(
                Reference(
                    known["name"],
                    asked(
                        store,
                        store.get(target),
                        reference.properties if reference.HasField("properties") else None,
                        reference.metadata,
                    ),
                )
            )
    key = repr([(each.name, _names(each)) for each in fields]).encode()
    return Asked(collection, tuple(fields), tuple(references), metadata, key)


def reply(store: Store, want: Asked, found: Iterable[StoredObject | Near], took: float) -> bytes:
    """A serialised SearchReply."""
    parts = [serialised(search_get_pb2.SearchReply(took=took))]
    for each in found:
        near = each if isinstance(each, Near) else None
        stored = each.found if isinstance(each, Near) else each
        properties = _framed(b"\x0a", _properties(store, want, stored))
        metadata = _framed(b"\x12", _metadata(want, stored, near))
        parts += (b"\x12", _varint(len(properties) + len(metadata)), properties, metadata)
    return b"".join(parts)


def serialised(message: Message) -> bytes:
    """The bytes of a protobuf message."""
    return bytes(message.SerializeToString())


def _properties(store: Store, want: Asked, stored: StoredObject) -> bytes:
    if want.references:
        return serialised(_result(store, want, stored))
    if stored.reply is None or stored.reply[0] != want.key:
        stored.reply = want.key, serialised(_result(store, want, stored))
    return stored.reply[1]


def _result(store: Store, want: Asked, stored: StoredObject) -> search_get_pb2.PropertiesResult:
    result = search_get_pb2.PropertiesResult(
        target_collection=want.collection.name, ref_props_requested=bool(want.references)
    )
    for field in want.fields:
        result.non_ref_props.fields[field.name].CopyFrom(
            values.to_value(stored.properties[field.name], field.known, field.fields)
            if field.name in stored.properties
            else values.null()
        )
    for reference in want.references:
        beacons = stored.references.get(reference.name)
        if beacons is None:
            continue
        of_them = []
        for collection, target in filter(None, map(store.referred, beacons)):
            if collection is reference.asked.collection:
                each = _result(store, reference.asked, target)
                each.metadata.ParseFromString(_metadata(reference.asked, target, None))
                of_them.append(each)
        result.ref_props.add(prop_name=reference.name, properties=of_them)
    return result


def _metadata(want: Asked, stored: StoredObject, near: Near | None) -> bytes:
    metadata = want.metadata
    result = search_get_pb2.MetadataResult()
    unnamed = b""
    if metadata.uuid:
        result.id = stored.id
        result.id_as_bytes = uuid.UUID(stored.id).bytes
    if metadata.vector and UNNAMED in stored.vectors:
        result.vector_bytes = stored.vectors[UNNAMED].data
        # A server sends this vector twice: also in the deprecated field, as packed floats.
        unnamed = _framed(b"\x12", result.vector_bytes)
    for name in _vector_names(want):
        if vector := stored.vectors.get(name):
            kind = _MULTI if vector.multi else _SINGLE
            result.vectors.add(name=name, vector_bytes=vector.data, type=kind)
    if metadata.creation_time_unix:
        result.creation_time_unix = stored.created
        result.creation_time_unix_present = True
    if metadata.last_update_time_unix:
        result.last_update_time_unix = stored.updated
        result.last_update_time_unix_present = True
    if metadata.is_consistent:
        result.is_consistent = result.is_consistent_present = True
    if near is not None:
        if metadata.distance and near.distance is not None:
            result.distance = near.distance
            result.distance_present = True
        if metadata.certainty and near.certainty is not None:
            result.certainty = near.certainty
            result.certainty_present = True
        if metadata.score and near.score is not None:
            result.score = near.score
            result.score_present = True
    return unnamed + serialised(result)


def _vector_names(want: Asked) -> Sequence[str]:
    config = want.collection.definition.get("vectorConfig")
    if want.metadata.vector and config:
        return tuple(config)
    return tuple(want.metadata.vectors)


def _framed(tag: bytes, content: bytes) -> bytes:
    return tag + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def _known(definition: Definition, name: str) -> Definition:
    found = schema.property_of(definition, schema.small(name))
    if found is None:
        raise Refused(
            f"no such prop with name '{name}' found in class '{definition.get('class')}' in the "
            "schema. Check your schema files for which properties in this class are available"
        )
    return found


def _whole(known: Definition) -> Field:
    return Field(known["name"], known, tuple(_whole(e) for e in schema.plain_properties(known)))


def _part(holder: Definition, sent: search_get_pb2.ObjectPropertiesRequest) -> Field:
    known = _known(holder, sent.prop_name)
    fields = [_whole(_known(known, name)) for name in sent.primitive_properties]
    fields += [_part(known, each) for each in sent.object_properties]
    return Field(known["name"], known, tuple(fields))


def _names(field: Field) -> list[object]:
    return [(each.name, _names(each)) for each in field.fields]
