"""Keyword search (BM25), and both searches as one."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Sequence

from weaviate.proto.v1 import base_pb2, base_search_pb2, search_get_pb2

from local.weaviate_server import filters, schema
from local.weaviate_server.errors import Refused, not_answered
from local.weaviate_server.replies import Near
from local.weaviate_server.store import Collection, Shard, StoredObject

K1 = 1.2
B = 0.75
FUSION_OFFSET = 60
HYBRID_DEPTH = 100
"""The fewest objects of each search that a hybrid one fuses."""

Request = search_get_pb2.SearchRequest
Hybrid = base_search_pb2.Hybrid


def by_words(collection: Collection, shard: Shard, request: Request) -> list[Near]:
    """The objects that hold a word of the query, by BM25 over each property; equal ones by id.

    Words are runs of letters and digits in small letters, as of tokenization `word`; of `field`,
    the whole value is one. A property counts for more by `name^boost`.

    Raises:
        Refused: a property that cannot be searched.
    """
    return matching(
        collection,
        shard,
        request.bm25_search.query,
        request.bm25_search.properties,
        request.filters if request.HasField("filters") else None,
    )


def matching(
    collection: Collection,
    shard: Shard,
    query: str,
    properties: Sequence[str],
    wanted: base_pb2.Filters | None,
) -> list[Near]:
    """The same for these properties, or for all that can be searched if there are none."""
    allowed = list(shard.objects.values())
    if wanted is not None:
        allowed = filters.matching(collection, shard, wanted)
    scores: defaultdict[str, float] = defaultdict(float)
    for name, boost, tokenization in _searched(collection, properties):
        words = {each.id: _words(each, name, tokenization) for each in shard.objects.values()}
        asked = set(_split(query, tokenization))
        lengths = [len(found) for found in words.values() if found]
        mean = sum(lengths) / len(lengths) if lengths else 1.0
        for word in asked:
            holding = {key: found.count(word) for key, found in words.items() if word in found}
            weight = math.log(1 + (len(words) - len(holding) + 0.5) / (len(holding) + 0.5))
            for key, count in holding.items():
                length = 1 - B + B * len(words[key]) / mean
                scores[key] += boost * weight * count * (K1 + 1) / (count + K1 * length)
    found = [Near(each, score=scores[each.id]) for each in allowed if scores[each.id] > 0]
    return sorted(found, key=lambda each: (-(each.score or 0), each.found.id))


def fused(near: Sequence[Near], words: Sequence[Near], sent: Hybrid) -> list[Near]:
    """Both rankings as one, by rank or by score, each weighed; equally good ones by id.

    Source: Weaviate's `usecases/traverser/hybrid/hybrid_fusion.go`.
    """
    alpha = sent.alpha_param if sent.use_alpha_param else sent.alpha
    by_rank = sent.fusion_type == Hybrid.FUSION_TYPE_RANKED
    scores: defaultdict[str, float] = defaultdict(float)
    found: dict[str, StoredObject] = {}
    for weight, ranking, values in (
        (alpha, near, [-(each.distance or 0.0) for each in near]),
        (1 - alpha, words, [each.score or 0.0 for each in words]),
    ):
        if not weight or not ranking:
            continue
        low, high = min(values), max(values)
        for place, (each, value) in enumerate(zip(ranking, values, strict=True)):
            if by_rank:
                share = 1 / (FUSION_OFFSET + place)
            else:
                share = (value - low) / (high - low) if high > low else 1.0
            scores[each.found.id] += weight * share
            found[each.found.id] = each.found
    ordered = sorted(found, key=lambda key: (-scores[key], key))
    return [Near(found[key], score=scores[key]) for key in ordered]


def near_of(sent: Hybrid, limit: int, filtered: Request) -> Request:
    """The vector search of a hybrid one, as a request of its own.

    Raises:
        Refused: it brings no vector along.
    """
    if sent.HasField("near_text"):
        raise not_answered("a hybrid search near a text")
    request = Request(collection=filtered.collection, tenant=filtered.tenant, limit=limit)
    if filtered.HasField("filters"):
        request.filters.CopyFrom(filtered.filters)
    if sent.HasField("near_vector"):
        request.near_vector.CopyFrom(sent.near_vector)
    elif sent.vectors or sent.vector_bytes:
        request.near_vector.vector_bytes = sent.vector_bytes
        request.near_vector.vectors.extend(sent.vectors)
    else:
        raise Refused("hybrid search: no vectorizer is configured, and no vector was sent")
    names = sent.targets.target_vectors or sent.target_vectors
    request.near_vector.targets.target_vectors.extend(names)
    return request


def _searched(
    collection: Collection, properties: Sequence[str]
) -> list[tuple[str, float, str | None]]:
    """Name, boost and tokenization of each property."""
    if not properties:
        known = collection.definition["properties"]
        return [(p["name"], 1.0, p.get("tokenization")) for p in known if p["indexSearchable"]]
    found = []
    for each in properties:
        name, _, boost = each.partition("^")
        one = schema.property_of(collection.definition, name)
        if one is None or not one["indexSearchable"]:
            raise Refused(
                f"inverted search failed: property {name} is not indexed. Please choose another "
                "property or add an index to this property"
            )
        found.append((name, float(boost or 1), one.get("tokenization")))
    return found


def _words(stored: StoredObject, name: str, tokenization: str | None) -> list[str]:
    value = stored.properties.get(name)
    texts = value if isinstance(value, list) else [] if value is None else [value]
    return [word for text in texts for word in _split(text, tokenization)]


def _split(text: str, tokenization: str | None) -> list[str]:
    return [text.strip()] if tokenization == "field" else re.findall(r"[^\W_]+", text.lower())
