"""What a client carries to a run is kept with it (TRU-19)."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; clients carried nothing before."""
    op.add_column("runs", sa.Column("carried", sa.LargeBinary(), nullable=True))
