"""Jobs of every way in, and what pruned ones did."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Apply 0023_jobs.sql."""
    op.execute(Path(__file__).with_suffix(".sql").read_text("utf-8"))
