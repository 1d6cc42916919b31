"""What helps whom a failure is told to: the command to begin with, and the page that says more.

The error that stopped a run knows best; where it has no entry the stage does. Pages are in
docs/runbooks.
"""

from __future__ import annotations

from dataclasses import dataclass

RUNBOOKS = "docs/runbooks"


@dataclass(frozen=True, slots=True)
class Help:
    """Where to begin.

    Attributes:
        page: of docs/runbooks, without its ending.
        command: what to type, "{namespace}" in it; None for that of the stage.
    """

    page: str
    command: str | None = None


_STATUS = "greenlang-vectors status"
_LETTERS = "greenlang-vectors dead-letters list --namespace {namespace}"
_BACKUPS = "greenlang-vectors backup list"
_MOVES = "greenlang-vectors migrate status {namespace}"
_SNAPSHOTS = "greenlang-vectors snapshots status"

CHECK = Help("blocking-check-failed", _STATUS)
"""A blocking check failed, unless its asset has an entry of its own in CHECKS."""

UNKNOWN = Help("run-failed", _STATUS)

STAGES = {
    "documents": Help("run-failed-at-documents", _LETTERS),
    "chunks": Help("run-failed-at-chunks", _LETTERS),
    "embeddings": Help("run-failed-at-embeddings", _LETTERS),
    "vector_index": Help("run-failed-at-vector-index", "greenlang-vectors collections list"),
    "search_quality": Help("run-failed-at-search-quality", "greenlang-vectors collections list"),
    "backup_export": Help("export-failed", "greenlang-vectors backup create {namespace}"),
    "restore_drill": Help("PgvectorDrillFailed", "greenlang-vectors drill {namespace}"),
    "delete_old_exports": Help("backup-location-unavailable", "greenlang-vectors backup prune"),
    "aurora_snapshots": Help("aurora-fails", _SNAPSHOTS),
    "weaviate_backfill": Help("weaviate-move-stopped", _MOVES),
    "weaviate_verification": Help("weaviate-move-stopped", _MOVES),
    "replay_letters": Help("dead-letters", _LETTERS),
}

CHECKS = {
    "backup_export": Help("export-damaged", _BACKUPS),
    "restore_drill": Help("PgvectorDrillFailed", "greenlang-vectors drill {namespace}"),
    "weaviate_verification": Help(
        "weaviate-move-stopped", "greenlang-vectors migrate verify {namespace}"
    ),
}

ERRORS = {
    "SourceUnavailable": Help("source-unavailable", "greenlang-vectors namespaces list"),
    "TopicUnavailable": Help("source-unavailable", "greenlang-vectors namespaces list"),
    "QueueUnavailable": Help("source-unavailable", "greenlang-vectors namespaces list"),
    "DatabaseUnavailable": Help("database-unavailable", _STATUS),
    "DatabaseBusy": Help("database-unavailable", _STATUS),
    "SearchInterrupted": Help("database-unavailable", _STATUS),
    "OperationalError": Help("database-unavailable", _STATUS),
    "InterfaceError": Help("database-unavailable", _STATUS),
    "SchemaTooNew": Help("schema-refused", _STATUS),
    "DiskFull": Help("disk-full", _STATUS),
    "ModelUnavailable": Help("model-unavailable", "greenlang-vectors collections list"),
    "EmbeddingFailed": Help("embedding-failed"),
    "IndexBuildFailed": Help("run-failed-at-vector-index", "greenlang-vectors collections list"),
    "ItemError": Help("dead-letters", _LETTERS),
    "ExtractionError": Help("dead-letters", _LETTERS),
    "ChunkingError": Help("dead-letters", _LETTERS),
    "SealBroken": Help("dead-letters", _LETTERS),
    "KeyUnavailable": Help("key-unavailable", _STATUS),
    "LocationUnavailable": Help("backup-location-unavailable", _BACKUPS),
    "ArchiveDamaged": Help("archive-damaged", "greenlang-vectors archive list"),
    "ExportDamaged": Help("export-damaged", _BACKUPS),
    "ExportFailed": Help("export-failed", _BACKUPS),
    "ProgramFailed": Help("export-failed", _BACKUPS),
    "RestoreFailed": Help("restore-refused", _BACKUPS),
    "WeaviateUnavailable": Help("weaviate-move-stopped", _MOVES),
    "WeaviateRefused": Help("weaviate-move-stopped", _MOVES),
    "MessageTooLarge": Help("weaviate-move-stopped", _MOVES),
    "ExportUnreadable": Help("weaviate-move-stopped", _MOVES),
    "NotDecommissioned": Help("weaviate-move-stopped", _MOVES),
    "AuroraUnavailable": Help("aurora-fails", _SNAPSHOTS),
    "SnapshotFailed": Help("aurora-fails", _SNAPSHOTS),
    "SnapshotQuotaReached": Help("aurora-fails", _SNAPSHOTS),
    "TookTooLong": Help("aurora-fails", _SNAPSHOTS),
    "PrometheusUnavailable": Help("PgvectorMetricsMissing"),
    "NotDelivered": Help("notifications-not-delivered", "greenlang-vectors notify test"),
}
"""By the name of the error."""

ANOTHER = {"ExportFailed": "weaviate_backfill", "RestoreFailed": "aurora_snapshots"}
"""Names that an error of this stage has, too: there the stage knows best."""


def help_for(stage: str, error: str | None = None, *, check: bool = False) -> Help:
    """Where to begin when a stage, or the check of one, failed with this error."""
    by_stage = CHECKS.get(stage, CHECK) if check else STAGES.get(stage, UNKNOWN)
    known = ERRORS.get(error or "")
    if known is None or ANOTHER.get(error or "") == stage:
        return by_stage
    return known if known.command is not None else Help(known.page, by_stage.command)


def command_of(found: Help, namespace: str | None) -> str | None:
    """The command for this namespace; None where it needs one and there is none."""
    if found.command is None or (namespace is None and "{namespace}" in found.command):
        return None
    return found.command.format(namespace=namespace)


def runbook_of(found: Help) -> str:
    """The page's path in the repository."""
    return f"{RUNBOOKS}/{found.page}.md"
