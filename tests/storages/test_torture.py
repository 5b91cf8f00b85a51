"""Whoever reads by position sees 1 to N exactly, of each run and instance-wide, whoever writes, rolls back or dies.

Eight processes write; some are killed and started again. Twenty readers join at random moments.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from runwire.config import ConfigurableClassData
from runwire.errors import StorageUnavailableError
from runwire.runs.run import Run
from runwire.storage import InstanceEventKind, InstanceStorage
from tests.memory import memory_folder
from tests.postgres import PostgresServer
from tests.torture import FULL

pytestmark = [pytest.mark.torture, pytest.mark.timeout(900)]

WRITERS = 8
READERS = 20
RUNS = 4
BATCHES = 400 if FULL else 40
KILLS = 40 if FULL else 5
PATIENCE_SECONDS = 600.0 if FULL else 240.0

ALL_KINDS = tuple(InstanceEventKind)


@dataclass
class Reader(threading.Thread):
    """Reads every run's log and the instance-wide one on and on, each from where it was."""

    storage: InstanceStorage
    run_ids: list[str]
    over: threading.Event
    read: dict[str, list[str]] = field(default_factory=dict)
    failure: str | None = None

    def __post_init__(self) -> None:
        super().__init__(daemon=True)
        self.read = {run_id: [] for run_id in self.run_ids}
        self.instance_log: list[int] = []

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        try:
            while not self.over.is_set():
                self._go_on()
            while self._go_on():
                pass
        except BaseException as error:  # noqa: BLE001 - told by the test
            self.failure = repr(error)

    def _go_on(self) -> bool:
        """Reads what is new; returns whether there was anything."""
        found = 0
        with suppress(StorageUnavailableError):
            for run_id in self.run_ids:
                found += self._read_run(run_id)
            found += self._read_instance_log()
            return found > 0
        time.sleep(0.05)
        return True

    def _read_run(self, run_id: str) -> int:
        after = len(self.read[run_id])
        record = self.storage.get_run_record(run_id)
        page = self.storage.event_log_storage.get_records(record, after=after, limit=100)
        positions = [each.position for each in page.records]
        assert positions == list(range(after + 1, after + 1 + len(positions)))
        self.read[run_id] += [each.message for each in page.records]
        return len(positions)

    def _read_instance_log(self) -> int:
        after = len(self.instance_log)
        page = self.storage.event_log_storage.get_event_records(
            after=after, limit=100, kinds=ALL_KINDS
        )
        positions = [each.position for each in page.records]
        assert positions == list(range(after + 1, after + 1 + len(positions)))
        self.instance_log += positions
        return len(positions)


@dataclass
class Torture:
    """Writers that are started again where they were."""

    data: ConfigurableClassData
    run_ids: list[str]
    folder: Path
    with_control: bool = False
    processes: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    kills: int = 0

    def start(self, writer: int) -> None:
        done = self.notes_of(writer)
        arguments = (
            self.data.to_dict(),
            self.run_ids,
            writer,
            done[-1][0] + 1 if done else 0,
            BATCHES,
            str(self._notes(writer)),
            self.with_control,
        )
        script = Path(__file__).with_name("torture_writer.py")
        self.processes[writer] = subprocess.Popen(
            [sys.executable, str(script), *map(json.dumps, arguments)]
        )

    def notes_of(self, writer: int) -> list[tuple[int, str, list[tuple[int, str]]]]:
        """What a writer was told to have been stored; a line that its death cut short is none."""
        file, notes = self._notes(writer), []
        if file.exists():
            for line in file.read_text(encoding="utf-8").splitlines():
                with suppress(json.JSONDecodeError):
                    notes.append(tuple(json.loads(line)))
        return notes

    def _notes(self, writer: int) -> Path:
        return self.folder / f"writer-{writer}.jsonl"

    def kill_one(self, chance: random.Random) -> None:
        working = [each for each, process in self.processes.items() if process.poll() is None]
        if working:
            writer = chance.choice(working)
            self.processes[writer].kill()
            self.processes[writer].wait()
            file = self._notes(writer)
            if file.exists() and not file.read_text(encoding="utf-8").endswith("\n"):
                with file.open("a", encoding="utf-8") as notes:
                    notes.write("\n")
            self.kills += 1
            self.start(writer)

    @property
    def has_ended(self) -> bool:
        for process in self.processes.values():
            assert process.poll() in (None, 0), f"a writer ended with {process.returncode}"
        return all(process.poll() == 0 for process in self.processes.values())

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()


def torture(
    data: ConfigurableClassData,
    folder: Path,
    *,
    disturb: Callable[[], None] = lambda: None,
    with_control: bool = False,
) -> Torture:
    """Writes, kills and reads to the end, and checks what was read.

    Args:
        data: the storage.
        folder: for notes.
        disturb: called between the kills of writers.
        with_control: whether writers add to the table `plain`.
    """
    storage = data.rehydrate(InstanceStorage)
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")  # noqa: T201 - what a failure is reproduced by
    chance = random.Random(seed)
    runs = [
        storage.run_storage.add_run(Run(job_name="torture", managed=True), created_at=1.0)[0]
        for _ in range(RUNS)
    ]
    made = Torture(data, [run.run_id for run in runs], folder, with_control)
    over = threading.Event()
    readers: list[Reader] = []
    try:
        for writer in range(WRITERS):
            made.start(writer)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not made.has_ended:
            assert time.monotonic() < deadline, "the writers did not end"
            time.sleep(chance.uniform(0.02, 0.3))
            if len(readers) < READERS:
                readers.append(Reader(storage, made.run_ids, over))
                readers[-1].start()
            if made.kills < KILLS and chance.random() < 0.3:
                made.kill_one(chance)
                disturb()
        over.set()
        for reader in readers:
            reader.join(PATIENCE_SECONDS)
        _check(storage, made, readers)
    finally:
        over.set()
        made.close()
        for reader in readers:
            reader.join(30)
        storage.dispose()
    return made


def _check(storage: InstanceStorage, made: Torture, readers: list[Reader]) -> None:
    logs = {run_id: _messages(storage, run_id) for run_id in made.run_ids}
    stored = [message for log in logs.values() for message in log]
    assert len(set(stored)) == len(stored), "a batch was stored twice"
    for writer in range(WRITERS):
        notes = made.notes_of(writer)
        assert [number for number, _, _ in notes] == list(range(BATCHES))
        for _, run_id, told in notes:
            for position, message in told:
                assert logs[run_id][position - 1] == message, "what was acknowledged is not there"
    wanted = {message.rpartition(".")[0] for message in stored}
    assert wanted == {f"{w}-{n}" for w in range(WRITERS) for n in range(BATCHES)}
    heads = storage.event_log_storage.get_event_records(
        descending=True, limit=1, kinds=ALL_KINDS
    ).records
    assert len(readers) > 3
    for reader in readers:
        assert reader.failure is None
        assert reader.read == logs
        assert len(reader.instance_log) == heads[0].position


def _messages(storage: InstanceStorage, run_id: str) -> list[str]:
    record, messages = storage.get_run_record(run_id), list[str]()
    while True:
        page = storage.event_log_storage.get_records(record, after=len(messages))
        messages += [each.message for each in page.records]
        if not page.has_more:
            return messages


@pytest.fixture(params=["sharded", "consolidated"])
def sqlite_data(request: pytest.FixtureRequest, tmp_path: Path) -> ConfigurableClassData:
    config = {"base_dir": str(tmp_path / "home"), "layout": request.param}
    return ConfigurableClassData("runwire.storages.sqlite", "SqliteStorage", config)


def test_on_sqlite_every_reader_sees_each_position_once(
    sqlite_data: ConfigurableClassData, tmp_path: Path
) -> None:
    made = torture(sqlite_data, tmp_path)
    assert made.kills > 0


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server that a test may kill without others noticing."""
    server = PostgresServer(memory_folder())
    try:
        server.start()
        yield server
    finally:
        server.close()


def test_on_postgres_every_reader_sees_each_position_once_though_the_server_is_killed(
    own_server: PostgresServer, tmp_path: Path
) -> None:
    kills = 0

    def kill_server() -> None:
        nonlocal kills
        kills += 1
        own_server.kill()
        own_server.start()

    made = torture(
        postgres_data(own_server.url(own_server.make_database())), tmp_path, disturb=kill_server
    )
    assert made.kills > 0
    assert kills > 0


def test_the_harness_finds_what_a_read_by_auto_increment_loses(
    postgres_url: str, tmp_path: Path
) -> None:
    """The control: ids are given before commits, so a reader that has seen one misses a smaller one."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE plain (id bigserial PRIMARY KEY, message text NOT NULL)")
        connection.execute("CREATE TABLE plain_cursor AS SELECT 0::bigint AS id")
    over, seen = threading.Event(), list[int]()

    def read_plainly() -> None:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            while not over.is_set():
                rows = connection.execute(
                    "SELECT id FROM plain WHERE id > %s ORDER BY id", (seen[-1] if seen else 0,)
                )
                seen.extend(row[0] for row in rows)
                connection.execute("UPDATE plain_cursor SET id = %s", (seen[-1] if seen else 0,))

    reader = threading.Thread(target=read_plainly, daemon=True)
    reader.start()
    torture(postgres_data(postgres_url), tmp_path, with_control=True)
    over.set()
    reader.join(60)
    with psycopg.connect(postgres_url) as connection:
        row = connection.execute("SELECT count(*) FROM plain").fetchone()
    assert row is not None
    assert 0 < len(seen) < row[0]


def postgres_data(url: str) -> ConfigurableClassData:
    return ConfigurableClassData(
        "runwire.storages.postgres", "PostgresStorage", {"postgres_url": url}
    )
