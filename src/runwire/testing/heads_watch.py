"""What a watch of the heads of logs must tell."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from runwire.events.types import MIRRORED_EVENTS, EventType
from runwire.storage.event_log_storage import HeadsWatch, LogHead
from runwire.storage.instance_storage import InstanceStorage
from runwire.testing.samples import add_run, launch, lines, report

_GONE = LogHead(0, None)


class HeadsWatchConformance:
    """Polling."""

    @pytest.fixture
    def storage(self) -> InstanceStorage:
        raise NotImplementedError

    @pytest.fixture
    def heads(self, storage: InstanceStorage) -> Iterator[HeadsWatch]:
        heads = storage.event_log_storage.open_heads()
        yield heads
        heads.close()

    def test_without_a_watched_run_nothing_is_told(
        self, storage: InstanceStorage, heads: HeadsWatch
    ) -> None:
        launch(storage)
        assert heads.poll() == {}

    def test_a_head_is_told_once_for_each_time_that_it_moved(
        self, storage: InstanceStorage, heads: HeadsWatch
    ) -> None:
        run = add_run(storage)
        heads.watch(run.run_id)
        assert heads.poll() == {}
        report(storage, run.run_id, None)
        assert heads.poll() == {run.run_id: LogHead(1, None)}
        assert heads.poll() == {}
        report(storage, run.run_id, None, EventType.STEP_START)
        report(storage, run.run_id, EventType.RUN_CANCELED)
        assert heads.poll() == {run.run_id: LogHead(4, 4)}
        report(storage, run.run_id, None)
        assert heads.poll() == {run.run_id: LogHead(5, 4)}
        assert heads.poll() == {}

    def test_the_head_of_a_log_that_is_there_is_told_first(
        self, storage: InstanceStorage, heads: HeadsWatch
    ) -> None:
        run = launch(storage)
        heads.watch(run.run_id)
        assert heads.poll() == {run.run_id: LogHead(1, None)}
        assert heads.poll() == {}

    def test_only_runs_that_moved_are_told(
        self, storage: InstanceStorage, heads: HeadsWatch
    ) -> None:
        runs = [launch(storage) for _ in range(5)]
        for run in runs:
            heads.watch(run.run_id)
        assert heads.poll() == {run.run_id: LogHead(1, None) for run in runs}
        report(storage, runs[3].run_id, None)
        assert heads.poll() == {runs[3].run_id: LogHead(2, None)}

    def test_a_run_may_be_watched_before_it_is_made(
        self, storage: InstanceStorage, heads: HeadsWatch
    ) -> None:
        heads.watch("run-1")
        assert heads.poll() == {}
        launch(storage, run_id="run-1")
        assert heads.poll() == {"run-1": LogHead(1, None)}

    def test_a_run_that_is_not_watched_any_more_is_not_told(
        self, storage: InstanceStorage, heads: HeadsWatch
    ) -> None:
        run = launch(storage)
        heads.watch(run.run_id)
        heads.poll()
        heads.unwatch(run.run_id)
        heads.unwatch(run.run_id)
        report(storage, run.run_id, None)
        assert heads.poll() == {}
        heads.watch(run.run_id)
        assert heads.poll() == {run.run_id: LogHead(2, None)}

    def test_watching_twice_is_watching_once(
        self, storage: InstanceStorage, heads: HeadsWatch
    ) -> None:
        run = launch(storage)
        heads.watch(run.run_id)
        assert heads.poll() == {run.run_id: LogHead(1, None)}
        heads.watch(run.run_id)
        assert heads.poll() == {}

    def test_a_deleted_log_is_told_as_empty_once(
        self, storage: InstanceStorage, heads: HeadsWatch
    ) -> None:
        run = add_run(storage)
        report(storage, run.run_id, None)
        heads.watch(run.run_id)
        heads.poll()
        storage.delete_run(run.run_id)
        assert heads.poll() == {run.run_id: _GONE}
        assert heads.poll() == {}

    def test_of_a_run_that_is_made_anew_the_deletion_is_told_before_the_new_log(
        self, storage: InstanceStorage, heads: HeadsWatch
    ) -> None:
        heads.watch("run-1")
        heads.watch(add_run(storage).run_id)  # one that is looked up all the time, having no log
        for position in (3, 2, 5):  # also to where the reader is already
            add_run(storage, run_id="run-1")
            storage.store_events("run-1", lines("run-1", position))
            assert heads.poll() == {"run-1": LogHead(position, None)}
            storage.delete_run("run-1")
            add_run(storage, run_id="run-1")
            storage.store_events("run-1", lines("run-1", position))
            assert heads.poll() == {"run-1": _GONE}
            assert heads.poll() == {"run-1": LogHead(position, None)}
            storage.delete_run("run-1")
            assert heads.poll() == {"run-1": _GONE}

    def test_a_run_that_is_made_anew_before_its_log_began_is_told(
        self, storage: InstanceStorage, heads: HeadsWatch
    ) -> None:
        add_run(storage, run_id="run-1")
        heads.watch("run-1")
        assert heads.poll() == {}
        storage.delete_run("run-1")
        add_run(storage, run_id="run-1")
        report(storage, "run-1", None)
        assert heads.poll() == {"run-1": LogHead(1, None)}

    def test_no_movement_is_missed_while_a_writer_writes(
        self, storage: InstanceStorage, heads: HeadsWatch
    ) -> None:
        run = add_run(storage)
        heads.watch(run.run_id)

        def write() -> None:
            for _ in range(50):
                report(storage, run.run_id, None)

        writer = threading.Thread(target=write)
        writer.start()
        told: list[int] = []
        while writer.is_alive():
            told += [head.position for head in heads.poll().values()]
        writer.join()
        told += [head.position for head in heads.poll().values()]
        assert told[-1] == 50
        assert told == sorted(set(told))

    def test_the_head_of_the_instance_wide_log_is_told_first_and_when_it_moved(
        self, storage: InstanceStorage, heads: HeadsWatch
    ) -> None:
        assert heads.poll_instance_log() == 0
        assert heads.poll_instance_log() is None
        run = launch(storage)
        assert heads.poll_instance_log() == 2
        assert heads.poll_instance_log() is None
        report(storage, run.run_id, None, EventType.STEP_START)
        assert heads.poll_instance_log() is None
        report(storage, run.run_id, EventType.RUN_START)
        storage.delete_run(run.run_id)
        assert heads.poll_instance_log() == 4
        storage.event_log_storage.purge_instance_log(3)
        assert heads.poll_instance_log() is None
        another = storage.event_log_storage.open_heads()
        assert another.poll_instance_log() == 4
        another.close()

    def test_every_kind_of_entry_moves_the_head_of_the_instance_wide_log(
        self, storage: InstanceStorage, heads: HeadsWatch
    ) -> None:
        assert heads.poll_instance_log() == 0
        run_id = add_run(storage).run_id
        assert heads.poll_instance_log() == 1
        with storage.run_storage.hold_run(run_id) as held:
            held.add_tags({"a": "b"})
        assert heads.poll_instance_log() == 2
        mirrored = sorted(MIRRORED_EVENTS, key=lambda event_type: event_type.value)
        for head, event_type in enumerate(mirrored, 3):
            report(storage, run_id, event_type)
            assert (event_type, heads.poll_instance_log()) == (event_type, head)
            assert heads.poll_instance_log() is None
        storage.delete_run(run_id)
        assert heads.poll_instance_log() == 3 + len(mirrored)
        assert heads.poll_instance_log() is None

    def test_each_watch_is_told_the_head_of_the_instance_wide_log_for_itself(
        self, storage: InstanceStorage, heads: HeadsWatch
    ) -> None:
        another = storage.event_log_storage.open_heads()
        try:
            assert heads.poll_instance_log() == 0
            launch(storage)
            assert (heads.poll_instance_log(), another.poll_instance_log()) == (2, 2)
            assert (heads.poll_instance_log(), another.poll_instance_log()) == (None, None)
            launch(storage)
            assert (another.poll_instance_log(), heads.poll_instance_log()) == (4, 4)
        finally:
            another.close()

    def test_the_instance_wide_log_that_a_wipe_begins_anew_is_told(
        self, storage: InstanceStorage, heads: HeadsWatch
    ) -> None:
        launch(storage)
        assert heads.poll_instance_log() == 2
        storage.wipe()
        assert heads.poll_instance_log() == 0
        assert heads.poll_instance_log() is None
        add_run(storage)
        assert heads.poll_instance_log() == 1

    def test_the_two_polls_take_nothing_from_each_other(
        self, storage: InstanceStorage, heads: HeadsWatch
    ) -> None:
        run = add_run(storage)
        heads.watch(run.run_id)
        assert (heads.poll(), heads.poll_instance_log()) == ({}, 1)
        report(storage, run.run_id, EventType.RUN_STARTING)
        assert heads.poll() == {run.run_id: LogHead(1, None)}
        assert heads.poll_instance_log() == 2
        report(storage, run.run_id, EventType.RUN_START)
        assert heads.poll_instance_log() == 3
        assert heads.poll() == {run.run_id: LogHead(2, None)}
        assert (heads.poll(), heads.poll_instance_log()) == ({}, None)

    def test_closing_twice_is_harmless(self, storage: InstanceStorage) -> None:
        heads = storage.event_log_storage.open_heads()
        heads.watch(launch(storage).run_id)
        heads.poll()
        heads.close()
        heads.close()
