"""Code servers of ours: started again when they end, replaced when they are to load anew."""

from __future__ import annotations

import os
import signal
import textwrap
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from runwire.errors import CodeLocationUnavailableError
from runwire.locations import local_location
from runwire.locations.local_location import LocalCodeLocation
from runwire.locations.restart_delays import RestartDelays
from runwire.testing.left_behind import GENEROUS_SECONDS, eventually, is_alive, pause
from runwire.workspace import CodeLocation, CodeLocationState, CodeLocationStatus, Workspace
from tests.locations.conftest import Open, Write
from tests.locations.processes import code_servers, server_pid

LOADING, LOADED = CodeLocationStatus.LOADING, CodeLocationStatus.LOADED
FAILED, UNREACHABLE = CodeLocationStatus.FAILED, CodeLocationStatus.UNREACHABLE

JOBS = """
    from runwire import job, op

    @op
    def {op}() -> None: ...

    @job
    def {job}():
        {op}()
"""

GATED = """
    import time
    from pathlib import Path
    from pydantic import BaseModel, field_validator
    from runwire import job, op

    class Config(BaseModel):
        gate: str

        @field_validator("gate")
        def wait(cls, gate):
            Path(gate + ".reached").touch()
            end = time.monotonic() + 60
            while not Path(gate).exists() and time.monotonic() < end:
                time.sleep(0.01)
            return gate

    @op
    def {op}(config: Config) -> None: ...

    @job
    def gated():
        {op}()
"""


def _jobs(job: str = "sales", op: str = "load", before: str = "") -> str:
    """A file with a job of one op, and something that happens first when it is loaded."""
    return textwrap.dedent(before) + textwrap.dedent(JOBS.format(job=job, op=op))


def _job_names(location: CodeLocation) -> list[str]:
    return [job.name for repository in location.state.repositories for job in repository.jobs]


def _steps(location: CodeLocation, job: str = "sales") -> list[str]:
    return [step.step_key for step in location.plan_run("__repository__", job, {}).steps]


def _as_told(state: CodeLocationState) -> tuple[CodeLocationStatus, str]:
    return state.status, "" if state.load_error is None else state.load_error.message


def _local(workspace: Workspace, name: str = "jobs") -> LocalCodeLocation:
    location = workspace.get_location(name)
    assert isinstance(location, LocalCodeLocation)
    return location


def _watched(workspace: Workspace) -> list[CodeLocationState]:
    told: list[CodeLocationState] = []
    workspace.watch(told.append)
    return told


@pytest.fixture
def pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=8)


# --------------------------------------------------------------------------------------- restarts


def test_a_server_that_is_killed_is_started_again(write: Write, open_workspace: Open) -> None:
    workspace = open_workspace(write(_jobs()))
    location = _local(workspace)
    before, pid, told = location.state, server_pid(location), _watched(workspace)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: len(told) == 2, "it is started again")
    after = location.state
    assert [state.status for state in told] == [LOADING, LOADED]
    assert told[0] == replace(before, status=LOADING, server=None, updated_at=told[0].updated_at)
    assert after == told[1]
    assert after.server is not None
    assert before.server is not None
    assert after.server.server_id != before.server.server_id
    assert after.repositories == before.repositories
    assert server_pid(location) != pid
    assert _steps(location) == ["load"]


def test_a_call_after_the_death_waits_for_the_next_server(
    write: Write, open_workspace: Open
) -> None:
    """Whichever comes first, the call or the notice of the death."""
    location = _local(open_workspace(write(_jobs())))
    for _ in range(3):
        os.kill(server_pid(location), signal.SIGKILL)
        assert _steps(location) == ["load"]
        location._delays = RestartDelays()
        assert location.wait_until_settled(GENEROUS_SECONDS)


def test_a_call_that_waits_too_long_tells_how_the_server_ended(
    write: Write, open_workspace: Open, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    file = write(
        _jobs(
            before=f"""
        import time
        from pathlib import Path
        while Path({str(gate)!r}).exists():
            time.sleep(0.01)
        """
        )
    )
    location = _local(open_workspace(file, settle_seconds=0.2))
    pid = server_pid(location)
    gate.touch()
    try:
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: location.state.status is LOADING, "the death is noticed")
        with pytest.raises(
            CodeLocationUnavailableError,
            match=rf"it is LOADING \(its process \(pid {pid}\) was killed by SIGKILL\)",
        ):
            _steps(location)
    finally:
        gate.unlink()
    eventually(lambda: location.state.status is LOADED, "it is loaded again")


def test_the_process_that_answers_may_be_killed_as_well(write: Write, open_workspace: Open) -> None:
    workspace = open_workspace(write(_jobs()))
    location = _local(workspace)
    pid, told = server_pid(location), _watched(workspace)
    [answering] = [int(child) for child in _children(pid)]
    os.kill(answering, signal.SIGKILL)
    eventually(lambda: told and told[-1].status is LOADED, "it is started again")
    assert _steps(location) == ["load"]
    eventually(lambda: not is_alive(pid), "nothing is left of the first")


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()


def test_the_second_death_in_a_minute_is_waited_out(
    write: Write, open_workspace: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    lived: list[float] = []

    class Delays(RestartDelays):
        def next(self, lived_seconds: float) -> float:
            lived.append(lived_seconds)
            return super().next(lived_seconds) / 100

    monkeypatch.setattr(local_location, "RestartDelays", Delays)
    workspace = open_workspace(write(_jobs()))
    location, told = _local(workspace), _watched(workspace)
    for deaths in (1, 2):
        os.kill(server_pid(location), signal.SIGKILL)
        eventually(lambda n=deaths: len(told) == 2 * n, "it is started again")  # type: ignore[misc]
    assert [state.status for state in told] == [LOADING, LOADED] * 2
    assert len(lived) == 2


def test_what_is_killed_while_it_loads_is_started_again(
    write: Write, open_workspace: Open, tmp_path: Path
) -> None:
    """A signal comes from outside; the definitions may be well."""
    file = write(
        _jobs(
            before="""
        import os, signal
        from pathlib import Path
        mark = Path(__file__).with_name("killed")
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        """
        )
    )
    location = _local(open_workspace(file))
    eventually(lambda: location.state.status is LOADED, "it is loaded")
    assert _job_names(location) == ["sales"]


def test_a_restart_that_fails_is_tried_again(write: Write, open_workspace: Open) -> None:
    file = write(_jobs())
    workspace = open_workspace(file)
    location, told = _local(workspace), _watched(workspace)
    write("raise ValueError('the database is away')")
    os.kill(server_pid(location), signal.SIGKILL)
    eventually(lambda: location.state.status is FAILED, "it cannot be loaded")
    write(_jobs())
    eventually(lambda: location.state.status is LOADED, "it is loaded")
    statuses = [state.status for state in told]
    assert statuses[0] is LOADING
    assert set(statuses[1:-1]) == {FAILED}
    assert statuses[-1] is LOADED


def test_a_first_load_that_failed_is_not_tried_again(write: Write, open_workspace: Open) -> None:
    location = _local(open_workspace(write("raise ValueError('no')")))
    pid, failed = server_pid(location), location.state
    assert location._restart_at is None
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: location.state.server is None, "the death is noticed")
    assert location.state == replace(failed, server=None)
    assert location._restart_at is None
    eventually(lambda: not code_servers(), "no other is started")


def test_a_server_that_does_not_answer_is_unreachable_until_it_does(
    write: Write, open_workspace: Open
) -> None:
    workspace = open_workspace(write(_jobs()), call_seconds=0.2)
    location = _local(workspace)
    loaded, told, pid = location.state, _watched(workspace), server_pid(location)
    stopped = [int(child) for child in _children(pid)]
    pause(*stopped)
    try:
        with pytest.raises(CodeLocationUnavailableError, match=r"did not answer PlanRun within"):
            _steps(location)
        silent = location.state
        assert _as_told(silent) == (UNREACHABLE, "it did not answer Ping within 1 s")
        assert (silent.server, silent.repositories) == (loaded.server, loaded.repositories)
    finally:
        for process in stopped:
            os.kill(process, signal.SIGCONT)
    eventually(lambda: location.state.status is LOADED, "it answers again")
    assert location.state == replace(loaded, updated_at=location.state.updated_at)
    assert [state.status for state in told] == [UNREACHABLE, LOADED]


# ---------------------------------------------------------------------------------------- reloads


def test_a_reload_picks_up_a_changed_file(write: Write, open_workspace: Open) -> None:
    workspace = open_workspace(write(_jobs()))
    location, told = _local(workspace), _watched(workspace)
    pid = server_pid(location)
    write(_jobs("sales", "store"))
    location.reload()
    assert _steps(location) == ["store"]
    assert told == [location.state]
    assert server_pid(location) != pid
    eventually(lambda: not is_alive(pid), "the old server has ended")


def test_calls_go_to_the_old_server_until_the_new_one_is_there(
    write: Write, open_workspace: Open, tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    location = _local(open_workspace(write(_jobs())))
    gate = tmp_path / "gate"
    write(
        _jobs(
            "sales",
            "store",
            before=f"""
        import time
        from pathlib import Path
        Path({str(gate)!r} + ".reached").touch()
        while not Path({str(gate)!r}).exists():
            time.sleep(0.01)
        """,
        )
    )
    reload = pool.submit(location.reload)
    eventually(lambda: gate.with_name("gate.reached").exists(), "the new one loads")
    assert (location.state.status, _steps(location)) == (LOADED, ["load"])
    gate.touch()
    reload.result(GENEROUS_SECONDS)
    assert (location.state.status, _steps(location)) == (LOADED, ["store"])


def test_a_call_that_the_old_server_is_answering_is_answered(
    write: Write, open_workspace: Open, tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    location = _local(open_workspace(write(GATED.format(op="before"))))
    gate, pid = tmp_path / "gate", server_pid(location)
    plan = pool.submit(
        location.plan_run,
        "__repository__",
        "gated",
        {"ops": {"before": {"config": {"gate": str(gate)}}}},
    )
    eventually(lambda: gate.with_name("gate.reached").exists(), "the call has begun")
    write(GATED.format(op="after"))
    location.reload()
    assert is_alive(pid)
    gate.touch()
    assert [step.step_key for step in plan.result(GENEROUS_SECONDS).steps] == ["before"]
    eventually(lambda: not is_alive(pid), "the old server has ended")


def test_a_server_is_told_to_end_once_no_call_of_it_is_under_way(
    write: Write, open_workspace: Open
) -> None:
    location = _local(open_workspace(write(_jobs())))
    pid = server_pid(location)
    with location._borrowed_client():
        location.reload()
        [retiring] = [t for t in threading.enumerate() if t.name == f"runwire-retire-{pid}"]
        retiring.join(0.5)
        assert retiring.is_alive()
        assert is_alive(pid)
    retiring.join(GENEROUS_SECONDS)
    eventually(lambda: not is_alive(pid), "the old server has ended")


def test_what_does_not_load_any_more_is_failed_and_keeps_what_it_had(
    write: Write, open_workspace: Open
) -> None:
    location = _local(open_workspace(write(_jobs())))
    loaded, pid = location.state, server_pid(location)
    write("raise ValueError('half written')")
    location.reload()
    status, problem = _as_told(location.state)
    assert (status, location.state.repositories) == (FAILED, loaded.repositories)
    assert problem.endswith("ValueError: half written")
    with pytest.raises(CodeLocationUnavailableError, match=r"it is FAILED .*half written"):
        _steps(location)
    eventually(lambda: not is_alive(pid), "the old server has ended")
    write(_jobs("sales", "store"))
    location.reload()
    assert _as_told(location.state) == (LOADED, "")
    assert _steps(location) == ["store"]


def test_a_new_server_that_dies_while_loading_fails_the_location(
    write: Write, open_workspace: Open
) -> None:
    location = _local(open_workspace(write(_jobs())))
    write("import os\nos._exit(7)\n")
    location.reload()
    status, problem = _as_told(location.state)
    assert (status, location.state.server) == (FAILED, None)
    assert problem.endswith("ended with exit code 7 while it loaded the definitions")
    eventually(lambda: not code_servers(), "both have ended")


def test_reloads_at_a_time_share_one_load(
    write: Write, open_workspace: Open, tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    """Those who ask while one is being loaded get the next: what it reads may be from before they asked."""
    gate = tmp_path / "gate"
    gate.touch()
    file = write(
        _jobs(
            before=f"""
        import time
        from pathlib import Path
        with Path(__file__).with_name("loads").open("a") as loads:
            loads.write("x")
        while not Path({str(gate)!r}).exists():
            time.sleep(0.01)
        """
        )
    )
    loads = tmp_path / "loads"
    location = _local(open_workspace(file))
    gate.unlink()
    first = pool.submit(location.reload)
    eventually(lambda: loads.read_text() == "xx", "the first reload has begun")
    rest = [pool.submit(location.reload) for _ in range(5)]
    eventually(lambda: location._wanted == 3, "another load is wanted")
    assert not any(future.done() for future in (first, *rest))
    gate.touch()
    for future in (first, *rest):
        future.result(GENEROUS_SECONDS)
    assert loads.read_text() == "xxx"


def test_a_reload_mends_what_does_not_answer(write: Write, open_workspace: Open) -> None:
    location = _local(open_workspace(write(_jobs()), call_seconds=0.2, end_grace_seconds=0.2))
    pid = server_pid(location)
    stopped = [pid, *(int(child) for child in _children(pid))]
    pause(*stopped)
    with pytest.raises(CodeLocationUnavailableError):
        _steps(location)
    location.reload()
    assert location.state.status is LOADED
    eventually(lambda: not is_alive(pid), "the old one is ended")


def test_dispose_ends_servers_that_still_load(
    write: Write, open_workspace: Open, pool: ThreadPoolExecutor
) -> None:
    workspace = open_workspace(write(_jobs()), end_grace_seconds=0.2)
    location = _local(workspace)
    write("import threading\nthreading.Event().wait()\n")
    reload: Future[None] = pool.submit(location.reload)
    eventually(lambda: len(code_servers()) == 2, "the new one loads")
    workspace.dispose()
    reload.result(GENEROUS_SECONDS)
    assert code_servers() == set()


# --------------------------------------------------------------------------------------- watching


def test_a_watcher_that_fails_does_not_keep_others_from_hearing(
    write: Write, open_workspace: Open, caplog: pytest.LogCaptureFixture
) -> None:
    workspace = open_workspace(write(_jobs()))

    def fail(_state: CodeLocationState) -> None:
        raise ValueError("not today")

    workspace.watch(fail)
    told = _watched(workspace)
    _local(workspace).reload()
    assert [state.status for state in told] == [LOADED]
    assert "a watcher of code locations failed on jobs" in caplog.text


def test_an_ended_watch_hears_nothing(write: Write, open_workspace: Open) -> None:
    workspace = open_workspace(write(_jobs()))
    heard: list[CodeLocationState] = []
    callback: Callable[[CodeLocationState], None] = heard.append
    workspace.watch(callback)
    workspace.end_watch(callback)
    workspace.end_watch(callback)
    _local(workspace).reload()
    assert heard == []


def test_calls_that_go_on_during_reloads_are_all_answered(
    write: Write, open_workspace: Open, pool: ThreadPoolExecutor
) -> None:
    location = _local(open_workspace(write(_jobs()), settle_seconds=GENEROUS_SECONDS))
    done = threading.Event()

    def call() -> int:
        count = 0
        while not done.is_set():
            assert _steps(location) == ["load"]
            count += 1
        return count

    calls = [pool.submit(call) for _ in range(3)]
    try:
        for _ in range(3):
            location.reload()
    finally:
        done.set()
    assert all(future.result(GENEROUS_SECONDS) for future in calls)


def test_source_files_are_told(write: Write, open_workspace: Open, tmp_path: Path) -> None:
    neighbour = write(_jobs(), "neighbour_of_jobs.py")
    file = write("from neighbour_of_jobs import sales\n")
    broken = write("import neighbour_of_jobs\n1 / 0\n", "broken.py")
    workspace = open_workspace(file, broken, tmp_path / "missing.py")
    assert _local(workspace).source_files == {str(file), str(neighbour)}
    assert _local(workspace, "broken").source_files == {str(broken), str(neighbour)}
    assert _local(workspace, "missing").source_files == {str(tmp_path / "missing.py")}
