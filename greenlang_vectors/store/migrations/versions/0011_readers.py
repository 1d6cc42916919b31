"""The heartbeat that tells how far a reader lags behind."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Apply 0011_readers.sql."""
    op.execute(Path(__file__).with_suffix(".sql").read_text("utf-8"))
