"""The audit log."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Apply 0003_audit.sql."""
    op.execute(Path(__file__).with_suffix(".sql").read_text("utf-8"))
