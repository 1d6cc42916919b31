"""Where a page of results ends, as an opaque text (`SearchRequest.after`).

A cursor names the passages (or parents) that the pages before held, so no page repeats one,
whatever was written meanwhile, and none is skipped: a passage that a deeper search of an
approximate index finds late comes late. It holds a digest of the request, too, and serves no other.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from greenlang_vectors.errors import UsageError
from greenlang_vectors.search import filters
from greenlang_vectors.search.model import SearchRequest

MAX_SEEN = 10_000
"""The most passages all pages of one search hold together."""

VERSION = 1
_KEY_BYTES = 8
_CHECK_BYTES = 12


@dataclass(frozen=True, slots=True)
class Seen:
    """The passages that the pages before held, each by a hash of its document and place."""

    hashes: tuple[bytes, ...] = ()
    known: frozenset[bytes] = frozenset()

    @classmethod
    def of(cls, hashes: Iterable[bytes]) -> Seen:
        """Those of these hashes."""
        ordered = tuple(hashes)
        return cls(ordered, frozenset(ordered))

    def __len__(self) -> int:
        return len(self.hashes)

    def __contains__(self, key: tuple[UUID, int]) -> bool:
        return bool(self.known) and _hash(key) in self.known

    def and_also(self, keys: Iterable[tuple[UUID, int]]) -> Seen:
        """Those and these passages."""
        return Seen.of([*self.hashes, *(_hash(key) for key in keys)])


def encode(request: SearchRequest, seen: Seen) -> str | None:
    """The cursor of the page after these passages; None where pages end (`MAX_SEEN`)."""
    if len(seen) >= MAX_SEEN:
        return None
    body = b"".join(seen.hashes)
    sealed = bytes([VERSION]) + _check(request, body) + body
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def decode(request: SearchRequest) -> Seen:
    """What the pages before the one that is asked for held.

    Raises:
        UsageError: `request.after` is no cursor, is damaged, or belongs to another request.
    """
    if request.after is None:
        return Seen()
    text = request.after
    try:
        sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        sealed = b""
    check, body = sealed[1 : 1 + _CHECK_BYTES], sealed[1 + _CHECK_BYTES :]
    if (
        sealed[:1] != bytes([VERSION])
        or not body
        or len(body) % _KEY_BYTES
        or len(body) > MAX_SEEN * _KEY_BYTES
        or not hmac.compare_digest(check, _check(request, body))
    ):
        raise UsageError(
            "`after` is not the cursor of a page of this search.",
            "Give the `next` of the page before, and the rest of the request as it was.",
        )
    return Seen.of(body[i : i + _KEY_BYTES] for i in range(0, len(body), _KEY_BYTES))


def _check(request: SearchRequest, body: bytes) -> bytes:
    """What only this request's cursor over this body holds; page size and freshness may change."""
    asked = json.dumps(
        [
            request.query,
            request.namespace,
            request.mode,
            None if request.filter is None else filters.as_json(request.filter),
            request.threshold,
            request.collection,
            request.exact,
            request.per_document,
            request.diversity,
            request.rerank,
            request.weights,
            request.all_versions,
            request.parents,
        ]
    ).encode()
    digest = hashlib.blake2b(asked, digest_size=_CHECK_BYTES)
    digest.update(b"" if request.vector is None else request.vector.tobytes())
    digest.update(body)
    return digest.digest()


def _hash(key: tuple[UUID, int]) -> bytes:
    document, chunk = key
    place = document.bytes + chunk.to_bytes(4, "big", signed=True)
    return hashlib.blake2b(place, digest_size=_KEY_BYTES).digest()
