"""What user code logs: `context.log`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from runwire.definitions import Log
from runwire.error_info import ErrorInfo
from runwire.events.types import LogLevel
from runwire.execution.run_log import RunLog


class UserLog(Log):
    """Writes lines to the run's log. No text, argument or format makes it raise.

    It takes what Python's loggers take; of the keyword arguments only `exc_info` means something.
    """

    def __init__(self, log: RunLog, step_key: str | None = None) -> None:
        self._log = log
        self._step_key = step_key

    def debug(self, msg: object, *args: Any, **options: Any) -> None:
        self._write(LogLevel.DEBUG, msg, args, options)

    def info(self, msg: object, *args: Any, **options: Any) -> None:
        self._write(LogLevel.INFO, msg, args, options)

    def warning(self, msg: object, *args: Any, **options: Any) -> None:
        self._write(LogLevel.WARNING, msg, args, options)

    def error(self, msg: object, *args: Any, **options: Any) -> None:
        self._write(LogLevel.ERROR, msg, args, options)

    def critical(self, msg: object, *args: Any, **options: Any) -> None:
        self._write(LogLevel.CRITICAL, msg, args, options)

    def exception(self, msg: object, *args: Any, **options: Any) -> None:
        self._write(LogLevel.ERROR, msg, args, {"exc_info": True, **options})

    def _write(
        self, level: LogLevel, msg: object, args: tuple[Any, ...], options: Mapping[str, Any]
    ) -> None:
        error = _error(options.get("exc_info"))
        self._log.tell(None, _text(msg, args), step_key=self._step_key, level=level, error=error)


def _error(exc_info: object) -> ErrorInfo | None:
    if isinstance(exc_info, tuple):
        exc_info = exc_info[1] if len(exc_info) > 1 else None
    elif exc_info and not isinstance(exc_info, BaseException):
        exc_info = sys.exc_info()[1]
    return ErrorInfo.from_exception(exc_info) if isinstance(exc_info, BaseException) else None


def _text(msg: object, args: tuple[Any, ...]) -> str:
    text = _shown(msg, str)
    if not args:
        return text
    values = args[0] if len(args) == 1 and isinstance(args[0], Mapping) else args
    try:
        return _plain(text % values)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the line is written
        given = ", ".join(_shown(arg, repr) for arg in args)
        return f"{text} (not formatted with {given}: {_shown(error, str)})"


def _shown(value: object, to_text: type[str] | Any) -> str:
    try:
        return _plain(to_text(value))
    except Exception as error:  # noqa: BLE001 - a user's __str__ may raise anything
        return f"<{type(value).__name__} whose text could not be made: {type(error).__name__}>"


def _plain(text: str) -> str:
    """The text as an exact str: a subclass may encode itself in ways of its own."""
    return str.__str__(text)
