"""Backfills in the database of the runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    bindparam,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)

from runwire.errors import BackfillAlreadyExistsError, BackfillNotFoundError
from runwire.events.entry import storable_text
from runwire.storage.backfill_storage import (
    ACTIVE_BACKFILL,
    Backfill,
    BackfillFailure,
    BackfillFailuresPage,
    BackfillScope,
    BackfillsFilter,
    BackfillsPage,
    BackfillStatus,
    BackfillStorage,
)
from runwire.storage.run_storage import RequestKey
from runwire.storages.sql.dialect import serialize
from runwire.storages.sql.rows import as_json
from runwire.storages.sql.run_storage import SqlRunStorage
from runwire.storages.sql.tables import BACKFILLS, backfill_failures, backfills
from runwire.storages.stored_backfills import (
    decode_config,
    decode_error,
    decode_selection,
    decode_tags,
    rewritten,
    stored_backfill,
    stored_failure,
)

_BY_ID = select(backfills).where(backfills.c.backfill_id == bindparam("id"))
_BY_REQUEST = select(backfills).where(backfills.c.request_key == bindparam("key"))
_SET = update(backfills).where(backfills.c.number == bindparam("of"))
_OF_BACKFILL = backfill_failures.c.number == bindparam("of")
_FAILURES = (
    select(backfill_failures)
    .join(backfills, backfills.c.number == backfill_failures.c.number)
    .where(
        backfills.c.backfill_id == bindparam("id"),
        backfill_failures.c.position > bindparam("after"),
    )
    .order_by(backfill_failures.c.position)
    .limit(bindparam("limit"))
)
_FORGET_ALL = delete(backfill_failures).where(_OF_BACKFILL)
_FORGET = _FORGET_ALL.where(backfill_failures.c.position == bindparam("at"))
_ACTIVE = sorted(status.value for status in ACTIVE_BACKFILL)
_COUNTS = (
    select(backfills.c.status, func.count().label("found"))
    .where(backfills.c.status.in_(_ACTIVE))
    .group_by(backfills.c.status)
)


class SqlBackfillStorage(BackfillStorage):
    """Keeps backfills beside the runs.

    Who writes has locked the row of the backfill before, so those who do so at once follow one another.

    Args:
        runs: the runs, which bring connections and transactions, and are disposed of by others.
    """

    def __init__(self, runs: SqlRunStorage) -> None:
        self._runs = runs

    def add_backfill(
        self, backfill: Backfill, request: RequestKey | None = None
    ) -> tuple[Backfill, bool]:
        stored = stored_backfill(backfill)
        with self._runs.writing() as connection:
            if request is not None:
                serialize(connection, f"backfill {request.key}")
                row = connection.execute(_BY_REQUEST, {"key": request.key}).first()
                if row is not None:
                    if row.request_digest != request.digest:
                        raise BackfillAlreadyExistsError(row.backfill_id, request.key)
                    return _backfill(row), False
            adding = insert(backfills).returning(backfills.c.number)
            number = connection.execute(adding, _all_values(stored, request)).scalar_one()
            return replace(stored, number=number), True

    def find_backfill(self, backfill_id: str) -> Backfill | None:
        with self._runs.reading() as connection:
            return _find(connection, backfill_id)

    def get_backfills(
        self, filter: BackfillsFilter | None = None, *, before: int | None = None, limit: int
    ) -> BackfillsPage:
        wanted = select(backfills).where(*_conditions(filter))
        if before is not None:
            wanted = wanted.where(backfills.c.number < before)
        wanted = wanted.order_by(backfills.c.number.desc()).limit(limit + 1)
        with self._runs.reading() as connection:
            found = list(map(_backfill, connection.execute(wanted)))
        return BackfillsPage(found[:limit], len(found) > limit)

    def get_backfills_count(self, filter: BackfillsFilter | None = None, *, limit: int) -> int:
        matching = (
            select(literal(1)).select_from(backfills).where(*_conditions(filter)).limit(limit)
        )
        with self._runs.reading() as connection:
            counted = select(func.count()).select_from(matching.subquery())
            count: int = connection.execute(counted).scalar_one()
        return count

    def update_backfill(
        self,
        backfill: Backfill,
        *,
        failed: Sequence[BackfillFailure] = (),
        forget_failures: bool = False,
    ) -> Backfill:
        with self._runs.writing() as connection:
            stored = _find(connection, backfill.backfill_id, lock=True)
            if stored is None:
                raise BackfillNotFoundError(backfill.backfill_id)
            changed = rewritten(stored, backfill)
            connection.execute(_SET, {"of": changed.number, **_values(changed)})
            if forget_failures:
                connection.execute(_FORGET_ALL, {"of": changed.number})
            for failure in map(stored_failure, failed):
                connection.execute(_FORGET, {"of": changed.number, "at": failure.position})
                connection.execute(
                    insert(backfill_failures), _failure_values(changed.number, failure)
                )
            return changed

    def get_backfill_failures(
        self, backfill_id: str, *, after: int = -1, limit: int
    ) -> BackfillFailuresPage:
        wanted = {"id": storable_text(backfill_id), "after": after, "limit": limit + 1}
        with self._runs.reading() as connection:
            found = list(map(_failure, connection.execute(_FAILURES, wanted)))
        return BackfillFailuresPage(found[:limit], len(found) > limit)

    def get_backfill_counts(self) -> Mapping[BackfillStatus, int]:
        with self._runs.reading() as connection:
            return {BackfillStatus(row.status): row.found for row in connection.execute(_COUNTS)}

    def wipe(self) -> None:
        with self._runs.writing() as connection:
            for table in BACKFILLS:
                connection.execute(delete(table))


def _conditions(filter: BackfillsFilter | None) -> list[ColumnElement[bool]]:
    if filter is None:
        return []
    columns = backfills.c
    conditions: list[ColumnElement[bool]] = []
    if filter.statuses is not None:
        conditions.append(columns.status.in_(sorted(each.value for each in filter.statuses)))
    named = {
        columns.job_name: filter.job_name,
        columns.repository_name: filter.repository_name,
        columns.location_name: filter.location_name,
    }
    conditions += [
        column == storable_text(name) for column, name in named.items() if name is not None
    ]
    return conditions


def _find(connection: Connection, backfill_id: str, *, lock: bool = False) -> Backfill | None:
    wanted = _BY_ID.with_for_update() if lock else _BY_ID
    row = connection.execute(wanted, {"id": storable_text(backfill_id)}).first()
    return None if row is None else _backfill(row)


def _all_values(backfill: Backfill, request: RequestKey | None) -> dict[str, Any]:
    config = backfill.run_config
    return {
        "backfill_id": backfill.backfill_id,
        "location_name": backfill.location_name,
        "repository_name": backfill.repository_name,
        "job_name": backfill.job_name,
        "selection": as_json(backfill.selection),
        "scope": backfill.scope.value,
        "runs_at_once": backfill.runs_at_once,
        "tags": as_json(backfill.tags),
        "run_config": None if config is None else as_json(config),
        "requested_by": backfill.requested_by,
        "created_at": backfill.created_at,
        "request_key": None if request is None else request.key,
        "request_digest": None if request is None else request.digest,
        **_values(backfill),
    }


def _values(backfill: Backfill) -> dict[str, Any]:
    """What changes of a backfill."""
    error = backfill.error
    return {
        "status": backfill.status.value,
        "attempt": backfill.attempt,
        "position": backfill.position,
        "skipped": backfill.skipped,
        "unmade": backfill.unmade,
        "terminates_runs": backfill.terminates_runs,
        "waiting": backfill.waiting,
        "error": None if error is None else as_json(error),
        "ended_at": backfill.ended_at,
        "version": backfill.version,
    }


def _backfill(row: Row[Any]) -> Backfill:
    return Backfill(
        number=row.number,
        backfill_id=row.backfill_id,
        location_name=row.location_name,
        repository_name=row.repository_name,
        job_name=row.job_name,
        selection=decode_selection(row.selection),
        scope=BackfillScope(row.scope),
        runs_at_once=row.runs_at_once,
        tags=decode_tags(row.tags),
        run_config=None if row.run_config is None else decode_config(row.run_config),
        status=BackfillStatus(row.status),
        attempt=row.attempt,
        position=row.position,
        skipped=row.skipped,
        unmade=row.unmade,
        terminates_runs=row.terminates_runs,
        waiting=row.waiting,
        error=None if row.error is None else decode_error(row.error),
        requested_by=row.requested_by,
        created_at=row.created_at,
        ended_at=row.ended_at,
        version=row.version,
    )


def _failure_values(number: int, failure: BackfillFailure) -> dict[str, Any]:
    return {
        "number": number,
        "position": failure.position,
        "partition_key": failure.partition_key,
        "error": as_json(failure.error),
        "failed_at": failure.failed_at,
    }


def _failure(row: Row[Any]) -> BackfillFailure:
    return BackfillFailure(
        position=row.position,
        partition_key=row.partition_key,
        error=decode_error(row.error),
        failed_at=row.failed_at,
    )
