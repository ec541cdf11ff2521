"""Users, and keys with agents, a tier, limits and a predecessor (TRU-1, TRU-5)."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them; a key that was there before may use every agent, in the tier that needs no naming."""
    op.add_column("api_keys", sa.Column("agents", sa.LargeBinary(), nullable=True))
    op.add_column("api_keys", sa.Column("tier", sa.Text(), server_default="free", nullable=False))
    op.add_column("api_keys", sa.Column("limits", sa.LargeBinary(), nullable=True))
    op.add_column("api_keys", sa.Column("replaces", sa.Text(), nullable=True))
    op.create_table(
        "users",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("roles", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("disabled_at", sa.Text(), nullable=True),
        sa.Column("failed_count", sa.Integer(), nullable=False),
        sa.Column("locked_until", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("users_by_name", "users", ["tenant", "name"], unique=True)
