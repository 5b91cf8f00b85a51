"""The line between the engine and user code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

from runwire.errors import RunwireError, UserCodeError
from runwire.interrupts import current_interrupts


class LogManager(Protocol):
    """Sends what user code writes to Python's loggers to the run's log."""

    def captured_python_logs(self) -> AbstractContextManager[None]:
        """Captures in the block, and never after it."""


@contextmanager
def user_code_error_boundary(
    error_cls: type[UserCodeError],
    msg_fn: Callable[[], str],
    log_manager: LogManager | None = None,
    **kwargs: Any,
) -> Iterator[None]:
    """User code runs in this block; what it raises becomes an error of ours, its cause the original.

    Errors of runwire pass as they are, for they are part of the contract, and so does what is no
    `Exception`, such as an interrupt. An interrupt of the run is raised in the block at once.

    Args:
        error_cls: what to raise, with `user_exception`.
        msg_fn: makes its message; called only when it is needed.
        log_manager: captures Python's loggers in the block.
        **kwargs: more arguments of the error.

    Raises:
        TypeError: `error_cls` or `msg_fn` is not what it must be.
    """
    if not _is_user_code_error(error_cls):
        raise TypeError(f"error_cls is {error_cls!r}; give a subclass of UserCodeError")
    if not callable(msg_fn):
        raise TypeError(f"msg_fn is {msg_fn!r}; give a function: lambda: {msg_fn!r}")
    capture = nullcontext() if log_manager is None else log_manager.captured_python_logs()
    try:
        with current_interrupts().user_code(), capture:
            yield
    except RunwireError:
        raise
    except Exception as error:
        raise error_cls(msg_fn(), user_exception=error, **kwargs) from error


def _is_user_code_error(error_cls: object) -> bool:
    return isinstance(error_cls, type) and issubclass(error_cls, UserCodeError)
