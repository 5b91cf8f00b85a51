"""The copy of the queue tells what the storage has, whatever happened since it was read."""

from __future__ import annotations

import pytest

from runwire.control import queue_mirror
from runwire.control.queue_mirror import QueueMirror
from runwire.control.queue_view import QueueView
from runwire.events import EventType
from runwire.runs.queueing import LimitKind, QueueSettings, TagLimit
from runwire.runs.status import RunStatus
from runwire.storage import InstanceStorage
from runwire.storages.sqlite import SqliteStorage
from runwire.testing.samples import add_run, add_run_in, report

T, S = EventType, RunStatus
SETTINGS = QueueSettings(
    max_concurrent_runs=5, tag_limits=(TagLimit(key="team", is_per_value=True, max=1),)
)


@pytest.fixture
def storage(sqlite_storage: SqliteStorage) -> InstanceStorage:
    return sqlite_storage


@pytest.fixture(params=[500, 2])
def mirror(
    storage: InstanceStorage, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> QueueMirror:
    """One that reads many runs at once, or few."""
    monkeypatch.setattr(queue_mirror, "PAGE", request.param)
    return QueueMirror(storage, SETTINGS)


def _told(mirror: QueueMirror) -> tuple[list[str], int]:
    mirror.sync()
    return [run.run_id for run in mirror.index.page(None, 1000)], mirror.index.in_progress


def test_it_loads_what_there_is_and_follows_what_changes(
    storage: InstanceStorage, mirror: QueueMirror
) -> None:
    queued = [add_run_in(storage, S.QUEUED).run_id for _ in range(5)]
    running = [add_run_in(storage, S.STARTED).run_id for _ in range(3)]
    add_run_in(storage, S.SUCCESS)
    assert _told(mirror) == (queued, 3)
    report(storage, queued[0], T.RUN_STARTING)
    report(storage, running[0], T.RUN_SUCCESS)
    report(storage, queued[1], T.RUN_CANCELED)
    storage.delete_run(queued[2])
    later = add_run(storage).run_id
    assert _told(mirror) == ([queued[3], queued[4]], 3)
    report(storage, later, T.RUN_ENQUEUED)
    assert _told(mirror) == ([queued[3], queued[4], later], 3)


def test_a_tag_that_is_added_counts(storage: InstanceStorage, mirror: QueueMirror) -> None:
    running = add_run_in(storage, S.STARTED, tags={"team": "a"})
    queued = add_run_in(storage, S.QUEUED)
    mirror.sync()
    assert mirror.index.take_next(lambda name: False) is not None
    mirror.look_at(queued.run_id)
    with storage.run_storage.hold_run(queued.run_id) as held:
        held.add_tags({"team": "a"})
    mirror.sync()
    assert mirror.index.take_next(lambda name: False) is None
    report(storage, running.run_id, T.RUN_FAILURE)
    mirror.sync()
    assert mirror.index.take_next(lambda name: False) is not None


def test_what_was_purged_before_it_was_read_is_made_up_for(
    storage: InstanceStorage, mirror: QueueMirror
) -> None:
    first = add_run_in(storage, S.QUEUED).run_id
    mirror.sync()
    report(storage, first, T.RUN_CANCELED)
    second = add_run_in(storage, S.QUEUED).run_id
    logs = storage.event_log_storage
    logs.purge_instance_log(logs.get_instance_log_span().head)
    assert _told(mirror) == ([second], 0)


def test_it_begins_anew_when_it_is_far_behind_or_the_storage_was_wiped(
    storage: InstanceStorage, mirror: QueueMirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_mirror, "MAX_BEHIND", 3)
    first = add_run_in(storage, S.QUEUED).run_id
    mirror.sync()
    others = [add_run_in(storage, S.QUEUED).run_id for _ in range(5)]
    assert _told(mirror) == ([first, *others], 0)
    storage.wipe()
    assert _told(mirror) == ([], 0)
    again = add_run_in(storage, S.QUEUED).run_id
    assert _told(mirror) == ([again], 0)


def test_a_view_finds_the_use_of_a_limit(storage: InstanceStorage) -> None:
    add_run_in(storage, S.STARTED, tags={"team": "a"})
    add_run_in(storage, S.QUEUED, tags={"team": "a"})
    view = QueueView(storage, SETTINGS)
    use = view.find_limit(LimitKind.EACH_VALUE, "team", "a")
    assert use is not None
    assert (use.limit.max, use.used, use.waiting, use.is_full) == (1, 1, 1, True)
    whole = view.find_limit(LimitKind.INSTANCE, None, None)
    assert whole is not None
    assert (whole.limit.max, whole.used, whole.waiting, whole.is_full) == (5, 1, 0, False)
    for kind, key, value in [
        (LimitKind.KEY, "team", None),
        (LimitKind.VALUE, "team", "a"),
        (LimitKind.EACH_VALUE, "other", "a"),
        (LimitKind.EACH_VALUE, None, None),
    ]:
        assert view.find_limit(kind, key, value) is None
