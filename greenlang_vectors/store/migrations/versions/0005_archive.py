"""What was archived."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Apply 0005_archive.sql."""
    op.execute(Path(__file__).with_suffix(".sql").read_text("utf-8"))
