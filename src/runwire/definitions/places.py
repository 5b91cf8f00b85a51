"""Where in the user's code something stands, and how a wrong definition is refused with its place."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from runwire.errors import InvalidDefinitionError

_OWN_MODULES = "runwire.definitions."


def refusal(place: str, subject: str, problem: str, mend: str) -> InvalidDefinitionError:
    """The error of a wrong definition.

    Args:
        place: where it stands, as ``file:line``.
        subject: what it is, such as ``op 'load'``.
        problem: what is wrong.
        mend: what makes it right.
    """
    return InvalidDefinitionError(f"{place}: {subject}: {problem}; {mend}")


def place_of(fn: Callable[..., Any]) -> str:
    """Where a function stands, as ``file:line``."""
    code = getattr(inspect.unwrap(fn), "__code__", None)
    if code is None:
        return "(unknown place)"
    return f"{code.co_filename}:{code.co_firstlineno}"


def caller() -> FrameType:
    """The frame of the user's code that called into this package."""
    frame = sys._getframe(1)  # noqa: SLF001 - the documented way, and it costs nothing
    while frame.f_back is not None and _is_own(frame):
        frame = frame.f_back
    return frame


def caller_place() -> str:
    """Where the user's code called into this package, as ``file:line``."""
    frame = caller()
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _is_own(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).startswith(_OWN_MODULES)
