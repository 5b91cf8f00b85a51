"""`runwire instance migrate`: what was migrated, what could not be, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from runwire.cli import migrating
from runwire.storage import Migrated, Migration
from runwire.storages.migrations import HEAD_REVISION, MIGRATE_COMMAND
from runwire.storages.sqlite import SqliteStorage
from runwire.storages.sqlite.migrate import upgrade_file
from tests.cli.conftest import Invoke
from tests.storages.sqlite.places import change, runs_path


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A home whose runs have the revision before the newest."""
    runs_path(tmp_path).parent.mkdir()
    upgrade_file(runs_path(tmp_path), "runs", revision=f"{int(HEAD_REVISION) - 1:04}")
    return tmp_path


def test_an_old_home_is_migrated_by_the_command_that_the_refusal_names(
    old: Path, invoke: Invoke
) -> None:
    refused = invoke("daemon", "liveness-check", "--home", str(old))
    assert refused.exit_code == 69
    assert f"run `{MIGRATE_COMMAND}`" in refused.stderr
    result = invoke(*MIGRATE_COMMAND.split()[1:], "--home", str(old))
    assert (result.exit_code, result.stderr) == (0, "")
    older = f"{int(HEAD_REVISION) - 1:04}"
    assert result.stdout == f"{runs_path(old)}: {older} -> {HEAD_REVISION}\n"
    SqliteStorage(old).dispose()
    again = invoke("instance", "migrate", "--home", str(old))
    assert (again.exit_code, again.stdout) == (0, "there is nothing to migrate\n")


def test_the_home_may_be_named_by_the_environment(
    old: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    nameless = invoke("instance", "migrate")
    assert (nameless.exit_code, nameless.stdout) == (2, "")
    assert "--home or RUNWIRE_HOME" in nameless.stderr
    monkeypatch.setenv("RUNWIRE_HOME", str(old))
    assert "runs.db" in invoke("instance", "migrate").stdout


def test_a_home_that_is_none_is_told(tmp_path: Path, invoke: Invoke) -> None:
    result = invoke("instance", "migrate", "--home", str(tmp_path / "nowhere"))
    assert result.exit_code == 2
    assert "nowhere is not a folder" in result.stderr


def test_what_a_newer_version_wrote_is_told(old: Path, invoke: Invoke) -> None:
    change(runs_path(old), "UPDATE alembic_version SET version_num = '9999'")
    result = invoke("instance", "migrate", "--home", str(old))
    assert (result.exit_code, result.stdout) == (69, "")
    assert "install that version or a newer one" in result.stderr


def test_what_could_not_be_migrated_is_told_and_fails(
    tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [Migrated(f"log {n}", "0001", "0002") for n in range(25)]
    migration = Migration([*many, Migrated("runs", "0001", "0002")], ["log x is \x1b[31mdamaged"])
    monkeypatch.setattr(migrating, "migrate_home", lambda home, progress: migration)
    result = invoke("instance", "migrate", "--home", str(tmp_path))
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0] == "6 event logs were migrated, and"
    assert lines[1] == "log 6: 0001 -> 0002"
    assert lines[-1] == "runs: 0001 -> 0002"
    assert len(lines) == 1 + migrating.MAX_NAMED
    assert result.stderr == "error: log x is \\x1b[31mdamaged\n"
