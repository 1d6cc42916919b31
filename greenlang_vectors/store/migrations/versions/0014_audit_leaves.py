"""An audit trigger that costs a load of a leaf less again."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Apply 0014_audit_leaves.sql."""
    op.execute(Path(__file__).with_suffix(".sql").read_text("utf-8"))
