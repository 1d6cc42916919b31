"""Data keys of encrypted namespaces."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Apply 0004_encryption.sql."""
    op.execute(Path(__file__).with_suffix(".sql").read_text("utf-8"))
