"""What is in the database: schema version, indexes, leftovers, backups."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import LiteralString

from greenlang_vectors.doctor.findings import Finding, Subject, judged, listed
from greenlang_vectors.store import schema
from greenlang_vectors.store.maintenance import EXACT_ROWS

BACKUP_LATE = timedelta(hours=26)
BACKUP_MISSED = timedelta(hours=36)
"""Exports are nightly (PRD 12.1); one that is a day and a half old was missed."""


def revision(subject: Subject) -> Iterator[Finding]:
    """The schema against what this version knows."""
    found, known = schema.current(subject.connection), schema.head()
    older = found is None or found < known
    yield judged(
        "schema",
        "version",
        "error",
        found or "no schema",
        well=found == known,
        expected=known,
        remedy="Run `greenlang-vectors schema upgrade` as the owner of the database."
        if older
        else "Install the version of this product that changed it.",
    )


_INVALID: LiteralString = """
    SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE NOT i.indisvalid AND c.relkind = 'i' AND c.relnamespace = 'public'::regnamespace
      AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = c.oid)
    ORDER BY c.relname
"""

_WITHOUT: LiteralString = """
    SELECT c.relname FROM pg_inherits
    JOIN pg_class c ON c.oid = inhrelid AND c.relkind = 'r'
    JOIN pg_inherits above ON above.inhrelid = pg_inherits.inhparent
    WHERE above.inhparent = to_regclass('vector_embeddings') AND c.reltuples > %s
      AND NOT EXISTS (
          SELECT FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
          JOIN pg_am a ON a.oid = x.relam
          WHERE i.indrelid = c.oid AND i.indisvalid AND a.amname IN ('hnsw', 'ivfflat'))
    ORDER BY c.relname
"""


def indexes(subject: Subject) -> Iterator[Finding]:
    """Those that failed builds left, and leaves without one."""
    invalid = [row[0] for row in subject.connection.execute(_INVALID)]
    yield judged(
        "indexes",
        "invalid",
        "error",
        listed(invalid),
        well=not invalid,
        expected="none",
        source="docs/runbooks/PgvectorInvalidIndex.md",
        remedy="Run `greenlang-vectors indexes maintain COLLECTION`, which drops and builds them;"
        " drop any other with DROP INDEX CONCURRENTLY.",
    )
    without = [row[0] for row in subject.connection.execute(_WITHOUT, [EXACT_ROWS])]
    yield judged(
        "indexes",
        "leaves without an ANN index",
        "warning",
        listed(without),
        well=not without,
        expected=f"none of more than {EXACT_ROWS:,} rows",
        remedy="Run `greenlang-vectors indexes maintain COLLECTION`, or let the sensor"
        " growing_tails run.",
    )


def leftovers(subject: Subject) -> Iterator[Finding]:
    """Tables of restores that never came to their end."""
    found = [
        row[0]
        for row in subject.connection.execute(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p')"
            " AND relnamespace = to_regnamespace('restoring') ORDER BY relname"
        )
    ]
    yield judged(
        "leftovers",
        "tables in restoring",
        "warning",
        listed(found),
        well=not found,
        expected="none, unless a restore runs",
        source="docs/backup.md",
        remedy="Run the restore again, which begins anew, or drop them:"
        " DROP SCHEMA restoring CASCADE; CREATE SCHEMA restoring AUTHORIZATION vector_admin.",
    )


_BACKUPS: LiteralString = """
    SELECT n.name, clock_timestamp() - newest.made_at, proven.made_at IS NOT NULL
    FROM namespaces n
    LEFT JOIN LATERAL (
        SELECT e.made_at FROM backup_exports e WHERE e.namespace = n.name
        ORDER BY e.made_at DESC LIMIT 1) newest ON true
    LEFT JOIN LATERAL (
        SELECT e.made_at FROM backup_exports e
        JOIN backup_drills d ON d.export_id = e.id AND d.namespace = e.namespace AND d.passed
        WHERE e.namespace = n.name ORDER BY e.made_at DESC LIMIT 1) proven ON true
    ORDER BY n.name
"""


def backups(subject: Subject) -> Iterator[Finding]:
    """How old the newest export of each namespace is, and whether one was ever restored."""
    ages = subject.connection.execute(_BACKUPS).fetchall()
    none = [name for name, age, _ in ages if age is None]
    missed = [name for name, age, _ in ages if age is not None and age > BACKUP_MISSED]
    late = [name for name, age, _ in ages if age is not None and age > BACKUP_LATE]
    oldest = max((age for _, age, _ in ages if age is not None), default=None)
    found = "no namespace yet" if not ages else f"{len(ages) - len(none)} of {len(ages)} exported"
    if oldest is not None:
        found += f", the oldest {oldest.total_seconds() / 3600:.0f} h ago"
    behind = none + [name for name in late if name not in none]
    yield judged(
        "backups",
        "newest exports",
        subject.severe if none or missed else "warning",
        found + listed(behind, before="; late: ", none=""),
        well=not behind,
        expected=f"each namespace within {BACKUP_LATE.total_seconds() / 3600:.0f} h",
        source="PRD 12.1",
        remedy="Run `greenlang-vectors backup create`, or the schedule daily_exports.",
    )
    unproven = [name for name, age, proven in ages if age is not None and not proven]
    proven_all = "no export yet" if oldest is None else "passed of every export's namespace"
    yield judged(
        "backups",
        "restore drills",
        "warning",
        listed(unproven, before="never passed: ", none=proven_all),
        well=not unproven,
        expected="an export of each namespace was restored and compared",
        source="docs/backup.md",
        remedy="Run `greenlang-vectors drill`, or the schedule daily_drills.",
    )
