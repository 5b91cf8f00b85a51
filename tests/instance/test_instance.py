"""What an instance adds to the actions of runs: how workers open it, and what it refuses to be."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from runwire.config import ConfigurableClassData
from runwire.control import TerminatePolicy
from runwire.errors import HomeInvalidError, InvalidConfigurationError
from runwire.instance import Instance
from runwire.launcher import LaunchRunContext, RunLauncher
from runwire.runs import RunStatus
from tests.control.fakes import FakeLauncher, FakeLocation, FakeWorkspace
from tests.control.ways import events_of, run_in


class WithoutResume(RunLauncher):
    """Cannot resume runs."""

    supports_resume_run = False

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        return cls()

    def launch_run(self, context: LaunchRunContext) -> None:
        raise NotImplementedError

    def terminate(self, context: LaunchRunContext, *, force: bool = False) -> bool:
        raise NotImplementedError


LAUNCHER = f"run_launcher: {{module: {__name__}, class: WithoutResume}}\n"


@pytest.fixture
def workspace() -> FakeWorkspace:
    return FakeWorkspace(FakeLocation("here", "etl"))


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    with Instance.from_home(tmp_path) as made:
        made.run_launcher = FakeLauncher()
        yield made


def test_resuming_by_a_launcher_that_cannot_is_refused_with_both_keys(tmp_path: Path) -> None:
    text = LAUNCHER + "run_monitoring: {max_resume_run_attempts: 2}\n"
    (tmp_path / "runwire.yaml").write_text(text)
    with pytest.raises(InvalidConfigurationError) as refused:
        Instance.from_home(tmp_path)
    assert [problem.path for problem in refused.value.problems] == [
        ("run_monitoring", "max_resume_run_attempts"),
        ("run_launcher",),
    ]
    assert refused.value.source == str(tmp_path / "runwire.yaml")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runwire.yaml"]


@pytest.mark.parametrize("attempts", ["", "run_monitoring: {max_resume_run_attempts: 0}\n"])
def test_a_launcher_that_cannot_resume_serves_where_nothing_is_resumed(
    tmp_path: Path, attempts: str
) -> None:
    (tmp_path / "runwire.yaml").write_text(LAUNCHER + attempts)
    with Instance.from_home(tmp_path) as instance:
        assert type(instance.run_launcher).__name__ == "WithoutResume"


def test_whoever_starts_and_stops_workers_learns_how_they_open_the_instance(
    instance: Instance, workspace: FakeWorkspace
) -> None:
    contexts: list[LaunchRunContext] = []
    launcher = instance.run_launcher
    assert isinstance(launcher, FakeLauncher)
    launcher.on_start = launcher.on_check = launcher.on_terminate = contexts.append
    run_id = run_in(instance.storage, workspace, RunStatus.NOT_STARTED)
    instance.launch_run(run_id, workspace)
    instance.resume_run(run_id, workspace, 1)
    instance.terminate_run(run_id, workspace)
    instance.terminate_run(run_id, workspace, TerminatePolicy.MARK_AS_CANCELED_IMMEDIATELY)
    instance.delete_run(run_id, workspace)
    # launch; stop, start; check, stop; stop; stop
    assert [context.record.worker_epoch for context in contexts] == [1, 1, 2, 2, 2, 2, 2]
    assert {context.workspace for context in contexts} == {workspace}
    for context in contexts:
        assert context.instance_ref == instance.ref.to_dict()


def test_an_instance_in_memory_resumes_nothing(workspace: FakeWorkspace, tmp_path: Path) -> None:
    with Instance.ephemeral(tmp_path) as instance:
        run_id = run_in(instance.storage, workspace, RunStatus.STARTED)
        before = events_of(instance.storage, run_id)
        with pytest.raises(HomeInvalidError):
            instance.resume_run(run_id, workspace)
        assert events_of(instance.storage, run_id) == before
