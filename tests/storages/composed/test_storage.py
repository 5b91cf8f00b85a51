"""The storages that are joined: which they are, what they tell, and that they are two."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from runwire.config import ConfigurableClassData
from runwire.errors import InvalidConfigurationError, StorageUnavailableError
from runwire.storage import InstanceStorage
from runwire.storages.composed import ComposedEventLogStorage, ComposedStorage
from runwire.storages.migrations import HEAD_REVISION
from runwire.storages.sqlite import SqliteStorage
from runwire.testing.samples import launch, positions, read_log
from tests.storages.sqlite.places import change, runs_path

URL = "postgresql://somebody:hunter2@localhost:1/none"


def sqlite_part(folder: Path | dict[str, str], **config: Any) -> dict[str, Any]:
    place = folder if isinstance(folder, dict) else str(folder)
    return {
        "module": "runwire.storages.sqlite",
        "class": "SqliteStorage",
        "config": {"base_dir": place, **config},
    }


def composed(runs: Any, logs: Any, schedules: Any = None) -> ConfigurableClassData:
    parts = {
        "run_storage": runs,
        "event_log_storage": logs,
        "schedule_storage": runs if schedules is None else schedules,
    }
    return ConfigurableClassData("runwire.storages.composed", "ComposedStorage", parts)


def opened(data: ConfigurableClassData) -> InstanceStorage:
    return data.rehydrate(InstanceStorage)


def test_runs_and_logs_are_where_they_are_said_to_be(tmp_path: Path) -> None:
    runs = sqlite_part(tmp_path / "a")
    logs = sqlite_part(tmp_path / "b", layout="consolidated")
    storage = opened(composed(runs, logs))
    run = launch(storage)
    assert not (tmp_path / "a" / "history" / "events").exists()
    assert storage.runs_part.inst_data == ConfigurableClassData.from_dict(runs)
    assert storage.event_logs_part.inst_data == ConfigurableClassData.from_dict(logs)
    storage.dispose()
    alone = SqliteStorage(tmp_path / "a")
    assert alone.get_run_record(run.run_id).log_id == run.log_id
    alone.dispose()


def test_what_is_written_alike_is_one_storage(tmp_path: Path) -> None:
    part = sqlite_part(tmp_path)
    storage = opened(composed(part, part))
    assert storage.runs_part is storage.event_logs_part
    assert not isinstance(storage.event_log_storage, ComposedEventLogStorage)
    run = launch(storage)
    storage.dispose()
    alone = SqliteStorage(tmp_path)
    assert positions(read_log(alone, run)) == [1]
    alone.dispose()


def test_two_storages_in_one_database_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailableError, match="one database with different settings"):
        opened(composed(sqlite_part(tmp_path), sqlite_part(tmp_path, max_open_logs=7)))


def test_a_part_that_cannot_be_opened_closes_the_others(tmp_path: Path) -> None:
    (tmp_path / "b").touch()
    with pytest.raises(StorageUnavailableError):
        opened(composed(sqlite_part(tmp_path / "a"), sqlite_part(tmp_path / "b")))
    with closing(sqlite3.connect(runs_path(tmp_path / "a"))) as connection:
        # Nobody else has it open, else the mode could not be changed.
        assert connection.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)


def test_no_secret_of_a_part_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", str(tmp_path / "hidden"))
    postgres = {
        "module": "runwire.storages.postgres",
        "class": "PostgresStorage",
        "config": {"postgres_url": URL},
    }
    told = json.dumps(composed(postgres, sqlite_part({"env": "PLACE"})).info_dict())
    assert "hunter2" not in told
    assert "hidden" not in told
    assert '{"env": "PLACE"}' in told
    storage = opened(composed(sqlite_part(tmp_path), sqlite_part({"env": "PLACE"})))
    assert storage.event_logs_part.inst_data is not None
    assert "hidden" not in json.dumps(storage.event_logs_part.inst_data.info_dict())
    storage.dispose()


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ({"module": "runwire.storages.sqlite", "class": "Nothing"}, "has no class Nothing"),
        (
            {"module": "runwire.storages.sqlite", "class": "SqliteStorage", "config": {"x": 1}},
            "there is no such key",
        ),
    ],
)
def test_a_part_that_does_not_fit_is_told(tmp_path: Path, part: Any, says: str) -> None:
    with pytest.raises(InvalidConfigurationError, match=says) as refused:
        opened(composed(sqlite_part(tmp_path), part))
    assert [p.path for p in refused.value.problems] == [("config", "event_log_storage", "config")]


def test_every_part_is_migrated_once(tmp_path: Path) -> None:
    runs, logs = sqlite_part(tmp_path / "a"), sqlite_part(tmp_path / "b")
    data = composed(runs, logs)
    opened(data).dispose()
    assert data.validated(ComposedStorage) is not None
    for folder in ("a", "b"):
        change(runs_path(tmp_path / folder), "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StorageUnavailableError, match=f"9999, this version needs {HEAD_REVISION}"):
        ComposedStorage.migrate(data.validated(ComposedStorage), lambda done, total: None)
    for folder in ("a", "b"):
        change(
            runs_path(tmp_path / folder),
            f"UPDATE alembic_version SET version_num = '{HEAD_REVISION}'",
        )
    seen: list[tuple[int, int]] = []
    migration = ComposedStorage.migrate(
        data.validated(ComposedStorage), lambda done, total: seen.append((done, total))
    )
    assert (migration.migrated, migration.problems) == ([], [])
    assert seen == [(0, 1), (1, 1)] * 2
