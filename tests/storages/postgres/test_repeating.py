"""What is stored when transactions come in each other's way, and when connections and servers are lost."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, text

from runwire.errors import StorageUnavailableError
from runwire.events.entry import EventLogRecord
from runwire.events.types import EventType
from runwire.runs.run import RunRecord
from runwire.storages.postgres import PostgresStorage
from runwire.storages.postgres import event_log_storage as postgres_log
from runwire.storages.postgres.append import append_at_once
from runwire.storages.postgres.connections import Database, Limits
from runwire.storages.postgres.errors import OutcomeUnknownError
from runwire.storages.postgres.repeating import REPEATS
from runwire.storages.sql.held_run import SqlHeldRun
from runwire.testing.samples import event, launch, lines, messages, positions, read_log
from tests.postgres import PATIENCE_SECONDS, PostgresServer

WRITERS = 4
KILLS = 3


@pytest.fixture
def storage(postgres_url: str) -> Iterator[PostgresStorage]:
    storage = PostgresStorage(postgres_url, Limits(reconnect_seconds=60))
    yield storage
    storage.dispose()


def start(storage: PostgresStorage, run: RunRecord) -> list[EventLogRecord]:
    """Stores a mirrored event, which writes the run's row, its log and the instance-wide log."""
    return storage.store_events(run.run_id, [event(run.run_id, EventType.RUN_START)], epoch=1)


def write_lines(storage: PostgresStorage, run: RunRecord) -> list[EventLogRecord]:
    """Stores log lines as the run's worker."""
    return storage.store_events(run.run_id, lines(run.run_id, 3), epoch=1, known=run)


def check_started_once(storage: PostgresStorage, run: RunRecord) -> None:
    assert [each.event_type for each in read_log(storage, run)] == [
        EventType.RUN_STARTING,
        EventType.RUN_START,
    ]
    record = storage.get_run_record(run.run_id)
    assert record.applied_position == 2
    mirrored = storage.event_log_storage.get_event_records().records
    assert [entry.position for entry in mirrored] == [2, 3]
    assert storage.repair() == 0


def check_not_started(storage: PostgresStorage, run: RunRecord) -> None:
    assert positions(read_log(storage, run)) == [1]
    assert storage.get_run_record(run.run_id) == run
    assert storage.event_log_storage.get_instance_log_span().head == 2


def end_session(server: PostgresServer, connection: Connection) -> None:
    """Ends the session that a connection has, and waits for its end."""
    pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    server.execute(f"SELECT pg_terminate_backend({pid}, 60000)")


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def waiting(url: str) -> list[int]:
    """The sessions of a database that wait for a lock."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT pid FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ).fetchall()
    return [pid for (pid,) in rows]


# ------------------------------------------------------------------------- conflicts


def test_a_transaction_that_loses_a_deadlock_is_done_again(
    storage: PostgresStorage, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = launch(storage)
    append, turns = append_at_once, 0

    with psycopg.connect(postgres_url) as other:
        other.execute("SET deadlock_timeout = '1h'")  # so that the storage is who notices
        other.execute("SELECT * FROM run_heads FOR UPDATE")

        def want_the_run() -> None:
            other.execute("SELECT * FROM runs FOR UPDATE")
            other.commit()

        wanting = threading.Thread(target=want_the_run)

        def append_into_the_deadlock(*arguments: Any) -> list[EventLogRecord] | None:
            nonlocal turns
            turns += 1
            if turns == 1:  # the storage has the row of the run now
                wanting.start()
                wait_until(lambda: bool(waiting(postgres_url)))
            return append(*arguments)

        monkeypatch.setattr(postgres_log, "append_at_once", append_into_the_deadlock)
        stored = start(storage, run)
        wanting.join()
    assert turns == 2
    assert positions(stored) == [2]
    check_started_once(storage, run)


@pytest.mark.parametrize("write", [start, write_lines])
def test_a_transaction_that_cannot_be_serialized_is_done_again(
    storage: PostgresStorage,
    postgres_server: PostgresServer,
    postgres_url: str,
    write: Callable[[PostgresStorage, RunRecord], list[EventLogRecord]],
) -> None:
    run = launch(storage)
    storage.dispose()
    database = postgres_url.rpartition("/")[2]
    postgres_server.execute(
        f"ALTER DATABASE {database} SET default_transaction_isolation = 'repeatable read'"
    )
    stored: list[EventLogRecord] = []
    with psycopg.connect(postgres_url) as other:
        other.execute("UPDATE run_heads SET mirrored_position = mirrored_position")
        writing = threading.Thread(target=lambda: stored.extend(write(storage, run)))
        writing.start()
        wait_until(lambda: bool(waiting(postgres_url)))
        other.commit()
    writing.join()
    assert positions(stored) == list(range(2, len(stored) + 2))
    assert positions(read_log(storage, run)) == list(range(1, len(stored) + 2))


# ------------------------------------------------------------------------- lost connections


@dataclass
class EndOfSessions:
    """Ends the session of a hold before it applies events, so often."""

    server: PostgresServer
    left: int
    turns: int = 0

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        apply = SqlHeldRun.apply

        def applied(held: SqlHeldRun, *arguments: Any) -> None:
            self.turns += 1
            if self.left:
                self.left -= 1
                end_session(self.server, held.connection)
            apply(held, *arguments)

        monkeypatch.setattr(SqlHeldRun, "apply", applied)


def test_a_transaction_whose_connection_is_lost_is_done_again(
    storage: PostgresStorage, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = launch(storage)
    ends = EndOfSessions(postgres_server, left=2)
    ends.install(monkeypatch)
    assert positions(start(storage, run)) == [2]
    assert ends.turns == 3
    check_started_once(storage, run)


def test_a_transaction_that_fails_each_time_is_told_and_leaves_nothing(
    storage: PostgresStorage, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = launch(storage)
    ends = EndOfSessions(postgres_server, left=1000)
    ends.install(monkeypatch)
    with pytest.raises(StorageUnavailableError, match=f"it was tried {REPEATS + 1} times"):
        start(storage, run)
    assert ends.turns == REPEATS + 1
    check_not_started(storage, run)


def test_a_connection_that_is_lost_at_the_commit_is_not_taken_for_a_failure(
    storage: PostgresStorage, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = launch(storage)
    commit, turns = Database._commit, 0

    def lose(database: Database, connection: Connection) -> None:
        nonlocal turns
        turns += 1
        end_session(postgres_server, connection)
        commit(database, connection)

    with monkeypatch.context() as patch:
        patch.setattr(Database, "_commit", lose)
        with pytest.raises(OutcomeUnknownError, match="it may have been stored or not"):
            start(storage, run)
    assert turns == 1
    check_not_started(storage, run)


def test_what_a_worker_appends_is_looked_for_when_its_connection_is_lost_before(
    storage: PostgresStorage, postgres_server: PostgresServer, postgres_url: str
) -> None:
    run = launch(storage)
    stored: list[EventLogRecord] = []
    writing = threading.Thread(target=lambda: stored.extend(write_lines(storage, run)))
    with psycopg.connect(postgres_url) as other:
        other.execute("SELECT * FROM run_heads FOR UPDATE")
        writing.start()
        wait_until(lambda: bool(waiting(postgres_url)))
        [pid] = waiting(postgres_url)
        postgres_server.execute(f"SELECT pg_terminate_backend({pid}, 60000)")
    writing.join()
    assert positions(stored) == [2, 3, 4]
    assert messages(read_log(storage, run)) == ["RUN_STARTING", "line 1", "line 2", "line 3"]


def lose_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection is lost once, after an append was stored and before it was told."""
    append, turns = append_at_once, 0

    def lost(*arguments: Any) -> list[EventLogRecord] | None:
        nonlocal turns
        records = append(*arguments)
        turns += 1
        if turns == 1:
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        return records

    monkeypatch.setattr(postgres_log, "append_at_once", lost)


def test_what_a_worker_appended_is_not_appended_again_when_its_connection_is_lost_after(
    storage: PostgresStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = launch(storage)
    write_lines(storage, run)
    lose_the_answer(monkeypatch)
    stored = write_lines(storage, run)
    assert positions(stored) == [5, 6, 7]
    assert stored == read_log(storage, run)[-3:]
    assert positions(read_log(storage, run)) == list(range(1, 8))


def test_what_an_outsider_appended_is_not_known_when_its_connection_is_lost(
    storage: PostgresStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = launch(storage)
    lose_the_answer(monkeypatch)
    with pytest.raises(OutcomeUnknownError, match="it may have been stored or not"):
        storage.store_events(run.run_id, lines(run.run_id, 1), known=run)
    assert positions(read_log(storage, run)) == [1, 2]


def test_a_read_whose_connection_is_lost_is_done_again(
    storage: PostgresStorage, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = launch(storage)
    reading, turns = Database.reading, 0

    @contextmanager
    def losing(database: Database) -> Iterator[Connection]:
        nonlocal turns
        turns += 1
        with reading(database) as connection:
            if turns == 1:
                end_session(postgres_server, connection)
            yield connection

    monkeypatch.setattr(Database, "reading", losing)
    assert storage.get_run_record(run.run_id) == run
    assert turns == 2


# ------------------------------------------------------------------------- a lost server


@dataclass
class Writer(threading.Thread):
    """Writes a run's log as its worker does, until it is over."""

    storage: PostgresStorage
    run_record: RunRecord
    over: threading.Event
    told: list[EventLogRecord] = field(default_factory=list)
    unknown: int = 0
    failure: BaseException | None = None

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        dice = random.Random(self.run_record.storage_id)
        run_id = self.run_record.run_id
        try:
            while not self.over.is_set():
                entries = dice.choice(
                    [
                        lines(run_id, dice.randrange(1, 20)),
                        [event(run_id, EventType.STEP_SUCCESS, step_key="a")],
                    ]
                )
                self._store(entries)
                try:
                    self._store([event(run_id, EventType.STEP_FAILURE, step_key="a")])
                except OutcomeUnknownError:
                    self.unknown += 1
        except BaseException as error:  # noqa: BLE001 - told by the test
            self.failure = error

    def _store(self, entries: list[Any]) -> None:
        self.told += self.storage.store_events(
            self.run_record.run_id, entries, epoch=1, known=self.run_record
        )


def read_all(storage: PostgresStorage, record: RunRecord) -> list[EventLogRecord]:
    found: list[EventLogRecord] = []
    while True:
        page = storage.event_log_storage.get_records(record, after=len(found))
        found += page.records
        if not page.has_more:
            return found


def test_a_server_that_is_killed_and_starts_again_fails_no_worker_and_halves_nothing(
    storage: PostgresStorage, postgres_server: PostgresServer
) -> None:
    over = threading.Event()
    writers = [Writer(storage, launch(storage), over) for _ in range(WRITERS)]
    for writer in writers:
        writer.start()
    for _ in range(KILLS):
        before = [len(writer.told) for writer in writers]
        wait_until(
            lambda: all(
                writer.failure or len(writer.told) > had + 20
                for writer, had in zip(writers, before, strict=True)  # noqa: B023
            )
        )
        postgres_server.kill()
        postgres_server.start()
    over.set()
    for writer in writers:
        writer.join(PATIENCE_SECONDS)
        assert writer.failure is None
    mirrored: dict[str, list[int]] = {writer.run_record.run_id: [] for writer in writers}
    after = 0
    while page := storage.event_log_storage.get_event_records(after=after, limit=1000).records:
        for entry in page:
            assert entry.event is not None
            mirrored[entry.run_id].append(entry.event.position)
        after = page[-1].position
    for writer in writers:
        log = read_all(storage, writer.run_record)
        assert positions(log) == list(range(1, len(log) + 1))
        told = set(positions(writer.told))
        assert [each for each in log if each.position in told] == writer.told
        # The hand-over, and what was stored though nobody was told.
        assert len(log) - len(told) - 1 <= writer.unknown
        failures = [each.position for each in log if each.event_type is EventType.STEP_FAILURE]
        assert mirrored[writer.run_record.run_id] == [1, *failures]
    assert storage.repair() == 0
