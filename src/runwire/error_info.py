"""Errors as data: what an exception was, told without the exception."""

from __future__ import annotations

import traceback

import msgspec

MAX_CAUSES = 10
MAX_MESSAGE_CHARS = 20_000


class ErrorInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error as it was raised.

    Attributes:
        message: the text of the error, without its class.
        class_name: the name of its class; None when an outsider did not tell.
        stack: the lines of the stack trace, outermost call first.
        causes: the errors behind it, nearest first; empty in an error of this list.
    """

    message: str
    class_name: str | None = None
    stack: tuple[str, ...] = ()
    causes: tuple[ErrorInfo, ...] = ()

    @classmethod
    def from_exception(cls, error: BaseException) -> ErrorInfo:
        """The error and the errors behind it (its `__cause__`, else its unsuppressed `__context__`)."""
        causes: list[ErrorInfo] = []
        seen = {id(error)}
        behind = _behind(error)
        while behind is not None and id(behind) not in seen and len(causes) < MAX_CAUSES:
            seen.add(id(behind))
            causes.append(_alone(behind))
            behind = _behind(behind)
        alone = _alone(error)
        return cls(alone.message, alone.class_name, alone.stack, tuple(causes))


def _behind(error: BaseException) -> BaseException | None:
    if error.__cause__ is not None:
        return error.__cause__
    return None if error.__suppress_context__ else error.__context__


def _alone(error: BaseException) -> ErrorInfo:
    try:
        message = str(error)
    except Exception as broken:  # noqa: BLE001 - a user's __str__ may raise anything
        message = f"(its text could not be made: {type(broken).__name__})"
    return ErrorInfo(
        message=message[:MAX_MESSAGE_CHARS],
        class_name=type(error).__name__,
        stack=tuple(traceback.format_tb(error.__traceback__)),
    )
