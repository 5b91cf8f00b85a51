"""Backfills: runs of one job for many partitions, and those of which no run could be made."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0009"
down_revision = "0008"

_COUNTER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Makes their tables. Logs stay as they are."""
    if context.config.attributes["scope"] == "log":
        return
    op.create_table(
        "backfills",
        sa.Column("number", _COUNTER, primary_key=True, autoincrement=True),
        sa.Column("backfill_id", _TEXT, nullable=False),
        sa.Column("location_name", _TEXT, nullable=False),
        sa.Column("repository_name", _TEXT, nullable=False),
        sa.Column("job_name", _TEXT, nullable=False),
        sa.Column("selection", _TEXT, nullable=False),
        sa.Column("scope", _TEXT, nullable=False),
        sa.Column("runs_at_once", sa.Integer, nullable=False),
        sa.Column("tags", _TEXT, nullable=False),
        sa.Column("run_config", _TEXT),
        sa.Column("requested_by", _TEXT),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("request_key", _TEXT),
        sa.Column("request_digest", _TEXT),
        sa.Column("status", _TEXT, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("skipped", sa.Integer, nullable=False),
        sa.Column("unmade", sa.Integer, nullable=False),
        sa.Column("terminates_runs", sa.Boolean, nullable=False),
        sa.Column("waiting", _TEXT),
        sa.Column("error", _TEXT),
        sa.Column("ended_at", sa.Double),
        sa.Column("version", _COUNTER, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("backfills_id", "backfills", ["backfill_id"], unique=True)
    op.create_index("backfills_request_key", "backfills", ["request_key"], unique=True)
    op.create_index("backfills_status", "backfills", ["status", "number"])
    op.create_index("backfills_job_name", "backfills", ["job_name", "number"])
    op.create_table(
        "backfill_failures",
        sa.Column("number", _COUNTER, primary_key=True, autoincrement=False),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("partition_key", _TEXT, nullable=False),
        sa.Column("error", _TEXT, nullable=False),
        sa.Column("failed_at", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )
