"""What a storage of runs must do, apart from listing them."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from runwire.error_info import ErrorInfo
from runwire.errors import RunAlreadyExistsError, RunNotFoundError, SnapshotNotFoundError
from runwire.events.types import EventType
from runwire.runs.filters import TagFilter
from runwire.runs.run import Run, RunRecord, StepCounts
from runwire.runs.status import IN_PROGRESS_STATUSES, UNFINISHED_STATUSES, RunStatus
from runwire.runs.tags import PARENT_RUN_TAG, ROOT_RUN_TAG
from runwire.snapshots import JobSnapshot, PlanSnapshot, PlanStepSnapshot, encode_snapshot
from runwire.storage.event_log_storage import Append
from runwire.storage.instance_log import InstanceEventKind
from runwire.storage.instance_storage import InstanceStorage
from runwire.storage.run_storage import DaemonHeartbeat, DaemonLease, RequestKey
from runwire.testing.samples import (
    ESCAPED_SURROGATE,
    LONE_SURROGATE,
    add_run,
    add_run_in,
    an_error,
    event,
    in_threads,
    report,
)

_PLAN = PlanSnapshot("daily", (PlanStepSnapshot("extract", "extract", 0),))
_JOB = JobSnapshot("daily", (), _PLAN, {"type": "object"}, {"ops": {}}, "Daily sales", {"a": "b"})


class RunStorageConformance:
    """One run at a time: making, holding, tagging, deleting; snapshots and heartbeats."""

    @pytest.fixture
    def storage(self) -> InstanceStorage:
        raise NotImplementedError

    # ------------------------------------------------------------ making

    def test_a_run_is_found_as_it_was_added(self, storage: InstanceStorage) -> None:
        runs = storage.run_storage
        job_id, plan_id = runs.add_snapshot(_JOB), runs.add_snapshot(_PLAN)
        run = Run(
            job_name="daily",
            run_id="run-1",
            tags={"team": "sales", "": "empty key"},
            run_config={"ops": {"extract": {"config": {"limit": 5, "names": ["a", None, 1.5]}}}},
            location_name="jobs.py",
            repository_name="shop",
            step_keys=("extract", "load"),
            plan_snapshot_id=plan_id,
            job_snapshot_id=job_id,
            steps_planned=2,
            parent_run_id="run-0",
            root_run_id="run-0",
            requested_by="ada",
        )
        record, is_new = runs.add_run(run, created_at=12.5)
        assert is_new
        lineage = {PARENT_RUN_TAG: "run-0", ROOT_RUN_TAG: "run-0"}
        assert record == RunRecord(
            storage_id=record.storage_id,
            run=replace(run, tags=run.tags | lineage),
            status=RunStatus.NOT_STARTED,
            log_id=record.log_id,
            created_at=12.5,
            updated_at=12.5,
        )
        assert runs.find_run_record("run-1") == record

    def test_a_managed_run_begins_in_managed(self, storage: InstanceStorage) -> None:
        assert add_run(storage, managed=True).status is RunStatus.MANAGED

    def test_later_runs_have_larger_storage_ids_and_logs_of_their_own(
        self, storage: InstanceStorage
    ) -> None:
        first, second = add_run(storage, created_at=2.0), add_run(storage, created_at=1.0)
        assert first.storage_id < second.storage_id
        assert first.log_id != second.log_id

    def test_an_unknown_run_is_none(self, storage: InstanceStorage) -> None:
        assert storage.run_storage.find_run_record("nobody") is None
        with pytest.raises(RunNotFoundError):
            storage.get_run_record("nobody")

    def test_an_id_that_is_taken_is_refused(self, storage: InstanceStorage) -> None:
        record = add_run(storage, run_id="run-1")
        with pytest.raises(RunAlreadyExistsError):
            storage.run_storage.add_run(Run(job_name="other", run_id="run-1"), created_at=2.0)
        assert storage.get_run_record("run-1") == record
        assert storage.run_storage.get_runs_count() == 1

    @pytest.mark.parametrize("field", ["job_snapshot_id", "plan_snapshot_id"])
    def test_a_snapshot_that_was_not_added_is_refused(
        self, storage: InstanceStorage, field: str
    ) -> None:
        with pytest.raises(SnapshotNotFoundError):
            storage.run_storage.add_run(_with_snapshot(field, "0" * 64), created_at=1.0)
        assert storage.run_storage.get_runs_count() == 0

    def test_lone_surrogates_are_stored_escaped(self, storage: InstanceStorage) -> None:
        text, escaped = LONE_SURROGATE, ESCAPED_SURROGATE
        record = add_run(
            storage,
            job_name=text,
            tags={text: text},
            run_config={text: [text]},
            location_name=text,
            step_keys=(text,),
            requested_by=text,
        )
        stored = storage.get_run_record(record.run_id)
        assert stored == record
        assert stored.run == Run(
            run_id=record.run_id,
            job_name=escaped,
            tags={escaped: escaped},
            run_config={escaped: [escaped]},
            location_name=escaped,
            step_keys=(escaped,),
            requested_by=escaped,
        )
        with storage.run_storage.hold_run(record.run_id) as held:
            held.add_tags({f"2 {text}": text})
        tags = storage.get_run_record(record.run_id).run.tags
        assert tags == {escaped: escaped, f"2 {escaped}": escaped}
        assert storage.run_storage.get_run_tag_values(text) == [escaped]

    # ------------------------------------------------------------ requests

    def test_a_request_that_is_repeated_gives_the_run_that_it_made(
        self, storage: InstanceStorage
    ) -> None:
        runs, request = storage.run_storage, RequestKey("key", "digest")
        first = runs.add_run(Run(job_name="daily"), created_at=1.0, request=request)
        second = runs.add_run(Run(job_name="daily"), created_at=2.0, request=request)
        assert second == (first[0], False)
        assert runs.get_runs_count() == 1

    def test_a_request_key_with_another_digest_is_refused(self, storage: InstanceStorage) -> None:
        runs = storage.run_storage
        made, _ = runs.add_run(
            Run(job_name="daily"), created_at=1.0, request=RequestKey("key", "digest")
        )
        with pytest.raises(RunAlreadyExistsError) as refused:
            runs.add_run(Run(job_name="daily"), created_at=2.0, request=RequestKey("key", "other"))
        assert (refused.value.run_id, refused.value.idempotency_key) == (made.run_id, "key")
        assert runs.get_runs_count() == 1

    def test_a_request_key_of_a_deleted_run_is_free(self, storage: InstanceStorage) -> None:
        runs, request = storage.run_storage, RequestKey("key", "digest")
        first, _ = runs.add_run(Run(job_name="daily"), created_at=1.0, request=request)
        storage.delete_run(first.run_id)
        _, is_new = runs.add_run(Run(job_name="daily"), created_at=2.0, request=request)
        assert is_new

    def test_runs_are_found_by_their_request_keys(self, storage: InstanceStorage) -> None:
        runs = storage.run_storage
        made = {
            key: runs.add_run(
                Run(job_name="daily"), created_at=1.0, request=RequestKey(key, "digest")
            )[0]
            for key in ("a", "b", "ü'%_")
        }
        runs.add_run(Run(job_name="daily"), created_at=1.0)
        assert runs.get_requested_runs(["a", "ü'%_", "none"]) == {
            "a": made["a"],
            "ü'%_": made["ü'%_"],
        }
        assert runs.get_requested_runs([]) == {}
        assert runs.find_requested_run(RequestKey("a", "digest")) == made["a"]
        assert runs.find_requested_run(RequestKey("none", "digest")) is None
        with pytest.raises(RunAlreadyExistsError) as refused:
            runs.find_requested_run(RequestKey("a", "other"))
        assert refused.value.run_id == made["a"].run_id
        storage.delete_run(made["a"].run_id)
        assert runs.get_requested_runs([*made]) == {key: made[key] for key in ("b", "ü'%_")}

    def test_of_the_same_request_at_the_same_time_one_makes_the_run(
        self, storage: InstanceStorage
    ) -> None:
        outcomes: list[tuple[RunRecord, bool]] = []

        def ask(_: int) -> None:
            request = RequestKey("key", "digest")
            run = Run(job_name="daily")
            outcomes.append(storage.run_storage.add_run(run, created_at=1.0, request=request))

        in_threads(8, ask)
        assert len({record.run_id for record, _ in outcomes}) == 1
        assert sorted(is_new for _, is_new in outcomes) == [False] * 7 + [True]

    # ------------------------------------------------------------ holding

    def test_an_unknown_run_cannot_be_held(self, storage: InstanceStorage) -> None:
        with pytest.raises(RunNotFoundError), storage.run_storage.hold_run("nobody"):
            pass

    def test_a_hold_that_ends_by_an_exception_leaves_nothing(
        self, storage: InstanceStorage
    ) -> None:
        record = add_run(storage, tags={"a": "1"})
        log_before = _kinds(storage)

        def change_and_fail() -> None:
            with storage.run_storage.hold_run(record.run_id) as held:
                held.add_tags({"a": "2"})
                assert held.record.run.tags == {"a": "2"}
                held.delete()
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            change_and_fail()
        assert storage.get_run_record(record.run_id) == record
        assert storage.run_storage.get_run_tag_values("a") == ["1"]
        assert _kinds(storage) == log_before

    def test_holds_of_one_run_follow_one_another(self, storage: InstanceStorage) -> None:
        record = add_run(storage)

        def tag(index: int) -> None:
            for turn in range(5):
                with storage.run_storage.hold_run(record.run_id) as held:
                    held.add_tags({f"{index}.{turn}": "x", "last": str(len(held.record.run.tags))})

        in_threads(8, tag)
        tags = storage.get_run_record(record.run_id).run.tags
        assert tags == {f"{i}.{t}": "x" for i in range(8) for t in range(5)} | {"last": "40"}

    def test_a_hold_counts_the_runs_in_progress_and_those_with_a_tag(
        self, storage: InstanceStorage
    ) -> None:
        for number, status in enumerate(RunStatus):
            add_run_in(storage, status, tags={"team": f"team {number % 2}", "each": "x"})
        for team in ("team 0", "team 2", "team 3"):
            add_run_in(storage, RunStatus.STARTED, tags={"team": team})
        queued = add_run_in(storage, RunStatus.QUEUED, tags={"each": "x"})
        in_progress = [n for n, each in enumerate(RunStatus) if each in IN_PROGRESS_STATUSES]
        tags = [
            TagFilter("each"),
            TagFilter("team", frozenset({"team 0"})),
            TagFilter("team", frozenset({"team 1"})),
            TagFilter("team", frozenset({"team 0", "team 1"})),
            TagFilter("each", frozenset({"y"})),
            TagFilter("nobody"),
        ]
        first = sum(number % 2 == 0 for number in in_progress) + 1
        with storage.run_storage.hold_run(queued.run_id, claiming=True) as held:
            assert held.count_in_progress() == [6]
            assert held.count_in_progress(tags) == [6, 3, first, 4 - first, 4, 0, 0]

    def test_a_hold_counts_its_own_run_as_it_makes_it(self, storage: InstanceStorage) -> None:
        record = add_run(storage)
        with storage.run_storage.hold_run(record.run_id) as held:
            assert held.count_in_progress() == [0]
            entry = event(record.run_id, EventType.RUN_STARTING)
            append = Append([entry], [True], handover_epoch=1)
            held.apply(storage.event_log_storage.append(record, append, held))
            assert held.count_in_progress() == [1]

    def test_of_holds_that_claim_there_is_one_at_a_time(self, storage: InstanceStorage) -> None:
        records = [add_run(storage) for _ in range(8)]

        def claim(index: int) -> None:
            with storage.run_storage.hold_run(records[index].run_id, claiming=True) as held:
                if held.count_in_progress() == [0]:
                    time.sleep(0.05)
                    entry = event(held.record.run_id, EventType.RUN_STARTING)
                    append = Append([entry], [True], handover_epoch=1)
                    held.apply(storage.event_log_storage.append(held.record, append, held))

        in_threads(8, claim)
        statuses = [storage.get_run_record(record.run_id).status for record in records]
        assert statuses.count(RunStatus.STARTING) == 1

    def test_counts_given_to_a_hold_stay_on_the_run(self, storage: InstanceStorage) -> None:
        record = add_run(storage)
        counts = StepCounts(planned=3, succeeded=2, failed=1, materializations=4)
        with storage.run_storage.hold_run(record.run_id) as held:
            held.apply([], counts)
        assert storage.get_run_record(record.run_id) == replace(record, counts=counts)

    def test_events_that_the_run_reflects_already_change_nothing(
        self, storage: InstanceStorage
    ) -> None:
        run_id = add_run(storage).run_id
        stored = report(storage, run_id, EventType.RUN_STARTING, EventType.RUN_START)
        record, kinds = storage.get_run_record(run_id), _kinds(storage)
        with storage.run_storage.hold_run(run_id) as held:
            held.apply(stored)
        assert (storage.get_run_record(run_id), _kinds(storage)) == (record, kinds)

        coming = replace(stored[1], position=3, stored_type=EventType.RUN_WORKER_LOST.value)
        with storage.run_storage.hold_run(run_id) as held:
            held.apply([*stored, coming])
        assert storage.get_run_record(run_id).applied_position == 3
        assert _kinds(storage) == [*kinds, (InstanceEventKind.EVENT, run_id)]

    # ------------------------------------------------------------ tags

    def test_added_tags_are_merged_and_noted(self, storage: InstanceStorage) -> None:
        record = add_run(storage, tags={"a": "1", "b": "2"})
        with storage.run_storage.hold_run(record.run_id) as held:
            held.add_tags({"b": "3", "c": "4"})
            within = held.record
        stored = storage.get_run_record(record.run_id)
        assert stored == within
        assert stored.run.tags == {"a": "1", "b": "3", "c": "4"}
        assert stored.updated_at > record.updated_at
        assert _kinds(storage) == [
            (InstanceEventKind.RUN_CREATED, record.run_id),
            (InstanceEventKind.RUN_TAGGED, record.run_id),
        ]

    def test_tags_of_lineage_follow_from_the_fields_of_a_run(
        self, storage: InstanceStorage
    ) -> None:
        lineage = {PARENT_RUN_TAG: "run-2", ROOT_RUN_TAG: "run-1"}
        forged = {PARENT_RUN_TAG: "forged", ROOT_RUN_TAG: "forged"}
        child = add_run(storage, parent_run_id="run-2", root_run_id="run-1", tags=forged)
        other = add_run(storage, tags=forged)
        for record, tags in ((child, lineage), (other, {})):
            with storage.run_storage.hold_run(record.run_id) as held:
                held.add_tags(forged | {"a": "1"})
            stored = storage.get_run_record(record.run_id)
            assert (record.run.tags, stored.run.tags) == (tags, tags | {"a": "1"})
        assert storage.run_storage.get_run_tag_values(ROOT_RUN_TAG) == ["run-1"]

    def test_tags_in_use_are_told_by_name(self, storage: InstanceStorage) -> None:
        for tags in (
            {"team": "sales", "tier": "1"},
            {"team": "Sales"},
            {"team": "sales", "owner": "é"},
            {"tea": "x", "team": "shipping"},
        ):
            add_run(storage, tags=tags)
        runs = storage.run_storage
        assert runs.get_run_tag_keys() == ["owner", "tea", "team", "tier"]
        assert runs.get_run_tag_keys("tea") == ["tea", "team"]
        assert runs.get_run_tag_keys("t", 2) == ["tea", "team"]
        assert runs.get_run_tag_keys("%") == []
        assert runs.get_run_tag_values("team") == ["Sales", "sales", "shipping"]
        assert runs.get_run_tag_values("team", "s") == ["sales", "shipping"]
        assert runs.get_run_tag_values("team", "s", 1) == ["sales"]
        assert runs.get_run_tag_values("nothing") == []

    def test_tags_of_deleted_runs_are_not_in_use(self, storage: InstanceStorage) -> None:
        record = add_run(storage, tags={"team": "sales"})
        storage.delete_run(record.run_id)
        assert storage.run_storage.get_run_tag_keys() == []

    # ------------------------------------------------------------ the rest

    def test_unfinished_runs_are_told_oldest_first(self, storage: InstanceStorage) -> None:
        records = [add_run_in(storage, status) for status in RunStatus]
        unfinished = [r.run_id for r in records if r.status in UNFINISHED_STATUSES]
        assert storage.run_storage.get_unfinished_run_ids() == unfinished

    def test_snapshots_are_kept_once(self, storage: InstanceStorage) -> None:
        runs = storage.run_storage
        for snapshot in (_JOB, _PLAN):
            snapshot_id, _ = encode_snapshot(snapshot)
            assert runs.add_snapshot(snapshot) == snapshot_id
            assert runs.add_snapshot(snapshot) == snapshot_id
            assert runs.get_snapshot(snapshot_id) == snapshot
        with pytest.raises(SnapshotNotFoundError):
            runs.get_snapshot("0" * 64)

    def test_the_clock_goes_on(self, storage: InstanceStorage) -> None:
        first = storage.run_storage.now()
        second = storage.run_storage.now()
        assert isinstance(first, float)
        # Where the database is elsewhere, its clock is what counts, not that of this host.
        assert 1.7e9 < first <= second < first + 600.0

    def test_the_latest_heartbeat_of_each_process_of_a_daemon_is_kept(
        self, storage: InstanceStorage
    ) -> None:
        runs = storage.run_storage
        assert runs.get_daemon_heartbeats() == {}
        assert runs.list_daemon_heartbeats() == []
        b1 = _beat("B", "1", 2.0, an_error())
        for heartbeat in (_beat("A", "1", 1.0), b1, _beat("A", "2", 2.0), _beat("A", "1", 3.0)):
            runs.add_daemon_heartbeat(heartbeat)
        a1, a2 = _beat("A", "1", 3.0), _beat("A", "2", 2.0)
        assert runs.list_daemon_heartbeats() == [a1, a2, b1]
        assert runs.get_daemon_heartbeats() == {"A": a1, "B": b1}
        last = replace(_beat("B", "1", 4.0), stopped=True)
        runs.add_daemon_heartbeat(last)
        assert runs.get_daemon_heartbeats()["B"] == last

    def test_heartbeats_of_other_processes_are_forgotten_after_an_hour(
        self, storage: InstanceStorage
    ) -> None:
        runs = storage.run_storage
        for heartbeat in (_beat("A", "1", 1.0), _beat("A", "2", 3601.0), _beat("B", "1", 1.0)):
            runs.add_daemon_heartbeat(heartbeat)
        assert len(runs.list_daemon_heartbeats()) == 3
        runs.add_daemon_heartbeat(_beat("A", "2", 3601.5))
        assert runs.list_daemon_heartbeats() == [_beat("A", "2", 3601.5), _beat("B", "1", 1.0)]

    def test_the_heartbeat_of_who_holds_or_held_the_lease_counts(
        self, storage: InstanceStorage
    ) -> None:
        runs = storage.run_storage
        for heartbeat in (_beat("A", "1", 1.0), _beat("A", "2", 2.0)):
            runs.add_daemon_heartbeat(heartbeat)
        assert runs.get_daemon_heartbeats() == {"A": _beat("A", "2", 2.0)}
        _claim(storage, "1", now=0.0)
        assert runs.get_daemon_heartbeats() == {"A": _beat("A", "1", 1.0)}
        runs.release_daemon_lease("A", "1")
        assert runs.get_daemon_heartbeats() == {"A": _beat("A", "1", 1.0)}

    def test_a_lease_is_taken_renewed_and_taken_over_when_it_has_expired(
        self, storage: InstanceStorage
    ) -> None:
        runs = storage.run_storage
        assert runs.get_daemon_leases() == {}
        assert _claim(storage, "1", now=100.0) == _lease("1", 110.0)
        assert _claim(storage, "2", now=109.9) == _lease("1", 110.0)
        assert _claim(storage, "1", now=105.0) == _lease("1", 115.0)
        assert _claim(storage, "2", now=114.9) == _lease("1", 115.0)
        assert _claim(storage, "2", now=115.0) == _lease("2", 125.0)
        assert _claim(storage, "1", now=116.0) == _lease("2", 125.0)
        assert runs.get_daemon_leases() == {"A": _lease("2", 125.0)}

    def test_daemons_that_beat_last_before_an_instant_are_forgotten(
        self, storage: InstanceStorage
    ) -> None:
        runs = storage.run_storage
        for heartbeat in (_beat("A", "1", 1.0), _beat("A", "2", 5.0), _beat("B", "1", 4.0)):
            runs.add_daemon_heartbeat(heartbeat)
        for daemon_type in ("A", "B", "C"):
            runs.claim_daemon_lease(daemon_type, "1", now=1.0, lease_seconds=1.0)
        assert runs.purge_daemons(1.0) == 0
        assert runs.purge_daemons(5.0) == 2
        assert runs.list_daemon_heartbeats() == [_beat("A", "2", 5.0)]
        assert list(runs.get_daemon_leases()) == ["A"]
        runs.claim_daemon_lease("A", "2", now=5.0, lease_seconds=1.0)
        assert runs.purge_daemons(6.0) == 1
        assert list(runs.get_daemon_leases()) == ["A"]
        assert runs.purge_daemons(6.5) == 0
        assert runs.get_daemon_leases() == {}

    def test_a_lease_is_released_by_its_holder_only(self, storage: InstanceStorage) -> None:
        runs = storage.run_storage
        runs.release_daemon_lease("A", "1")
        assert runs.get_daemon_leases() == {}
        _claim(storage, "1", now=100.0)
        runs.release_daemon_lease("A", "2")
        assert runs.get_daemon_leases() == {"A": _lease("1", 110.0)}
        runs.release_daemon_lease("A", "1")
        assert runs.get_daemon_leases()["A"].daemon_id == "1"
        assert runs.get_daemon_leases()["A"].expires_at <= 100.0
        assert _claim(storage, "2", now=100.0) == _lease("2", 110.0)

    def test_of_many_who_claim_a_lease_at_once_one_gets_it(self, storage: InstanceStorage) -> None:
        names = [str(number) for number in range(8)]
        together = threading.Barrier(len(names))

        def claim(name: str) -> DaemonLease:
            together.wait()
            storage.run_storage.add_daemon_heartbeat(_beat("A", name, 1.0))
            return _claim(storage, name, now=100.0)

        with ThreadPoolExecutor(len(names)) as pool:
            leases = list(pool.map(claim, names))
        assert leases == [leases[0]] * len(names)
        assert storage.run_storage.get_daemon_leases() == {"A": leases[0]}
        assert len(storage.run_storage.list_daemon_heartbeats()) == len(names)

    def test_heartbeats_of_one_process_at_once_leave_one(self, storage: InstanceStorage) -> None:
        runs = storage.run_storage
        beats = [_beat("A", "1", float(number)) for number in range(8)]
        in_threads(8, lambda index: runs.add_daemon_heartbeat(beats[index]))
        (kept,) = runs.list_daemon_heartbeats()
        assert kept in beats

    def test_a_consumer_never_goes_back(self, storage: InstanceStorage) -> None:
        runs = storage.run_storage
        assert runs.find_consumer_position("A") is None
        assert runs.move_consumer("A", 0) == 0
        assert runs.find_consumer_position("A") == 0
        assert (runs.move_consumer("A", 7), runs.move_consumer("B", 1)) == (7, 1)
        assert runs.move_consumer("A", 5) == 7
        assert (runs.find_consumer_position("A"), runs.find_consumer_position("B")) == (7, 1)

    def test_of_many_who_move_a_consumer_at_once_the_one_ahead_counts(
        self, storage: InstanceStorage
    ) -> None:
        runs = storage.run_storage

        def move(index: int) -> None:
            runs.move_consumer("A", 1 + index)

        in_threads(8, move)
        assert runs.find_consumer_position("A") == 8

    def test_wiping_deletes_everything(self, storage: InstanceStorage) -> None:
        runs, logs = storage.run_storage, storage.event_log_storage
        record = add_run(storage, run_id="run-1", tags={"a": "b"})
        report(storage, "run-1", EventType.RUN_ENQUEUED)
        snapshot_id, log_id = runs.add_snapshot(_PLAN), logs.get_instance_log_id()
        runs.add_daemon_heartbeat(_beat("A", "1", 1.0))
        _claim(storage, "1", now=1.0)
        runs.move_consumer("A", 1)

        storage.wipe()

        assert runs.find_run_record("run-1") is None
        assert (runs.get_runs_count(), runs.get_run_tag_keys(), _kinds(storage)) == (0, [], [])
        assert (runs.list_daemon_heartbeats(), runs.get_daemon_leases()) == ([], {})
        assert runs.find_consumer_position("A") is None
        assert logs.get_records(record).records == []
        assert logs.get_instance_log_id() != log_id
        with pytest.raises(SnapshotNotFoundError):
            runs.get_snapshot(snapshot_id)
        anew = add_run(storage, run_id="run-1")
        assert anew.log_id != record.log_id
        assert report(storage, "run-1", None)[0].position == 1

    def test_disposing_twice_is_harmless(self, storage: InstanceStorage) -> None:
        add_run(storage)
        storage.dispose()
        storage.dispose()


def _with_snapshot(field: str, snapshot_id: str) -> Run:
    run = Run(job_name="daily")
    if field == "job_snapshot_id":
        return replace(run, job_snapshot_id=snapshot_id)
    return replace(run, plan_snapshot_id=snapshot_id)


def _kinds(storage: InstanceStorage) -> list[tuple[InstanceEventKind, str]]:
    page = storage.event_log_storage.get_event_records(kinds=tuple(InstanceEventKind))
    return [(entry.kind, entry.run_id) for entry in page.records]


def _beat(
    daemon_type: str, daemon_id: str, timestamp: float, *errors: ErrorInfo
) -> DaemonHeartbeat:
    return DaemonHeartbeat(
        daemon_type=daemon_type,
        daemon_id=daemon_id,
        hostname="box",
        timestamp=timestamp,
        progress_at=timestamp - 1,
        errors=errors,
    )


def _claim(storage: InstanceStorage, daemon_id: str, *, now: float) -> DaemonLease:
    return storage.run_storage.claim_daemon_lease("A", daemon_id, now=now, lease_seconds=10.0)


def _lease(daemon_id: str, expires_at: float) -> DaemonLease:
    return DaemonLease(daemon_type="A", daemon_id=daemon_id, expires_at=expires_at)
