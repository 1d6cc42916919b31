"""Exports and the drills that prove them."""

from __future__ import annotations

from deploy.monitoring.grafana import Page, Panel, Target

BACKUP = Page(
    "pgvector-backup",
    "pgvector Backups",
    "Exports of each namespace and the drills that prove them (PRD 12.1).",
    [
        Panel(
            "Newest Export",
            "stat",
            [Target("time() - pgvector_backup_timestamp_seconds", "{{namespace}}")],
            "Its age; one a day is promised. Decades where there is none.",
            unit="s",
            limit=26 * 3600,
        ),
        Panel(
            "Newest Drill",
            "stat",
            [Target("pgvector_drill_passed", "{{namespace}}")],
            "1 where the restored export was like the store, 0 where it failed.",
            limit=1,
            bad_below=True,
        ),
        Panel(
            "Drilled",
            "stat",
            [Target("time() - pgvector_drill_timestamp_seconds", "{{namespace}}")],
            "How long ago.",
            unit="s",
        ),
        Panel(
            "Restore Takes",
            "timeseries",
            [Target("pgvector_drill_restore_seconds", "{{namespace}}")],
            "The measured RTO of each namespace.",
            unit="s",
        ),
        Panel(
            "Export Size",
            "timeseries",
            [Target("pgvector_backup_size_bytes", "{{namespace}}")],
            "Of the newest export.",
            unit="bytes",
        ),
        Panel(
            "Export Takes",
            "timeseries",
            [Target("pgvector_backup_duration_seconds", "{{namespace}}")],
            "Of the newest export.",
            unit="s",
        ),
    ],
)
