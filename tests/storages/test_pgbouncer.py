"""The storage in a PostgreSQL database conforms behind a transaction pooler."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runwire.storage import InstanceStorage
from runwire.storages.postgres import PostgresStorage
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


class _BehindPooler:
    @pytest.fixture
    def storage(self, pooled_tables_url: str) -> Iterator[InstanceStorage]:
        storage = PostgresStorage(pooled_tables_url)
        yield storage
        storage.dispose()


class TestRuns(_BehindPooler, RunStorageConformance):
    pass


class TestRunList(_BehindPooler, RunListConformance):
    pass


class TestRunGroups(_BehindPooler, RunGroupConformance):
    pass


class TestEventLogs(_BehindPooler, EventLogStorageConformance):
    pass


class TestInstanceLog(_BehindPooler, InstanceLogConformance):
    pass


class TestAssets(_BehindPooler, AssetIndexConformance):
    pass


class TestHeads(_BehindPooler, HeadsWatchConformance):
    pass


class TestWatches(_BehindPooler, LogWatchConformance):
    pass


class TestPools(_BehindPooler, PoolStorageConformance):
    @pytest.fixture
    def another(self, pooled_tables_url: str) -> Iterator[InstanceStorage]:
        storage = PostgresStorage(pooled_tables_url)
        yield storage
        storage.dispose()


class TestSchedules(_BehindPooler, ScheduleStorageConformance):
    @pytest.fixture
    def another(self, pooled_tables_url: str) -> Iterator[InstanceStorage]:
        storage = PostgresStorage(pooled_tables_url)
        yield storage
        storage.dispose()


class TestTickList(_BehindPooler, TickListConformance):
    pass


class TestBackfills(_BehindPooler, BackfillStorageConformance):
    @pytest.fixture
    def another(self, pooled_tables_url: str) -> Iterator[InstanceStorage]:
        storage = PostgresStorage(pooled_tables_url)
        yield storage
        storage.dispose()


class TestWebhooks(_BehindPooler, WebhookStorageConformance):
    @pytest.fixture
    def another(self, pooled_tables_url: str) -> Iterator[InstanceStorage]:
        storage = PostgresStorage(pooled_tables_url)
        yield storage
        storage.dispose()


class TestInstance(_BehindPooler, InstanceStorageConformance):
    pass
