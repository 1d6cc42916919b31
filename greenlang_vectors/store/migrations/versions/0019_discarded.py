"""Dead letters that a person has discarded."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Apply 0019_discarded.sql."""
    op.execute(Path(__file__).with_suffix(".sql").read_text("utf-8"))
