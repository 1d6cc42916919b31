"""API keys and uploads."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Apply 0010_api.sql."""
    op.execute(Path(__file__).with_suffix(".sql").read_text("utf-8"))
