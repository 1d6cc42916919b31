"""The source that a URI names; each kind is a module of `sources`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote, urlsplit

from greenlang_vectors.documents.sources.folder import FolderSource
from greenlang_vectors.documents.sources.jsonl import JsonlSource
from greenlang_vectors.documents.sources.model import (
    EVALUATION_FOLDER,
    QRELS,
    QUERIES,
    ItemVanished,
    RawDocument,
    Source,
    SourceItem,
    listing_fingerprint,
    oversized,
)
from greenlang_vectors.documents.sources.s3 import S3Source
from greenlang_vectors.errors import UsageError

__all__ = [
    "EVALUATION_FOLDER",
    "QRELS",
    "QUERIES",
    "FolderSource",
    "ItemVanished",
    "JsonlSource",
    "RawDocument",
    "S3Source",
    "Source",
    "SourceItem",
    "evaluation_folder",
    "listing_fingerprint",
    "oversized",
    "source_from_uri",
]


def source_from_uri(uri: str) -> Source:
    """The source that `uri` names: `file:///folder`, a path, or `s3://bucket/prefix`.

    A path that ends with `.jsonl` is a corpus file.

    Raises:
        UsageError: the URI is of a kind that is not supported.
    """
    parts = urlsplit(uri)
    if parts.scheme == "s3":
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        return S3Source(bucket, prefix)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        path = Path(unquote(parts.path, errors="surrogateescape"))
    elif "://" not in uri and uri:
        path = Path(uri)
    else:
        raise UsageError(
            f"The source {uri!r} is not supported.",
            "Give a folder, a .jsonl file or s3://BUCKET/PREFIX.",
        )
    return JsonlSource(path) if path.suffix == ".jsonl" else FolderSource(path)


@contextmanager
def evaluation_folder(uri: str) -> Iterator[Path | None]:
    """The folder of a source's held-back questions (`QUERIES`) and judgements (`QRELS`).

    Of a bucket it is a copy, which goes at the end; None where the source can have none.

    Raises:
        UsageError: the URI is of a kind that is not supported.
        SourceUnavailable: of a bucket, they cannot be had.
    """
    match source_from_uri(uri):
        case FolderSource() as folder:
            yield folder.root / EVALUATION_FOLDER
        case S3Source() as bucket:
            with TemporaryDirectory() as copy:
                for name in (QUERIES, QRELS):
                    if (data := bucket.evaluation(name)) is not None:
                        (Path(copy) / name).write_bytes(data)
                yield Path(copy)
        case _:
            yield None
