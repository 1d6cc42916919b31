"""Property values: from a batch or JSON into what is kept, and from there into a reply.

What is kept is what the server keeps: JSON by the property's type. Numbers pass through float64,
also whole ones, as they do in a Weaviate server, so an int beyond 2**53 comes back rounded.
"""

from __future__ import annotations

import re
import struct
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
from google.protobuf import struct_pb2
from weaviate.proto.v1 import batch_pb2, properties_pb2

from local.weaviate_server import schema
from local.weaviate_server.errors import Refused
from local.weaviate_server.schema import Definition, Json

Value = properties_pb2.Value
BEACON = "weaviate://localhost/"


def from_struct(value: struct_pb2.Value) -> Json:
    """A protobuf value as JSON."""
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return {key: from_struct(inner) for key, inner in value.struct_value.fields.items()}
    if kind == "list_value":
        return [from_struct(inner) for inner in value.list_value.values]
    return None if kind in {None, "null_value"} else getattr(value, kind)


def from_batch(sent: Json) -> dict[str, Any]:
    """The properties of a batched object (or of an object inside it), references aside, as JSON.

    Args:
        sent: a `BatchObject.Properties` or an `ObjectPropertiesValue`.
    """
    found = {name: from_struct(each) for name, each in sent.non_ref_properties.fields.items()}
    for array in (
        *sent.boolean_array_properties,
        *sent.int_array_properties,
        *sent.text_array_properties,
    ):
        found[array.prop_name] = list(array.values)
    for array in sent.number_array_properties:
        packed = array.values_bytes
        found[array.prop_name] = (
            list(struct.unpack(f"<{len(packed) // 8}d", packed)) if packed else list(array.values)
        )
    for each in sent.object_properties:
        found[each.prop_name] = from_batch(each.value)
    for rows in sent.object_array_properties:
        found[rows.prop_name] = [from_batch(row) for row in rows.values]
    found.update({name: [] for name in sent.empty_list_props})
    return found


def references_from_batch(
    sent: batch_pb2.BatchObject.Properties, definition: Definition
) -> dict[str, list[str]]:
    """The beacons of a batched object's references by property."""
    found: dict[str, list[str]] = {}
    for single in sent.single_target_ref_props:
        known = schema.property_of(definition, single.prop_name)
        if known is None:
            raise _no_property(single.prop_name, definition)
        target = known["dataType"][0]
        found[single.prop_name] = [f"{BEACON}{target}/{each}" for each in single.uuids]
    for multi in sent.multi_target_ref_props:
        beacons = [f"{BEACON}{multi.target_collection}/{each}" for each in multi.uuids]
        found.setdefault(multi.prop_name, []).extend(beacons)
    return found


def beacon_in_full(beacon: str, known: Definition) -> str:
    """A beacon with the name of its collection, which a sender may leave out."""
    path = beacon.removeprefix(BEACON)
    return beacon if "/" in path else f"{BEACON}{known['dataType'][0]}/{path}"


def kept(value: Json, known: Definition, holder: str) -> Json:
    """What is kept of a value that was sent for this property.

    Raises:
        Refused: the value is not of the property's type.
    """
    kind = schema.data_type(known)
    try:
        if kind.endswith("[]"):
            return [_KEPT[kind[:-2]](each, known) for each in value]
        return _KEPT[kind](value, known)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise Refused(
            f"invalid {kind} property '{known['name']}' on class '{holder}': "
            f"not of that type, but {type(value).__name__}"
        ) from error


def to_value(value: Json, known: Definition, fields: tuple[Any, ...] = ()) -> Value:
    """The reply's value for what is kept.

    Args:
        fields: of an object, the `replies.Field`s that are returned of it.
    """
    kind = schema.data_type(known)
    if kind.endswith("[]"):
        return Value(list_value=_list(value, kind, fields))
    if kind == "object":
        return Value(object_value=to_properties(value, fields))
    if kind == "geoCoordinates":
        return Value(geo_value=properties_pb2.GeoCoordinate(**value))
    if kind == "phoneNumber":
        names = {_snake(name): inner for name, inner in value.items()}
        return Value(phone_value=properties_pb2.PhoneNumber(**names))
    return Value(**{_KIND[kind]: value})


def to_properties(found: dict[str, Any], fields: tuple[Any, ...]) -> properties_pb2.Properties:
    """The fields of an object property that it has; what it lacks is left out."""
    return properties_pb2.Properties(
        fields={
            each.name: to_value(found[each.name], each.known, each.fields)
            for each in fields
            if each.name in found
        }
    )


def null() -> Value:
    """The value of a property that an object lacks."""
    return Value(null_value=struct_pb2.NULL_VALUE)


def _list(found: list[Json], kind: str, fields: tuple[Any, ...]) -> properties_pb2.ListValue:
    name, message = _LIST[kind]
    values: Json = found
    if kind == "object[]":
        values = [to_properties(each, fields) for each in found]
    elif kind in {"int[]", "number[]"}:
        values = struct.pack(f"<{len(found)}{'q' if kind == 'int[]' else 'd'}", *found)
    return properties_pb2.ListValue(**{name: message(values=values)})


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", name)


def _no_property(name: str, definition: Definition) -> Refused:
    return Refused(
        f"no such prop with name '{name}' found in class '{definition['class']}' in the schema. "
        "Check your schema files for which properties in this class are available"
    )


def _text(value: Json, _known: Definition) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _number(value: Json, _known: Definition) -> float:
    if isinstance(value, str | bool):
        raise TypeError(value)
    return float(value)


def _int(value: Json, known: Definition) -> int:
    return int(_number(value, known))


def _boolean(value: Json, _known: Definition) -> bool:
    if not isinstance(value, bool):
        raise TypeError(value)
    return value


def _date(value: Json, known: Definition) -> str:
    """As Go writes RFC 3339 with nanoseconds: without trailing zeros, and UTC as Z."""
    text = re.sub(r"[+-]00:00$", "Z", _text(value, known))
    if not schema.is_date(text):
        raise ValueError(value)
    return re.sub(r"\.?0+(?=Z|[+-]\d\d:\d\d$)", "", text) if "." in text else text


def _uuid(value: Json, _known: Definition) -> str:
    return str(uuid.UUID(value))


def _geo(value: Json, _known: Definition) -> dict[str, float]:
    return {name: float(np.float32(value[name])) for name in ("latitude", "longitude")}


def _phone(value: Json, _known: Definition) -> dict[str, Any]:
    digits = re.sub(r"\D", "", value["input"])
    return {
        "input": value["input"],
        "internationalFormatted": value["input"],
        "nationalFormatted": value["input"],
        "defaultCountry": value.get("defaultCountry", ""),
        "countryCode": int(digits[:2]) if value["input"].startswith("+") else 0,
        "national": int(digits[2:] if value["input"].startswith("+") else digits),
        "valid": True,
    }


def _object(value: Json, known: Definition) -> dict[str, Any]:
    found = {}
    for name, inner in value.items():
        if inner is None:
            continue
        field = schema.property_of(known, name)
        if field is None:
            field = schema.guessed_property(name, inner)
            known.setdefault("nestedProperties", []).append(field)
        found[name] = kept(inner, field, known["name"])
    return found


_KEPT: dict[str, Callable[[Any, Definition], Any]] = {
    "text": _text,
    "string": _text,
    "blob": _text,
    "int": _int,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "uuid": _uuid,
    "geoCoordinates": _geo,
    "phoneNumber": _phone,
    "object": _object,
}
_KIND = {
    "text": "text_value",
    "string": "text_value",
    "blob": "blob_value",
    "int": "int_value",
    "number": "number_value",
    "boolean": "bool_value",
    "date": "date_value",
    "uuid": "uuid_value",
}
_LIST: dict[str, tuple[str, Callable[..., Any]]] = {
    "text[]": ("text_values", properties_pb2.TextValues),
    "string[]": ("text_values", properties_pb2.TextValues),
    "int[]": ("int_values", properties_pb2.IntValues),
    "number[]": ("number_values", properties_pb2.NumberValues),
    "boolean[]": ("bool_values", properties_pb2.BoolValues),
    "date[]": ("date_values", properties_pb2.DateValues),
    "uuid[]": ("uuid_values", properties_pb2.UuidValues),
    "object[]": ("object_values", properties_pb2.ObjectValues),
}
