"""The server's own export in a backfill from Weaviate, and the mode of a shadow read."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Apply 0016_weaviate_exports.sql."""
    op.execute(Path(__file__).with_suffix(".sql").read_text("utf-8"))
