"""Pages of a log, and whether the run is read along with them."""

from __future__ import annotations

import pytest

from runwire.errors import RunNotFoundError
from runwire.events import EventType
from runwire.feed.reads import LogReads
from runwire.lanes import Lanes
from runwire.runs.run import RunRecord
from runwire.runs.status import RunStatus
from runwire.storage import InstanceStorage
from runwire.testing.samples import add_run, report


@pytest.fixture
def reads(storage: InstanceStorage, lanes: Lanes) -> LogReads:
    return LogReads(storage, lanes, give_up_seconds=30.0)


@pytest.fixture
def run(storage: InstanceStorage) -> RunRecord:
    """A run whose row has changed since it was read: it has a tag more."""
    run = add_run(storage, managed=True)
    report(storage, run.run_id, None)
    with storage.run_storage.hold_run(run.run_id) as held:
        held.add_tags({"team": "red"})
    return run


async def test_a_fresh_run_is_not_read_again_for_lines(reads: LogReads, run: RunRecord) -> None:
    page = await reads.page(run, 0, 10, is_fresh=True)
    assert page.run is run
    assert [record.position for record in page.records] == [1]


async def test_a_run_that_is_not_fresh_is_read_with_each_page(
    reads: LogReads, run: RunRecord
) -> None:
    assert (await reads.page(run, 0, 10)).run.run.tags == {"team": "red"}


async def test_a_fresh_run_is_read_again_when_a_record_tells_of_it(
    reads: LogReads, storage: InstanceStorage, run: RunRecord
) -> None:
    report(storage, run.run_id, EventType.RUN_SUCCESS)
    page = await reads.page(run, 0, 10, is_fresh=True)
    assert (page.run.status, page.run.run.tags) == (RunStatus.SUCCESS, {"team": "red"})


async def test_a_fresh_run_that_is_gone_is_told(
    reads: LogReads, storage: InstanceStorage, run: RunRecord
) -> None:
    storage.delete_run(run.run_id)
    with pytest.raises(RunNotFoundError):
        await reads.page(run, 0, 10, is_fresh=True)
