"""Which objects a search finds: by cursor, offset or filter, near a vector, by words, by both."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from weaviate.proto.v1 import search_get_pb2

from local.weaviate_server import filters, keyword, schema
from local.weaviate_server.errors import Refused, not_answered
from local.weaviate_server.replies import Near
from local.weaviate_server.schema import UNNAMED
from local.weaviate_server.store import Collection, Shard, StoredObject

Request = search_get_pb2.SearchRequest

DEFAULT_LIMIT = 10
MAXIMUM_RESULTS = 10_000
LEFT_OUT = (
    "near_text",
    "near_image",
    "near_audio",
    "near_video",
    "near_depth",
    "near_thermal",
    "near_imu",
    "generative",
    "rerank",
    "group_by",
    "boost",
)


def find(collection: Collection, shard: Shard, request: Request) -> Sequence[StoredObject | Near]:
    """The objects a request is answered with, in their order.

    Raises:
        Refused: as a server refuses it, or because it is left out.
    """
    for name in LEFT_OUT:
        if request.HasField(name):
            raise not_answered(name)
    if request.sort_by:
        raise not_answered("sort_by")
    limit = request.limit or DEFAULT_LIMIT
    if request.offset + limit > MAXIMUM_RESULTS:
        raise Refused(
            "query maximum results exceeded: the total limit calculated from the provided offset "
            f"'{request.offset}' and limit '{limit}' exceeds the configured value for "
            f"QUERY_MAXIMUM_RESULTS '{MAXIMUM_RESULTS}'. If you've supplied a negative offset or "
            "limit, this may be an underflow error"
        )
    near = request.HasField("near_vector") or request.HasField("near_object")
    if request.after:
        ranked = near or request.HasField("bm25_search") or request.HasField("hybrid_search")
        return shard.after(_cursor(request, ranked), limit)
    if near:
        found: Sequence[StoredObject | Near] = nearest(collection, shard, request)
    elif request.HasField("bm25_search"):
        found = keyword.by_words(collection, shard, request)
    elif request.HasField("hybrid_search"):
        found = _hybrid(collection, shard, request, request.offset + limit)
    elif request.HasField("filters"):
        found = filters.matching(collection, shard, request.filters)
    else:
        found = shard.after("", request.offset + limit)
    return found[request.offset : request.offset + limit]


def _cursor(request: Request, ranked: bool) -> str:
    if ranked:
        raise Refused("other params cannot be set with after and limit parameters")
    wrong = ["offset"] if request.offset else []
    if request.HasField("filters"):
        wrong.append("where")
    if wrong:
        raise Refused(f"{','.join(wrong)} cannot be set with after and limit parameters")
    try:
        return str(uuid.UUID(request.after))
    except ValueError as error:
        raise Refused(
            f"after parameter '{request.after}' is not a valid uuid: invalid UUID length: "
            f"{len(request.after)}"
        ) from error


def _hybrid(collection: Collection, shard: Shard, request: Request, limit: int) -> list[Near]:
    """What a search near a vector and one by words find together."""
    sent = request.hybrid_search
    depth = max(keyword.HYBRID_DEPTH, limit)
    near = nearest(collection, shard, keyword.near_of(sent, depth, request))
    wanted = request.filters if request.HasField("filters") else None
    words = keyword.matching(collection, shard, sent.query, sent.properties, wanted)
    return keyword.fused(near[:depth], words[:depth], sent)


def nearest(collection: Collection, shard: Shard, request: Request) -> list[Near]:
    """Every object with such a vector, the nearest first; equally near ones by id.

    Raises:
        Refused: the vector is missing, of another length, or not named where it has to be.
    """
    by_vector = request.HasField("near_vector")
    near = request.near_vector if by_vector else request.near_object
    name = _target(collection, near)
    if by_vector:
        sent = request.near_vector
        data = sent.vectors[0].vector_bytes if sent.vectors else sent.vector_bytes
        for each in sent.vector_for_targets:
            data = each.vectors[0].vector_bytes if each.vectors else each.vector_bytes
        data = data or np.asarray(sent.vector, "<f4").tobytes()
    else:
        stored = shard.objects.get(request.near_object.id)
        if stored is None or name not in stored.vectors:
            raise Refused("vectorize params: nearObject params: vector not found")
        data = stored.vectors[name].data
    ids, matrix = shard.matrix(name)
    vector = np.frombuffer(data, "<f4")
    if not ids:
        return []
    if vector.size != matrix.shape[1]:
        raise Refused(
            f"explorer: get class: vector search: vector lengths don't match: {vector.size} vs "
            f"{matrix.shape[1]}"
        )
    metric = schema.distance_metric(collection.definition, name)
    measured = distances(metric, matrix, vector)
    allowed = set(ids)
    if request.HasField("filters"):
        allowed = {each.id for each in filters.matching(collection, shard, request.filters)}
    most = near.distance if near.HasField("distance") else np.inf
    if near.HasField("certainty"):
        most = 2 * (1 - near.certainty)
    return [
        Near(
            shard.objects[ids[place]],
            float(measured[place]),
            1 - float(measured[place]) / 2 if metric == "cosine" else None,
        )
        for place in np.argsort(measured, kind="stable").tolist()
        if ids[place] in allowed and measured[place] <= most
    ]


def distances(
    metric: str, matrix: NDArray[np.float32], vector: NDArray[np.float32]
) -> NDArray[np.float64]:
    """How far each row lies from the vector; dot is negative, the nearest lowest.

    Source: Weaviate's documentation, "Distance metrics".
    """
    rows, one = matrix.astype(np.float64), vector.astype(np.float64)
    if metric == "l2-squared":
        return np.asarray(np.square(rows - one).sum(axis=1))
    if metric == "manhattan":
        return np.asarray(np.abs(rows - one).sum(axis=1))
    if metric == "hamming":
        return np.asarray((rows != one).sum(axis=1), np.float64)
    product = rows @ one
    if metric == "dot":
        return np.asarray(-product)
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(one)
    return np.asarray(
        1 - np.divide(product, lengths, out=np.zeros_like(product), where=lengths > 0)
    )


def _target(collection: Collection, near: search_get_pb2.SearchRequest | object) -> str:
    config = collection.definition.get("vectorConfig", {})
    names = list(near.targets.target_vectors or near.target_vectors)  # type: ignore[union-attr]
    if len(names) > 1:
        raise not_answered("a search near several target vectors")
    if not names:
        if len(config) > 1:
            raise Refused(
                f"extract target vectors: class {collection.name} has multiple vectors, "
                "but no target vectors were provided"
            )
        return next(iter(config), UNNAMED)
    if names[0] not in config:
        raise Refused(
            f"extract target vectors: class {collection.name} does not have named vector "
            f"{names[0]} configured. Available named vectors [{' '.join(config)}]"
        )
    return str(names[0])
