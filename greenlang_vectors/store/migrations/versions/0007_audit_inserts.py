"""An audit trigger that costs a load less."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Apply 0007_audit_inserts.sql."""
    op.execute(Path(__file__).with_suffix(".sql").read_text("utf-8"))
