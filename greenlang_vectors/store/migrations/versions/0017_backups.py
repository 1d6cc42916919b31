"""Exports of namespaces and the drills that proved them, and where restored tables wait."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Apply 0017_backups.sql."""
    op.execute(Path(__file__).with_suffix(".sql").read_text("utf-8"))
