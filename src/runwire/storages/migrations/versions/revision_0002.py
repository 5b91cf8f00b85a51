"""Daemons: a heartbeat for each process of a type, and leases. Logs stay as they are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0002"
down_revision = "0001"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Keeps the latest heartbeat of each type."""
    if context.config.attributes["scope"] == "log":
        return
    op.rename_table("daemon_heartbeats", "daemon_heartbeats_0001")
    op.create_table(
        "daemon_heartbeats",
        sa.Column("daemon_type", _TEXT, primary_key=True),
        sa.Column("daemon_id", _TEXT, primary_key=True),
        sa.Column("hostname", _TEXT, nullable=False),
        sa.Column("timestamp", sa.Double, nullable=False),
        sa.Column("progress_at", sa.Double, nullable=False),
        sa.Column("errors", _TEXT, nullable=False),
        sa.Column("stopped", sa.Boolean, nullable=False),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO daemon_heartbeats"
        " SELECT daemon_type, daemon_id, hostname, timestamp, progress_at, errors, false"
        " FROM daemon_heartbeats_0001"
    )
    op.drop_table("daemon_heartbeats_0001")
    op.create_table(
        "daemon_leases",
        sa.Column("daemon_type", _TEXT, primary_key=True),
        sa.Column("daemon_id", _TEXT, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )
