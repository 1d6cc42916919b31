"""Requests as the official client's protobufs, and their replies in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from weaviate.proto.v1 import (
    aggregate_pb2,
    base_pb2,
    base_search_pb2,
    batch_delete_pb2,
    batch_pb2,
    search_get_pb2,
    tenants_pb2,
)

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.embedding.encoding import ATTEMPTS
from greenlang_vectors.migration import wire
from greenlang_vectors.migration.asking import Condition, Found, Search
from greenlang_vectors.migration.calls import CALL_SECONDS, Calls
from greenlang_vectors.migration.objects import WeaviateObject
from greenlang_vectors.migration.schema import PropertyInfo

FIND_SECONDS = 10.0
"""How long a search may take that somebody waits for."""

_SINGLE = base_pb2.Vectors.VECTOR_TYPE_SINGLE_FP32


class Server:
    """What a Weaviate server can be asked; each method is one exchange."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    @property
    def version(self) -> str:
        """The server's version."""
        return self._calls.version

    def close(self) -> None:
        """Close the connection."""
        self._calls.close()

    def is_older_than(self, major: int, minor: int) -> bool:
        """See `Calls.is_older_than`."""
        return self._calls.is_older_than(major, minor)

    def get(self, path: str) -> Any | None:  # noqa: ANN401 - what JSON holds
        """See `Calls.get`."""
        return self._calls.get(path)

    def post(self, path: str, body: dict[str, JSON]) -> Any:  # noqa: ANN401 - what JSON holds
        """See `Calls.post`."""
        return self._calls.post(path, body)

    def tenants(self, collection: str) -> list[str]:
        """The tenants of a collection that is split by tenant."""
        request = tenants_pb2.TenantsGetRequest(collection=collection)
        return [each.name for each in self._calls.call("TenantsGet", request).tenants]

    def count(self, collection: str, tenant: str) -> int:
        """How many objects there are."""
        request = aggregate_pb2.AggregateRequest(
            collection=collection, tenant=tenant, objects_count=True
        )
        return int(self._calls.call("Aggregate", request).single_result.objects_count)

    def read(self, search: Search) -> list[WeaviateObject]:
        """The objects of a page, or of a filter."""
        return wire.read_objects(self._search(search, ATTEMPTS), search.tenant)

    def find(self, search: Search) -> list[Found]:
        """What a search finds, best first; tried once and not for long, because somebody waits."""
        return [
            Found(
                wire.object_id(each.metadata),
                each.metadata.distance,
                each.metadata.score,
                wire.read_properties(each.properties),
            )
            for each in self._search(search, attempts=1, seconds=FIND_SECONDS).results
        ]

    def write(
        self,
        collection: str,
        tenant: str,
        objects: Sequence[WeaviateObject],
        known: Mapping[str, PropertyInfo],
    ) -> dict[int, str]:
        """Write objects; why some were refused, by their place."""
        request = batch_pb2.BatchObjectsRequest()
        for each in objects:
            written = request.objects.add(collection=collection, tenant=tenant, uuid=str(each.id))
            wire.write_object(written, each, known)
        errors = self._calls.call("BatchObjects", request).errors
        return {each.index: each.error for each in errors}

    def delete(self, collection: str, tenant: str, ids: Sequence[UUID]) -> int:
        """Delete objects; return how many the server failed to delete."""
        request = batch_delete_pb2.BatchDeleteRequest(collection=collection, tenant=tenant)
        _only(request.filters, ids)
        return int(self._calls.call("BatchDelete", request).failed)

    def _search(
        self, search: Search, attempts: int, seconds: float = CALL_SECONDS
    ) -> search_get_pb2.SearchReply:
        request = search_get_pb2.SearchRequest(
            collection=search.collection,
            tenant=search.tenant,
            limit=search.limit,
            after="" if search.after is None else str(search.after),
            uses_123_api=True,
            uses_125_api=True,
            uses_127_api=True,
        )
        metadata = request.metadata
        metadata.uuid = metadata.last_update_time_unix = True
        metadata.distance, metadata.score = search.near is not None, search.words is not None
        metadata.vector = None in search.vectors
        metadata.vectors.extend(name for name in search.vectors if name is not None)
        _ask_for(request.properties, search)
        if search.ids:
            _only(request.filters, search.ids)
        if search.equal is not None:
            _equal(request.filters, *search.equal)
        if search.filter is not None:
            _filter(request.filters, search.filter)
        if search.words is not None:
            self._by_words(request, search, search.words)
        elif search.near is not None:
            self._near(request.near_vector, search)
        reply: search_get_pb2.SearchReply = self._calls.call("Search", request, attempts, seconds)
        return reply

    def _by_words(self, request: Any, search: Search, words: str) -> None:  # noqa: ANN401
        target = request.bm25_search if search.near is None else request.hybrid_search
        target.query = words
        target.properties.extend(search.searched)
        if search.near is None:
            return
        target.alpha = 0.5 if search.alpha is None else search.alpha
        target.fusion_type = base_search_pb2.Hybrid.FUSION_TYPE_RANKED
        target.vector_bytes = wire.vector_bytes(search.near)
        if search.near_name is not None:
            target.targets.target_vectors.append(search.near_name)

    def _near(self, target: Any, search: Search) -> None:  # noqa: ANN401 - a protobuf message
        assert search.near is not None  # noqa: S101
        if search.near_name is not None:
            target.targets.target_vectors.append(search.near_name)
        if self._calls.is_older_than(1, 29):
            target.vector_bytes = wire.vector_bytes(search.near)
        else:
            target.vectors.add(vector_bytes=wire.vector_bytes(search.near), type=_SINGLE)


def _ask_for(target: search_get_pb2.PropertiesRequest, search: Search) -> None:
    target.return_all_nonref_properties = search.properties is None
    references = search.references or {}
    target.non_ref_properties.extend(
        name for name in search.properties or () if name not in references
    )
    for name, collections in references.items():
        for collection in collections:
            reference = target.ref_properties.add(reference_property=name)
            reference.metadata.uuid = True
            reference.properties.SetInParent()  # none of theirs
            if len(collections) > 1:
                reference.target_collection = collection


def _only(target: base_pb2.Filters, ids: Sequence[UUID]) -> None:
    target.operator = base_pb2.Filters.OPERATOR_CONTAINS_ANY
    target.target.property = "_id"
    target.value_text_array.values.extend(str(each) for each in ids)


def _equal(target: base_pb2.Filters, name: str, value: JSON) -> None:
    target.operator = base_pb2.Filters.OPERATOR_EQUAL
    target.target.property = name
    _value(target, value)


def _filter(target: base_pb2.Filters, condition: Condition) -> None:
    target.operator = base_pb2.Filters.Operator.Value(f"OPERATOR_{condition.operator}")
    for part in condition.parts:
        _filter(target.filters.add(), part)
    if condition.parts:
        return
    target.target.property = condition.property
    value = condition.value
    if isinstance(value, str | int | float):
        _value(target, value)
    elif isinstance(value[0], bool):
        target.value_boolean_array.values.extend(value)
    elif isinstance(value[0], int):
        target.value_int_array.values.extend(value)
    elif isinstance(value[0], float):
        target.value_number_array.values.extend(value)
    else:
        target.value_text_array.values.extend(value)


def _value(target: base_pb2.Filters, value: JSON) -> None:
    if isinstance(value, bool):
        target.value_boolean = value
    elif isinstance(value, int):
        target.value_int = value
    elif isinstance(value, float):
        target.value_number = value
    else:
        target.value_text = str(value)
