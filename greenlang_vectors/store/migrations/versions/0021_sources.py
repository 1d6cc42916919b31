"""More ways in: buckets, topics, and what failed there as it came."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Apply 0021_sources.sql."""
    op.execute(Path(__file__).with_suffix(".sql").read_text("utf-8"))
