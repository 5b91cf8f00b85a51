"""The storage in one SQLite file conforms."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runwire.storage import InstanceStorage
from runwire.storages.sql import run_storage
from runwire.storages.sqlite import SqliteStorage
from runwire.testing.asset_index import AssetIndexConformance
from runwire.testing.backfill_storage import BackfillStorageConformance
from runwire.testing.event_log_storage import EventLogStorageConformance
from runwire.testing.heads_watch import HeadsWatchConformance
from runwire.testing.instance_log import InstanceLogConformance
from runwire.testing.instance_storage import InstanceStorageConformance
from runwire.testing.log_watch import LogWatchConformance
from runwire.testing.pool_storage import PoolStorageConformance
from runwire.testing.run_groups import RunGroupConformance
from runwire.testing.run_list import RunListConformance
from runwire.testing.run_storage import RunStorageConformance
from runwire.testing.schedule_storage import ScheduleStorageConformance
from runwire.testing.tick_list import TickListConformance
from runwire.testing.webhook_storage import WebhookStorageConformance


class _InOneFile:
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Iterator[InstanceStorage]:
        storage = SqliteStorage(tmp_path, layout="consolidated")
        yield storage
        storage.dispose()


class TestRuns(_InOneFile, RunStorageConformance):
    pass


class TestRunList(_InOneFile, RunListConformance):
    pass


class TestLongRunList(_InOneFile, RunListConformance):
    """The ways to runs are taken for long, so that runs are met in order rather than sorted."""

    @pytest.fixture(autouse=True)
    def _taken_for_long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(run_storage, "MAX_COUNTED", 0)


class TestRunGroups(_InOneFile, RunGroupConformance):
    pass


class TestEventLogs(_InOneFile, EventLogStorageConformance):
    pass


class TestInstanceLog(_InOneFile, InstanceLogConformance):
    pass


class TestAssets(_InOneFile, AssetIndexConformance):
    @pytest.fixture
    def another(self, tmp_path: Path) -> Iterator[InstanceStorage]:
        storage = SqliteStorage(tmp_path, layout="consolidated")
        yield storage
        storage.dispose()


class TestHeads(_InOneFile, HeadsWatchConformance):
    pass


class TestWatches(_InOneFile, LogWatchConformance):
    pass


class TestPools(_InOneFile, PoolStorageConformance):
    @pytest.fixture
    def another(self, tmp_path: Path) -> Iterator[InstanceStorage]:
        storage = SqliteStorage(tmp_path, layout="consolidated")
        yield storage
        storage.dispose()


class TestSchedules(_InOneFile, ScheduleStorageConformance):
    @pytest.fixture
    def another(self, tmp_path: Path) -> Iterator[InstanceStorage]:
        storage = SqliteStorage(tmp_path, layout="consolidated")
        yield storage
        storage.dispose()


class TestTickList(_InOneFile, TickListConformance):
    pass


class TestBackfills(_InOneFile, BackfillStorageConformance):
    @pytest.fixture
    def another(self, tmp_path: Path) -> Iterator[InstanceStorage]:
        storage = SqliteStorage(tmp_path, layout="consolidated")
        yield storage
        storage.dispose()


class TestWebhooks(_InOneFile, WebhookStorageConformance):
    @pytest.fixture
    def another(self, tmp_path: Path) -> Iterator[InstanceStorage]:
        storage = SqliteStorage(tmp_path, layout="consolidated")
        yield storage
        storage.dispose()


class TestInstance(_InOneFile, InstanceStorageConformance):
    pass
