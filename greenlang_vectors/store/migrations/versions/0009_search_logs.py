"""The search log, and recall as a contract."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Apply 0009_search_logs.sql."""
    op.execute(Path(__file__).with_suffix(".sql").read_text("utf-8"))
