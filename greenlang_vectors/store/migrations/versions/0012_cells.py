"""Cells: what a search reads of the rows that no graph holds yet."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Apply 0012_cells.sql."""
    op.execute(Path(__file__).with_suffix(".sql").read_text("utf-8"))
