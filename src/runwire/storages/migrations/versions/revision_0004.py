"""Indexes that have the runs of a status, a job or a tag in the order of their creation."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0004"
down_revision = "0003"

_COUNTER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Gives tags the instant at which their run was created."""
    if context.config.attributes["scope"] == "log":
        return
    op.drop_index("runs_status", "runs")
    op.drop_index("runs_job_name", "runs")
    op.create_index("runs_created_at", "runs", ["created_at", "storage_id"])
    op.create_index("runs_status", "runs", ["status", "created_at", "storage_id"])
    op.create_index("runs_job_name", "runs", ["job_name", "created_at", "storage_id"])
    op.drop_index("run_tags_key_value", "run_tags")
    op.rename_table("run_tags", "run_tags_0003")
    op.create_table(
        "run_tags",
        sa.Column("storage_id", _COUNTER, primary_key=True, autoincrement=False),
        sa.Column("key", _TEXT, primary_key=True),
        sa.Column("value", _TEXT, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO run_tags SELECT storage_id, key, value, created_at"
        " FROM run_tags_0003 JOIN runs USING (storage_id)"
    )
    op.drop_table("run_tags_0003")
    op.create_index("run_tags_key_value", "run_tags", ["key", "value", "created_at", "storage_id"])
