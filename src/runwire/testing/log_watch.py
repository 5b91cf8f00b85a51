"""What `EventLogStorage.watch` and `end_watch` must do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from runwire.events.entry import EventLogRecord
from runwire.storage.instance_storage import InstanceStorage
from runwire.testing.samples import add_run, lines, positions, read_log, report

_PATIENCE_SECONDS = 60.0


class _Collector:
    """A callback that keeps what it is called with."""

    def __init__(self, then: Callable[[EventLogRecord], None] | None = None) -> None:
        self.records: list[EventLogRecord] = []
        self._then = then
        self._changed = threading.Condition()

    def __call__(self, record: EventLogRecord) -> None:
        with self._changed:
            self.records.append(record)
            self._changed.notify_all()
        if self._then is not None:
            self._then(record)

    def wait_for(self, number: int) -> list[int]:
        """Waits until it was called so often; returns the positions."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.records) >= number, _PATIENCE_SECONDS)
            return positions(self.records)


class LogWatchConformance:
    """Callbacks: exactly once, in order, apart from one another."""

    @pytest.fixture
    def storage(self) -> InstanceStorage:
        raise NotImplementedError

    def test_past_and_coming_records_are_told_once_in_order(self, storage: InstanceStorage) -> None:
        run, logs = add_run(storage), storage.event_log_storage
        storage.store_events(run.run_id, lines(run.run_id, 5))
        everything, the_end = _Collector(), _Collector()
        logs.watch(run, 0, everything)
        logs.watch(run, 3, the_end)
        for _ in range(20):
            report(storage, run.run_id, None)
        assert everything.wait_for(25) == list(range(1, 26))
        assert the_end.wait_for(22) == list(range(4, 26))
        assert everything.records == read_log(storage, run)

    def test_a_log_may_be_watched_before_it_begins(self, storage: InstanceStorage) -> None:
        run = add_run(storage)
        collector = _Collector()
        storage.event_log_storage.watch(run, 0, collector)
        report(storage, run.run_id, None)
        assert collector.wait_for(1) == [1]

    def test_a_long_log_is_caught_up_with(self, storage: InstanceStorage) -> None:
        run = add_run(storage)
        storage.store_events(run.run_id, lines(run.run_id, 2500))
        collector = _Collector()
        storage.event_log_storage.watch(run, 0, collector)
        assert collector.wait_for(2500) == list(range(1, 2501))

    def test_runs_are_watched_apart(self, storage: InstanceStorage) -> None:
        first, second = add_run(storage), add_run(storage)
        collectors = _Collector(), _Collector()
        for run, collector in zip((first, second), collectors, strict=True):
            storage.event_log_storage.watch(run, 0, collector)
        report(storage, first.run_id, None, None)
        report(storage, second.run_id, None)
        assert collectors[0].wait_for(2) == [1, 2]
        assert collectors[1].wait_for(1) == [1]
        assert {record.run_id for record in collectors[1].records} == {second.run_id}

    def test_an_exception_ends_its_own_watch_only(
        self, storage: InstanceStorage, caplog: pytest.LogCaptureFixture
    ) -> None:
        run = add_run(storage)

        def fail(_: EventLogRecord) -> None:
            raise ZeroDivisionError

        failing, other = _Collector(fail), _Collector()
        storage.event_log_storage.watch(run, 0, failing)
        storage.event_log_storage.watch(run, 0, other)
        storage.store_events(run.run_id, lines(run.run_id, 3))
        assert other.wait_for(3) == [1, 2, 3]
        report(storage, run.run_id, None)
        assert other.wait_for(4) == [1, 2, 3, 4]
        assert failing.wait_for(1) == [1]
        told: list[object] = []
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not told and time.monotonic() < deadline:
            told = [record.exc_info[0] for record in caplog.records if record.exc_info]
            time.sleep(0.01)
        assert told == [ZeroDivisionError]

    def test_a_callback_may_end_its_own_watch(self, storage: InstanceStorage) -> None:
        run, logs = add_run(storage), storage.event_log_storage

        def stop(record: EventLogRecord) -> None:
            if record.position == 2:
                logs.end_watch(run.run_id, stopping)

        stopping, other = _Collector(stop), _Collector()
        logs.watch(run, 0, stopping)
        logs.watch(run, 0, other)
        storage.store_events(run.run_id, lines(run.run_id, 4))
        report(storage, run.run_id, None)
        assert stopping.wait_for(2) == [1, 2]
        assert other.wait_for(5) == [1, 2, 3, 4, 5]
        report(storage, run.run_id, None)
        assert other.wait_for(6) == [1, 2, 3, 4, 5, 6]
        assert positions(stopping.records) == [1, 2]

    def test_once_a_watch_has_ended_its_callback_is_not_called(
        self, storage: InstanceStorage
    ) -> None:
        run, logs = add_run(storage), storage.event_log_storage
        called, goes_on, returned = threading.Event(), threading.Event(), threading.Event()

        def linger(_: EventLogRecord) -> None:
            called.set()
            assert goes_on.wait(_PATIENCE_SECONDS)
            returned.set()

        lingering, other = _Collector(linger), _Collector()
        logs.watch(run, 0, lingering)
        storage.store_events(run.run_id, lines(run.run_id, 3))
        assert called.wait(_PATIENCE_SECONDS)
        later = threading.Timer(0.1, goes_on.set)
        later.start()
        logs.end_watch(run.run_id, lingering)  # waits for the call that is under way
        assert returned.is_set()
        later.join()
        told = positions(lingering.records)
        logs.watch(run, 0, other)
        report(storage, run.run_id, None)
        assert other.wait_for(4) == [1, 2, 3, 4]
        assert positions(lingering.records) == told

    def test_ending_what_is_not_watched_is_harmless(self, storage: InstanceStorage) -> None:
        run, logs = add_run(storage), storage.event_log_storage
        logs.end_watch(run.run_id, _Collector())
        collector = _Collector()
        logs.watch(run, 0, collector)
        logs.end_watch("nobody", collector)
        logs.end_watch(run.run_id, _Collector())
        report(storage, run.run_id, None)
        assert collector.wait_for(1) == [1]

    def test_watching_again_after_the_last_watch_ended_works(
        self, storage: InstanceStorage
    ) -> None:
        run, logs = add_run(storage), storage.event_log_storage
        for number in range(1, 4):
            report(storage, run.run_id, None)
            collector = _Collector()
            logs.watch(run, 0, collector)
            assert collector.wait_for(number) == list(range(1, number + 1))
            logs.end_watch(run.run_id, collector)

    def test_a_run_made_anew_is_not_told_to_a_watch_of_the_old_one(
        self, storage: InstanceStorage
    ) -> None:
        logs = storage.event_log_storage
        old = add_run(storage, run_id="run-1")
        report(storage, "run-1", None)
        of_old, of_new = _Collector(), _Collector()
        logs.watch(old, 0, of_old)
        assert of_old.wait_for(1) == [1]
        storage.delete_run("run-1")
        new = add_run(storage, run_id="run-1")
        logs.watch(new, 0, of_new)
        report(storage, "run-1", None, None)
        assert of_new.wait_for(2) == [1, 2]
        assert positions(of_old.records) == [1]

    def test_disposing_ends_all_watches(self, storage: InstanceStorage) -> None:
        run, logs = add_run(storage), storage.event_log_storage
        collector = _Collector()
        logs.watch(run, 0, collector)
        storage.store_events(run.run_id, lines(run.run_id, 1))
        assert collector.wait_for(1) == [1]
        storage.dispose()
        assert not [t for t in threading.enumerate() if t.name == "runwire-log-watcher"]
