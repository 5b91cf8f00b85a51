"""The head of the instance-wide log as a row; the event logs of all runs, where one database keeps them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0003"
down_revision = "0002"

_COUNTER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Keeps the positions of the instance-wide log."""
    scope = context.config.attributes["scope"]
    if scope == "log":
        return
    op.create_table(
        "instance_head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("head", _COUNTER, nullable=False),
        sa.Column("purged_position", _COUNTER, nullable=False),
    )
    op.execute(
        "INSERT INTO instance_head SELECT 1, coalesce(max(position), 0), 0 FROM instance_log"
    )
    if scope == "database":
        _make_logs()


def _make_logs() -> None:
    op.create_table(
        "run_heads",
        sa.Column("storage_id", _COUNTER, primary_key=True, autoincrement=False),
        sa.Column("head", _COUNTER, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("terminal_position", _COUNTER),
        sa.Column("mirrored_position", _COUNTER, nullable=False),
    )
    op.create_table(
        "run_events",
        sa.Column("storage_id", _COUNTER, primary_key=True, autoincrement=False),
        sa.Column("position", _COUNTER, primary_key=True, autoincrement=False),
        sa.Column("timestamp", sa.Double, nullable=False),
        sa.Column("level", sa.Integer, nullable=False),
        sa.Column("event_type", _TEXT),
        sa.Column("step_key", _TEXT),
        sa.Column("message", _TEXT, nullable=False),
        sa.Column("applied", sa.Boolean, nullable=False),
        sa.Column("epoch", sa.Integer),
        sa.Column("body", sa.LargeBinary),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "run_batches",
        sa.Column("storage_id", _COUNTER, primary_key=True, autoincrement=False),
        sa.Column("key", _TEXT, primary_key=True),
        sa.Column("first_position", _COUNTER, nullable=False),
        sa.Column("last_position", _COUNTER, nullable=False),
        sqlite_with_rowid=False,
    )
