"""Retries by real daemons that are killed wherever one can be cut off: exactly as many attempts as wanted."""

from __future__ import annotations

import signal
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from runwire.fault_points import RETRY_FAULT_POINTS
from runwire.instance import Instance
from runwire.runs import RunRecord, RunStatus
from runwire.runs.filters import OLDEST_FIRST
from runwire.testing.left_behind import eventually
from tests.end_to_end.conftest import Server, StartDaemon, storage_setting
from tests.torture import crossed

PATIENCE = 30.0

JOBS = """
    from pathlib import Path

    from runwire import OpContext, job, op

    HERE = Path(__file__).parent

    @op
    def load(context: OpContext) -> int:
        with (HERE / "notes").open("a") as notes:
            print("load", file=notes)
        return 1

    @op
    def fail(context: OpContext, number: int) -> None:
        with (HERE / "notes").open("a") as notes:
            print("fail", file=notes)
        raise ValueError("no")

    @job(tags={"runwire/max_retries": "3"})
    def etl():
        fail(load())
"""
YAML = """
daemons: {lease_seconds: 1, heartbeat_interval_seconds: 0.2, heartbeat_tolerance_seconds: 2}
run_retries: {enabled: true}
"""

SUBMIT = """mutation ($input: SubmitRunInput!) {
  submitRun(input: $input) { __typename ... on SubmitRunSuccess { run { runId } } }
}"""


@pytest.fixture
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    (tmp_path / "runwire.yaml").write_text(YAML + storage_setting(request, request.param))
    (tmp_path / "jobs.py").write_text(textwrap.dedent(JOBS))
    return tmp_path


@pytest.fixture
def server(home: Path) -> Iterator[Server]:
    server = Server(home)
    server.start("serve", "-f", str(home / "jobs.py"))
    yield server
    server.stop()


@pytest.mark.torture
@pytest.mark.parametrize(
    ("point", "home"), crossed(RETRY_FAULT_POINTS, ["sharded", "postgres"]), indirect=["home"]
)
def test_a_daemon_that_is_killed_in_a_retry_gives_each_failed_run_one(
    point: str, home: Path, server: Server, start_daemon: StartDaemon
) -> None:
    with Instance.from_home(home) as instance:
        storage = instance.storage
        consumer = f"RUN_RETRIES {storage.event_log_storage.get_instance_log_id()}"
        doomed = start_daemon(f"{point}:{home / 'died'}")
        eventually(
            lambda: storage.run_storage.find_consumer_position(consumer) is not None,
            "the daemon follows the log",
        )
        answer = server.execute(SUBMIT, input={"target": {"newRun": {"job": {"jobName": "etl"}}}})
        assert answer["submitRun"]["__typename"] == "SubmitRunSuccess"
        assert doomed.wait(PATIENCE) == -signal.SIGKILL
        start_daemon("")
        start_daemon("")

        def runs() -> list[RunRecord]:
            return storage.run_storage.get_run_records(order=OLDEST_FIRST, limit=99).records

        def told(record: RunRecord) -> list[str]:
            page = storage.event_log_storage.get_records(record)
            return [e.message for e in page.records if "retr" in e.message]

        def is_over() -> bool:
            return any(
                message == "The run is not retried: it was the last retry of 3."
                for message in told(runs()[-1])
            )

        eventually(is_over, "the last retry has failed")
        assert [record.status for record in runs()] == [RunStatus.FAILURE] * 4
        assert [record.run.parent_run_id for record in runs()] == [
            None,
            *(record.run_id for record in runs()[:3]),
        ]
        assert [record.run.tags.get("runwire/retry_number") for record in runs()] == [
            None,
            "1",
            "2",
            "3",
        ]
        assert [len(told(record)) for record in runs()] == [1, 2, 2, 2]
        assert (home / "notes").read_text().split() == ["load", *["fail"] * 4]
