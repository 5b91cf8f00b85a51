"""The run config of partitions, asked of a code server: what the function gives, raises, and may not give."""

from __future__ import annotations

import pytest

from runwire.errors import JobNotFoundError, PartitionConfigError
from runwire.locations.workspace import LocalWorkspace
from runwire.partitions import PartitionsKind, PartitionsSnapshot
from runwire.testing.left_behind import GENEROUS_SECONDS
from runwire.workspace import CodeLocationStatus
from tests.locations.conftest import Open, Write

JOBS = """
    import time
    from runwire import DailyPartitions, job, op

    def config_of(key):
        if key.endswith("02"):
            raise KeyError(key)
        if key.endswith("03"):
            time.sleep(3600)
        if key.endswith("04"):
            raise SystemExit(3)
        if key.endswith("05"):
            return 3
        return {"tags": [key]}

    @op
    def load() -> None: ...

    @job(partitions=DailyPartitions("2026-01-01", timezone="Europe/Berlin"), partition_config=config_of)
    def daily():
        load()

    @job
    def plain():
        load()
"""


def test_a_partition_is_configured_where_its_code_is(open_workspace: Open, write: Write) -> None:
    """A function that hangs or ends its process takes nothing else with it."""
    workspace: LocalWorkspace = open_workspace(write(JOBS), evaluate_seconds=1.0)
    (location,) = workspace.list_locations()
    assert location.wait_until_settled(GENEROUS_SECONDS)
    (repository,) = location.state.repositories
    assert [each.partitions for each in repository.jobs] == [
        PartitionsSnapshot(
            PartitionsKind.DAILY, "2026-01-01", timezone="Europe/Berlin", has_config=True
        ),
        None,
    ]
    name = repository.name

    assert location.configure_partition(name, "daily", "2026-01-01") == {"tags": ["2026-01-01"]}
    assert location.configure_partition(name, "plain", "x") == {}
    with pytest.raises(PartitionConfigError, match="partition_config of job 'daily' raised") as it:
        location.configure_partition(name, "daily", "2026-01-02")
    assert it.value.info is not None
    assert [cause.class_name for cause in it.value.info.causes] == ["KeyError"]
    with pytest.raises(PartitionConfigError, match=r"'daily' did not end within 1 s; it was stop"):
        location.configure_partition(name, "daily", "2026-01-03")
    with pytest.raises(PartitionConfigError, match="3"):
        location.configure_partition(name, "daily", "2026-01-04")
    with pytest.raises(PartitionConfigError, match=r"jobs\.py:\d+: job 'daily': .* gave a int"):
        location.configure_partition(name, "daily", "2026-01-05")
    with pytest.raises(JobNotFoundError, match="there are: daily, plain"):
        location.configure_partition(name, "gone", "2026-01-01")
    assert location.state.status is CodeLocationStatus.LOADED
