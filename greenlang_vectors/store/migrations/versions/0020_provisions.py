"""Which provisions of which act a chunk holds."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Apply 0020_provisions.sql."""
    op.execute(Path(__file__).with_suffix(".sql").read_text("utf-8"))
