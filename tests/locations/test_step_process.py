"""Steps in processes of their own: what the log says of them, whatever they do to their processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from runwire.events.metadata import normalize_metadata
from runwire.events.payloads import (
    AssetEventData,
    EngineEventData,
    RunFailureData,
    RunFailureReason,
    StepErrorSource,
    StepFailureData,
)
from runwire.events.types import EventType, LogLevel
from runwire.instance import Instance
from runwire.runs.status import RunStatus
from runwire.testing.left_behind import eventually, is_alive
from tests.locations import step_runs
from tests.locations.step_runs import StepRuns, fork_server


@pytest.fixture(scope="module")
def fork_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with fork_server(tmp_path_factory.mktemp("f")) as path:
        yield path


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    home = tmp_path / "home"
    home.mkdir()
    with Instance.from_home(home) as instance:
        yield instance


@pytest.fixture
def runs(instance: Instance, fork_socket: str) -> StepRuns:
    """Runs whose steps are forked."""
    return StepRuns(instance, fork_socket)


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    folder = tmp_path / "marks"
    folder.mkdir()
    return folder


def pid_in(file: Path) -> int:
    eventually(file.exists, f"{file.name} is there")
    return int(file.read_text())


def failures(runs: StepRuns) -> list[tuple[str | None, str]]:
    """Each STEP_FAILURE of the log: its step and message."""
    kind = EventType.STEP_FAILURE
    return [(r.step_key, r.message) for r in runs.events() if r.event_type is kind]


def lines_of(runs: StepRuns, step_key: str | None) -> list[str]:
    """The lines that user code logged in a step."""
    return [r.message for r in runs.events() if r.stored_type is None and r.step_key == step_key]


# ---------------------------------------------------------------------------- what succeeds


def test_the_steps_of_a_chain_run_one_after_another_each_in_its_own_process(
    runs: StepRuns,
) -> None:
    assert runs.execute("chain") is RunStatus.SUCCESS
    steps = ["one", "add", *(f"add_{number}" for number in range(2, 20))]
    starts = [r.step_key for r in runs.events() if r.event_type is EventType.STEP_START]
    assert starts == steps
    assert runs.types_of("one") == [
        "STEP_WORKER_STARTING",
        "STEP_WORKER_STARTED",
        "STEP_START",
        "STEP_OUTPUT",
        "HANDLED_OUTPUT",
        "STEP_SUCCESS",
    ]
    assert all(
        runs.types_of(step)
        == [
            "STEP_WORKER_STARTING",
            "STEP_WORKER_STARTED",
            "STEP_START",
            "LOADED_INPUT",
            "STEP_INPUT",
            "STEP_OUTPUT",
            "HANDLED_OUTPUT",
            "STEP_SUCCESS",
        ]
        for step in steps[1:]
    )
    data = [r.data for r in runs.events() if r.event_type is EventType.STEP_WORKER_STARTED]
    pids = {data.metadata[0].value for data in data if isinstance(data, EngineEventData)}
    assert len(pids) == 20


def test_a_fan_runs_its_steps_at_once_and_keeps_the_events_of_each_in_order(
    runs: StepRuns,
) -> None:
    assert runs.execute("fan") is RunStatus.SUCCESS
    assert [r.position for r in runs.events()] == list(range(1, len(runs.events()) + 1))
    usual = [
        "STEP_WORKER_STARTING",
        "STEP_WORKER_STARTED",
        "STEP_START",
        "LOADED_INPUT",
        "STEP_INPUT",
        "STEP_OUTPUT",
        "HANDLED_OUTPUT",
        "STEP_SUCCESS",
    ]
    assert [runs.types_of(f"add_{number}") for number in range(98)] == [usual] * 98
    assert runs.types_of("total") == [*usual[:3], *["LOADED_INPUT"] * 98, *usual[4:]]


def test_a_step_that_a_former_worker_had_begun_begins_again(runs: StepRuns) -> None:
    assert runs.go_on("chain", begun="one") is RunStatus.SUCCESS
    assert [(r.stored_type, r.epoch) for r in runs.of_step("one")] == [
        ("STEP_START", 1),
        ("STEP_WORKER_STARTING", 2),
        ("STEP_WORKER_STARTED", 2),
        ("STEP_RESTARTED", 2),
        ("STEP_OUTPUT", 2),
        ("HANDLED_OUTPUT", 2),
        ("STEP_SUCCESS", 2),
    ]
    assert runs.types_of("add")[2] == "STEP_START"


def test_a_step_is_skipped_when_another_process_did_not_give_its_input(runs: StepRuns) -> None:
    assert runs.execute("branches") is RunStatus.SUCCESS
    assert runs.types_of("skipped") == ["STEP_SKIPPED"]
    loaded = [r.message for r in runs.of_step("total") if r.stored_type == "LOADED_INPUT"]
    assert loaded == ["Input numbers was loaded from branch.left"]


def test_a_step_process_tells_any_text_and_number_and_opens_the_instance(
    runs: StepRuns, marks: Path
) -> None:
    status = runs.execute("saying", {"ops": {"say": {"config": {"folder": str(marks)}}}})
    assert status is RunStatus.SUCCESS
    assert pid_in(marks / "pid") != os.getpid()
    assert lines_of(runs, "say") == [
        "caf\\udce9 \u2603",
        "twice",
        f"run r of {runs.instance.settings.name}",
    ]
    [raised] = [r for r in runs.of_step("say") if r.level is LogLevel.ERROR]
    assert raised.error is not None
    assert (raised.error.class_name, raised.error.message) == ("ValueError", "no")
    [asset] = [r for r in runs.of_step("say") if isinstance(r.data, AssetEventData)]
    assert isinstance(asset.data, AssetEventData)
    assert asset.data.metadata == normalize_metadata({"rows": 10**30}, "the table")


def test_a_step_process_makes_the_resources_of_its_op_and_tears_them_down(
    runs: StepRuns,
) -> None:
    assert runs.execute("resources") is RunStatus.SUCCESS
    order = [
        (r.stored_type, r.message)
        for r in runs.events()
        if r.stored_type in {None, "STEP_START", "STEP_SUCCESS", "RUN_SUCCESS"}
        or "RESOURCE" in str(r.stored_type)
    ]
    assert [what or message for what, message in order] == [
        "RESOURCE_INIT_STARTED",
        "open",
        "RESOURCE_INIT_SUCCESS",
        "STEP_START",
        "STEP_SUCCESS",
        "close",
        "RUN_SUCCESS",
    ]


def test_a_resource_that_cannot_be_made_fails_the_steps_that_need_it(runs: StepRuns) -> None:
    assert runs.execute("broken_resources") is RunStatus.FAILURE
    [failed] = failures(runs)
    assert failed[0] == "need_broken"
    assert "no such host" in failed[1]
    assert runs.failure_of("need_broken").data == StepFailureData(StepErrorSource.USER_CODE_ERROR)
    assert runs.types_of("query")[-1] == "STEP_SUCCESS"


def test_spawned_step_processes_do_the_same(instance: Instance) -> None:
    runs = StepRuns(instance, None)
    assert runs.execute("resources") is RunStatus.SUCCESS
    assert runs.types_of("query") == [
        "STEP_WORKER_STARTING",
        "STEP_WORKER_STARTED",
        "STEP_START",
        "STEP_OUTPUT",
        "HANDLED_OUTPUT",
        "STEP_SUCCESS",
    ]


def test_a_default_time_out_of_sockets_is_not_for_ours(runs: StepRuns) -> None:
    assert runs.execute("silent") is RunStatus.SUCCESS


def test_no_process_is_started_for_the_in_process_executor(runs: StepRuns) -> None:
    assert runs.execute("here") is RunStatus.SUCCESS
    assert runs.types_of("one")[0] == "STEP_START"


# -------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    ("ending", "told"),
    [
        ("exit 0", "ended with exit code 0"),
        ("exit 3", "ended with exit code 3"),
        ("segfault", "was killed by SIGSEGV"),
        ("kill -9", "was killed by SIGKILL"),
        ("printed", "ended with exit code 1"),
    ],
)
def test_a_step_whose_process_dies_keeps_its_last_lines_and_fails_once(
    runs: StepRuns, ending: str, told: str
) -> None:
    status = runs.execute("ending", {"ops": {"end": {"config": {"ending": ending}}}})
    assert status is RunStatus.FAILURE
    assert lines_of(runs, "end") == ["last words"]
    message = f"Step end failed: its process {told} before the step had ended"
    assert failures(runs) == [("end", message)]
    failure = runs.failure_of("end")
    assert failure.data == StepFailureData(StepErrorSource.UNEXPECTED_ERROR)
    assert failure.error is not None
    assert failure.error.message.endswith(told)
    assert runs.types_of("end")[-1] == "STEP_FAILURE"
    assert_others_went_on(runs)


@pytest.mark.parametrize("ending", ["raise", "sys.exit"])
def test_a_step_that_raises_in_its_process_fails_as_anywhere(runs: StepRuns, ending: str) -> None:
    status = runs.execute("ending", {"ops": {"end": {"config": {"ending": ending}}}})
    assert status is RunStatus.FAILURE
    assert runs.failure_of("end").data == StepFailureData(StepErrorSource.USER_CODE_ERROR)
    assert_others_went_on(runs)


def test_a_full_disk_fails_the_step_and_not_the_log_of_its_run(runs: StepRuns) -> None:
    status = runs.execute("ending", {"ops": {"end": {"config": {"ending": "disk full"}}}})
    assert status is RunStatus.FAILURE
    assert "could not be stored" in runs.failure_of("end").message
    assert lines_of(runs, "end") == ["last words"]
    assert_others_went_on(runs)


def test_what_a_process_has_half_stored_when_it_dies_is_removed(runs: StepRuns) -> None:
    how = {"ending": "killed while it is stored"}
    assert runs.execute("ending", {"ops": {"end": {"config": how}}}) is RunStatus.FAILURE
    message = "Step end failed: its process was killed by SIGKILL before the step had ended"
    assert failures(runs) == [("end", message)]
    folder = runs.instance.local_artifact_storage.storage_dir / "r"
    stored = sorted(path.name for path in (folder / "outputs").iterdir())
    assert stored == ["independent,result.1", "independent_2,result.1"]
    assert_others_went_on(runs)


def assert_others_went_on(runs: StepRuns) -> None:
    """Of `ending`: the other branch ran, what needs the failed step did not, and the run says so."""
    [abandoned] = runs.of_step("dependant")
    assert abandoned.event_type is EventType.ENGINE_EVENT
    assert "abandoned" in abandoned.message
    assert runs.types_of("independent_2")[-1] == "STEP_SUCCESS"
    last = runs.events()[-1]
    assert last.event_type is EventType.RUN_FAILURE
    assert last.data == RunFailureData(RunFailureReason.STEP_FAILURE, ("end",))


def test_what_a_killed_process_had_told_is_stored_to_the_last_line(runs: StepRuns) -> None:
    assert runs.execute("lines") is RunStatus.FAILURE
    assert lines_of(runs, "many_lines") == [f"line {number}" for number in range(2000)]
    assert runs.types_of("many_lines")[-1] == "STEP_FAILURE"


def test_an_output_that_cannot_be_pickled_fails_its_step(runs: StepRuns) -> None:
    assert runs.execute("unpicklables") is RunStatus.FAILURE
    [(step, message)] = failures(runs)
    assert step == "unpicklable"
    assert "cannot be pickled" in message


def test_a_process_that_dies_after_its_step_had_succeeded_changes_nothing(runs: StepRuns) -> None:
    assert runs.execute("late_death") is RunStatus.SUCCESS
    assert runs.types_of("use_dying")[-2:] == ["STEP_SUCCESS", "ENGINE_EVENT"]
    notice = runs.of_step("use_dying")[-1]
    assert notice.level is LogLevel.WARNING
    assert "was killed by SIGKILL, after its step had ended" in notice.message


def test_children_that_outlive_their_step_do_not_hold_up_the_run(
    runs: StepRuns, marks: Path
) -> None:
    place = {"config": {"folder": str(marks)}}
    (marks / "dead").mkdir()
    dead = {"config": {"folder": str(marks / "dead")}}
    status = runs.execute("children", {"ops": {"leave_child": place, "leave_child_and_die": dead}})
    children = [pid_in(marks / "child"), pid_in(marks / "dead" / "child")]
    try:
        assert status is RunStatus.FAILURE
        assert [is_alive(child) for child in children] == [True, True]
        told = "Step leave_child_and_die failed: its process ended with exit code 5 before the step"
        assert failures(runs) == [("leave_child_and_die", f"{told} had ended")]
        assert runs.types_of("add")[-1] == "STEP_SUCCESS"
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)


def test_a_fork_of_a_step_process_writes_nothing_into_the_log(runs: StepRuns) -> None:
    assert runs.execute("forks") is RunStatus.SUCCESS
    assert lines_of(runs, "log_in_fork") == []
    assert "ASSET_MATERIALIZATION" not in runs.types_of("log_in_fork")


# --------------------------------------------------------------------------- interruptions


@pytest.mark.usefixtures("short_grace")
def test_an_interrupted_run_leaves_no_step_process(runs: StepRuns, marks: Path) -> None:
    place = {"config": {"folder": str(marks)}}

    def cancel() -> None:
        for name in "abc":
            pid_in(marks / name)
        runs.tell(EventType.RUN_CANCELING)
        os.kill(os.getpid(), signal.SIGTERM)

    with runs.interrupts.captured():
        status = runs.execute(
            "sleeping", {"ops": {"a": place, "b": place, "c": place}}, meanwhile=cancel
        )
    assert status is RunStatus.CANCELED
    assert [is_alive(pid_in(marks / name)) for name in "abc"] == [False] * 3
    assert [runs.failure_of(name).data for name in "abc"] == [
        StepFailureData(StepErrorSource.INTERRUPT)
    ] * 3
    assert sorted(message for _, message in failures(runs)) == [
        "Step a was interrupted",
        "Step b was interrupted",
        "Step c was interrupted: its process was killed by SIGKILL",
    ]
    assert lines_of(runs, "a") == lines_of(runs, "b") == ["cleaned up"]
    assert runs.of_step("d") == []
    assert [r.stored_type for r in runs.events()][-3:] == [
        "STEP_FAILURE",
        "ENGINE_EVENT",
        "RUN_CANCELED",
    ]


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps get little time to clean up; that of those which do is far less."""
    monkeypatch.setattr("runwire.execution.step_processes.STOP_GRACE_SECONDS", 2.0)


WORKER = """
import sys
from pathlib import Path
from runwire.instance import Instance
from tests.locations import step_runs
from tests.locations.step_runs import StepRuns

home, fork_socket, folder = sys.argv[1:]
with Instance.from_home(Path(home)) as instance:
    place = {"config": {"folder": folder}}
    StepRuns(instance, fork_socket or None).execute("working", {"ops": {"work_long": place}})
"""


@pytest.mark.parametrize("how", ["forked", "spawned"])
def test_a_step_process_ends_with_its_worker_even_in_the_middle_of_user_code(
    instance: Instance, fork_socket: str, marks: Path, how: str
) -> None:
    home = instance.ref.home
    arguments = [home, fork_socket if how == "forked" else "", str(marks)]
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", WORKER, *arguments], cwd=root) as worker:
        step = pid_in(marks / "pid")
        assert is_alive(step)
        worker.kill()
        worker.wait()
        try:
            eventually(lambda: not is_alive(step), "the step process has ended")
        finally:
            with suppress(ProcessLookupError):
                os.kill(step, signal.SIGKILL)
    runs = StepRuns(instance, None)
    assert "STEP_FAILURE" not in runs.types_of("work_long")


def test_a_step_goes_on_without_its_fork_server_and_the_next_is_spawned(
    instance: Instance, tmp_path: Path, marks: Path
) -> None:
    with fork_server(tmp_path) as path:
        runs = StepRuns(instance, path)
        place = {"config": {"folder": str(marks)}}

        def kill_fork_server() -> None:
            step = pid_in(marks / "pid")
            server = int(Path(f"/proc/{step}/stat").read_text().rpartition(")")[2].split()[1])
            os.kill(server, signal.SIGKILL)
            eventually(lambda: not is_alive(server), "the fork server has ended")
            (marks / "go").touch()

        ops = {"ops": {"wait_for_go": place}}
        assert runs.execute("waiting", ops, meanwhile=kill_fork_server) is RunStatus.SUCCESS
    assert lines_of(runs, "wait_for_go") == ["went on"]
    assert runs.types_of("wait_for_go")[-1] == "STEP_SUCCESS"
    assert runs.types_of("add")[-1] == "STEP_SUCCESS"


def test_a_worker_that_is_not_the_runs_any_more_kills_its_step_processes(
    runs: StepRuns, marks: Path
) -> None:
    place = {"config": {"folder": str(marks)}}

    def fence() -> None:
        pid_in(marks / "a")
        pid_in(marks / "tell")
        runs.tell(EventType.RUN_CANCELED)
        (marks / "go").touch()

    status = runs.execute("fenced", {"ops": {"a": place, "tell_when_told": place}}, meanwhile=fence)
    assert status is RunStatus.CANCELED
    assert [is_alive(pid_in(marks / name)) for name in ("a", "tell")] == [False, False]
    assert not (marks / "told").exists()
    assert runs.events()[-1].event_type is EventType.RUN_CANCELED


def test_how_a_step_ended_is_not_made_up_when_nobody_can_tell(
    instance: Instance, tmp_path: Path, marks: Path
) -> None:
    with fork_server(tmp_path) as path:
        runs = StepRuns(instance, path)

        def kill_fork_server_and_step() -> None:
            step = pid_in(marks / "pid")
            server = int(Path(f"/proc/{step}/stat").read_text().rpartition(")")[2].split()[1])
            os.kill(server, signal.SIGKILL)
            eventually(lambda: not is_alive(server), "the fork server has ended")
            os.kill(step, signal.SIGSEGV)

        ops = {"ops": {"wait_for_go": {"config": {"folder": str(marks)}}}}
        status = runs.execute("waiting", ops, meanwhile=kill_fork_server_and_step)
    assert status is RunStatus.FAILURE
    message = "Step wait_for_go failed: its process ended before the step had ended"
    assert failures(runs) == [("wait_for_go", message)]


# ------------------------------------------------------- a directory that is removed meanwhile


@pytest.fixture
def removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of the worker, which is not there any more."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    monkeypatch.setattr(
        step_runs, "SOURCE", msgspec.structs.replace(step_runs.SOURCE, directory=str(folder))
    )
    return folder


def test_a_step_for_which_there_is_no_directory_any_more_names_it(
    runs: StepRuns, removed: Path
) -> None:
    assert runs.execute("chain") is RunStatus.FAILURE
    [(step, message)] = failures(runs)
    assert step == "one"
    told = "Step one failed: no process could be started for it: the folder"
    assert message.startswith(f"{told} {removed}, in which")
    assert "put it back" in message


def test_a_step_runs_in_a_directory_that_was_made_anew(runs: StepRuns, removed: Path) -> None:
    removed.mkdir()
    assert runs.execute("chain") is RunStatus.SUCCESS


# ------------------------------------------------------------------------------------ retries


def test_a_step_is_tried_again_in_another_process_also_when_its_own_was_lost(
    runs: StepRuns,
) -> None:
    assert runs.execute("retried") is RunStatus.SUCCESS
    begins = ["STEP_WORKER_STARTING", "STEP_WORKER_STARTED"]
    assert runs.types_of("flaky") == [
        *(*begins, "STEP_START", "STEP_UP_FOR_RETRY"),
        *(*begins, "STEP_RESTARTED", "STEP_UP_FOR_RETRY"),
        *(*begins, "STEP_RESTARTED", "STEP_OUTPUT", "HANDLED_OUTPUT", "STEP_SUCCESS"),
    ]
    told = [r.message for r in runs.of_step("flaky") if r.stored_type == "STEP_UP_FOR_RETRY"]
    begin, lost = "Step flaky is tried again in 0.01 s, retry", "its process was killed by SIGSEGV"
    assert told == [
        f"{begin} 1 of 2: {lost} before the step had ended",
        f"{begin} 2 of 2: OSError: busy",
    ]


def test_with_retries_disabled_a_lost_process_fails_its_step(runs: StepRuns) -> None:
    assert runs.execute("not_retried") is RunStatus.FAILURE
    [(step_key, message)] = failures(runs)
    assert (step_key, message.partition("ended; ")[2]) == (
        "flaky",
        "the executor of its job has retries disabled",
    )
