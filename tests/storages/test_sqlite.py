"""The storage in SQLite files conforms."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runwire.storage import InstanceStorage
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


class _InFiles:
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Iterator[InstanceStorage]:
        storage = SqliteStorage(tmp_path)
        yield storage
        storage.dispose()


class TestRuns(_InFiles, RunStorageConformance):
    pass


class TestRunList(_InFiles, RunListConformance):
    pass


class TestRunGroups(_InFiles, RunGroupConformance):
    pass


class TestEventLogs(_InFiles, EventLogStorageConformance):
    pass


class TestInstanceLog(_InFiles, InstanceLogConformance):
    pass


class TestAssets(_InFiles, AssetIndexConformance):
    @pytest.fixture
    def another(self, tmp_path: Path) -> Iterator[InstanceStorage]:
        storage = SqliteStorage(tmp_path)
        yield storage
        storage.dispose()


class TestHeads(_InFiles, HeadsWatchConformance):
    pass


class TestWatches(_InFiles, LogWatchConformance):
    pass


class TestPools(_InFiles, PoolStorageConformance):
    @pytest.fixture
    def another(self, tmp_path: Path) -> Iterator[InstanceStorage]:
        storage = SqliteStorage(tmp_path)
        yield storage
        storage.dispose()


class TestSchedules(_InFiles, ScheduleStorageConformance):
    @pytest.fixture
    def another(self, tmp_path: Path) -> Iterator[InstanceStorage]:
        storage = SqliteStorage(tmp_path)
        yield storage
        storage.dispose()


class TestTickList(_InFiles, TickListConformance):
    pass


class TestBackfills(_InFiles, BackfillStorageConformance):
    @pytest.fixture
    def another(self, tmp_path: Path) -> Iterator[InstanceStorage]:
        storage = SqliteStorage(tmp_path)
        yield storage
        storage.dispose()


class TestWebhooks(_InFiles, WebhookStorageConformance):
    @pytest.fixture
    def another(self, tmp_path: Path) -> Iterator[InstanceStorage]:
        storage = SqliteStorage(tmp_path)
        yield storage
        storage.dispose()


class TestInstance(_InFiles, InstanceStorageConformance):
    pass
