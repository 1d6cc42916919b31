"""The core tables (PRD 6).

Revision ID: 0001
"""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create every table."""
    op.execute(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    """Refused: there is no earlier schema to go back to."""
    raise NotImplementedError("The first schema has no predecessor; restore a backup instead.")
