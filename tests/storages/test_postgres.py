"""The storage in a PostgreSQL database conforms."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runwire.storage import InstanceStorage
from runwire.storages.postgres import PostgresStorage
from runwire.storages.sql import run_storage
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


class _InPostgres:
    @pytest.fixture
    def storage(self, tables_url: str) -> Iterator[InstanceStorage]:
        storage = PostgresStorage(tables_url)
        yield storage
        storage.dispose()


class TestRuns(_InPostgres, RunStorageConformance):
    pass


class TestRunList(_InPostgres, RunListConformance):
    pass


class TestLongRunList(_InPostgres, RunListConformance):
    """The ways to runs are taken for long, so that runs are met in order rather than sorted."""

    @pytest.fixture(autouse=True)
    def _taken_for_long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(run_storage, "MAX_COUNTED", 0)


class TestRunGroups(_InPostgres, RunGroupConformance):
    pass


class TestEventLogs(_InPostgres, EventLogStorageConformance):
    pass


class TestInstanceLog(_InPostgres, InstanceLogConformance):
    pass


class TestAssets(_InPostgres, AssetIndexConformance):
    @pytest.fixture
    def another(self, tables_url: str) -> Iterator[InstanceStorage]:
        storage = PostgresStorage(tables_url)
        yield storage
        storage.dispose()


class TestHeads(_InPostgres, HeadsWatchConformance):
    pass


class TestWatches(_InPostgres, LogWatchConformance):
    pass


class TestPools(_InPostgres, PoolStorageConformance):
    @pytest.fixture
    def another(self, tables_url: str) -> Iterator[InstanceStorage]:
        storage = PostgresStorage(tables_url)
        yield storage
        storage.dispose()


class TestSchedules(_InPostgres, ScheduleStorageConformance):
    @pytest.fixture
    def another(self, tables_url: str) -> Iterator[InstanceStorage]:
        storage = PostgresStorage(tables_url)
        yield storage
        storage.dispose()


class TestTickList(_InPostgres, TickListConformance):
    pass


class TestBackfills(_InPostgres, BackfillStorageConformance):
    @pytest.fixture
    def another(self, tables_url: str) -> Iterator[InstanceStorage]:
        storage = PostgresStorage(tables_url)
        yield storage
        storage.dispose()


class TestWebhooks(_InPostgres, WebhookStorageConformance):
    @pytest.fixture
    def another(self, tables_url: str) -> Iterator[InstanceStorage]:
        storage = PostgresStorage(tables_url)
        yield storage
        storage.dispose()


class TestInstance(_InPostgres, InstanceStorageConformance):
    pass
