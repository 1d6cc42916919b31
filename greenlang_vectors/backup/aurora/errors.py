"""What can go wrong between this product and Aurora, by name."""

from __future__ import annotations

from greenlang_vectors.errors import GreenLangError, UsageError


class AuroraUnavailable(GreenLangError):
    """AWS cannot be reached, or refused a request; nothing was deleted.

    Args:
        code: AWS's word for it ("ExpiredToken", "Throttling", …), or botocore's.
    """

    def __init__(self, message: str, remedy: str = "", *, code: str = "") -> None:
        super().__init__(message, remedy)
        self.code = code


class AuroraNotConfigured(UsageError):
    """No cluster, or no region for copies, is set."""


class UnknownCluster(UsageError):
    """A cluster that is not in this region."""


class UnknownSnapshot(UsageError):
    """A snapshot that is not there, or is of another cluster."""


class Protected(UsageError):
    """A snapshot that is never deleted here."""


class NameTaken(UsageError):
    """An identifier that something else has."""


class InvalidName(UsageError):
    """An identifier that AWS would not take."""


class OutsideWindow(UsageError):
    """A time, or a number of days, to which Aurora cannot go back."""


class CannotCopy(UsageError):
    """A copy to another region that could not be made, or not be read there."""


class NoReader(UsageError):
    """A failover without anybody to take over."""


class SnapshotFailed(GreenLangError):
    """A snapshot or a copy that did not become available."""


class SnapshotQuotaReached(GreenLangError):
    """The region holds as many manual snapshots as the account may have."""


class RestoreFailed(GreenLangError):
    """A restored cluster, or its instance, that did not become available or does not hold."""


class TookTooLong(GreenLangError):
    """Aurora works on; the same command goes on waiting."""
