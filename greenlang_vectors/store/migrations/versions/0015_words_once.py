"""The words of a passage are found once, where they were found twice."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Apply 0015_words_once.sql."""
    op.execute(Path(__file__).with_suffix(".sql").read_text("utf-8"))
