"""Runs in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice

from runwire.errors import RunAlreadyExistsError, RunNotFoundError, SnapshotNotFoundError
from runwire.events.entry import storable_text
from runwire.runs.filters import NEWEST_FIRST, RunOrder, RunPlace, RunsFilter, TagFilter
from runwire.runs.run import Run, RunRecord
from runwire.runs.status import UNFINISHED_STATUSES, RunStatus
from runwire.runs.tags import BACKFILL_TAG, PARTITION_TAG
from runwire.snapshots import Snapshot, encode_snapshot
from runwire.storage.instance_log import InstanceEventKind, InstanceLogRecord
from runwire.storage.run_storage import (
    DaemonHeartbeat,
    DaemonLease,
    HeldRun,
    JobPlace,
    RequestKey,
    RunsPage,
    RunStorage,
)
from runwire.storages.daemon_leases import FORGET_SECONDS, claimed, counting, listed
from runwire.storages.memory.held_run import MemoryHeldRun
from runwire.storages.memory.state import State
from runwire.storages.stored_form import new_log_id, new_record, stored_run


class MemoryRunStorage(RunStorage):
    """Keeps runs in a state that it shares with the event logs."""

    def __init__(self, state: State) -> None:
        self._state = state

    def add_run(
        self, run: Run, *, created_at: float, request: RequestKey | None = None
    ) -> tuple[RunRecord, bool]:
        state = self._state
        with state.lock:
            known = None if request is None else self._find_request(request)
            if known is not None:
                return known, False
            if run.run_id in state.runs:
                raise RunAlreadyExistsError(run.run_id)
            for snapshot_id in (run.job_snapshot_id, run.plan_snapshot_id):
                if snapshot_id is not None and snapshot_id not in state.snapshots:
                    raise SnapshotNotFoundError(snapshot_id)
            stored = stored_run(run)
            record = new_record(next(state.storage_ids), stored, created_at)
            state.runs[run.run_id] = record
            if request is not None:
                state.requests[request.key] = (request, run.run_id)
            self._note_making(record)
            return record, True

    def find_run_record(self, run_id: str) -> RunRecord | None:
        with self._state.lock:
            return self._state.runs.get(run_id)

    def get_run_records(
        self,
        filter: RunsFilter | None = None,
        *,
        order: RunOrder = NEWEST_FIRST,
        after: RunPlace | None = None,
        limit: int,
        backward: bool = False,
    ) -> RunsPage:
        records = sorted(self._matching(filter), key=lambda record: _sort_key(record, order))
        if backward:
            records.reverse()
        if after is not None:
            place = _place_key(after, order)
            records = [
                record
                for record in records
                if (
                    _sort_key(record, order) < place
                    if backward
                    else _sort_key(record, order) > place
                )
            ]
        return RunsPage(records[:limit], len(records) > limit)

    def get_runs_count(self, filter: RunsFilter | None = None, *, limit: int | None = None) -> int:
        return sum(1 for _ in islice(self._matching(filter), limit))

    def get_run_group_counts(self, root_run_ids: Collection[str]) -> dict[str, int]:
        wanted = frozenset(root_run_ids)
        return dict(Counter(r.root_run_id for r in self._matching() if r.root_run_id in wanted))

    def find_requested_run(self, request: RequestKey) -> RunRecord | None:
        with self._state.lock:
            return self._find_request(request)

    def get_requested_runs(self, keys: Collection[str]) -> dict[str, RunRecord]:
        with self._state.lock:
            known = {key: self._state.requests[key] for key in keys if key in self._state.requests}
            return {key: self._state.runs[run_id] for key, (_, run_id) in known.items()}

    def get_partition_runs(
        self,
        keys: Collection[str],
        *,
        job: JobPlace | None = None,
        backfill_id: str | None = None,
    ) -> dict[str, RunRecord]:
        wanted = frozenset(map(storable_text, keys))
        newest = _newest_of_partitions(
            record
            for record in self._matching()
            if (job is None or job.is_that_of(record.run))
            and (backfill_id is None or record.run.tags.get(BACKFILL_TAG) == backfill_id)
        )
        return {key: record for key, record in newest.items() if key in wanted}

    def get_backfill_run_counts(self, backfill_id: str) -> dict[RunStatus, int]:
        of_backfill = RunsFilter(tags=(TagFilter(BACKFILL_TAG, frozenset({backfill_id})),))
        newest = _newest_of_partitions(self._matching(of_backfill))
        return dict(Counter(record.status for record in newest.values()))

    @contextmanager
    def hold_run(self, run_id: str, *, claiming: bool = False) -> Iterator[HeldRun]:
        with self._state.lock:
            record = self._state.runs.get(run_id)
            if record is None:
                raise RunNotFoundError(run_id)
            held = MemoryHeldRun(self._state, record)
            yield held
            held.publish()

    def get_unfinished_run_ids(self) -> list[str]:
        unfinished = self._matching(RunsFilter(statuses=UNFINISHED_STATUSES))
        return [record.run_id for record in sorted(unfinished, key=lambda r: r.storage_id)]

    def get_run_tag_keys(self, prefix: str = "", limit: int = 100) -> list[str]:
        return _by_name((key for r in self._matching() for key in r.run.tags), prefix, limit)

    def get_run_tag_values(self, key: str, prefix: str = "", limit: int = 100) -> list[str]:
        tags, key = [record.run.tags for record in self._matching()], storable_text(key)
        return _by_name((each[key] for each in tags if key in each), prefix, limit)

    def add_snapshot(self, snapshot: Snapshot) -> str:
        snapshot_id, _ = encode_snapshot(snapshot)
        with self._state.lock:
            self._state.snapshots[snapshot_id] = snapshot
        return snapshot_id

    def get_snapshot(self, snapshot_id: str) -> Snapshot:
        with self._state.lock:
            snapshot = self._state.snapshots.get(snapshot_id)
        if snapshot is None:
            raise SnapshotNotFoundError(snapshot_id)
        return snapshot

    def add_daemon_heartbeat(self, heartbeat: DaemonHeartbeat) -> None:
        with self._state.lock:
            kept = self._state.heartbeats
            kept[heartbeat.daemon_type, heartbeat.daemon_id] = heartbeat
            for key, other in list(kept.items()):
                is_old = other.timestamp < heartbeat.timestamp - FORGET_SECONDS
                if is_old and other.daemon_type == heartbeat.daemon_type:
                    del kept[key]

    def get_daemon_heartbeats(self) -> dict[str, DaemonHeartbeat]:
        with self._state.lock:
            return counting(self.list_daemon_heartbeats(), self._state.leases)

    def list_daemon_heartbeats(self) -> list[DaemonHeartbeat]:
        with self._state.lock:
            return listed(self._state.heartbeats.values())

    def claim_daemon_lease(
        self, daemon_type: str, daemon_id: str, *, now: float, lease_seconds: float
    ) -> DaemonLease:
        with self._state.lock:
            found = self._state.leases.get(daemon_type)
            lease = claimed(found, daemon_type, daemon_id, now=now, lease_seconds=lease_seconds)
            self._state.leases[daemon_type] = lease
            return lease

    def release_daemon_lease(self, daemon_type: str, daemon_id: str) -> None:
        with self._state.lock:
            lease = self._state.leases.get(daemon_type)
            if lease is not None and lease.daemon_id == daemon_id:
                self._state.leases[daemon_type] = replace(lease, expires_at=0.0)

    def get_daemon_leases(self) -> dict[str, DaemonLease]:
        with self._state.lock:
            return dict(self._state.leases)

    def purge_daemons(self, before: float) -> int:
        with self._state.lock:
            beats, leases = self._state.heartbeats, self._state.leases
            old = [key for key, beat in beats.items() if beat.timestamp < before]
            for key in old:
                del beats[key]
            known = {daemon_type for daemon_type, _ in beats}
            for daemon_type, lease in list(leases.items()):
                if daemon_type not in known and lease.expires_at < before:
                    del leases[daemon_type]
            return len(old)

    def find_consumer_position(self, consumer: str) -> int | None:
        with self._state.lock:
            return self._state.consumers.get(consumer)

    def move_consumer(self, consumer: str, position: int) -> int:
        with self._state.lock:
            known = self._state.consumers.get(consumer, position)
            self._state.consumers[consumer] = max(known, position)
            return self._state.consumers[consumer]

    def wipe(self) -> None:
        state = self._state
        with state.lock:
            for kept in (
                state.runs,
                state.requests,
                state.assets,
                state.snapshots,
                state.heartbeats,
                state.leases,
                state.consumers,
                state.pool_limits,
                state.pool_slots,
                state.instance_log,
            ):
                kept.clear()
            state.instance_log_id = new_log_id()
            state.purged_position = 0

    def dispose(self) -> None:
        pass

    def _find_request(self, request: RequestKey) -> RunRecord | None:
        known, run_id = self._state.requests.get(request.key, (request, None))
        if run_id is None:
            return None
        if known.digest != request.digest:
            raise RunAlreadyExistsError(run_id, idempotency_key=request.key)
        return self._state.runs[run_id]

    def _note_making(self, record: RunRecord) -> None:
        self._state.instance_log.append(
            InstanceLogRecord(
                position=self._state.instance_head + 1,
                kind=InstanceEventKind.RUN_CREATED,
                run_id=record.run_id,
                job_name=record.run.job_name,
                timestamp=record.created_at,
            )
        )

    def _matching(self, filter: RunsFilter | None = None) -> list[RunRecord]:
        with self._state.lock:
            records = list(self._state.runs.values())
        return records if filter is None else [r for r in records if filter.matches(r)]


def _newest_of_partitions(records: Iterable[RunRecord]) -> dict[str, RunRecord]:
    """The newest run of each partition, by its key; runs without a partition are passed over."""
    ordered = sorted(records, key=lambda record: record.storage_id)
    return {
        each.run.tags[PARTITION_TAG]: each for each in ordered if PARTITION_TAG in each.run.tags
    }


def _sort_key(record: RunRecord, order: RunOrder) -> tuple[bool, float, int]:
    return _place_key(RunPlace.of(record, order), order)


def _place_key(place: RunPlace, order: RunOrder) -> tuple[bool, float, int]:
    sign = -1 if order.descending else 1
    return place.value is None, sign * (place.value or 0.0), sign * place.storage_id


def _by_name(texts: Iterable[str], prefix: str, limit: int) -> list[str]:
    prefix = storable_text(prefix)
    return sorted({text for text in texts if text.startswith(prefix)})[:limit]
