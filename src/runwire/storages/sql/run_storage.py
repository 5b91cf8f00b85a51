"""Runs in a database. Subclasses bring connections and transactions."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, replace
from typing import Any

import msgspec
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Select,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    update,
)

from runwire.errors import RunAlreadyExistsError, RunNotFoundError, SnapshotNotFoundError
from runwire.events.entry import storable_text
from runwire.runs.filters import NEWEST_FIRST, RunOrder, RunOrderField, RunPlace, RunsFilter
from runwire.runs.run import Run, RunRecord
from runwire.runs.status import UNFINISHED_STATUSES, RunStatus
from runwire.runs.tags import BACKFILL_TAG, PARTITION_TAG, ROOT_RUN_TAG
from runwire.snapshots import JobSnapshot, PlanSnapshot, Snapshot, encode_snapshot
from runwire.storage.instance_log import InstanceEventKind
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
from runwire.storages.sql.dialect import insert_unless_there, serialize
from runwire.storages.sql.held_run import SqlHeldRun, add_tag_rows
from runwire.storages.sql.instance_log import add_entries, change_entry
from runwire.storages.sql.rows import (
    heartbeat_record,
    heartbeat_values,
    lease_record,
    run_record,
    run_values,
)
from runwire.storages.sql.run_filters import (
    RunList,
    Walk,
    conditions_on_the_way,
    run_conditions,
    run_list,
    sets,
    span_of,
    walk_of_prefix,
    ways,
)
from runwire.storages.sql.tables import (
    BACKFILLS,
    INSTANCE_LOG_ID,
    RUNS,
    SCHEDULES,
    WEBHOOKS,
    daemon_heartbeats,
    daemon_leases,
    instance_head,
    meta,
    run_tags,
    runs,
    snapshots,
)
from runwire.storages.sql.text import begins_with
from runwire.storages.stored_form import new_log_id, new_record, stored_run

QUEUE = "queue"
"""What those who take runs from the queue wait for one another by."""

MAX_COUNTED = 1000
"""How far the steps of a way are counted before it is taken: what is longer is long."""

MAX_SORTED = 50_000
"""How far what would be sorted is counted, where what would be walked past can be counted too."""

_BY_RUN_ID = select(runs).where(runs.c.run_id == bindparam("run_id"))
_BY_REQUEST = select(runs).where(runs.c.request_key == bindparam("key"))
_BY_REQUESTS = select(runs).where(runs.c.request_key.in_(bindparam("keys", expanding=True)))
_ROOTS = select(runs.c.run_id).where(
    runs.c.run_id.in_(bindparam("wanted", expanding=True)), runs.c.root_run_id.is_(None)
)
_DESCENDANTS = (
    select(run_tags.c.value, func.count())
    .where(
        run_tags.c.key == ROOT_RUN_TAG,
        run_tags.c.value.in_(bindparam("wanted", expanding=True)),
    )
    .group_by(run_tags.c.value)
)
_PARTITION = run_tags.alias()
_OTHER = runs.alias()
_IS_OF_BACKFILL = (run_tags.c.storage_id == _PARTITION.c.storage_id) & (
    run_tags.c.key == BACKFILL_TAG
)
_NEWEST_OF_BACKFILL = (
    select(func.max(run_tags.c.storage_id))
    .join(
        _PARTITION,
        (_PARTITION.c.storage_id == run_tags.c.storage_id) & (_PARTITION.c.key == PARTITION_TAG),
    )
    .where(run_tags.c.key == BACKFILL_TAG, run_tags.c.value == bindparam("backfill"))
    .group_by(_PARTITION.c.value)
)
_BACKFILL_COUNTS = (
    select(runs.c.status, func.count())
    .where(runs.c.storage_id.in_(_NEWEST_OF_BACKFILL))
    .group_by(runs.c.status)
)
_UNFINISHED = (
    select(runs.c.run_id)
    .where(runs.c.status.in_(sorted(status.value for status in UNFINISHED_STATUSES)))
    .order_by(runs.c.storage_id)
)
_SNAPSHOT = select(snapshots.c.kind, snapshots.c.body).where(
    snapshots.c.snapshot_id == bindparam("snapshot_id")
)

_SNAPSHOT_CLASSES: dict[str, type[JobSnapshot | PlanSnapshot]] = {
    "job": JobSnapshot,
    "plan": PlanSnapshot,
}


class SqlRunStorage(RunStorage):
    """Everything but how a connection is had and a transaction begins and ends."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[Connection]:
        """A connection to read on. Driver errors come out as StorageUnavailableError."""

    @abstractmethod
    def writing(self, *, durable: bool = True) -> AbstractContextManager[Connection]:
        """A connection in a transaction that ends with the context: commits, or rolls back on an exception.

        Nobody else writes meanwhile what it reads. When `durable`, it is synced to disk before it ends.
        Driver errors come out as StorageUnavailableError.
        """

    def walking(self) -> AbstractContextManager[Connection]:
        """As `reading`, for statements that go along an index and stop when they have enough."""
        return self.reading()

    def add_run(
        self, run: Run, *, created_at: float, request: RequestKey | None = None
    ) -> tuple[RunRecord, bool]:
        stored = stored_run(run)
        with self.writing() as connection:
            keys = [] if request is None else [f"request {request.key}"]
            serialize(connection, f"run {stored.run_id}", *keys)
            known = None if request is None else _find_request(connection, request)
            if known is not None:
                return known, False
            _check_new(connection, stored)
            record = new_record(0, stored, created_at)
            adding = insert(runs).returning(runs.c.storage_id)
            storage_id = connection.execute(adding, run_values(record, request)).scalar_one()
            record = replace(record, storage_id=storage_id)
            add_tag_rows(connection, record, stored.tags)
            made = change_entry(record, InstanceEventKind.RUN_CREATED, created_at)
            add_entries(connection, [made])
            return record, True

    def find_run_record(self, run_id: str) -> RunRecord | None:
        with self.reading() as connection:
            return find_run(connection, run_id)

    def get_run_records(
        self,
        filter: RunsFilter | None = None,
        *,
        order: RunOrder = NEWEST_FIRST,
        after: RunPlace | None = None,
        limit: int,
        backward: bool = False,
    ) -> RunsPage:
        found = ways(filter) if order.field is RunOrderField.CREATED_AT else []
        if found:
            with self.walking() as connection:
                walks = _shortest(connection, found, filter)
                if walks is not None:
                    records = _walked(connection, walks, order, after, limit + 1, backward=backward)
                    return RunsPage(records[:limit], len(records) > limit)
        if filter is not None and self._is_walked_in_order(filter, order.field):
            conditions = conditions_on_the_way(filter, order.field)
            with self.walking() as connection:
                wanted = run_list(order, after, conditions, backward=backward)
                return _listed(connection, wanted, limit)
        with self.reading() as connection:
            wanted = run_list(order, after, run_conditions(filter), backward=backward)
            return _listed(connection, wanted, limit)

    def get_runs_count(self, filter: RunsFilter | None = None, *, limit: int | None = None) -> int:
        found = ways(filter)
        if found:
            with self.walking() as connection:
                walks = _shortest(connection, found, filter)
                if walks is not None:
                    count = sum(_count(connection, walk.matching(limit)) for walk in walks)
                    return count if limit is None else min(limit, count)
        conditions = run_conditions(filter)
        if filter is not None and self._is_walked_in_order(filter, RunOrderField.CREATED_AT):
            conditions = conditions_on_the_way(filter)
        matching = select(literal(1)).select_from(runs).where(*conditions).limit(limit)
        with self.reading() as connection:
            return _count(connection, select(func.count()).select_from(matching.subquery()))

    def get_run_group_counts(self, root_run_ids: Collection[str]) -> dict[str, int]:
        wanted = sorted(map(storable_text, root_run_ids))
        with self.walking() as connection:
            counts = Counter(connection.execute(_ROOTS, {"wanted": wanted}).scalars())
            for root_run_id, count in connection.execute(_DESCENDANTS, {"wanted": wanted}):
                counts[root_run_id] += count
        return dict(counts)

    def find_requested_run(self, request: RequestKey) -> RunRecord | None:
        with self.reading() as connection:
            return _find_request(connection, request)

    def get_requested_runs(self, keys: Collection[str]) -> dict[str, RunRecord]:
        with self.walking() as connection:
            rows = connection.execute(_BY_REQUESTS, {"keys": sorted(keys)})
            return {row.request_key: run_record(row) for row in rows}

    def get_partition_runs(
        self,
        keys: Collection[str],
        *,
        job: JobPlace | None = None,
        backfill_id: str | None = None,
    ) -> dict[str, RunRecord]:
        newest = select(func.max(_PARTITION.c.storage_id)).where(
            _PARTITION.c.key == PARTITION_TAG,
            _PARTITION.c.value.in_(sorted(map(storable_text, keys))),
        )
        if backfill_id is not None:
            newest = newest.join(run_tags, _IS_OF_BACKFILL).where(
                run_tags.c.value == storable_text(backfill_id)
            )
        if job is not None:
            newest = newest.join(_OTHER, _OTHER.c.storage_id == _PARTITION.c.storage_id).where(
                *(
                    column == storable_text(name)
                    for column, name in (
                        (_OTHER.c.location_name, job.location_name),
                        (_OTHER.c.repository_name, job.repository_name),
                        (_OTHER.c.job_name, job.job_name),
                    )
                )
            )
        newest = newest.group_by(_PARTITION.c.value)
        with self.walking() as connection:
            rows = connection.execute(select(runs).where(runs.c.storage_id.in_(newest)))
            return {each.run.tags[PARTITION_TAG]: each for each in map(run_record, rows)}

    def get_backfill_run_counts(self, backfill_id: str) -> dict[RunStatus, int]:
        wanted = {"backfill": storable_text(backfill_id)}
        with self.walking() as connection:
            rows = connection.execute(_BACKFILL_COUNTS, wanted)
            return {RunStatus(status): count for status, count in rows}

    @contextmanager
    def hold_run(self, run_id: str, *, claiming: bool = False) -> Iterator[HeldRun]:
        with self.writing() as connection:
            if claiming:  # before the row is locked: two that hold one and wait for the other would wait for ever
                serialize(connection, QUEUE)
            record = find_run(connection, run_id, lock=True)
            if record is None:
                raise RunNotFoundError(run_id)
            yield SqlHeldRun(connection, record)

    def get_unfinished_run_ids(self) -> list[str]:
        with self.reading() as connection:
            return list(connection.execute(_UNFINISHED).scalars())

    def get_run_tag_keys(self, prefix: str = "", limit: int = 100) -> list[str]:
        return self._distinct(run_tags.c.key, [begins_with(run_tags.c.key, prefix)], limit)

    def get_run_tag_values(self, key: str, prefix: str = "", limit: int = 100) -> list[str]:
        conditions = [
            run_tags.c.key == storable_text(key),
            begins_with(run_tags.c.value, prefix),
        ]
        return self._distinct(run_tags.c.value, conditions, limit)

    def add_snapshot(self, snapshot: Snapshot) -> str:
        snapshot_id, body = encode_snapshot(snapshot)
        if not self._has_snapshot(snapshot_id):
            kind = next(k for k, cls in _SNAPSHOT_CLASSES.items() if isinstance(snapshot, cls))
            with self.writing(durable=False) as connection:  # synced with the run that names it
                values = {"snapshot_id": snapshot_id, "kind": kind, "body": body}
                insert_unless_there(connection, snapshots, values)
        return snapshot_id

    def get_snapshot(self, snapshot_id: str) -> Snapshot:
        with self.reading() as connection:
            row = connection.execute(_SNAPSHOT, {"snapshot_id": snapshot_id}).first()
        if row is None:
            raise SnapshotNotFoundError(snapshot_id)
        return msgspec.json.decode(row.body, type=_SNAPSHOT_CLASSES[row.kind])

    def add_daemon_heartbeat(self, heartbeat: DaemonHeartbeat) -> None:
        values = heartbeat_values(heartbeat)
        table = daemon_heartbeats.c
        replaced = (table.daemon_id == heartbeat.daemon_id) | (
            table.timestamp < heartbeat.timestamp - FORGET_SECONDS
        )
        with self.writing(durable=False) as connection:
            serialize(connection, f"heartbeat {heartbeat.daemon_type}")
            connection.execute(
                delete(daemon_heartbeats).where(
                    table.daemon_type == heartbeat.daemon_type, replaced
                )
            )
            connection.execute(insert(daemon_heartbeats), values)

    def get_daemon_heartbeats(self) -> dict[str, DaemonHeartbeat]:
        return counting(self.list_daemon_heartbeats(), self.get_daemon_leases())

    def list_daemon_heartbeats(self) -> list[DaemonHeartbeat]:
        with self.reading() as connection:
            rows = connection.execute(select(daemon_heartbeats)).all()
        return listed(map(heartbeat_record, rows))

    def claim_daemon_lease(
        self, daemon_type: str, daemon_id: str, *, now: float, lease_seconds: float
    ) -> DaemonLease:
        this = daemon_leases.c.daemon_type == daemon_type
        with self.writing(durable=False) as connection:
            serialize(connection, f"lease {daemon_type}")
            row = connection.execute(select(daemon_leases).where(this)).first()
            found = None if row is None else lease_record(row)
            lease = claimed(found, daemon_type, daemon_id, now=now, lease_seconds=lease_seconds)
            if lease != found:
                connection.execute(delete(daemon_leases).where(this))
                connection.execute(insert(daemon_leases), asdict(lease))
            return lease

    def release_daemon_lease(self, daemon_type: str, daemon_id: str) -> None:
        mine = (daemon_leases.c.daemon_type == daemon_type) & (
            daemon_leases.c.daemon_id == daemon_id
        )
        with self.writing(durable=False) as connection:
            connection.execute(update(daemon_leases).where(mine).values(expires_at=0.0))

    def get_daemon_leases(self) -> dict[str, DaemonLease]:
        with self.reading() as connection:
            rows = connection.execute(select(daemon_leases)).all()
        return {row.daemon_type: lease_record(row) for row in rows}

    def purge_daemons(self, before: float) -> int:
        known = {each.daemon_type for each in self.list_daemon_heartbeats()}
        return sum(
            self._purge_daemon(daemon_type, before)
            for daemon_type in sorted(known | self.get_daemon_leases().keys())
        )

    def _purge_daemon(self, daemon_type: str, before: float) -> int:
        beat, lease = daemon_heartbeats.c, daemon_leases.c
        with self.writing(durable=False) as connection:
            serialize(connection, f"heartbeat {daemon_type}")
            serialize(connection, f"lease {daemon_type}")
            old = delete(daemon_heartbeats).where(
                beat.daemon_type == daemon_type, beat.timestamp < before
            )
            purged = connection.execute(old).rowcount
            connection.execute(
                delete(daemon_leases).where(
                    lease.daemon_type == daemon_type,
                    lease.expires_at < before,
                    ~exists().where(beat.daemon_type == daemon_type),
                )
            )
            return purged

    def find_consumer_position(self, consumer: str) -> int | None:
        with self.reading() as connection:
            return _consumer_position(connection, consumer)

    def move_consumer(self, consumer: str, position: int) -> int:
        key = _consumer_key(consumer)
        with self.writing() as connection:
            serialize(connection, key)
            known = _consumer_position(connection, consumer)
            if known is not None and known >= position:
                return known
            connection.execute(delete(meta).where(meta.c.key == key))
            connection.execute(insert(meta), {"key": key, "value": str(position)})
            return position

    def wipe(self) -> None:
        with self.writing() as connection:
            for table in RUNS.sorted_tables:
                if table not in (*SCHEDULES, *WEBHOOKS, *BACKFILLS):
                    connection.execute(delete(table))
            set_up(connection)

    def _is_walked_in_order(self, filter: RunsFilter, field: RunOrderField) -> bool:
        """Whether the runs that match are rather met in the order of a field than found all and sorted.

        Walking in order ends when a page is full. It goes past the runs that do not match, so few are found faster by
        what the filter says of them.
        """
        found = sets(filter)
        if not found:
            return False
        with self.walking() as connection:
            if min(_steps(connection, found, MAX_COUNTED)) < MAX_COUNTED:
                return False
            span = span_of(filter, field)
            if span is None:
                return True
            *lengths, all_in_span = _steps(connection, [*found, [span]], MAX_SORTED)
            return all_in_span <= min(lengths)

    def _has_snapshot(self, snapshot_id: str) -> bool:
        with self.reading() as connection:
            return connection.execute(_SNAPSHOT, {"snapshot_id": snapshot_id}).first() is not None

    def _distinct(
        self, column: Column[str], conditions: list[ColumnElement[bool]], limit: int
    ) -> list[str]:
        """Distinct values by name: hops along the index, whatever number of runs have each."""
        smallest = select(func.min(column).label("found")).where(*conditions)
        hops = smallest.cte("hops", recursive=True)
        following = (
            select(func.min(column)).where(column > hops.c.found, *conditions).scalar_subquery()
        )
        hops = hops.union_all(select(following).where(hops.c.found.is_not(None)))
        found = select(hops.c.found).where(hops.c.found.is_not(None)).limit(limit)
        with self.reading() as connection:
            return list(connection.execute(found).scalars())


def set_up(connection: Connection) -> None:
    """Writes the rows that an empty storage of runs has."""
    connection.execute(insert(meta), {"key": INSTANCE_LOG_ID, "value": new_log_id()})
    connection.execute(insert(instance_head), {"id": 1, "head": 0, "purged_position": 0})


def _consumer_key(consumer: str) -> str:
    """The key in `meta` of the position of a consumer of the instance-wide log."""
    return f"consumer {storable_text(consumer)}"


def _consumer_position(connection: Connection, consumer: str) -> int | None:
    statement = select(meta.c.value).where(meta.c.key == _consumer_key(consumer))
    value: str | None = connection.execute(statement).scalar()
    return None if value is None else int(value)


def _count(connection: Connection, statement: Select[Any]) -> int:
    count: int = connection.execute(statement).scalar_one()
    return count


def _shortest(
    connection: Connection, found: list[list[Walk]], filter: RunsFilter | None
) -> list[Walk] | None:
    """The way with the fewest steps, as far as they are counted; None when fewer runs are named by how ids begin."""
    named = None if filter is None else walk_of_prefix(filter)
    if len(found) == 1 and named is None:
        return found[0]
    lengths = _steps(connection, [*found, *([] if named is None else [[named]])], MAX_COUNTED)
    shortest = lengths.index(min(lengths))
    return found[shortest] if shortest < len(found) else None


def _steps(connection: Connection, found: list[list[Walk]], limit: int) -> list[int]:
    """How many steps each way has, each of its walks counted no further than a limit."""
    nothing: ColumnElement[int] = literal(0)
    steps = [sum((walk.count(limit).scalar_subquery() for walk in way), nothing) for way in found]
    return list(connection.execute(select(*steps)).one())


def _listed(connection: Connection, wanted: RunList, limit: int) -> RunsPage:
    """The first runs of a list."""
    records: list[RunRecord] = []
    for statement in wanted.statements:
        missing = limit + 1 - len(records)
        if missing > 0:
            rows = connection.execute(statement, wanted.parameters | {"limit": missing}).all()
            records += map(run_record, rows)
    return RunsPage(records[:limit], len(records) > limit)


def _walked(
    connection: Connection,
    walks: list[Walk],
    order: RunOrder,
    after: RunPlace | None,
    limit: int,
    *,
    backward: bool,
) -> list[RunRecord]:
    """The first runs of all walks, in the direction of reading."""
    descending = order.descending is not backward
    records = [
        run_record(row)
        for walk in walks
        for row in connection.execute(walk.runs(after, limit, descending=descending)).all()
    ]
    if len(walks) > 1:
        records.sort(key=lambda each: (each.created_at, each.storage_id), reverse=descending)
    return records[:limit]


def find_run(connection: Connection, run_id: str, *, lock: bool = False) -> RunRecord | None:
    """The run of an id, with its row locked if so asked; None when there is none."""
    statement = _BY_RUN_ID.with_for_update() if lock else _BY_RUN_ID
    row = connection.execute(statement, {"run_id": storable_text(run_id)}).first()
    return None if row is None else run_record(row)


def _find_request(connection: Connection, request: RequestKey) -> RunRecord | None:
    row = connection.execute(_BY_REQUEST, {"key": request.key}).first()
    if row is None:
        return None
    if row.request_digest != request.digest:
        raise RunAlreadyExistsError(row.run_id, idempotency_key=request.key)
    return run_record(row)


def _check_new(connection: Connection, run: Run) -> None:
    if connection.execute(_BY_RUN_ID, {"run_id": run.run_id}).first() is not None:
        raise RunAlreadyExistsError(run.run_id)
    for snapshot_id in (run.job_snapshot_id, run.plan_snapshot_id):
        if snapshot_id is None:
            continue
        if connection.execute(_SNAPSHOT, {"snapshot_id": snapshot_id}).first() is None:
            raise SnapshotNotFoundError(snapshot_id)
