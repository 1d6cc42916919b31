"""Derived identity and names: nothing is counted, so every write can be repeated."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

_SPACE = UUID("6d4f1f4e-6c1b-5b57-9d5a-4d0c1f5e7a11")
_MAX_IDENTIFIER = 63


def derived_id(*parts: str | int) -> UUID:
    """The UUID (version 5) of these parts, in this order."""
    name = _SPACE.bytes + "\x1f".join(map(str, parts)).encode()
    return UUID(bytes=hashlib.sha1(name).digest()[:16], version=5)  # noqa: S324 - RFC 9562


def document_id(namespace: str, source_type: str, source_key: str) -> UUID:
    """Identity of a document: where it lives and where it came from."""
    return derived_id("document", namespace, source_type, source_key)


def embedding_ids(
    namespace: str, chunks: Sequence[tuple[UUID, int]], model: str
) -> NDArray[np.void]:
    """Identities of embeddings (PRD 6.1 `id`), 16 bytes each, shape (n,).

    Each is `derived_id("embedding", namespace, document, chunk index, model)`.

    Args:
        chunks: (document, chunk index).
    """
    before = _SPACE.bytes + f"embedding\x1f{namespace}\x1f".encode()
    after = f"\x1f{model}".encode()
    beginnings: dict[int, bytes] = {}
    digests = bytearray()
    for document, index in chunks:
        beginning = beginnings.get(document.int)
        if beginning is None:
            beginning = beginnings[document.int] = before + f"{document}\x1f".encode()
        name = b"%b%d%b" % (beginning, index, after)
        digests += hashlib.sha1(name).digest()[:16]  # noqa: S324 - RFC 9562, version 5
    ids = np.frombuffer(digests, dtype=np.uint8).reshape(-1, 16).copy()
    ids[:, 6] = ids[:, 6] & 0x0F | 0x50
    ids[:, 8] = ids[:, 8] & 0x3F | 0x80
    return ids.view("V16").reshape(-1)


def identifier(*parts: str) -> str:
    """A PostgreSQL identifier made of these parts, shortened with a digest where it must be."""
    name = "__".join(re.sub(r"[^a-z0-9_-]+", "_", part.lower()) for part in parts)
    exact = "__".join(parts)
    if name == exact and len(name) <= _MAX_IDENTIFIER:
        return name
    digest = hashlib.sha256(exact.encode()).hexdigest()[:8]
    return f"{name[: _MAX_IDENTIFIER - 9]}_{digest}"
