"""Concurrency pools: their limits, and who has or wants their slots."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0008"
down_revision = "0007"

_COUNTER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Makes their tables. Logs stay as they are."""
    if context.config.attributes["scope"] == "log":
        return
    op.create_table(
        "pool_limits",
        sa.Column("pool", _TEXT, primary_key=True),
        sa.Column("max_slots", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "pool_slots",
        sa.Column("storage_id", _COUNTER, primary_key=True, autoincrement=False),
        sa.Column("step_key", _TEXT, primary_key=True),
        sa.Column("pool", _TEXT, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("is_held", sa.Boolean, nullable=False),
        sa.Column("since", sa.Double, nullable=False),
        sa.Column("seen_at", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("pool_slots_pool", "pool_slots", ["pool"])
