"""An object as Weaviate holds it, and the passage it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.store.weaviate_rows import Passage

__all__ = ["NO_TENANT", "Passage", "WeaviateObject", "item_of"]

NO_TENANT = ""
"""The tenant of objects of a collection without tenants."""


def item_of(tenant: str, object_id: UUID) -> str:
    """What a dead letter calls an object."""
    return f"{tenant}/{object_id}" if tenant else str(object_id)


@dataclass(frozen=True, slots=True, eq=False)
class WeaviateObject:
    """One object, read whole.

    Attributes:
        properties: as JSON can say them: dates as RFC 3339, uuids as text, geo coordinates and
            phone numbers as objects, blobs (where asked for) as base64.
        vectors: by name, None for the only one; shape (dimensions,), bit for bit as stored.
        updated_ms: Weaviate's time of its last change, milliseconds since 1970.
    """

    id: UUID
    tenant: str
    properties: Mapping[str, JSON]
    vectors: Mapping[str | None, NDArray[np.float32]]
    updated_ms: int
