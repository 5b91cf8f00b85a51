"""The first schema: runs, tags, snapshots, heartbeats, the instance-wide log, assets; a log and its events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0001"
down_revision = None

_COUNTER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Makes the tables of the scope."""
    if context.config.attributes["scope"] != "log":
        _make_runs()
        _make_tags_and_snapshots()
        _make_instance_log()
        _make_small_tables()
    else:
        _make_log()


def _make_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("storage_id", _COUNTER, primary_key=True, autoincrement=True),
        sa.Column("run_id", _TEXT, nullable=False),
        sa.Column("log_id", _TEXT, nullable=False),
        sa.Column("status", _TEXT, nullable=False),
        sa.Column("job_name", _TEXT, nullable=False),
        sa.Column("location_name", _TEXT),
        sa.Column("repository_name", _TEXT),
        sa.Column("managed", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
        sa.Column("started_at", sa.Double),
        sa.Column("ended_at", sa.Double),
        sa.Column("enqueued_at", sa.Double),
        sa.Column("launched_at", sa.Double),
        sa.Column("worker_epoch", sa.Integer, nullable=False),
        sa.Column("resume_attempts", sa.Integer, nullable=False),
        sa.Column("applied_position", _COUNTER, nullable=False),
        sa.Column("tags", _TEXT, nullable=False),
        sa.Column("run_config", _TEXT, nullable=False),
        sa.Column("step_keys", _TEXT),
        sa.Column("job_snapshot_id", _TEXT),
        sa.Column("plan_snapshot_id", _TEXT),
        sa.Column("steps_planned", sa.Integer, nullable=False),
        sa.Column("parent_run_id", _TEXT),
        sa.Column("root_run_id", _TEXT),
        sa.Column("requested_by", _TEXT),
        sa.Column("failure", _TEXT),
        sa.Column("counts", _TEXT, nullable=False),
        sa.Column("request_key", _TEXT),
        sa.Column("request_digest", _TEXT),
        sqlite_autoincrement=True,
    )
    op.create_index("runs_run_id", "runs", ["run_id"], unique=True)
    op.create_index("runs_request_key", "runs", ["request_key"], unique=True)
    for column in ("status", "job_name", "updated_at", "started_at", "ended_at"):
        op.create_index(f"runs_{column}", "runs", [column, "storage_id"])


def _make_tags_and_snapshots() -> None:
    op.create_table(
        "run_tags",
        sa.Column("storage_id", _COUNTER, primary_key=True, autoincrement=False),
        sa.Column("key", _TEXT, primary_key=True),
        sa.Column("value", _TEXT, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("run_tags_key_value", "run_tags", ["key", "value", "storage_id"])
    op.create_table(
        "snapshots",
        sa.Column("snapshot_id", _TEXT, primary_key=True),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )


def _make_instance_log() -> None:
    op.create_table(
        "instance_log",
        sa.Column("position", _COUNTER, primary_key=True, autoincrement=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("run_id", _TEXT, nullable=False),
        sa.Column("job_name", _TEXT, nullable=False),
        sa.Column("timestamp", sa.Double, nullable=False),
        sa.Column("run_position", _COUNTER),
        sa.Column("level", sa.Integer),
        sa.Column("event_type", _TEXT),
        sa.Column("step_key", _TEXT),
        sa.Column("message", _TEXT),
        sa.Column("applied", sa.Boolean),
        sa.Column("epoch", sa.Integer),
        sa.Column("body", sa.LargeBinary),
        sa.Column("asset_key", _TEXT),
        sa.Column("partition", _TEXT),
    )
    for column in ("event_type", "asset_key"):
        op.create_index(f"instance_log_{column}", "instance_log", [column, "position"])


def _make_small_tables() -> None:
    op.create_table(
        "assets",
        sa.Column("asset_key", _TEXT, primary_key=True),
        sa.Column("last_materialization", _COUNTER),
        sa.Column("last_observation", _COUNTER),
        sa.Column("last_planned", _COUNTER),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "daemon_heartbeats",
        sa.Column("daemon_type", _TEXT, primary_key=True),
        sa.Column("daemon_id", _TEXT, nullable=False),
        sa.Column("hostname", _TEXT, nullable=False),
        sa.Column("timestamp", sa.Double, nullable=False),
        sa.Column("progress_at", sa.Double, nullable=False),
        sa.Column("errors", _TEXT, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "meta",
        sa.Column("key", _TEXT, primary_key=True),
        sa.Column("value", _TEXT, nullable=False),
        sqlite_with_rowid=False,
    )


def _make_log() -> None:
    op.create_table(
        "events",
        sa.Column("position", _COUNTER, primary_key=True, autoincrement=False),
        sa.Column("timestamp", sa.Double, nullable=False),
        sa.Column("level", sa.Integer, nullable=False),
        sa.Column("event_type", _TEXT),
        sa.Column("step_key", _TEXT),
        sa.Column("message", _TEXT, nullable=False),
        sa.Column("applied", sa.Boolean, nullable=False),
        sa.Column("epoch", sa.Integer),
        sa.Column("body", sa.LargeBinary),
    )
    op.create_table(
        "log",
        sa.Column("log_id", _TEXT, primary_key=True),
        sa.Column("run_id", _TEXT, nullable=False),
        sa.Column("revision", _TEXT, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("terminal_position", _COUNTER),
        sa.Column("mirrored_position", _COUNTER, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "batches",
        sa.Column("key", _TEXT, primary_key=True),
        sa.Column("first_position", _COUNTER, nullable=False),
        sa.Column("last_position", _COUNTER, nullable=False),
        sqlite_with_rowid=False,
    )
