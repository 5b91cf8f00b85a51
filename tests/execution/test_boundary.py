"""What user code raises becomes an error of ours; what is ours, and what is no Exception, passes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from runwire.errors import (
    InvalidDefinitionError,
    RunInterrupted,
    RunwireError,
    StepExecutionError,
    TypeCheckError,
)
from runwire.execution import user_code_error_boundary


def test_an_exception_is_wrapped_with_its_message_and_cause() -> None:
    original = ValueError("boom")
    with (
        pytest.raises(StepExecutionError, match=r"^op 'load' raised$") as raised,
        user_code_error_boundary(StepExecutionError, lambda: "op 'load' raised"),
    ):
        raise original
    assert raised.value.user_exception is original
    assert raised.value.__cause__ is original


def test_more_arguments_reach_the_error() -> None:
    class ToldError(StepExecutionError):
        def __init__(self, message: str, *, step_key: str, **options: Any) -> None:
            super().__init__(message, **options)
            self.step_key = step_key

    with (
        pytest.raises(ToldError) as raised,
        user_code_error_boundary(ToldError, lambda: "raised", step_key="load"),
    ):
        raise ValueError
    assert raised.value.step_key == "load"


@pytest.mark.parametrize(
    "error",
    [
        RunwireError("ours"),
        InvalidDefinitionError("ours"),
        TypeCheckError("raised inside"),
        RunInterrupted(),
        KeyboardInterrupt(),
        SystemExit(3),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_of_runwire_and_what_is_no_exception_pass_as_they_are(error: BaseException) -> None:
    with (
        pytest.raises(type(error)) as raised,
        user_code_error_boundary(StepExecutionError, lambda: "raised"),
    ):
        raise error
    assert raised.value is error
    assert raised.value.__cause__ is None


def test_a_stop_iteration_is_an_exception_like_any_other() -> None:
    with (
        pytest.raises(StepExecutionError) as raised,
        user_code_error_boundary(StepExecutionError, lambda: "raised"),
    ):
        next(iter(()))
    assert isinstance(raised.value.user_exception, StopIteration)


def test_a_text_in_place_of_the_message_function_is_refused_with_the_mend() -> None:
    with (
        pytest.raises(TypeError, match=r"msg_fn is 'failed'; give a function: lambda: 'failed'"),
        user_code_error_boundary(StepExecutionError, "failed"),  # type: ignore[arg-type]
    ):
        pytest.fail("the block must not run")


@pytest.mark.parametrize("error_cls", [ValueError, RunwireError, StepExecutionError("x")])
def test_an_error_class_that_is_not_for_user_code_is_refused(error_cls: Any) -> None:
    with (
        pytest.raises(TypeError, match="give a subclass of UserCodeError"),
        user_code_error_boundary(error_cls, lambda: "x"),
    ):
        pytest.fail("the block must not run")


class Capture:
    def __init__(self) -> None:
        self.steps: list[str] = []

    @contextmanager
    def captured_python_logs(self) -> Iterator[None]:
        self.steps.append("on")
        try:
            yield
        finally:
            self.steps.append("off")


def test_python_logs_are_captured_in_the_block_and_never_after_it() -> None:
    capture = Capture()

    def work() -> None:
        with user_code_error_boundary(StepExecutionError, lambda: "raised", capture):
            capture.steps.append("in")
            raise ValueError

    with pytest.raises(StepExecutionError):
        work()
    assert capture.steps == ["on", "in", "off"]
