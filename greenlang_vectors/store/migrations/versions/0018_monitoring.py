"""Searches that failed, and what the embedding cache spared a job."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Apply 0018_monitoring.sql."""
    op.execute(Path(__file__).with_suffix(".sql").read_text("utf-8"))
