"""Full text of chunks, in the language of their document."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Apply 0008_full_text.sql."""
    op.execute(Path(__file__).with_suffix(".sql").read_text("utf-8"))
