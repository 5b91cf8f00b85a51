"""The chain of migrations, and the command that runs it."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import pytest
from alembic.script import ScriptDirectory

from runwire.error_info import ErrorInfo
from runwire.errors import SchemaRevisionError
from runwire.events.types import EventType
from runwire.runs.run import RunRecord
from runwire.snapshots import PlanSnapshot
from runwire.storage import DaemonHeartbeat
from runwire.storages.migrations import HEAD_REVISION, LOG_REVISION, MIGRATE_COMMAND
from runwire.storages.migrations.__main__ import main
from runwire.storages.migrations.upgrading import migrations_config, upgrade_file
from runwire.storages.sqlite import SqliteStorage
from runwire.testing.samples import add_run, launch, positions, read_log, report
from tests.storages.sqlite.places import change, log_path, opened, runs_path


def schema_of(path: Path) -> list[tuple[Any, ...]]:
    """Tables, columns and indexes; Alembic's own table apart."""
    with closing(sqlite3.connect(path)) as connection:
        names = [
            name
            for (name,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
            )
            if name != "alembic_version"
        ]
        found: list[tuple[Any, ...]] = []
        for name in names:
            columns = connection.execute(f"PRAGMA table_xinfo({name})").fetchall()
            indexes = sorted(row[1:] for row in connection.execute(f"PRAGMA index_list({name})"))
            members = [
                connection.execute(f"PRAGMA index_xinfo({i[0]})").fetchall() for i in indexes
            ]
            found.append((name, columns, indexes, members))
        found += connection.execute(
            "SELECT name, trim(replace(replace(sql, char(10), ' '), char(9), ' '))"
            " FROM sqlite_master WHERE name <> 'alembic_version'"
            " AND tbl_name <> 'alembic_version' ORDER BY name"
        ).fetchall()
    return found


@pytest.mark.parametrize("scope", ["runs", "log"])
def test_all_migrations_make_what_the_tables_say(
    tmp_path: Path, scope: Literal["runs", "log"]
) -> None:
    storage = SqliteStorage(tmp_path)
    run = launch(storage)
    storage.dispose()
    made = runs_path(tmp_path) if scope == "runs" else log_path(tmp_path, run)
    migrated = tmp_path / "migrated.db"
    assert upgrade_file(migrated, scope)
    assert schema_of(migrated) == schema_of(made)
    assert len(schema_of(made)) > {"runs": 14, "log": 5}[scope]


def test_the_head_of_the_chain_is_the_one_that_is_written_down() -> None:
    chain = ScriptDirectory.from_config(migrations_config())
    assert chain.get_heads() == [HEAD_REVISION]
    revisions = [script.revision for script in chain.walk_revisions()][::-1]
    assert revisions == [f"{number:04}" for number in range(1, len(revisions) + 1)]
    names = [Path(script.path).name for script in chain.walk_revisions()][::-1]
    assert all(re.fullmatch(r"revision_\d{4}\.py", name) for name in names)


def test_opening_a_storage_imports_no_alembic(tmp_path: Path) -> None:
    code = (
        "import sys; from runwire.storages.sqlite import SqliteStorage;"
        "SqliteStorage(sys.argv[1]).dispose(); print('alembic' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_what_has_the_newest_revision_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    storage = SqliteStorage(tmp_path)
    run = launch(storage)
    storage.dispose()
    paths = runs_path(tmp_path), log_path(tmp_path, run)
    before = [path.read_bytes() for path in paths]
    assert main([str(tmp_path)]) == 0
    assert "already" in capsys.readouterr().out
    assert [path.read_bytes() for path in paths] == before


def test_a_log_keeps_its_revision_in_its_own_table(tmp_path: Path) -> None:
    """Alembic's table is there for the migration only."""
    path = tmp_path / "log.db"
    upgrade_file(path, "log")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master ORDER BY name").fetchall()
        assert tables == [("batches",), ("events",), ("log",)]
        values = ("id", "run-1", LOG_REVISION, 0, None, 0)
        connection.execute("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?)", values)
    assert not upgrade_file(path, "log")


def test_a_home_of_the_first_revision_is_migrated_losing_nothing(tmp_path: Path) -> None:
    """Heartbeats are by process since the second; there are leases. Since the third the head of
    the instance-wide log is a row, since the fourth tags have the instant of their run. Logs did not change.
    """
    run = _make_home_of_the_first_revision(tmp_path)
    log, log_before = log_path(tmp_path, run), log_path(tmp_path, run).read_bytes()
    rows_before = _rows_of(runs_path(tmp_path))
    with pytest.raises(SchemaRevisionError, match=MIGRATE_COMMAND) as refused:
        SqliteStorage(tmp_path)
    assert (refused.value.found, refused.value.head) == ("0001", HEAD_REVISION)

    assert main([str(tmp_path)]) == 0

    rows = _rows_of(runs_path(tmp_path))
    assert rows.pop("daemon_leases") == []
    assert rows_before["run_tags"]
    assert rows.pop("run_tags") == [(*tag, run.created_at) for tag in rows_before.pop("run_tags")]
    assert rows.pop("instance_head") == [(1, len(rows_before["instance_log"]), 0)]
    assert rows.pop("daemon_heartbeats") == [
        (*beat, 0) for beat in rows_before.pop("daemon_heartbeats")
    ]
    assert rows.pop("alembic_version") == [(HEAD_REVISION,)]
    assert rows_before.pop("alembic_version") == [("0001",)]
    assert rows == rows_before
    assert log.read_bytes() == log_before
    _check_that_it_works(tmp_path, run)


def _make_home_of_the_first_revision(base_dir: Path) -> RunRecord:
    """A home as the chain makes it up to there, with a run, two heartbeats and what else there is."""
    storage = SqliteStorage(base_dir / "now")
    run = launch(storage, tags={"team": "sales"})
    storage.run_storage.add_snapshot(PlanSnapshot("daily", ()))
    report(storage, run.run_id, EventType.RUN_START, EventType.ASSET_MATERIALIZATION, None)
    run = storage.get_run_record(run.run_id)
    storage.dispose()
    _make_at_first("runs", runs_path(base_dir / "now"), runs_path(base_dir))
    _make_at_first("log", log_path(base_dir / "now", run), log_path(base_dir, run))
    change(log_path(base_dir, run), "UPDATE log SET revision = '0001'")
    with opened(runs_path(base_dir)) as connection:
        for row in (
            ("A", "1", "box", 2.5, 1.5, '[{"message":"late"}]'),
            ("B", "2", "", 3, 3, "[]"),
        ):
            connection.execute("INSERT INTO daemon_heartbeats VALUES (?, ?, ?, ?, ?, ?)", row)
    return run


def _make_at_first(scope: Literal["runs", "log"], source: Path, target: Path) -> None:
    """Makes a database at the first revision, with the rows of another."""
    target.parent.mkdir(parents=True, exist_ok=True)
    assert upgrade_file(target, scope, "0001")
    rows = _rows_of(source)
    with opened(target) as connection:
        for table in _rows_of(target).keys() - {"alembic_version", "daemon_heartbeats"}:
            width = len(connection.execute(f"PRAGMA table_info({table})").fetchall())
            marks = ", ".join("?" * width)
            for row in rows[table]:  # columns have been added at the end
                connection.execute(f"INSERT INTO {table} VALUES ({marks})", row[:width])


def _rows_of(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        ).fetchall()
        return {
            name: connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall()
            if name != "alembic_version"
            else connection.execute("SELECT * FROM alembic_version").fetchall()
            for (name,) in tables
        }


def _check_that_it_works(base_dir: Path, run: RunRecord) -> None:
    storage = SqliteStorage(base_dir)
    runs = storage.run_storage
    assert storage.get_run_record(run.run_id) == run
    assert positions(read_log(storage, run)) == [1, 2, 3, 4]
    assert [beat.daemon_id for beat in runs.list_daemon_heartbeats()] == ["1", "2"]
    assert runs.get_daemon_heartbeats()["A"] == DaemonHeartbeat(
        daemon_type="A",
        daemon_id="1",
        hostname="box",
        timestamp=2.5,
        progress_at=1.5,
        errors=(ErrorInfo("late"),),
    )
    lease = runs.claim_daemon_lease("A", "2", now=10.0, lease_seconds=5.0)
    assert runs.get_daemon_leases() == {"A": lease}
    assert positions(report(storage, run.run_id, EventType.RUN_SUCCESS)) == [5]
    assert add_run(storage).storage_id == run.storage_id + 1
    storage.dispose()


@pytest.mark.parametrize("scope", ["runs", "log"])
def test_revisions_after_the_newest_of_a_kind_leave_it_as_it_is(
    tmp_path: Path, scope: Literal["runs", "log"]
) -> None:
    """Else logs would have to be migrated too, though their revision says that they need not."""
    newest, head = tmp_path / "newest.db", tmp_path / "head.db"
    upgrade_file(newest, scope)
    upgrade_file(head, scope, HEAD_REVISION)
    assert schema_of(head) == schema_of(newest)


@pytest.mark.parametrize("scope", ["runs", "log"])
def test_what_a_newer_version_wrote_is_not_migrated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], scope: Literal["runs", "log"]
) -> None:
    storage = SqliteStorage(tmp_path)
    run = launch(storage)
    storage.dispose()
    path = runs_path(tmp_path) if scope == "runs" else log_path(tmp_path, run)
    column = "alembic_version SET version_num" if scope == "runs" else "log SET revision"
    change(path, f"UPDATE {column} = '9999'")
    before = path.read_bytes()
    assert main([str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert str(path) in said
    assert "a newer version of runwire wrote it" in said
    assert path.read_bytes() == before


def test_a_folder_without_a_storage_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 2
    assert "runs.db is not there" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_migrated_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = runs_path(tmp_path)
    path.parent.mkdir()
    path.write_bytes(b"x" * 4096)
    assert main([str(tmp_path)]) == 1
    assert "not a database" in capsys.readouterr().err


def test_the_command_that_errors_name_is_there() -> None:
    command = [sys.executable, *MIGRATE_COMMAND.split()[1:], "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "base_dir" in done.stdout
