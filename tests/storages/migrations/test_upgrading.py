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

from runwire.errors import SchemaRevisionError
from runwire.storage import DaemonHeartbeat
from runwire.storages.migrations import HEAD_REVISION, MIGRATE_COMMAND
from runwire.storages.migrations.__main__ import main
from runwire.storages.migrations.upgrading import migrations_config, upgrade_file
from runwire.storages.sqlite import SqliteStorage
from runwire.testing.samples import launch
from tests.storages.sqlite.places import log_path, runs_path


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
        values = ("id", "run-1", HEAD_REVISION, 0, None, 0)
        connection.execute("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?)", values)
    assert not upgrade_file(path, "log")


def test_the_first_revision_becomes_the_second_losing_nothing(tmp_path: Path) -> None:
    """Heartbeats are by process since then; there are leases."""
    storage = SqliteStorage(tmp_path)
    run = launch(storage)
    before = storage.run_storage.find_run_record(run.run_id)
    storage.dispose()
    paths = runs_path(tmp_path), log_path(tmp_path, run)
    with closing(sqlite3.connect(paths[0])) as runs, closing(sqlite3.connect(paths[1])) as log:
        runs.executescript(
            "DROP TABLE daemon_heartbeats; DROP TABLE daemon_leases;"
            "CREATE TABLE daemon_heartbeats (daemon_type TEXT NOT NULL PRIMARY KEY,"
            " daemon_id TEXT NOT NULL, hostname TEXT NOT NULL, timestamp DOUBLE NOT NULL,"
            " progress_at DOUBLE NOT NULL, errors TEXT NOT NULL) WITHOUT ROWID;"
            "INSERT INTO daemon_heartbeats VALUES ('A', '1', 'box', 2.5, 1.5, '[]');"
            "UPDATE alembic_version SET version_num = '0001';"
        )
        log.executescript("UPDATE log SET revision = '0001'")
    with pytest.raises(SchemaRevisionError, match=MIGRATE_COMMAND):
        SqliteStorage(tmp_path)
    assert main([str(tmp_path)]) == 0
    migrated = SqliteStorage(tmp_path)
    assert migrated.run_storage.find_run_record(run.run_id) == before
    assert len(migrated.event_log_storage.get_records(run).records) == run.applied_position
    assert migrated.run_storage.list_daemon_heartbeats() == [
        DaemonHeartbeat(
            daemon_type="A", daemon_id="1", hostname="box", timestamp=2.5, progress_at=1.5
        )
    ]
    assert migrated.run_storage.get_daemon_leases() == {}
    migrated.dispose()


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
