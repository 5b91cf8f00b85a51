"""Migrating SQLite files: all of an instance at once, and an event log when it is written to.

No revision has changed event logs yet. So there is a made-up one here, after the newest.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.config import Config

from runwire.errors import SchemaRevisionError, StorageUnavailableError
from runwire.events.types import EventType
from runwire.runs.run import RunRecord
from runwire.storage import Migration
from runwire.storages.migrations import HEAD_REVISION, LOG_REVISION, upgrading
from runwire.storages.sqlite import SqliteStorage, shards
from runwire.storages.sqlite.migrate import upgrade_file
from runwire.storages.sqlite.storage import SqliteStorageConfig
from runwire.testing.samples import in_threads, launch, positions, read_log, report
from tests.storages.sqlite.places import change, files_below, log_path, runs_path

LATER = "7000"

REVISION = f'''
import sqlalchemy as sa
from alembic import context, op

revision = "{LATER}"
down_revision = "{HEAD_REVISION}"


def upgrade():
    if context.config.attributes["scope"] == "log":
        op.add_column("events", sa.Column("host", sa.Text))
'''


@pytest.fixture
def later(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pytest.MonkeyPatch]:
    """A version of runwire with a later revision of event logs, from when `turn_later` is called."""
    patch = pytest.MonkeyPatch()
    folder = tmp_path_factory.mktemp("later")
    (folder / "revision_later.py").write_text(REVISION)
    chain = upgrading.migrations_config

    def config() -> Config:
        made = chain()
        versions = Path(upgrading.__file__).parent / "versions"
        made.set_main_option("path_separator", "newline")
        made.set_main_option("version_locations", f"{versions}\n{folder}")
        return made

    with patch.context() as patched:
        patched.setattr(upgrading, "migrations_config", config)
        patched.setitem(upgrading.NEWEST, "log", LATER)
        patched.setattr(shards, "LOG_REVISION", LATER)
        yield patched


@pytest.fixture
def old(tmp_path: Path) -> RunRecord:
    """A run whose log has the revision of now; take it before `later`."""
    storage = SqliteStorage(tmp_path)
    run = launch(storage)
    report(storage, run.run_id, EventType.RUN_START, None)
    run = storage.get_run_record(run.run_id)
    storage.dispose()
    return run


def migrate(base_dir: Path, **config: str) -> tuple[Migration, list[tuple[int, int]]]:
    """The result of a migration, and what it told of its progress."""
    seen: list[tuple[int, int]] = []
    value = SqliteStorageConfig.model_validate({"base_dir": str(base_dir), **config})
    return SqliteStorage.migrate(value, lambda done, total: seen.append((done, total))), seen


def found_in(path: Path) -> tuple[str, bool]:
    """The revision of a log, and whether its events have the new column."""
    with closing(sqlite3.connect(path)) as connection:
        (revision,) = connection.execute("SELECT revision FROM log").fetchone()
        columns = [row[1] for row in connection.execute("PRAGMA table_info(events)")]
    return revision, "host" in columns


# ------------------------------------------------------------ when it is written to


def test_an_old_log_is_read_as_it_is(
    tmp_path: Path, old: RunRecord, later: pytest.MonkeyPatch
) -> None:
    before = log_path(tmp_path, old).read_bytes()
    storage = SqliteStorage(tmp_path)
    assert positions(read_log(storage, old)) == [1, 2, 3]
    assert storage.event_log_storage.get_head(old).position == 3
    assert storage.repair() == 0
    storage.dispose()
    assert log_path(tmp_path, old).read_bytes() == before


@pytest.mark.parametrize("event_type", [None, EventType.RUN_SUCCESS])
def test_an_old_log_is_migrated_when_it_is_written_to(
    tmp_path: Path, old: RunRecord, later: pytest.MonkeyPatch, event_type: EventType | None
) -> None:
    storage = SqliteStorage(tmp_path)
    log = read_log(storage, old)
    assert found_in(log_path(tmp_path, old)) == (LOG_REVISION, False)
    (record,) = report(storage, old.run_id, event_type)
    assert found_in(log_path(tmp_path, old)) == (LATER, True)
    # The connections that read go on.
    assert read_log(storage, old) == [*log, record]
    new = launch(storage)
    storage.dispose()
    with closing(sqlite3.connect(log_path(tmp_path, new))) as connection:
        assert connection.execute("SELECT revision FROM log").fetchone() == (LATER,)


def test_many_that_write_first_migrate_it_once(
    tmp_path: Path, old: RunRecord, later: pytest.MonkeyPatch
) -> None:
    opened = [SqliteStorage(tmp_path) for _ in range(4)]

    def write(index: int) -> None:
        report(opened[index % 4], old.run_id, None)

    in_threads(8, write)
    assert positions(read_log(opened[0], old)) == list(range(1, 12))
    assert found_in(log_path(tmp_path, old)) == (LATER, True)
    for storage in opened:
        storage.dispose()


def test_many_logs_can_be_migrated_at_the_same_time(
    tmp_path: Path, later: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / f"{index}.db" for index in range(6)]
    for path in paths:
        upgrade_file(path, "log", revision=LOG_REVISION)
        change(path, f"INSERT INTO log VALUES ('a', 'b', '{LOG_REVISION}', 0, NULL, 0)")
    start = threading.Barrier(len(paths))

    def upgrade(index: int) -> None:
        start.wait()
        assert upgrade_file(paths[index], "log") is not None

    in_threads(len(paths), upgrade)
    assert [found_in(path) for path in paths] == [(LATER, True)] * len(paths)


def test_a_log_that_reading_would_not_understand_is_refused(
    tmp_path: Path, old: RunRecord, later: pytest.MonkeyPatch
) -> None:
    later.setattr(shards, "OLDEST_READABLE_LOG", LATER)
    storage = SqliteStorage(tmp_path)
    with pytest.raises(SchemaRevisionError, match="run `runwire instance migrate`") as refused:
        read_log(storage, old)
    assert (refused.value.found, refused.value.head) == (LOG_REVISION, LATER)
    storage.dispose()
    migration, _ = migrate(tmp_path)
    assert len(migration.migrated) == 1
    storage = SqliteStorage(tmp_path)
    assert positions(read_log(storage, old)) == [1, 2, 3]
    storage.dispose()


def test_a_log_that_cannot_be_migrated_takes_no_event(
    tmp_path: Path, old: RunRecord, later: pytest.MonkeyPatch
) -> None:
    storage = SqliteStorage(tmp_path, busy_timeout_seconds=0.1)
    path = log_path(tmp_path, old)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageUnavailableError, match="lock"):
            report(storage, old.run_id, None)
    assert found_in(path) == (LOG_REVISION, False)
    assert positions(report(storage, old.run_id, None)) == [4]
    storage.dispose()


# ------------------------------------------------------------ all at once


def test_all_logs_are_migrated_with_progress(
    tmp_path: Path, old: RunRecord, later: pytest.MonkeyPatch
) -> None:
    migration, seen = migrate(tmp_path)
    assert [(each.place, each.found, each.head) for each in migration.migrated] == [
        (str(log_path(tmp_path, old)), LOG_REVISION, LATER)
    ]
    assert seen == [(0, 2), (1, 2), (2, 2)]
    assert found_in(log_path(tmp_path, old)) == (LATER, True)
    assert migrate(tmp_path)[0] == Migration()


@pytest.mark.parametrize("layout", ["sharded", "consolidated"])
def test_what_has_the_newest_revision_is_left_alone(tmp_path: Path, layout: str) -> None:
    storage = SqliteStorage(tmp_path, layout="sharded" if layout == "sharded" else "consolidated")
    launch(storage)
    storage.dispose()
    files = files_below(tmp_path)
    before = [(tmp_path / name).read_bytes() for name in files]
    assert migrate(tmp_path, layout=layout)[0] == Migration()
    assert [(tmp_path / name).read_bytes() for name in files] == before


def test_an_older_database_of_runs_and_logs_is_migrated(tmp_path: Path) -> None:
    """The layout came with the third revision."""
    SqliteStorage(tmp_path, layout="consolidated").dispose()
    path = tmp_path / "history" / "runwire.db"
    path.unlink()
    upgrade_file(path, "database", revision="0003")
    change(path, "INSERT INTO meta VALUES ('instance_log_id', 'an-id')")
    with pytest.raises(SchemaRevisionError, match="run `runwire instance migrate`"):
        SqliteStorage(tmp_path, layout="consolidated")
    migration, _ = migrate(tmp_path, layout="consolidated")
    assert [(each.found, each.head) for each in migration.migrated] == [("0003", HEAD_REVISION)]
    storage = SqliteStorage(tmp_path, layout="consolidated")
    assert positions(read_log(storage, launch(storage))) == [1]
    storage.dispose()


def test_nothing_is_made_where_nothing_is_stored(tmp_path: Path) -> None:
    assert migrate(tmp_path) == (Migration(), [])
    assert list(tmp_path.iterdir()) == []


def test_the_layout_that_is_not_named_is_not_migrated(tmp_path: Path) -> None:
    SqliteStorage(tmp_path).dispose()
    with pytest.raises(StorageUnavailableError, match=r"set storage\.sqlite\.layout to 'sharded'"):
        migrate(tmp_path, layout="consolidated")


def test_runs_that_a_newer_version_wrote_are_refused(tmp_path: Path) -> None:
    SqliteStorage(tmp_path).dispose()
    change(runs_path(tmp_path), "UPDATE alembic_version SET version_num = '9999'")
    before = runs_path(tmp_path).read_bytes()
    with pytest.raises(SchemaRevisionError, match="a newer version of runwire wrote it"):
        migrate(tmp_path)
    assert runs_path(tmp_path).read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"x" * 4096])
def test_a_database_of_somebody_else_is_refused(tmp_path: Path, content: bytes) -> None:
    path = runs_path(tmp_path)
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(StorageUnavailableError, match=r"no database of runwire|not a database"):
        migrate(tmp_path)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("damage", "says"),
    [("newer", "a newer version of runwire wrote it"), ("cut", "no database of runwire")],
)
def test_a_log_that_cannot_be_migrated_keeps_the_others_from_nothing(
    tmp_path: Path, old: RunRecord, later: pytest.MonkeyPatch, damage: str, says: str
) -> None:
    path = log_path(tmp_path, old)
    broken = path.with_name(f"a.{'0' * 32}.db")
    if damage == "newer":
        broken.write_bytes(path.read_bytes())
        change(broken, "UPDATE log SET revision = '9999'")
    else:
        broken.touch()
    before = broken.read_bytes()
    migration, seen = migrate(tmp_path)
    assert [each.place for each in migration.migrated] == [str(path)]
    (problem,) = migration.problems
    assert str(broken) in problem
    assert says in problem
    assert broken.read_bytes() == before
    assert seen[-1] == (3, 3)


def test_a_log_keeps_its_revision_in_its_own_table(tmp_path: Path) -> None:
    """Alembic's table is there for the migration only."""
    path = tmp_path / "log.db"
    assert upgrade_file(path, "log") is not None
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master ORDER BY name").fetchall()
    assert tables == [("batches",), ("events",), ("log",)]
    change(path, f"INSERT INTO log VALUES ('id', 'run-1', '{LOG_REVISION}', 0, NULL, 0)")
    assert upgrade_file(path, "log") is None
