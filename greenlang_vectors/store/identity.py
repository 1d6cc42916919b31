"""Derived identity and names: nothing is counted, so every write can be repeated."""

from __future__ import annotations

import hashlib
import re
from uuid import UUID, uuid5

_SPACE = UUID("6d4f1f4e-6c1b-5b57-9d5a-4d0c1f5e7a11")
_MAX_IDENTIFIER = 63


def derived_id(*parts: str | int) -> UUID:
    """The UUID (version 5) of these parts, in this order."""
    return uuid5(_SPACE, "\x1f".join(str(part) for part in parts))


def document_id(namespace: str, source_type: str, source_key: str) -> UUID:
    """Identity of a document: where it lives and where it came from."""
    return derived_id("document", namespace, source_type, source_key)


def embedding_id(namespace: str, document: UUID, chunk_index: int, model: str) -> UUID:
    """Identity of an embedding (PRD 6.1 `id`)."""
    return derived_id("embedding", namespace, str(document), chunk_index, model)


def identifier(*parts: str) -> str:
    """A PostgreSQL identifier made of these parts, shortened with a digest where it must be."""
    name = "__".join(re.sub(r"[^a-z0-9_-]+", "_", part.lower()) for part in parts)
    exact = "__".join(parts)
    if name == exact and len(name) <= _MAX_IDENTIFIER:
        return name
    digest = hashlib.sha256(exact.encode()).hexdigest()[:8]
    return f"{name[: _MAX_IDENTIFIER - 9]}_{digest}"
