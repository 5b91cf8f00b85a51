"""Until when somebody waits for what is read.

The server sets it for a query; storages look at it, so that no statement goes on for nobody. What is written has
none: it is finished.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Deadline:
    """The end of somebody's patience. Thread-safe.

    Args:
        seconds: from now on.
    """

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    @property
    def seconds_left(self) -> float:
        """How long is left; 0 when it is over."""
        return max(0.0, self._at - time.monotonic())

    @property
    def is_over(self) -> bool:
        """Whether nobody waits any more."""
        return self.seconds_left == 0.0

    def end(self) -> None:
        """Says that nobody waits any more."""
        self._at = 0.0


_current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


def current_deadline() -> Deadline | None:
    """The deadline of what is done here; None when it has none."""
    return _current.get()


@contextmanager
def using_deadline(deadline: Deadline) -> Iterator[None]:
    """In this block it is the current one; what has begun in it is over for everybody in the end."""
    token = _current.set(deadline)
    try:
        yield
    finally:
        deadline.end()
        _current.reset(token)
