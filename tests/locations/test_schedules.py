"""Schedules in a code server: what their functions give, raise, and may not give."""

from __future__ import annotations

import os
import signal
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runwire.errors import (
    CodeLocationUnavailableError,
    ScheduleNotFoundError,
    TickEvaluationError,
)
from runwire.locations.evaluators import AT_MOST
from runwire.locations.workspace import LocalWorkspace
from runwire.testing.left_behind import GENEROUS_SECONDS, eventually
from runwire.ticks.tick import RunRequest
from runwire.workspace import CodeLocation, CodeLocationStatus
from tests.locations.conftest import Open, Write

SCHEDULES = """
    import os
    import signal
    import time
    from pathlib import Path
    from runwire import RunRequest, SkipReason, job, op, schedule

    @op
    def load() -> None: ...

    @job
    def nightly():
        load()

    @schedule("30 1 * * *", job=nightly, execution_timezone="Europe/Berlin")
    def told(context):
        return RunRequest(tags={"due": str(context.scheduled_execution_time)})

    @schedule("@daily", job=nightly)
    def skipped():
        return SkipReason("a holiday")

    @schedule("@daily", job=nightly)
    def broken():
        raise KeyError("no such file")

    @schedule("@daily", job=nightly)
    def exits():
        raise SystemExit(3)

    @schedule("@daily", job=nightly)
    def wrong():
        return 3

    @schedule("@daily", job=nightly)
    def hangs():
        time.sleep(3600)

    @schedule("@daily", job=nightly)
    def dies():
        os.kill(os.getpid(), signal.SIGKILL)

    @schedule("@daily", job=nightly)
    def tells_pid():
        return SkipReason(str(os.getpid()))

    @schedule("@daily", job=nightly)
    def waits_for_gate():
        (Path(__file__).parent / "asked").write_text(str(os.getppid()))
        while not (Path(__file__).parent / "gate").exists():
            time.sleep(0.01)
        return SkipReason("the gate is open")
"""


def located(open_workspace: Open, write: Write, **timeouts: float) -> CodeLocation:
    workspace: LocalWorkspace = open_workspace(write(SCHEDULES), **timeouts)
    (location,) = workspace.list_locations()
    assert location.wait_until_settled(GENEROUS_SECONDS)
    return location


def test_a_schedule_is_evaluated_where_its_code_is(open_workspace: Open, write: Write) -> None:
    location = located(open_workspace, write)
    (repository,) = location.state.repositories
    assert [each.name for each in repository.schedules] == [
        "broken", "dies", "exits", "hangs", "skipped", "tells_pid", "told", "waits_for_gate", "wrong",
    ]  # fmt: skip
    name = repository.name

    told = location.evaluate_schedule(name, "told", 1_774_744_200.0)
    assert told.requests == (
        RunRequest(job_name="nightly", tags={"due": "2026-03-29 01:30:00+01:00"}),
    )
    assert location.evaluate_schedule(name, "skipped", 0.0).skip_reason == "a holiday"

    with pytest.raises(TickEvaluationError, match="function of schedule 'broken' raised") as failed:
        location.evaluate_schedule(name, "broken", 0.0)
    assert failed.value.info is not None
    assert [cause.class_name for cause in failed.value.info.causes] == ["KeyError"]
    with pytest.raises(TickEvaluationError, match="3"):
        location.evaluate_schedule(name, "exits", 0.0)
    with pytest.raises(TickEvaluationError, match=r"jobs\.py:\d+: schedule 'wrong': .* gave 3"):
        location.evaluate_schedule(name, "wrong", 0.0)
    with pytest.raises(ScheduleNotFoundError, match="there are: broken, dies, exits"):
        location.evaluate_schedule(name, "gone", 0.0)


def test_a_function_that_hangs_is_stopped_and_holds_nothing(
    open_workspace: Open, write: Write
) -> None:
    """More than there are processes, one after the other; that none is left is looked at after each test."""
    location = located(open_workspace, write, evaluate_seconds=0.1)
    (repository,) = location.state.repositories
    for _ in range(AT_MOST + 1):
        with pytest.raises(TickEvaluationError, match=r"did not end within 0\.1 s; it was stopped"):
            location.evaluate_schedule(repository.name, "hangs", 0.0)
    assert location.state.status is CodeLocationStatus.LOADED


def test_those_that_hang_keep_others_waiting_for_their_time_only(
    open_workspace: Open, write: Write
) -> None:
    location = located(open_workspace, write, evaluate_seconds=2.0)
    (repository,) = location.state.repositories
    with ThreadPoolExecutor(AT_MOST) as pool:
        hanging = [
            pool.submit(location.evaluate_schedule, repository.name, "hangs", 0.0)
            for _ in range(AT_MOST)
        ]
        while sum(each.running() for each in hanging) < AT_MOST:
            time.sleep(0.01)
        for each in hanging:
            assert isinstance(each.exception(GENEROUS_SECONDS), TickEvaluationError)
    assert location.evaluate_schedule(repository.name, "skipped", 0.0).skip_reason == "a holiday"


def test_a_function_that_kills_its_process_harms_nobody_else(
    open_workspace: Open, write: Write
) -> None:
    location = located(open_workspace, write)
    (repository,) = location.state.repositories
    before = location.evaluate_schedule(repository.name, "tells_pid", 0.0).skip_reason
    message = "the function of schedule 'dies' ended its process, which was killed by SIGKILL"
    with pytest.raises(TickEvaluationError, match=message):
        location.evaluate_schedule(repository.name, "dies", 0.0)
    after = location.evaluate_schedule(repository.name, "tells_pid", 0.0).skip_reason
    assert after not in {None, before}
    assert location.evaluate_schedule(repository.name, "tells_pid", 0.0).skip_reason == after


def test_a_process_that_was_killed_while_it_had_nothing_to_do_is_replaced(
    open_workspace: Open, write: Write
) -> None:
    location = located(open_workspace, write)
    (repository,) = location.state.repositories
    first = location.evaluate_schedule(repository.name, "tells_pid", 0.0).skip_reason
    os.kill(int(first or 0), signal.SIGKILL)
    second = location.evaluate_schedule(repository.name, "tells_pid", 0.0).skip_reason
    assert second not in {None, first}


def test_where_forks_are_not_safe_it_is_evaluated_by_a_process_that_is_spawned(
    open_workspace: Open, write: Write
) -> None:
    text = textwrap.dedent(SCHEDULES) + (
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    )
    (location,) = open_workspace(write(text)).list_locations()
    (repository,) = location.state.repositories
    server = location.state.server
    assert server is not None
    told = location.evaluate_schedule(repository.name, "tells_pid", 0.0).skip_reason
    assert location.evaluate_schedule(repository.name, "tells_pid", 0.0).skip_reason == told


def test_a_code_server_that_is_killed_meanwhile_is_replaced_and_asked_again(
    open_workspace: Open, write: Write, tmp_path: Path
) -> None:
    location = located(open_workspace, write)
    (repository,) = location.state.repositories
    asked = tmp_path / "asked"
    with ThreadPoolExecutor(1) as pool:
        evaluation = pool.submit(location.evaluate_schedule, repository.name, "waits_for_gate", 0.0)
        eventually(lambda: asked.exists() and asked.read_text() != "", "it is evaluated")
        forking = int(asked.read_text())
        os.kill(forking, signal.SIGKILL)
        (tmp_path / "gate").touch()
        try:
            assert evaluation.result(GENEROUS_SECONDS).skip_reason == "the gate is open"
        except CodeLocationUnavailableError:
            eventually(
                lambda: location.state.status is CodeLocationStatus.LOADED, "it is loaded anew"
            )
    told = location.evaluate_schedule(repository.name, "waits_for_gate", 0.0)
    assert told.skip_reason == "the gate is open"
