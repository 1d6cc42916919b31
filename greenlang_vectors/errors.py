"""Every error a user of the library can meet, by name.

Each says what happened, what it concerns and what to do about it. `UsageError` is the caller's
mistake (the CLI prints one line and exits 2); `ItemError` concerns one item that becomes a dead
letter while its neighbours go on; every other `GreenLangError` stops the operation it occurs in.
"""

from __future__ import annotations


class GreenLangError(Exception):
    """Base of all errors raised on purpose by this package.

    Args:
        message: what happened and what it concerns, in one sentence.
        remedy: what the reader can do about it, in one sentence; may be empty.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class UsageError(GreenLangError):
    """The caller asked for something that cannot be; nothing was changed."""


class InvalidNamespaceName(UsageError):
    """A name that cannot be a namespace (see `store.namespaces.validate_name`)."""


class UnknownNamespace(UsageError):
    """A namespace that is not in the registry."""


class UnknownCollection(UsageError):
    """A collection that is not there."""


class SourceUnavailable(GreenLangError):
    """A source could not be listed; what is stored of it stays untouched."""


class DatabaseUnavailable(GreenLangError):
    """The database cannot be reached or refused the connection."""


class DatabaseBusy(DatabaseUnavailable):
    """No connection became free in time, or a search took too long: try again in a moment."""


class SchemaTooNew(GreenLangError):
    """The database has been brought up to date by a newer version than this one."""


class ModelUnavailable(GreenLangError):
    """The embedding model cannot be loaded."""


class EmbeddingFailed(GreenLangError):
    """The model gave no usable vectors, after retries where a retry can help."""


class IndexBuildFailed(GreenLangError):
    """An index could not be built; searches go on without it."""


class ItemError(GreenLangError):
    """One item failed at one stage: it becomes a dead letter.

    Args:
        reason: a short machine-readable word, stable across versions ("encrypted", "empty").
        message: what happened, in one sentence.
        remedy: what to do about it.
    """

    def __init__(self, reason: str, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.reason = reason


class ExtractionError(ItemError):
    """A file that cannot become a document: damaged, encrypted, empty, oversized, mislabelled
    or unsupported."""


class ChunkingError(ItemError):
    """A document that cannot be cut into chunks."""


def said(error: object) -> str:
    """An error's own words on one line, without the full stop: to stand in a sentence of ours."""
    return " ".join(str(error).split()).rstrip(".")
