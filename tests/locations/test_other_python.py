"""Pythons of other virtual environments: what they run, and why they cannot."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

import runwire
from runwire.control.new_run import NewRun
from runwire.instance import Instance
from runwire.locations import other_python
from runwire.locations.other_python import why_unusable
from runwire.locations.target import LocationTarget
from runwire.locations.workspace import LocalWorkspace
from runwire.locations.workspace_file import read_workspace_file
from runwire.runs.status import RunStatus
from runwire.testing.left_behind import eventually
from runwire.workspace import CodeLocationStatus, JobSelector
from tests.locations.conftest import Open, Write

JOBS = """
    from pathlib import Path
    import acme
    from runwire import job, op

    @op(name=acme.op_name())
    def step() -> None:
        Path(__file__).with_name(f"ran_with_{acme.__version__}").touch()

    @job
    def sales():
        step()
"""


def _environment(folder: Path, *paths: Path) -> Path:
    """A virtual environment with folders on its import path; returns its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "more.pth").write_text("".join(f"{path}\n" for path in paths), encoding="utf-8")
    return folder / "bin" / "python"


def _library(folder: Path, version: int) -> None:
    """The library `acme`, whose versions do not have the same names."""
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "acme.py").write_text(
        f"__version__ = '{version}'\ndef op_name(): return 'step_of_{version}'\n", encoding="utf-8"
    )


@pytest.fixture(scope="module")
def our_paths() -> tuple[Path, Path]:
    return Path(sysconfig.get_path("purelib")), Path(runwire.__file__).parents[1]


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    home = tmp_path / "home"
    home.mkdir()
    with Instance.from_home(home) as instance:
        yield instance


def test_two_environments_with_two_versions_of_a_library_plan_and_run_side_by_side(
    write: Write,
    open_workspace: Open,
    instance: Instance,
    tmp_path: Path,
    our_paths: tuple[Path, Path],
) -> None:
    items = []
    for version in (1, 2):
        folder = tmp_path / f"environment_{version}"
        _environment(folder, *our_paths)
        _library(folder, version)
        items.append(
            "  - python_file: {relative_path: jobs.py,"
            f" location_name: with_{version}, executable_path: {folder.name}/bin/python}}\n"
        )
    write(JOBS)
    file = tmp_path / "workspace.yaml"
    file.write_text("load_from:\n" + "".join(items), encoding="utf-8")
    workspace = open_workspace(*read_workspace_file(file))
    for version in (1, 2):
        location = workspace.get_location(f"with_{version}")
        python = str(tmp_path / f"environment_{version}" / "bin" / "python")
        assert location.state.load_error is None
        assert location.state.server is not None
        assert location.state.server.executable_path == python
        assert location.origin is not None
        assert location.origin.executable_path == python
        plan = location.plan_run("__repository__", "sales", {})
        assert [step.step_key for step in plan.steps] == [f"step_of_{version}"]
    runs = [_submit(instance, workspace, f"with_{version}") for version in (1, 2)]
    for run_id in runs:
        _wait_for_success(instance, run_id)
    assert sorted(path.name for path in tmp_path.glob("ran_with_*")) == ["ran_with_1", "ran_with_2"]


def _submit(instance: Instance, workspace: LocalWorkspace, location_name: str) -> str:
    selector = JobSelector("sales", location_name=location_name)
    record, _ = instance.create_run(NewRun(job=selector), workspace)
    instance.submit_run(record.run_id, workspace)
    return record.run_id


def _wait_for_success(instance: Instance, run_id: str) -> None:
    storage = instance.storage
    eventually(lambda: storage.get_run_record(run_id).is_finished, "the run has ended")
    assert storage.get_run_record(run_id).status is RunStatus.SUCCESS


def _load_error(workspace: LocalWorkspace) -> str:
    state = workspace.get_location("jobs").state
    assert (state.status, state.server) == (CodeLocationStatus.FAILED, None)
    assert state.load_error is not None
    return state.load_error.message


def test_a_python_that_is_not_there_is_named(
    write: Write, open_workspace: Open, tmp_path: Path
) -> None:
    python = tmp_path / "no" / "python"
    target = LocationTarget(python_file=write(JOBS), executable_path=python)
    assert _load_error(open_workspace(target)) == (
        f"there is no Python at {python}; make its environment, or name another as executable_path"
    )


def test_a_python_without_runwire_is_told(
    write: Write, open_workspace: Open, tmp_path: Path
) -> None:
    python = _environment(tmp_path / "bare")
    target = LocationTarget(python_file=write(JOBS), executable_path=python)
    assert _load_error(open_workspace(target)) == (
        f"{python}: it has no runwire (ModuleNotFoundError: No module named 'runwire');"
        f" install runwire=={runwire.__version__} there"
    )


def test_a_program_that_cannot_be_run_is_told(
    write: Write, open_workspace: Open, tmp_path: Path
) -> None:
    program = tmp_path / "python"
    program.touch(0o600)
    target = LocationTarget(python_file=write(JOBS), executable_path=program)
    assert "Permission denied" in _load_error(open_workspace(target))


def _program(tmp_path: Path, *lines: str) -> str:
    program = tmp_path / "program"
    program.write_text("\n".join(("#!/bin/sh", *lines)) + "\n", encoding="utf-8")
    program.chmod(0o700)
    return str(program)


MEND = f"install runwire=={runwire.__version__} there"


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["echo hello world"], "it is no Python"),
        (["exit 3"], "it is no Python"),
        (["echo 3 9"], "it is Python 3.9; runwire needs 3.11 or newer"),
        (
            ["echo 3 12", "echo the last words >&2", "exit 1"],
            f"it has no runwire (the last words); {MEND}",
        ),
        (
            ["echo 3 12", "echo 0.0.1"],
            f"it has runwire 0.0.1, here is {runwire.__version__}; {MEND}",
        ),
        (
            ["echo 3 12", f"echo {runwire.__version__}", "echo no grpc >&2", "exit 1"],
            f"its runwire does not work (no grpc); {MEND}",
        ),
        (["echo 3 12", f"echo {runwire.__version__}"], None),
    ],
)
def test_what_a_program_says_tells_whether_it_can_be_used(
    tmp_path: Path, lines: list[str], problem: str | None
) -> None:
    assert why_unusable(_program(tmp_path, *lines)) == problem


def test_a_program_that_says_nothing_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(other_python, "PROBE_SECONDS", 0.1)
    told = why_unusable(_program(tmp_path, "exec sleep 60"))
    assert told is not None
    assert told.startswith("it cannot be run: ")


def test_our_own_python_can_be_used() -> None:
    assert why_unusable(sys.executable) is None
