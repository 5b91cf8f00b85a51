"""The events that are on their way to a webhook: which may be sent now, and up to where all are done."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from runwire.webhooks.source import Outgoing

ROOM = 100
"""How many events a window has at most; a page may be added to one that has fewer than that."""


class Window:
    """Events in order of position, of which those of one run are sent one after another.

    Args:
        read_up_to: the position after which its events begin.
    """

    def __init__(self, read_up_to: int) -> None:
        self.read_up_to = read_up_to
        self._events: deque[Outgoing] = deque()
        self._flying: set[Outgoing] = set()
        self._done: set[Outgoing] = set()

    @property
    def has_room(self) -> bool:
        """Whether more events may be added."""
        return len(self._events) < ROOM

    @property
    def done_up_to(self) -> int:
        """The position up to which all events are done."""
        return self._events[0].position - 1 if self._events else self.read_up_to

    def add(self, events: Iterable[Outgoing], read_up_to: int) -> None:
        """Adds the events that follow, up to a position."""
        self._events.extend(events)
        self.read_up_to = read_up_to

    def failing(self) -> Outgoing | None:
        """The first event that has failed and is not done."""
        return next(
            (each for each in self._events if each.failures and each not in self._done), None
        )

    def take(self) -> Outgoing | None:
        """The next event to send, which is on its way then; None when all that are left must wait."""
        runs: set[str] = set()
        for each in self._events:
            if each in self._done:
                continue
            if each not in self._flying and each.run_id not in runs:
                return self.take_this(each)
            runs.add(each.run_id)
        return None

    def take_this(self, event: Outgoing) -> Outgoing:
        """Has an event be on its way."""
        self._flying.add(event)
        return event

    def give_back(self, event: Outgoing) -> None:
        """Has an event be sent again."""
        self._flying.discard(event)

    def finish(self, event: Outgoing) -> None:
        """Has an event be done."""
        self._flying.discard(event)
        self._done.add(event)
        while self._events and self._events[0] in self._done:
            self._done.discard(self._events.popleft())
