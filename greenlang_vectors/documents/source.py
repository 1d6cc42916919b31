"""The source that a URI names; each kind is a module of `sources`."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from greenlang_vectors.documents.sources.folder import FolderSource
from greenlang_vectors.documents.sources.jsonl import JsonlSource
from greenlang_vectors.documents.sources.model import (
    EVALUATION_FOLDER,
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


def evaluation_folder(uri: str) -> Path | None:
    """Where a source keeps its held-back questions and judgements; None if it has none.

    Raises:
        UsageError: the URI is of a kind that is not supported.
    """
    source = source_from_uri(uri)
    if not isinstance(source, FolderSource):
        return None
    folder = source.root / EVALUATION_FOLDER
    return folder if folder.is_dir() else None
