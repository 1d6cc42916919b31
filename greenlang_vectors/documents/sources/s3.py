"""All objects of an S3 bucket, or those below a prefix.

boto3 lists and reads, not obstore as for backups: obstore refuses a whole listing in which one key
has an empty segment ("a//b") or a control character, as keys of other people's buckets do.
"""

from __future__ import annotations

import re
from contextlib import closing
from typing import Any, NoReturn

from greenlang_vectors import aws
from greenlang_vectors.documents.sources.model import (
    EVALUATION_FOLDER,
    ItemVanished,
    RawDocument,
    SourceItem,
    oversized,
)
from greenlang_vectors.errors import ExtractionError, SourceUnavailable, UsageError, said
from greenlang_vectors.retries import retry_context

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")

_GONE = frozenset({"NoSuchKey", "404", "PreconditionFailed", "412"})
"""What S3 answers where the object is not the listed one any more."""

_OWN = {
    "InvalidObjectState": "Restore it from the archive, or move it out of the prefix.",
    "AccessDenied": "Allow s3:GetObject on it, and kms:Decrypt with its key.",
    "403": "Allow s3:GetObject on it, and kms:Decrypt with its key.",
}
"""What S3 answers that concerns one object alone, and what helps."""


class S3Source:
    """All objects below a prefix; what a folder leaves out is left out here.

    An object is read as it was listed (`If-Match`), never a later version of it. Its ETag tells
    its content, so an object whose ETag is known need not be read. Keys are those below the prefix,
    NUL written as `\\x00`.

    Source: ListObjectsV2, GetObject and "Common response headers" (ETag) of the Amazon S3 API
    reference.

    Args:
        bucket: its name.
        prefix: without slashes around it; "" for the whole bucket.

    Raises:
        UsageError: no bucket can have this name.
    """

    tells_content = True

    def __init__(self, bucket: str, prefix: str = "") -> None:
        if not _BUCKET.fullmatch(bucket):
            raise UsageError(f"{bucket!r} cannot be a bucket.", "Name s3://BUCKET/PREFIX.")
        self.bucket = bucket
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._made: Any = None

    @property
    def uri(self) -> str:
        """The bucket and prefix as an `s3://` URI."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    @property
    def _client(self) -> Any:  # noqa: ANN401 - boto3 carries no types
        if self._made is None:
            self._made = aws.client("s3")
        return self._made

    def list(self) -> list[SourceItem]:
        """See `Source.list`; a page of 1,000 objects is held at a time."""
        items: list[SourceItem] = []
        pages = self._client.get_paginator("list_objects_v2")
        try:
            for page in pages.paginate(Bucket=self.bucket, Prefix=self.prefix):
                for found in page.get("Contents", []):
                    key, size = found["Key"].removeprefix(self.prefix), int(found["Size"])
                    if self.holds(found["Key"]) and (size or not key.endswith("/")):
                        items.append(_listed(_stored(key), size, found["ETag"]))
        except aws.failures() as error:
            raise SourceUnavailable(
                f"The bucket {self.uri} cannot be listed: {said(error)}.",
                "Nothing was changed; allow s3:ListBucket and run again.",
            ) from error
        return sorted(items, key=lambda item: item.key)

    def holds(self, key: str) -> bool:
        """Whether an object of this key in the bucket would be listed, if it is there."""
        name = key.removeprefix(self.prefix)
        return (
            key.startswith(self.prefix)
            and name != ""
            and not name.startswith(f"{EVALUATION_FOLDER}/")
            and not any(part.startswith(".") and part.strip(".") for part in name.split("/"))
        )

    def find(self, key: str) -> SourceItem:
        """The object of this key in the bucket, as a listing has it now.

        Raises:
            ItemVanished: there is none below the prefix.
            SourceUnavailable, ExtractionError: as of `read`.
        """
        item = SourceItem(_stored(key.removeprefix(self.prefix)), 0, "")
        if not self.holds(key):
            raise ItemVanished(item.key)
        try:
            found = self._client.head_object(Bucket=self.bucket, Key=key)
        except aws.failures() as error:
            self._failed(item, error)
        return _listed(item.key, int(found["ContentLength"]), found["ETag"])

    def read(self, item: SourceItem, max_bytes: int) -> RawDocument:
        """See `Source.read`.

        Raises:
            SourceUnavailable: S3 is not reached: that says nothing of this item.
        """
        if item.size > max_bytes:
            raise oversized(item.size, max_bytes)
        etag = item.fingerprint.partition("-")[2]
        try:
            data = self._get(_key(item.key), IfMatch=f'"{etag}"')
        except aws.failures() as error:
            self._failed(item, error)
        return RawDocument(data=data, name=item.key.rstrip("/").rpartition("/")[2])

    def evaluation(self, name: str) -> bytes | None:
        """A file of held-back questions or judgements; None if there is none.

        Raises:
            SourceUnavailable: it cannot be had.
        """
        key = f"{EVALUATION_FOLDER}/{name}"
        try:
            return self._get(key)
        except aws.failures() as error:
            if aws.code(error) in _GONE:
                return None
            raise SourceUnavailable(
                f"{key!r} in {self.uri} cannot be read: {said(error)}.",
                "Allow s3:GetObject on it, or remove it, and run again.",
            ) from error

    def _get(self, key: str, **conditions: str) -> bytes:
        """An object below the prefix, whole; raises what boto3 does."""
        for attempt in retry_context(on=aws.broken_off(), attempts=aws.ATTEMPTS):
            with attempt:
                found = self._client.get_object(
                    Bucket=self.bucket, Key=self.prefix + key, **conditions
                )
                with closing(found["Body"]) as body:
                    data: bytes = body.read()
        return data

    def _failed(self, item: SourceItem, error: Exception) -> NoReturn:
        code = aws.code(error)
        if code in _GONE:
            raise ItemVanished(item.key) from error
        if code in _OWN:
            raise ExtractionError(
                "unreadable", f"It cannot be read: {said(error)}.", _OWN[code]
            ) from error
        raise SourceUnavailable(
            f"{item.key!r} in {self.uri} cannot be read: {said(error)}.",
            "What came before it is stored; run again once the bucket answers.",
        ) from error


def _listed(key: str, size: int, etag: str) -> SourceItem:
    bare = etag.strip('"')
    return SourceItem(key, size, f"{size}-{bare}")


def _stored(key: str) -> str:
    """The key as PostgreSQL can hold it; `_key` is the inverse."""
    return re.sub(r"\\(?=x[0-9a-f]{2})|\x00", lambda found: f"\\x{ord(found[0]):02x}", key)


def _key(stored: str) -> str:
    return re.sub(r"\\x([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), stored)
