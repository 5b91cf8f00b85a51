"""Jobs behind a server, as people serve them: submitting their runs over HTTP, and reading what became of these."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.programs import served
from runwire import clock
from runwire.events.entry import EventLogRecord
from runwire.events.types import EventType
from runwire.instance import Instance
from runwire.runs.run import RunRecord
from runwire.runs.status import RunStatus

PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.01

SUBMIT = """mutation ($input: SubmitRunInput!) {
  submitRun(input: $input) {
    ... on SubmitRunSuccess { run { runId } }
    ... on UserError { message }
  }
}"""

Variables = dict[str, Any]


class Client:
    """Speaks GraphQL over one HTTP connection."""

    def __init__(self, endpoint: str) -> None:
        place = urlsplit(endpoint)
        self._path = place.path
        self._connection = HTTPConnection(place.hostname or "", place.port, timeout=60)
        self.execute("{ instance { version } }", {})

    def execute(self, query: str, variables: Variables) -> dict[str, Any]:
        """The data of an operation."""
        body = json.dumps({"query": query, "variables": variables})
        self._connection.request("POST", self._path, body, {"content-type": "application/json"})
        answer = json.load(self._connection.getresponse())
        assert "errors" not in answer, answer
        data: dict[str, Any] = answer["data"]
        return data

    def submit(self, job_name: str) -> tuple[float, str]:
        """Submits a run; when the request was sent, by this machine's clock, and the run's id."""
        wanted = {"target": {"newRun": {"job": {"jobName": job_name}}}}
        sent_at = clock.timestamp()
        answer = self.execute(SUBMIT, {"input": wanted})["submitRun"]
        assert "run" in answer, answer
        return sent_at, answer["run"]["runId"]

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()


@dataclass(frozen=True)
class ServedJobs:
    """A server with jobs, and its instance as read from here."""

    endpoint: str
    pid: int
    home: Path
    instance: Instance

    @contextmanager
    def client(self) -> Iterator[Client]:
        """A client of the server."""
        made = Client(self.endpoint)
        try:
            yield made
        finally:
            made.close()

    def wait_for_end(
        self, run_id: str, status: RunStatus | None = RunStatus.SUCCESS
    ) -> list[EventLogRecord]:
        """The log of a run that has ended, in the status that it must have."""
        record = self._wait(run_id, RunRecord.is_finished.fget)  # type: ignore[attr-defined]
        assert status in (None, record.status), record
        return self._log(record)

    def wait_until_started(self, run_id: str) -> None:
        """Waits until a worker has begun a run."""
        self._wait(run_id, lambda record: record.started_at is not None)

    def worker(self, run_id: str) -> int:
        """The pid of the first worker of a run."""
        file = self.home / "storage" / run_id / "worker.1.lock"
        return int(json.loads(file.read_text(encoding="utf-8"))["pid"])

    def processes(self) -> list[int]:
        """The server and all that it has started, directly or not."""
        children: dict[int, list[int]] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                stat = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                children.setdefault(int(stat[1]), []).append(int(folder.name))
        found = [self.pid]
        for pid in found:
            found += children.get(pid, ())
        return found

    def _wait(self, run_id: str, holds: Any) -> RunRecord:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not holds(record := self.instance.storage.get_run_record(run_id)):
            assert time.monotonic() < deadline, record
            time.sleep(POLL_SECONDS)
        return record

    def _log(self, record: RunRecord) -> list[EventLogRecord]:
        events: list[EventLogRecord] = []
        while True:
            after = events[-1].position if events else 0
            page = self.instance.storage.event_log_storage.get_records(record, after=after)
            events += page.records
            if not page.has_more:
                return events


@contextmanager
def served_jobs(folder: Path, source: str) -> Iterator[ServedJobs]:
    """`runwire dev` on a file with jobs, in an empty folder, once they are loaded."""
    file = folder / "jobs.py"
    file.write_text(source, encoding="utf-8")
    home = folder / "home"
    home.mkdir()
    with ExitStack() as stack:
        process, endpoint = stack.enter_context(served(home, "dev", "-f", str(file), "--no-reload"))
        instance = stack.enter_context(Instance.from_home(home))
        made = ServedJobs(endpoint, process.pid, home, instance)
        with made.client() as client:
            _wait_until_loaded(client)
        yield made


def _wait_until_loaded(client: Client) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        [location] = client.execute("{ codeLocations { status } }", {})["codeLocations"]
        if location["status"] == "LOADED":
            return
        assert location["status"] == "LOADING", location
        assert time.monotonic() < deadline, location
        time.sleep(POLL_SECONDS)


def instant_of(events: list[EventLogRecord], event_type: EventType) -> float:
    """When the first event of a type was told."""
    return next(event.timestamp for event in events if event.event_type is event_type)
