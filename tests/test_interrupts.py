"""A request to stop is raised at once in user code, and nowhere else."""

import signal
import threading

import pytest

from runwire.errors import RunInterrupted, StepExecutionError
from runwire.execution import Interrupts, user_code_error_boundary
from runwire.interrupts import current_interrupts, using_interrupts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_raised_at_once_inside_user_code(number: signal.Signals) -> None:
    interrupts, steps = Interrupts(), []

    def work() -> None:
        with user_code_error_boundary(StepExecutionError, lambda: "raised"):
            steps.append("before")
            signal.raise_signal(number)
            steps.append("after")

    with interrupts.captured(), using_interrupts(interrupts), pytest.raises(RunInterrupted):
        work()
    assert steps == ["before"]
    assert interrupts.requested


def test_a_signal_outside_user_code_is_only_recorded_until_somebody_checks() -> None:
    interrupts = Interrupts()
    with interrupts.captured():
        interrupts.check()
        signal.raise_signal(signal.SIGTERM)
        assert interrupts.requested
    for _ in range(2):
        with pytest.raises(RunInterrupted):
            interrupts.check()


def test_user_code_that_begins_after_a_request_is_stopped_before_it_does_anything() -> None:
    interrupts = Interrupts()
    interrupts.request()
    with pytest.raises(RunInterrupted), interrupts.user_code():
        pytest.fail("the block must not run")


def test_what_is_held_ends_first() -> None:
    interrupts, steps = Interrupts(), []

    def work() -> None:
        with interrupts.held():
            with interrupts.held():
                interrupts.request()
                steps.append("inner")
            with interrupts.user_code():
                steps.append("user code that is held")
            steps.append("outer")
        steps.append("never")

    with pytest.raises(RunInterrupted), interrupts.user_code():
        work()
    assert steps == ["inner", "user code that is held", "outer"]


def test_a_request_is_raised_once_so_that_cleaning_up_is_not_cut() -> None:
    interrupts, steps = Interrupts(), []

    def work() -> None:
        try:
            interrupts.request()
        finally:
            with interrupts.held():
                steps.append("cleaned up")
            steps.append("to its end")

    with pytest.raises(RunInterrupted), interrupts.user_code():
        work()
    assert steps == ["cleaned up", "to its end"]


def test_another_request_is_raised_again() -> None:
    interrupts = Interrupts()
    with interrupts.user_code():
        for _ in range(2):
            with pytest.raises(RunInterrupted):
                interrupts.request()


def test_after_user_code_nothing_is_raised_any_more() -> None:
    interrupts = Interrupts()
    with pytest.raises(ValueError, match="boom"), interrupts.user_code():
        raise ValueError("boom")
    interrupts.request()
    assert interrupts.requested


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with Interrupts().captured():
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_user_code_in_another_thread_is_left_alone() -> None:
    interrupts, steps = Interrupts(), []

    def work() -> None:
        with interrupts.user_code(), interrupts.held():
            steps.append("worked")
        steps.append("done")

    interrupts.request()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert steps == ["worked", "done"]


def test_the_current_interrupts_are_those_of_the_block() -> None:
    interrupts = Interrupts()
    outside = current_interrupts()
    with using_interrupts(interrupts):
        assert current_interrupts() is interrupts
    assert current_interrupts() is outside
    assert not outside.requested
