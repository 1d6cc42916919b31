"""Segments of a leaf, and collections that serve."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Apply 0002_collections.sql."""
    op.execute(Path(__file__).with_suffix(".sql").read_text("utf-8"))
