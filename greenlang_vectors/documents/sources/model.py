"""What every source is: listed whole or not at all, and read item by item.

A listing that fails raises `SourceUnavailable`, so that nothing is ever deleted because something
could not be read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from greenlang_vectors.errors import ExtractionError

EVALUATION_FOLDER = "_evaluation"
"""Held-back questions and judgements at the top of a folder or a bucket: not documents."""
QUERIES = "queries.jsonl"
QRELS = "qrels.tsv"


@dataclass(frozen=True, slots=True)
class SourceItem:
    """One entry of a listing.

    Attributes:
        key: the item's name within its source, storable as PostgreSQL text; for a folder its
            POSIX path, with bytes that are not UTF-8 written as `\\xNN`.
        size: bytes.
        fingerprint: changes when the item changes.
    """

    key: str
    size: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class RawDocument:
    """An item as it was read.

    Attributes:
        data: the bytes.
        name: file name, whose ending says what the file claims to be.
        title: what the source calls the document, where it says so.
        media_type: the type, where the source is certain of it; otherwise it is sniffed.
    """

    data: bytes
    name: str
    title: str | None = None
    media_type: str | None = None


class ItemVanished(Exception):
    """The item was listed and is gone or changed: skip it, the next listing tells."""


class Source(Protocol):
    """A place documents come from.

    Attributes:
        tells_content: whether items of equal fingerprints have equal bytes, so that one whose
            fingerprint is known need not be read to know that it is the same.
    """

    tells_content: bool

    @property
    def uri(self) -> str:
        """Names the source; the same source always has the same."""

    def list(self) -> list[SourceItem]:
        """All items, sorted by key.

        Raises:
            SourceUnavailable: anything at all could not be listed.
        """

    def read(self, item: SourceItem, max_bytes: int) -> RawDocument:
        """One listed item.

        Raises:
            ItemVanished: it is no longer what was listed.
            ExtractionError: "oversized" above `max_bytes` (found out without reading it all),
                "unreadable" or another reason why this item cannot be had.
            SourceUnavailable: no item can be had at present.
        """


def listing_fingerprint(items: Iterable[SourceItem]) -> str:
    """SHA-256 over keys and fingerprints: equal for equal listings."""
    digest = hashlib.sha256()
    for item in items:
        digest.update(f"{len(item.key)} {item.key} {item.fingerprint}\n".encode())
    return digest.hexdigest()


def oversized(size: int, max_bytes: int) -> ExtractionError:
    """The error of an item of more than `max_bytes`."""
    return ExtractionError(
        "oversized",
        f"It has {size:,} bytes or more, over the limit of {max_bytes:,}.",
        "Split it, or raise GREENLANG_MAX_DOCUMENT_BYTES.",
    )
