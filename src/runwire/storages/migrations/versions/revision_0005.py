"""Schedules and sensors: what they must remember, and their ticks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0005"
down_revision = "0004"

_COUNTER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Makes their tables. Logs stay as they are."""
    if context.config.attributes["scope"] == "log":
        return
    op.create_table(
        "tick_sources",
        sa.Column("source_id", _TEXT, primary_key=True),
        sa.Column("source_type", _TEXT, nullable=False),
        sa.Column("location_name", _TEXT, nullable=False),
        sa.Column("repository_name", _TEXT, nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("status", _TEXT, nullable=False),
        sa.Column("by_default", sa.Boolean, nullable=False),
        sa.Column("running_since", sa.Double),
        sa.Column("cursor", _TEXT),
        sa.Column("cursor_version", _COUNTER, nullable=False),
        sa.Column("last_due_at", sa.Double),
        sa.Column("updated_at", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ticks",
        sa.Column("tick_id", _COUNTER, primary_key=True, autoincrement=True),
        sa.Column("source_id", _TEXT, nullable=False),
        sa.Column("key", _TEXT, nullable=False),
        sa.Column("status", _TEXT, nullable=False),
        sa.Column("due_at", sa.Double, nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("ended_at", sa.Double),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("failure_count", sa.Integer, nullable=False),
        sa.Column("requests", _TEXT),
        sa.Column("run_ids", _TEXT, nullable=False),
        sa.Column("skip_reason", _TEXT),
        sa.Column("error", _TEXT),
        sa.Column("cursor", _TEXT),
        sa.Column("version", sa.Integer, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ticks_key", "ticks", ["source_id", "key"], unique=True)
    op.create_index("ticks_due_at", "ticks", ["source_id", "due_at", "tick_id"])
    op.create_index("ticks_status", "ticks", ["source_id", "status", "due_at", "tick_id"])
    op.create_index("ticks_age", "ticks", ["status", "due_at", "tick_id"])
