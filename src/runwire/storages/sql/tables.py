"""The tables: of the runs (`RUNS`), and of their event logs, each in a database of its own (`LOG`) or all in that
of the runs (`LOGS`).

Instants are epoch seconds. Columns that hold JSON are texts; nothing asks for a part of them.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

RUNS = MetaData()
"""The tables of runs and of what commits together with them."""

LOG = MetaData()
"""The tables of one run's event log, in a database of its own."""

LOGS = MetaData()
"""The tables of the event logs of all runs, in the database that has `RUNS`."""

_TEXT = Text().with_variant(Text(collation="C"), "postgresql")
"""A text whose order is that of its code points in every database: prefixes are ranges, and indexes serve them."""

_COUNTER = BigInteger().with_variant(Integer, "sqlite")
"""An integer of 64 bits; SQLite's row id is one only by the name INTEGER."""

runs = Table(
    "runs",
    RUNS,
    Column("storage_id", _COUNTER, primary_key=True, autoincrement=True),
    Column("run_id", _TEXT, nullable=False),
    Column("log_id", _TEXT, nullable=False),
    Column("status", _TEXT, nullable=False),
    Column("job_name", _TEXT, nullable=False),
    Column("location_name", _TEXT),
    Column("repository_name", _TEXT),
    Column("managed", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("enqueued_at", Double),
    Column("launched_at", Double),
    Column("worker_epoch", Integer, nullable=False),
    Column("resume_attempts", Integer, nullable=False),
    Column("applied_position", _COUNTER, nullable=False),
    Column("tags", _TEXT, nullable=False),
    Column("run_config", _TEXT, nullable=False),
    Column("step_keys", _TEXT),
    Column("job_snapshot_id", _TEXT),
    Column("plan_snapshot_id", _TEXT),
    Column("steps_planned", Integer, nullable=False),
    Column("parent_run_id", _TEXT),
    Column("root_run_id", _TEXT),
    Column("requested_by", _TEXT),
    Column("failure", _TEXT),
    Column("counts", _TEXT, nullable=False),
    Column("request_key", _TEXT),
    Column("request_digest", _TEXT),
    Index("runs_run_id", "run_id", unique=True),
    Index("runs_request_key", "request_key", unique=True),
    Index("runs_created_at", "created_at", "storage_id"),
    Index("runs_status", "status", "created_at", "storage_id"),
    Index("runs_job_name", "job_name", "created_at", "storage_id"),
    Index("runs_updated_at", "updated_at", "storage_id"),
    Index("runs_started_at", "started_at", "storage_id"),
    Index("runs_ended_at", "ended_at", "storage_id"),
    sqlite_autoincrement=True,
)

run_tags = Table(
    "run_tags",
    RUNS,
    Column("storage_id", _COUNTER, primary_key=True, autoincrement=False),
    Column("key", _TEXT, primary_key=True),
    Column("value", _TEXT, nullable=False),
    # That of the run, so that the index below has the runs of a tag in their order.
    Column("created_at", Double, nullable=False),
    Index("run_tags_key_value", "key", "value", "created_at", "storage_id"),
    sqlite_with_rowid=False,
)

snapshots = Table(
    "snapshots",
    RUNS,
    Column("snapshot_id", _TEXT, primary_key=True),
    Column("kind", _TEXT, nullable=False),
    Column("body", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

daemon_heartbeats = Table(
    "daemon_heartbeats",
    RUNS,
    Column("daemon_type", _TEXT, primary_key=True),
    Column("daemon_id", _TEXT, primary_key=True),
    Column("hostname", _TEXT, nullable=False),
    Column("timestamp", Double, nullable=False),
    Column("progress_at", Double, nullable=False),
    Column("errors", _TEXT, nullable=False),
    Column("stopped", Boolean, nullable=False),
    sqlite_with_rowid=False,
)

daemon_leases = Table(
    "daemon_leases",
    RUNS,
    Column("daemon_type", _TEXT, primary_key=True),
    Column("daemon_id", _TEXT, nullable=False),
    Column("expires_at", Double, nullable=False),
    sqlite_with_rowid=False,
)

instance_log = Table(
    "instance_log",
    RUNS,
    Column("position", _COUNTER, primary_key=True, autoincrement=False),
    Column("kind", _TEXT, nullable=False),
    Column("run_id", _TEXT, nullable=False),
    Column("job_name", _TEXT, nullable=False),
    Column("timestamp", Double, nullable=False),
    # The rest is null unless the entry is an event.
    Column("run_position", _COUNTER),
    Column("level", Integer),
    Column("event_type", _TEXT),
    Column("step_key", _TEXT),
    Column("message", _TEXT),
    Column("applied", Boolean),
    Column("epoch", Integer),
    Column("body", LargeBinary),
    Column("asset_key", _TEXT),
    Column("partition", _TEXT),
    Index("instance_log_event_type", "event_type", "position"),
    Index("instance_log_asset_key", "asset_key", "position"),
)

instance_head = Table(
    "instance_head",
    RUNS,
    # One row, 1. Whoever appends to the instance-wide log raises `head` first, and so keeps others waiting.
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("head", _COUNTER, nullable=False),
    # The last position that was purged; cursors before it have expired.
    Column("purged_position", _COUNTER, nullable=False),
)

assets = Table(
    "assets",
    RUNS,
    Column("asset_key", _TEXT, primary_key=True),
    # Positions of the instance-wide log, which keeps these entries when it is purged. All null: it is wiped.
    Column("last_materialization", _COUNTER),
    Column("last_observation", _COUNTER),
    Column("last_planned", _COUNTER),
    Column("wiped_position", _COUNTER, nullable=False),
    sqlite_with_rowid=False,
)

asset_partitions = Table(
    "asset_partitions",
    RUNS,
    Column("asset_key", _TEXT, primary_key=True),
    # As JSON, for the whole asset, null, is a part of the key.
    Column("partition", _TEXT, primary_key=True),
    # Since the asset was wiped; of these, what the instance-wide log does not have any more.
    Column("materializations", _COUNTER, nullable=False),
    Column("purged_materializations", _COUNTER, nullable=False),
    sqlite_with_rowid=False,
)

tick_sources = Table(
    "tick_sources",
    RUNS,
    Column("source_id", _TEXT, primary_key=True),
    Column("source_type", _TEXT, nullable=False),
    Column("location_name", _TEXT, nullable=False),
    Column("repository_name", _TEXT, nullable=False),
    Column("name", _TEXT, nullable=False),
    Column("status", _TEXT, nullable=False),
    Column("by_default", Boolean, nullable=False),
    Column("running_since", Double),
    Column("cursor", _TEXT),
    Column("cursor_version", _COUNTER, nullable=False),
    Column("last_due_at", Double),
    Column("updated_at", Double, nullable=False),
    sqlite_with_rowid=False,
)

ticks = Table(
    "ticks",
    RUNS,
    Column("tick_id", _COUNTER, primary_key=True, autoincrement=True),
    Column("source_id", _TEXT, nullable=False),
    Column("key", _TEXT, nullable=False),
    Column("status", _TEXT, nullable=False),
    Column("due_at", Double, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("attempts", Integer, nullable=False),
    Column("failure_count", Integer, nullable=False),
    Column("requests", _TEXT),
    Column("run_ids", _TEXT, nullable=False),
    Column("skip_reason", _TEXT),
    Column("error", _TEXT),
    Column("cursor", _TEXT),
    Column("version", Integer, nullable=False),
    Index("ticks_key", "source_id", "key", unique=True),
    Index("ticks_due_at", "source_id", "due_at", "tick_id"),
    Index("ticks_status", "source_id", "status", "due_at", "tick_id"),
    Index("ticks_age", "status", "due_at", "tick_id"),
    sqlite_autoincrement=True,
)

pool_limits = Table(
    "pool_limits",
    RUNS,
    Column("pool", _TEXT, primary_key=True),
    Column("max_slots", Integer, nullable=False),
    sqlite_with_rowid=False,
)

pool_slots = Table(
    "pool_slots",
    RUNS,
    # Rows of runs that are gone or have ended do not count.
    Column("storage_id", _COUNTER, primary_key=True, autoincrement=False),
    Column("step_key", _TEXT, primary_key=True),
    Column("pool", _TEXT, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("is_held", Boolean, nullable=False),
    Column("since", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    Index("pool_slots_pool", "pool"),
    sqlite_with_rowid=False,
)

SCHEDULES = (ticks, tick_sources)
"""The tables of schedules and sensors, which are not wiped with the runs."""

webhooks = Table(
    "webhooks",
    RUNS,
    Column("name", _TEXT, primary_key=True),
    Column("log_id", _TEXT, nullable=False),
    Column("position", _COUNTER, nullable=False),
    Column("status", _TEXT, nullable=False),
    Column("reason", _TEXT),
    Column("delivered", _COUNTER, nullable=False),
    Column("failures", _COUNTER, nullable=False),
    Column("missed", _COUNTER, nullable=False),
    Column("last_attempt", _TEXT),
    Column("trouble", _TEXT),
    Column("updated_at", Double, nullable=False),
    Column("version", _COUNTER, nullable=False),
    sqlite_with_rowid=False,
)

dead_letters = Table(
    "dead_letters",
    RUNS,
    Column("letter_id", _COUNTER, primary_key=True, autoincrement=True),
    Column("webhook", _TEXT, nullable=False),
    Column("event_id", _TEXT, nullable=False),
    Column("run_id", _TEXT, nullable=False),
    Column("event_type", _TEXT, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("failed_at", Double, nullable=False),
    Column("status_code", Integer),
    Column("error", _TEXT, nullable=False),
    Column("is_requested", Boolean, nullable=False),
    Index("dead_letters_event", "webhook", "event_id", unique=True),
    Index("dead_letters_requested", "webhook", "is_requested", "letter_id"),
    sqlite_autoincrement=True,
)

WEBHOOKS = (dead_letters, webhooks)
"""The tables of webhooks, which are not wiped with the runs."""

backfills = Table(
    "backfills",
    RUNS,
    Column("number", _COUNTER, primary_key=True, autoincrement=True),
    Column("backfill_id", _TEXT, nullable=False),
    Column("location_name", _TEXT, nullable=False),
    Column("repository_name", _TEXT, nullable=False),
    Column("job_name", _TEXT, nullable=False),
    Column("selection", _TEXT, nullable=False),
    Column("scope", _TEXT, nullable=False),
    Column("runs_at_once", Integer, nullable=False),
    Column("tags", _TEXT, nullable=False),
    Column("run_config", _TEXT),
    Column("requested_by", _TEXT),
    Column("created_at", Double, nullable=False),
    Column("request_key", _TEXT),
    Column("request_digest", _TEXT),
    # The rest changes.
    Column("status", _TEXT, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Column("skipped", Integer, nullable=False),
    Column("unmade", Integer, nullable=False),
    Column("terminates_runs", Boolean, nullable=False),
    Column("waiting", _TEXT),
    Column("error", _TEXT),
    Column("ended_at", Double),
    Column("version", _COUNTER, nullable=False),
    Index("backfills_id", "backfill_id", unique=True),
    Index("backfills_request_key", "request_key", unique=True),
    Index("backfills_status", "status", "number"),
    Index("backfills_job_name", "job_name", "number"),
    sqlite_autoincrement=True,
)

backfill_failures = Table(
    "backfill_failures",
    RUNS,
    Column("number", _COUNTER, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("partition_key", _TEXT, nullable=False),
    Column("error", _TEXT, nullable=False),
    Column("failed_at", Double, nullable=False),
    sqlite_with_rowid=False,
)

BACKFILLS = (backfill_failures, backfills)
"""The tables of backfills, which are not wiped with the runs."""

meta = Table(
    "meta",
    RUNS,
    Column("key", _TEXT, primary_key=True),
    Column("value", _TEXT, nullable=False),
    sqlite_with_rowid=False,
)

INSTANCE_LOG_ID = "instance_log_id"
"""The key in `meta` of the id of the instance-wide log."""

events = Table(
    "events",
    LOG,
    Column("position", _COUNTER, primary_key=True, autoincrement=False),
    Column("timestamp", Double, nullable=False),
    Column("level", Integer, nullable=False),
    Column("event_type", _TEXT),
    Column("step_key", _TEXT),
    Column("message", _TEXT, nullable=False),
    Column("applied", Boolean, nullable=False),
    Column("epoch", Integer),
    Column("body", LargeBinary),
)

log = Table(
    "log",
    LOG,
    Column("log_id", _TEXT, primary_key=True),
    Column("run_id", _TEXT, nullable=False),
    Column("revision", _TEXT, nullable=False),
    # The log's own copies, which its writers check in the log's own transactions.
    Column("epoch", Integer, nullable=False),
    Column("terminal_position", _COUNTER),
    Column("mirrored_position", _COUNTER, nullable=False),
    sqlite_with_rowid=False,
)

batches = Table(
    "batches",
    LOG,
    Column("key", _TEXT, primary_key=True),
    Column("first_position", _COUNTER, nullable=False),
    Column("last_position", _COUNTER, nullable=False),
    sqlite_with_rowid=False,
)

run_heads = Table(
    "run_heads",
    LOGS,
    Column("storage_id", _COUNTER, primary_key=True, autoincrement=False),
    # Whoever appends to a log raises `head` first, and so keeps others waiting: commit order is position order.
    Column("head", _COUNTER, nullable=False),
    # The log's own copies, which its writers check without the lock of the run's row.
    Column("epoch", Integer, nullable=False),
    Column("terminal_position", _COUNTER),
    Column("mirrored_position", _COUNTER, nullable=False),
)

run_events = Table(
    "run_events",
    LOGS,
    Column("storage_id", _COUNTER, primary_key=True, autoincrement=False),
    Column("position", _COUNTER, primary_key=True, autoincrement=False),
    Column("timestamp", Double, nullable=False),
    Column("level", Integer, nullable=False),
    Column("event_type", _TEXT),
    Column("step_key", _TEXT),
    Column("message", _TEXT, nullable=False),
    Column("applied", Boolean, nullable=False),
    Column("epoch", Integer),
    Column("body", LargeBinary),
    sqlite_with_rowid=False,
)

run_batches = Table(
    "run_batches",
    LOGS,
    Column("storage_id", _COUNTER, primary_key=True, autoincrement=False),
    Column("key", _TEXT, primary_key=True),
    Column("first_position", _COUNTER, nullable=False),
    Column("last_position", _COUNTER, nullable=False),
    sqlite_with_rowid=False,
)

DATABASE = MetaData()
"""The tables of runs and of all their event logs, in one database."""

for _table in (*RUNS.sorted_tables, *LOGS.sorted_tables):
    _table.to_metadata(DATABASE)
