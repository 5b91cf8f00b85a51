"""Workspaces with real code servers."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import pytest

from runwire.errors import (
    CodeLocationNotFoundError,
    CodeLocationUnavailableError,
    InputInvalidError,
    JobNotFoundError,
    RunConfigInvalidError,
)
from runwire.locations import server_process
from runwire.locations.target import LocationTarget
from runwire.locations.timeouts import LocationTimeouts
from runwire.locations.workspace import LocalWorkspace
from runwire.testing.left_behind import GENEROUS_SECONDS, eventually, pause
from runwire.workspace import (
    CodeLocation,
    CodeLocationStatus,
    JobSelector,
    WorkerRequest,
)
from tests.locations.conftest import Open, Write
from tests.locations.processes import code_servers, marked_processes, server_pid

SALES = """
    from pydantic import BaseModel
    from runwire import job, op

    class LoadConfig(BaseModel):
        path: str
        limit: int

    @op
    def load(config: LoadConfig) -> int:
        return config.limit

    @op
    def store(rows: int) -> None: ...

    @job
    def sales():
        store(load())
"""

GOOD_CONFIG = {"ops": {"load": {"config": {"path": "a", "limit": 1}}}}


def _job_names(location: CodeLocation) -> dict[str, list[str]]:
    return {
        repository.name: [job.name for job in repository.jobs]
        for repository in location.state.repositories
    }


def _failure(location: CodeLocation) -> tuple[CodeLocationStatus, str | None, str]:
    error = location.state.load_error
    assert error is not None
    return location.state.status, error.class_name, error.message


# --------------------------------------------------------------------------------------- loading


def test_a_file_is_loaded(write: Write, open_workspace: Open) -> None:
    location = open_workspace(write(SALES, "shop.py")).get_location("shop")
    state = location.state
    assert (state.name, state.status, state.load_error) == (
        "shop",
        CodeLocationStatus.LOADED,
        None,
    )
    assert _job_names(location) == {"__repository__": ["sales"]}
    assert state.server is not None
    assert state.server.executable_path == sys.executable
    assert state.server.address.startswith("unix:")


def test_a_module_is_loaded_from_its_working_directory(
    write: Write, open_workspace: Open, tmp_path: Path
) -> None:
    write(SALES, "shop_module.py")
    target = LocationTarget(module="shop_module", working_directory=tmp_path, name="shop")
    location = open_workspace(target).get_location("shop")
    assert _job_names(location) == {"__repository__": ["sales"]}


def test_a_file_imports_its_neighbours_and_runs_in_the_current_directory(
    write: Write, open_workspace: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path.parent)
    write(SALES, "neighbour_of_shop.py")
    file = write(
        """
        import os
        from pathlib import Path
        from neighbour_of_shop import sales
        Path(__file__).with_name("directory").write_text(os.getcwd())
        """,
        "shop.py",
    )
    assert _job_names(open_workspace(file).get_location("shop")) == {"__repository__": ["sales"]}
    assert (tmp_path / "directory").read_text() == str(tmp_path.parent)


def test_the_caller_never_imports_user_code(
    write: Write, open_workspace: Open, tmp_path: Path
) -> None:
    file = write(
        SALES
        + """
    import os
    from pathlib import Path
    with Path(__file__).with_name("importers").open("a") as importers:
        importers.write(f"{os.getpid()}\\n")
    """
    )
    location = open_workspace(file).get_location("jobs")
    location.plan_run("__repository__", "sales", GOOD_CONFIG)
    importers = (tmp_path / "importers").read_text().split()
    assert importers == [str(server_pid(location))]
    assert importers != [str(os.getpid())]


def test_user_code_may_print_and_read_its_empty_input(
    write: Write, open_workspace: Open, capfd: pytest.CaptureFixture[str]
) -> None:
    file = write("import sys\nprint('printed', repr(sys.stdin.read()))\n" + _dedented(SALES))
    assert _job_names(open_workspace(file).get_location("jobs")) == {"__repository__": ["sales"]}
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "printed ''" in captured.err


def _dedented(text: str) -> str:
    return "\n".join(line.removeprefix("    ") for line in text.splitlines())


def test_locations_are_told_apart_by_name(write: Write, open_workspace: Open) -> None:
    workspace = open_workspace(write(SALES, "b.py"), write(SALES, "a.py"))
    assert [location.state.name for location in workspace.list_locations()] == ["a", "b"]
    ref = workspace.find_job(JobSelector("sales", location_name="b"))
    assert (ref.location_name, ref.repository_name, ref.job.name) == (
        "b",
        "__repository__",
        "sales",
    )
    with pytest.raises(CodeLocationNotFoundError, match="there are: a, b"):
        workspace.get_location("c")


def test_two_locations_of_one_name_are_refused(write: Write) -> None:
    targets = [LocationTarget(python_file=write(SALES)), LocationTarget(module="jobs")]
    with pytest.raises(InputInvalidError) as refused:
        LocalWorkspace(targets)
    assert refused.value.path == ("targets", "1", "name")
    assert marked_processes() == []


def test_an_empty_workspace_is_loaded(open_workspace: Open) -> None:
    assert open_workspace().list_locations() == []


# ---------------------------------------------------------------------------------- load failures


def test_what_a_definition_raises_is_the_load_error_of_its_location_alone(
    write: Write, open_workspace: Open
) -> None:
    bad = write("def helper():\n    raise KeyError('no such table')\nhelper()\n", "bad.py")
    workspace = open_workspace(bad, write(SALES, "good.py"))
    location = workspace.get_location("bad")
    status, class_name, message = _failure(location)
    assert (status, class_name) == (CodeLocationStatus.FAILED, "DefinitionLoadError")
    assert message.startswith(f"{bad}:")
    assert message.endswith("loading the definitions raised KeyError: 'no such table'")
    error = location.state.load_error
    assert error is not None
    assert [cause.class_name for cause in error.causes] == ["KeyError"]
    assert location.state.repositories == ()
    assert location.state.server is not None
    assert workspace.get_location("good").state.status is CodeLocationStatus.LOADED


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def broken(:\n", ":1: loading the definitions raised SyntaxError: invalid syntax"),
        ("import sys\nsys.exit(3)\n", ":2: loading the definitions raised SystemExit: 3"),
        ("x = 1\n", "there is no job and no repository at the top level"),
    ],
)
def test_definitions_that_cannot_be_loaded_are_served_as_that(
    write: Write, open_workspace: Open, text: str, message: str
) -> None:
    file = write(text)
    status, _, told = _failure(open_workspace(file).get_location("jobs"))
    assert status is CodeLocationStatus.FAILED
    assert str(file) in told
    assert message in told


def test_a_file_that_does_not_exist_is_named(open_workspace: Open, tmp_path: Path) -> None:
    file = tmp_path / "nothing.py"
    location = open_workspace(file).get_location("nothing")
    status, class_name, message = _failure(location)
    assert (status, class_name) == (CodeLocationStatus.FAILED, "InvalidDefinitionError")
    assert message.startswith(f"{file}: definitions: there is no such file")


def test_a_working_directory_that_does_not_exist_is_named(
    open_workspace: Open, tmp_path: Path
) -> None:
    target = LocationTarget(module="shop", working_directory=tmp_path / "nowhere")
    location = open_workspace(target).get_location("shop")
    status, class_name, message = _failure(location)
    assert (status, class_name) == (CodeLocationStatus.FAILED, "FileNotFoundError")
    assert str(tmp_path / "nowhere") in message
    assert location.state.server is None


def test_a_process_that_dies_while_loading_is_told_of(write: Write, open_workspace: Open) -> None:
    location = open_workspace(write("import os\nos._exit(7)\n")).get_location("jobs")
    status, class_name, message = _failure(location)
    assert (status, class_name) == (CodeLocationStatus.FAILED, "ChildProcessError")
    assert message.endswith("ended with exit code 7 while it loaded the definitions")
    assert location.state.server is None
    with pytest.raises(CodeLocationUnavailableError, match=r"it is FAILED .*exit code 7"):
        location.plan_run("__repository__", "sales", {})


def test_loading_that_does_not_end_is_given_up_and_shows_where_it_hangs(
    write: Write, open_workspace: Open
) -> None:
    file = write("import threading\n\nthreading.Event().wait()\n")
    location = open_workspace(file, start_seconds=3.0).get_location("jobs")
    assert _failure(location) == (
        CodeLocationStatus.FAILED,
        "TimeoutError",
        "loading did not end within 3 s; the stack tells where it is",
    )
    error = location.state.load_error
    assert error is not None
    assert any(f'File "{file}", line 3' in line for line in error.stack)


def test_loading_that_cannot_even_tell_is_given_up(
    write: Write, open_workspace: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds the process as a whole, so that its own threads cannot run either."""
    monkeypatch.setattr(server_process, "STUCK_MARGIN_SECONDS", 0.5)
    file = write("import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\n")
    location = open_workspace(file, start_seconds=0.5).get_location("jobs")
    assert _failure(location) == (
        CodeLocationStatus.FAILED,
        "TimeoutError",
        "loading did not end within 0.5 s",
    )


def test_a_socket_path_that_is_too_long_names_the_mend(
    write: Write, open_workspace: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    _, _, message = _failure(open_workspace(write(SALES)).get_location("jobs"))
    assert message.endswith("let TMPDIR name a folder with a shorter path")
    assert list(folder.iterdir()) == []


# ------------------------------------------------------------------------------------------- plans


def test_a_run_config_that_fits_gives_a_plan(write: Write, open_workspace: Open) -> None:
    location = open_workspace(write(SALES)).get_location("jobs")
    plan = location.plan_run("__repository__", "sales", GOOD_CONFIG)
    assert plan == location.state.repositories[0].jobs[0].plan
    assert [step.step_key for step in plan.steps] == ["load", "store"]


def test_a_plan_of_some_steps(write: Write, open_workspace: Open) -> None:
    location = open_workspace(write(SALES)).get_location("jobs")
    plan = location.plan_run("__repository__", "sales", GOOD_CONFIG, ["load"])
    assert [step.step_key for step in plan.steps] == ["load"]


def test_every_problem_of_a_run_config_is_told(write: Write, open_workspace: Open) -> None:
    location = open_workspace(write(SALES)).get_location("jobs")
    config = {"ops": {"load": {"config": {"limit": "many"}}, "other": {}}, "more": 1}
    with pytest.raises(RunConfigInvalidError) as refused:
        location.plan_run("__repository__", "sales", config)
    assert refused.value.job_name == "sales"
    assert {(problem.path, problem.code) for problem in refused.value.problems} == {
        (("ops", "load", "config", "path"), "missing"),
        (("ops", "load", "config", "limit"), "int_parsing"),
        (("ops", "other"), "extra_forbidden"),
        (("more",), "extra_forbidden"),
    }


def test_what_a_validator_raises_is_a_problem_of_the_run_config(
    write: Write, open_workspace: Open
) -> None:
    file = write(
        """
        from pydantic import BaseModel, field_validator
        from runwire import job, op

        class Config(BaseModel):
            name: str

            @field_validator("name")
            def known(cls, value):
                return {}[value]

        @op
        def greet(config: Config) -> None: ...

        @job
        def greetings():
            greet()
        """
    )
    location = open_workspace(file).get_location("jobs")
    config = {"ops": {"greet": {"config": {"name": "Ada"}}}}
    with pytest.raises(RunConfigInvalidError) as refused:
        location.plan_run("__repository__", "greetings", config)
    [problem] = refused.value.problems
    assert problem.message.endswith("KeyError: 'Ada'")


@pytest.mark.parametrize("keys", [["nothing"], []])
def test_step_keys_that_are_not_there_are_refused(
    write: Write, open_workspace: Open, keys: Sequence[str]
) -> None:
    location = open_workspace(write(SALES)).get_location("jobs")
    with pytest.raises(InputInvalidError) as refused:
        location.plan_run("__repository__", "sales", GOOD_CONFIG, keys)
    assert refused.value.path[:1] == ("stepKeys",)


@pytest.mark.parametrize("names", [("__repository__", "nothing"), ("nothing", "sales")])
def test_a_job_that_is_not_there_is_not_found(
    write: Write, open_workspace: Open, names: tuple[str, str]
) -> None:
    location = open_workspace(write(SALES)).get_location("jobs")
    with pytest.raises(JobNotFoundError, match="there are: sales"):
        location.plan_run(*names, {})


def test_a_run_config_that_is_not_json_is_refused(write: Write, open_workspace: Open) -> None:
    location = open_workspace(write(SALES)).get_location("jobs")
    with pytest.raises(RunConfigInvalidError) as refused:
        location.plan_run("__repository__", "sales", {"ops": object()})
    assert [(problem.path, problem.code) for problem in refused.value.problems] == [((), "json")]


def test_a_failed_location_plans_and_starts_nothing(write: Write, open_workspace: Open) -> None:
    location = open_workspace(write("raise ValueError('no')\n")).get_location("jobs")
    with pytest.raises(CodeLocationUnavailableError, match=r"it is FAILED .*ValueError: no"):
        location.plan_run("__repository__", "sales", {})
    with pytest.raises(CodeLocationUnavailableError, match=r"it is FAILED .*ValueError: no"):
        location.start_worker(WorkerRequest("run", "sales", "__repository__", 1, {}))


# ---------------------------------------------------------------------------------------- disposal


def test_dispose_ends_the_code_servers_and_removes_their_sockets(
    write: Write, socket_root: Path
) -> None:
    with LocalWorkspace(
        [LocationTarget(python_file=write(SALES)), LocationTarget(module="not_there")]
    ) as workspace:
        assert workspace.wait_until_loaded(GENEROUS_SECONDS)
        assert len(code_servers()) == 2
        assert [folder.stat().st_mode & 0o777 for folder in socket_root.iterdir()] == [0o700] * 2
        location = workspace.get_location("jobs")
    assert marked_processes() == []
    assert list(socket_root.iterdir()) == []
    workspace.dispose()
    with pytest.raises(CodeLocationUnavailableError, match="its process"):
        location.plan_run("__repository__", "sales", {})


def test_dispose_ends_a_code_server_that_is_still_loading(write: Write) -> None:
    file = write("import threading\nthreading.Event().wait()\n")
    timeouts = LocationTimeouts(end_grace_seconds=0.2)
    with LocalWorkspace([LocationTarget(python_file=file)], timeouts) as workspace:
        assert workspace.wait_until_loaded(0.0) is False
    assert marked_processes() == []


def test_dispose_ends_a_code_server_whose_user_code_would_go_on(
    write: Write, open_workspace: Open
) -> None:
    file = write(
        SALES
        + """
    import signal, threading, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=lambda: time.sleep(3600)).start()
    """
    )
    workspace = open_workspace(file, end_grace_seconds=0.2)
    assert workspace.get_location("jobs").state.status is CodeLocationStatus.LOADED
    workspace.dispose()
    assert marked_processes() == []


def test_dispose_kills_a_code_server_that_cannot_react(write: Write, open_workspace: Open) -> None:
    workspace = open_workspace(write(SALES), end_grace_seconds=0.2)
    pause(server_pid(workspace.get_location("jobs")))
    workspace.dispose()
    assert marked_processes() == []
    state = workspace.get_location("jobs").state
    assert state.load_error is not None
    assert state.load_error.message.endswith("was killed by SIGKILL")


@pytest.mark.parametrize(
    ("text", "wait"),
    [(SALES, GENEROUS_SECONDS), ("import threading\nthreading.Event().wait()\n", 0)],
    ids=["serving", "loading"],
)
def test_a_code_server_ends_when_its_parent_is_gone(
    write: Write, socket_root: Path, tmp_path: Path, text: str, wait: float
) -> None:
    loading = tmp_path / "loading"
    text = f"import pathlib; pathlib.Path({str(loading)!r}).touch()\n{textwrap.dedent(text)}"
    script = (
        "import sys\n"
        "from runwire.locations.workspace import LocalWorkspace, LocationTarget\n"
        f"workspace = LocalWorkspace([LocationTarget(python_file={str(write(text))!r})])\n"
        f"workspace.wait_until_loaded({wait})\n"
        "print('started', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"started\n"
        eventually(loading.exists, "the code server loads its definitions")
        parent.kill()
    eventually(lambda: not list(socket_root.iterdir()), "the code server has removed its files")
    eventually(lambda: not marked_processes(), "the code server has ended")


WARMING = """
    import threading
    from pathlib import Path
    from runwire.locations import warm_up

    def write(*_, io_base_dir, **__):
        number = 0
        while True:
            folder = Path(io_base_dir) / str(number % 100)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / str(number)).touch()
            Path(__file__).with_name("warming").touch()
            number += 1

    warm_up.execute_run = write
"""
"""Definitions with which the warm-up makes files for ever."""


@pytest.mark.parametrize("end", ["dispose", "kill"])
def test_a_code_server_that_ends_while_it_warms_up_leaves_no_files(
    write: Write, socket_root: Path, tmp_path: Path, end: str
) -> None:
    script = (
        "import sys\n"
        "from runwire.locations.workspace import LocalWorkspace, LocationTarget\n"
        f"workspace = LocalWorkspace([LocationTarget(python_file={str(write(WARMING))!r})])\n"
        "sys.stdin.read()\n"
        "workspace.dispose()\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE) as parent:
        eventually((tmp_path / "warming").exists, "the code server warms up")
        assert parent.stdin is not None
        if end == "kill":
            parent.kill()
        parent.stdin.close()
    eventually(lambda: not list(socket_root.iterdir()), "the code server has removed its files")
    eventually(lambda: not marked_processes(), "the code server has ended")
