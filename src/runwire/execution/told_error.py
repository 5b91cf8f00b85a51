"""Errors as they are told in events: with the stack of the user's code, without ours around it."""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from pathlib import Path
from types import TracebackType

import msgspec

from runwire.definitions import Failure, RetryRequested
from runwire.error_info import ErrorInfo
from runwire.errors import (
    ResourceError,
    RunInterrupted,
    RunwireError,
    StepExecutionError,
    UserCodeError,
)
from runwire.events.payloads import StepErrorSource, StepFailureData

INTENTIONAL_FAILURE = "intentional-failure"
MAX_LINE_CHARS = 500

_OURS = (
    str(Path(__file__).parent),
    str(Path(asyncio.__file__).parent),
    contextlib.__file__,
)


def told_error(error: BaseException) -> ErrorInfo:
    """An error as data. What only says that user code raised gives way to what it raised."""
    error = _telling(error)
    info = ErrorInfo.from_exception(error)
    below = _below_ours(error.__traceback__)
    if below is None and not isinstance(error, RunwireError):
        return info
    return msgspec.structs.replace(info, stack=tuple(traceback.format_tb(below)))


def reason_of(error: BaseException) -> str:
    """An error in one line, for people."""
    error = _telling(error)
    if isinstance(error, RetryRequested) and error.__cause__ is not None:
        error = error.__cause__
    line = _line(error)
    cause = error.user_exception if isinstance(error, UserCodeError) else None
    if cause is None:
        return line
    cause_line = _line(cause)
    return line if ErrorInfo.from_exception(cause).message in line else f"{line}: {cause_line}"


def step_failure_data(error: BaseException) -> StepFailureData:
    """Whose failure an error of a step is, and what its author says of it."""
    raised = error.user_exception if isinstance(error, UserCodeError) else None
    if isinstance(raised, Failure):
        return StepFailureData(
            StepErrorSource.USER_CODE_ERROR,
            label=INTENTIONAL_FAILURE,
            description=raised.description,
            metadata=raised.metadata,
        )
    return StepFailureData(_source(error, raised))


def _source(error: BaseException, raised: BaseException | None) -> StepErrorSource:
    if isinstance(error, RunInterrupted | KeyboardInterrupt):
        return StepErrorSource.INTERRUPT
    if raised is not None or not isinstance(error, Exception):
        return StepErrorSource.USER_CODE_ERROR
    if isinstance(error, RunwireError):
        return StepErrorSource.FRAMEWORK_ERROR
    return StepErrorSource.UNEXPECTED_ERROR


def _telling(error: BaseException) -> BaseException:
    if isinstance(error, StepExecutionError | ResourceError):
        return error.user_exception or error
    return error


def _line(error: BaseException) -> str:
    info = ErrorInfo.from_exception(error)
    line = info.message.strip().partition("\n")[0][:MAX_LINE_CHARS]
    if isinstance(error, RunwireError) and line:
        return line
    return f"{info.class_name}: {line}" if line else f"{info.class_name}"


def _below_ours(tb: TracebackType | None) -> TracebackType | None:
    """The part of a traceback from the first call on that is not ours; None when all are."""
    while tb is not None and tb.tb_frame.f_code.co_filename.startswith(_OURS):
        tb = tb.tb_next
    return tb
