"""Which deployment made what a provider keeps: responses, files, batches."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "made",
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("deployment", sa.Text(), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_made")),
    )
    op.create_index(op.f("ix_made_at"), "made", ["at"], unique=False)
