"""What can be wrong with an export, and with making or restoring one."""

from __future__ import annotations

from greenlang_vectors.errors import GreenLangError, UsageError
from greenlang_vectors.store import tls


class UnknownExport(UsageError):
    """There is no export of this id in the backup location."""


class ExportDamaged(GreenLangError):
    """An export is not what was written, or does not restore to what was exported."""

    def __init__(self, export_id: str, problem: str) -> None:
        super().__init__(
            f"The export {export_id} is damaged: {problem}.",
            "Use an older one (`greenlang-vectors backup list`), or put its objects back from"
            " another copy of the backup location.",
        )
        self.problem = problem


class ExportFailed(GreenLangError):
    """An export could not be made; those that are there stay."""


class ProgramFailed(ExportFailed):
    """One of PostgreSQL's client programs ended with an error."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            f"{name} failed: {reason.rstrip('.')}.",
            tls.remedy(reason) or "Older exports stay as they are; try again.",
        )
        self.reason = reason


class RestoreFailed(GreenLangError):
    """An export could not be restored; what was there before still is."""
