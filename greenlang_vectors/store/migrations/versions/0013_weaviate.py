"""Moving a namespace from Weaviate: plan, phases, what was read, the outbox, evidence."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Apply 0013_weaviate.sql."""
    op.execute(Path(__file__).with_suffix(".sql").read_text("utf-8"))
