"""What a run launcher must do, whose workers are processes on this machine."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from runwire.errors import LaunchFailedError
from runwire.events.payloads import RunFailureReason
from runwire.events.types import EventType
from runwire.launcher import LaunchRunContext, ResumeRunContext, RunLauncher
from runwire.runs.status import RunStatus
from runwire.testing.launcher_place import LauncherPlace, launcher_place
from runwire.testing.left_behind import (
    GENEROUS_SECONDS,
    eventually,
    is_alive,
    nothing_left_behind,
    processes,
)
from runwire.testing.samples import read_log
from runwire.workspace import WorkerStatus

__all__ = ["LauncherPlace", "RunLauncherConformance", "launcher_place"]

E = EventType


class RunLauncherConformance:
    """Launching, health, termination, resumption, disposal. No test leaves a process or descriptor behind.

    Attributes:
        reports_lost_workers: whether the run of a worker that is killed ends by itself, while the process
            of the launcher lives; if not, it stays for the monitoring daemon.
        wait_config: the config with which `dispose` waits for workers; None if there is none.
    """

    reports_lost_workers: ClassVar[bool] = True
    wait_config: ClassVar[Mapping[str, Any] | None] = {"wait_for_processes": True}

    @pytest.fixture
    def place(self) -> LauncherPlace:
        """The place to test in, which is free again after the test; see `launcher_place`."""
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _leaves_nothing(self) -> Iterator[None]:
        with nothing_left_behind():
            yield

    def make_launches_fail(self, place: LauncherPlace) -> None:
        """Makes it impossible to start a worker."""
        folder = place.instance.local_artifact_storage.storage_dir
        assert not folder.exists()
        folder.write_text("a file, where folders for the output of workers would be made")

    # ------------------------------------------------------------------------------- launching

    def test_a_launched_run_ends_in_success(self, place: LauncherPlace) -> None:
        place.go_on()
        run_id = place.launch("two_steps")
        assert place.wait_for_end(run_id) is RunStatus.SUCCESS
        events = read_log(place.instance.storage, place.record(run_id))
        assert [event.event_type for event in events].count(E.RUN_START) == 1
        assert {event.epoch for event in events} == {1}
        assert place.endings(run_id) == [(E.RUN_SUCCESS, True, 1)]
        assert (len(place.noted("first")), len(place.noted("second of 2"))) == (1, 1)

    def test_a_worker_is_a_process_that_leads_a_group_of_its_own(
        self, place: LauncherPlace
    ) -> None:
        run_id = place.launch("two_steps")
        pid = place.wait_for_note("second of 2")
        assert os.getpgid(pid) == pid != os.getpid()
        place.go_on()
        assert place.wait_for_end(run_id) is RunStatus.SUCCESS

    def test_a_worker_outlives_its_launcher_and_is_found_by_another(
        self, place: LauncherPlace
    ) -> None:
        run_id = place.launch("cleaning")
        pid = place.wait_for_note("working")
        place.launcher.dispose()
        other = place.another_launcher()
        if other.supports_check_run_worker_health:
            health = other.check_run_worker_health(place.context(run_id))
            assert health.status is WorkerStatus.RUNNING
        place.report(run_id, E.RUN_CANCELING)
        assert other.terminate(place.context(run_id)) is True
        assert place.wait_for_end(run_id) is RunStatus.CANCELED
        eventually(lambda: not is_alive(pid), "the worker has ended")
        other.dispose()

    def test_a_launch_that_fails_says_so_and_leaves_no_process(self, place: LauncherPlace) -> None:
        run_id = place.create_run("two_steps").run_id
        context = place.hand_over(run_id, E.RUN_STARTING)
        self.make_launches_fail(place)
        before = processes().keys()
        with pytest.raises(LaunchFailedError, match=run_id):
            place.launcher.launch_run(context)
        eventually(lambda: processes().keys() <= before, "no process is left")
        assert place.record(run_id) == context.record

    def test_a_run_without_a_code_location_is_not_launched(self, place: LauncherPlace) -> None:
        context = place.hand_over(place.create_run("two_steps").run_id, E.RUN_STARTING)
        nowhere = replace(context.record, run=replace(context.record.run, location_name=None))
        before = processes().keys()
        with pytest.raises(LaunchFailedError, match="code location"):
            place.launcher.launch_run(replace(context, record=nowhere))
        eventually(lambda: processes().keys() <= before, "no process is left")
        assert place.record(context.record.run_id) == context.record

    # ---------------------------------------------------------------------------------- health

    def test_a_worker_that_was_never_started_is_not_found(self, place: LauncherPlace) -> None:
        launcher = _with_health(place)
        created = place.context(place.create_run("two_steps").run_id)
        assert launcher.check_run_worker_health(created).status is WorkerStatus.NOT_FOUND
        run_id = place.launch("cleaning")
        place.wait_for_note("working")
        context = place.context(run_id)
        of_next = replace(context, record=replace(context.record, worker_epoch=2))
        assert launcher.check_run_worker_health(of_next).status is WorkerStatus.NOT_FOUND
        assert launcher.check_run_worker_health(context).status is WorkerStatus.RUNNING
        place.go_on()
        assert place.wait_for_end(run_id) is RunStatus.SUCCESS

    def test_a_worker_that_has_ended_its_run_has_ended_in_order(self, place: LauncherPlace) -> None:
        launcher = _with_health(place)
        place.go_on()
        run_id = place.launch("two_steps")
        assert place.wait_for_end(run_id) is RunStatus.SUCCESS
        _wait_for_health(launcher, place.context(run_id), WorkerStatus.SUCCESS)
        other = place.another_launcher()
        health = other.check_run_worker_health(place.context(run_id))
        assert health.status is WorkerStatus.SUCCESS
        other.dispose()

    def test_a_worker_that_is_killed_has_failed(self, place: LauncherPlace) -> None:
        run_id = place.launch("cleaning")
        os.kill(place.wait_for_note("working"), signal.SIGKILL)
        if place.launcher.supports_check_run_worker_health:
            _wait_for_health(place.launcher, place.context(run_id), WorkerStatus.FAILED)
        if self.reports_lost_workers:
            assert place.wait_for_end(run_id) is RunStatus.FAILURE
            failure = place.record(run_id).failure
            assert failure is not None
            assert failure.reason is RunFailureReason.WORKER_LOST
            assert place.endings(run_id) == [(E.RUN_FAILURE, True, 1)]
        else:
            assert place.record(run_id).status is RunStatus.STARTED
        assert place.noted("cleaned up") == []

    # ----------------------------------------------------------------------------- termination

    def test_a_worker_that_is_asked_to_stop_cleans_up_and_ends_its_run(
        self, place: LauncherPlace
    ) -> None:
        run_id = place.launch("cleaning")
        pid = place.wait_for_note("working")
        place.report(run_id, E.RUN_CANCELING)
        assert place.launcher.terminate(place.context(run_id)) is True
        assert place.wait_for_end(run_id) is RunStatus.CANCELED
        assert place.noted("cleaned up") == [pid]
        assert place.endings(run_id) == [(E.RUN_CANCELED, True, 1)]
        if place.launcher.supports_check_run_worker_health:
            _wait_for_health(place.launcher, place.context(run_id), WorkerStatus.SUCCESS)

    def test_a_worker_that_ignores_signals_is_killed_with_its_children(
        self, place: LauncherPlace
    ) -> None:
        run_id = place.launch("ignoring")
        pid = place.wait_for_note("ignoring")
        [child] = place.noted("child")
        place.report(run_id, E.RUN_CANCELING)
        assert place.launcher.terminate(place.context(run_id)) is True
        eventually(lambda: not is_alive(pid), "the worker is killed")
        eventually(lambda: not is_alive(child), "its child is killed")
        self._is_canceled_once(place, run_id)

    def test_a_worker_that_is_made_to_stop_is_killed_at_once_with_its_children(
        self, place: LauncherPlace
    ) -> None:
        ignoring, cleaning = place.launch("ignoring"), place.launch("cleaning")
        pids = [place.wait_for_note(name) for name in ("ignoring", "child", "working")]
        for run_id in (ignoring, cleaning):
            place.report(run_id, E.RUN_CANCELING)
            assert place.launcher.terminate(place.context(run_id), force=True) is True
        eventually(lambda: not any(map(is_alive, pids)), "the processes are killed")
        assert place.noted("cleaned up") == []
        for run_id in (ignoring, cleaning):
            self._is_canceled_once(place, run_id)

    @pytest.mark.parametrize("force", [False, True], ids=["asked", "forced"])
    def test_a_worker_that_is_only_just_starting_can_be_stopped(
        self, place: LauncherPlace, force: bool
    ) -> None:
        run_id = place.launch("cleaning")
        place.report(run_id, E.RUN_CANCELING)
        if not place.launcher.terminate(place.context(run_id), force=force):
            # The launcher does not know of it yet. It will be refused when it comes.
            place.report(run_id, E.RUN_CANCELED)
        self._is_canceled_once(place, run_id)

    @pytest.mark.parametrize("force", [False, True], ids=["asked", "forced"])
    def test_where_there_is_no_worker_there_is_nothing_to_stop(
        self, place: LauncherPlace, force: bool
    ) -> None:
        place.go_on()
        ended = place.launch("two_steps")
        assert place.wait_for_end(ended) is RunStatus.SUCCESS
        gone = place.noted("second of 2")
        eventually(lambda: not any(map(is_alive, gone)), "the worker has ended")
        for run_id in (place.create_run("two_steps").run_id, ended):
            before = place.record(run_id)
            assert place.launcher.terminate(place.context(run_id), force=force) is False
            assert place.record(run_id) == before

    # ------------------------------------------------------------------------------ resumption

    @pytest.mark.parametrize("is_stopped", [False, True], ids=["running", "stopped"])
    def test_a_resumed_run_goes_on_in_another_worker_without_the_former_one(
        self, place: LauncherPlace, is_stopped: bool
    ) -> None:
        """The resume has the launcher kill the former worker, then start another one."""
        _with_resume(place)
        run_id = place.launch("two_steps")
        former = place.wait_for_note("second of 2")
        if is_stopped:
            os.kill(former, signal.SIGSTOP)
        place.instance.resume_run(run_id, place.workspace, 1)
        latter = place.wait_for_note("second of 2", times=2)
        eventually(lambda: not is_alive(former), "the former worker has ended")
        place.go_on()
        assert place.wait_for_end(run_id) is RunStatus.SUCCESS
        assert place.noted("first") == [former]
        assert place.noted("second of 2") == [former, latter]
        assert place.endings(run_id) == [(E.RUN_SUCCESS, True, 2)]

    def test_stopping_a_former_worker_leaves_its_successor_alone(
        self, place: LauncherPlace
    ) -> None:
        launcher = _with_resume(place)
        run_id = place.launch("two_steps")
        former = place.wait_for_note("second of 2")
        os.kill(former, signal.SIGSTOP)  # so that it does not find out that it is fenced
        fenced = place.context(run_id)
        resumed = place.hand_over(run_id, E.RUN_WORKER_LOST)
        assert launcher.terminate(fenced, force=True) is True
        eventually(lambda: not is_alive(former), "the former worker has ended")
        launcher.resume_run(_to_resume(resumed))
        place.wait_for_note("second of 2", times=2)
        assert launcher.terminate(fenced, force=True) is False
        place.go_on()
        assert place.wait_for_end(run_id) is RunStatus.SUCCESS
        assert place.endings(run_id) == [(E.RUN_SUCCESS, True, 2)]

    def test_the_workers_of_the_epochs_before_are_stopped_too(self, place: LauncherPlace) -> None:
        _with_resume(place)
        run_id = place.launch("cleaning")
        former = place.wait_for_note("working")
        os.kill(former, signal.SIGSTOP)  # so that it does not find out that it is fenced
        context = place.hand_over(run_id, E.RUN_WORKER_LOST)
        assert place.launcher.terminate(context, force=True) is True
        eventually(lambda: not is_alive(former), "the former worker has ended")
        assert place.record(run_id).status is RunStatus.STARTED

    def test_a_run_that_cannot_be_resumed_says_so(self, place: LauncherPlace) -> None:
        launcher = place.launcher
        if not launcher.supports_resume_run:
            context = place.context(place.create_run("two_steps").run_id)
            with pytest.raises(NotImplementedError, match="max_resume_run_attempts"):
                launcher.resume_run(_to_resume(context))
            return
        run_id = place.create_run("two_steps").run_id
        place.report(run_id, E.RUN_STARTING, handover=True)
        context = place.hand_over(run_id, E.RUN_WORKER_LOST)
        self.make_launches_fail(place)
        before = processes().keys()
        with pytest.raises(LaunchFailedError, match=run_id):
            launcher.resume_run(_to_resume(context))
        eventually(lambda: processes().keys() <= before, "no process is left")
        assert place.record(run_id) == context.record

    # -------------------------------------------------------------------------------- disposal

    def test_it_is_disposed_of_twice_and_before_it_did_anything(self, place: LauncherPlace) -> None:
        other = place.another_launcher()
        for _ in range(2):
            other.dispose()
            place.launcher.dispose()

    def test_it_waits_for_its_workers_where_it_is_configured_to(self, place: LauncherPlace) -> None:
        if self.wait_config is None:
            pytest.skip("this launcher does not wait for workers")
        launcher = place.another_launcher(**self.wait_config)
        run_id = place.launch("two_steps", launcher)
        pid = place.wait_for_note("second of 2")
        waiting = threading.Thread(target=launcher.dispose)
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive()
        place.go_on()
        waiting.join(GENEROUS_SECONDS)
        assert not waiting.is_alive()
        assert not is_alive(pid)
        assert place.record(run_id).status is RunStatus.SUCCESS

    def _is_canceled_once(self, place: LauncherPlace, run_id: str) -> None:
        """The run has ended, or somebody else must end it, in the same way as if it had been asked."""
        if not self.reports_lost_workers and not place.record(run_id).is_finished:
            assert place.record(run_id).status is RunStatus.CANCELING
            return
        assert place.wait_for_end(run_id) is RunStatus.CANCELED
        applied = [(kind, applied) for kind, applied, _ in place.endings(run_id) if applied]
        assert applied == [(E.RUN_CANCELED, True)]


def _with_health(place: LauncherPlace) -> RunLauncher:
    if not place.launcher.supports_check_run_worker_health:
        pytest.skip("this launcher cannot tell whether workers live")
    return place.launcher


def _with_resume(place: LauncherPlace) -> RunLauncher:
    if not place.launcher.supports_resume_run:
        pytest.skip("this launcher cannot resume runs")
    return place.launcher


def _to_resume(context: LaunchRunContext) -> ResumeRunContext:
    return ResumeRunContext(
        context.record, context.workspace, context.instance_ref, resume_attempt_number=1
    )


def _wait_for_health(
    launcher: RunLauncher, context: LaunchRunContext, status: WorkerStatus
) -> None:
    eventually(
        lambda: launcher.check_run_worker_health(context).status is status,
        f"the worker is {status.value}",
    )
