"""What the router chose is kept with its run (RUN-11)."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; runs of before were not routed."""
    op.add_column("runs", sa.Column("routed_to", sa.Text(), nullable=True))
