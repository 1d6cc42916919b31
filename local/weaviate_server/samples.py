"""Objects to fill the stand-in with: real ones from a file, and passages like a regulation's."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from local.weaviate_server.schema import UNNAMED, Definition
from local.weaviate_server.store import Sent, Vector

CHUNKS_PER_SOURCE = 5
_SUBJECTS = (
    "The undertaking",
    "A financial market participant",
    "The operator",
    "Each large undertaking",
    "The competent authority",
)
_DUTIES = (
    "shall disclose its gross Scope 1, Scope 2 and Scope 3 greenhouse gas emissions",
    "shall describe the due diligence process implemented with regard to sustainability matters",
    "shall publish information on the principal adverse impacts of investment decisions",
    "shall keep the due diligence statements for five years from the date of submission",
    "shall report the proportion of turnover of environmentally sustainable activities",
)
_TERMS = (
    "no later than 30 April of the following year",
    "in accordance with the delegated acts adopted under this Article",
    "taking into account the short-, medium- and long-term time horizons",
    "where the value chain includes more than one country of production",
    "unless the information is not material to its business model",
)
_JURISDICTIONS = ("EU", "DE", "FR", "US-CA")

PASSAGES: Definition = {
    "class": "Passages",
    "vectorizer": "none",
    "vectorIndexConfig": {"distance": "cosine"},
    "properties": [
        {"name": "text", "dataType": ["text"]},
        {"name": "source_id", "dataType": ["text"], "tokenization": "field"},
        {"name": "chunk_index", "dataType": ["int"]},
        {"name": "article", "dataType": ["text"]},
        {"name": "jurisdiction", "dataType": ["text"], "tokenization": "field"},
        {"name": "keywords", "dataType": ["text[]"]},
        {"name": "pages", "dataType": ["int[]"]},
        {"name": "in_force", "dataType": ["boolean"]},
        {"name": "published", "dataType": ["date"]},
        {"name": "confidence", "dataType": ["number"]},
        {"name": "document", "dataType": ["uuid"]},
        {
            "name": "origin",
            "dataType": ["object"],
            "nestedProperties": [
                {"name": "publisher", "dataType": ["text"]},
                {"name": "celex", "dataType": ["text"]},
            ],
        },
    ],
}
"""A collection for `sample_objects`, with one unnamed vector."""


def sample_objects(count: int, dimensions: int, seed: int = 0) -> Iterator[Sent]:
    """Passages like a regulation's, several of a source, their ids in no order; some lack values.

    The same count, dimensions and seed give the same objects.

    Args:
        dimensions: of the unnamed vector; each has length 1 and leans to that of its source.
    """
    random = np.random.default_rng(seed)
    for source in range(-(-count // CHUNKS_PER_SOURCE)):
        vectors = 0.7 * random.standard_normal((CHUNKS_PER_SOURCE, dimensions), np.float32)
        vectors += random.standard_normal(dimensions, np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        for chunk in range(min(CHUNKS_PER_SOURCE, count - source * CHUNKS_PER_SOURCE)):
            yield Sent(
                str(uuid.UUID(bytes=random.bytes(16), version=4)),
                _passage(source, chunk, random),
                {UNNAMED: Vector(vectors[chunk].astype("<f4").tobytes())},
            )


def _passage(source: int, chunk: int, random: np.random.Generator) -> dict[str, Any]:
    subject, duty, term = (
        each[place % len(each)]
        for each, place in zip((_SUBJECTS, _DUTIES, _TERMS), random.bytes(3), strict=True)
    )
    article = f"Article {source % 40 + 1}({chunk + 1})"
    return {
        "text": f"{article} {subject} {duty}, {term}. Passage {chunk + 1} of document {source}.",
        "source_id": f"32023R{source:05d}",
        "chunk_index": chunk,
        "article": article if source % 7 else None,
        "jurisdiction": _JURISDICTIONS[source % len(_JURISDICTIONS)],
        "keywords": duty.split()[2:5],
        "pages": [source % 60 + 1, source % 60 + 2],
        "in_force": source % 3 > 0,
        "published": f"20{source % 20 + 5:02d}-{source % 12 + 1:02d}-15T00:00:00Z",
        "confidence": None if chunk == 2 else round(float(random.random()), 4),
        "document": str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:celex:32023R{source:05d}")),
        "origin": {"publisher": "Publications Office", "celex": f"32023R{source:05d}"},
    }


def books(path: Path) -> Iterator[tuple[str, Sent]]:
    """The objects of a file of Weaviate's JSON, each with the name of its collection."""
    for each in json.loads(path.read_text()):
        vector = Vector(np.asarray(each["vector"], "<f4").tobytes())
        yield each["class"], Sent(each["id"], each["properties"], {UNNAMED: vector})
