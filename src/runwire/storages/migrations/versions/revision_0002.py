"""Heartbeats are kept by process, and say whether they were the last; daemons have leases."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0002"
down_revision = "0001"

_KEPT = ("daemon_type", "daemon_id", "hostname", "timestamp", "progress_at", "errors")


def upgrade() -> None:
    """Changes the tables of the runs; those of a log stay as they are."""
    if context.config.attributes["scope"] == "runs":
        _widen_heartbeats()
        _make_leases()


def _widen_heartbeats() -> None:
    """Makes the table anew, because its key changes."""
    old = sa.table("daemon_heartbeats", *map(sa.column, _KEPT))
    rows = [row._asdict() for row in op.get_bind().execute(sa.select(old))]
    op.drop_table("daemon_heartbeats")
    made = op.create_table(
        "daemon_heartbeats",
        sa.Column("daemon_type", sa.Text, primary_key=True),
        sa.Column("daemon_id", sa.Text, primary_key=True),
        sa.Column("hostname", sa.Text, nullable=False),
        sa.Column("timestamp", sa.Double, nullable=False),
        sa.Column("progress_at", sa.Double, nullable=False),
        sa.Column("errors", sa.Text, nullable=False),
        sa.Column("stopped", sa.Boolean, nullable=False),
        sqlite_with_rowid=False,
    )
    op.bulk_insert(made, [{**row, "stopped": False} for row in rows])


def _make_leases() -> None:
    op.create_table(
        "daemon_leases",
        sa.Column("daemon_type", sa.Text, primary_key=True),
        sa.Column("daemon_id", sa.Text, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )
