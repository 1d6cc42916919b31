"""Roles and row-level security."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Apply 0006_roles.sql."""
    op.execute(Path(__file__).with_suffix(".sql").read_text("utf-8"))
