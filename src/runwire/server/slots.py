"""How many there may be at once."""

from __future__ import annotations


class Slots:
    """As many as may stream at once, over websockets and as streams of events.

    Args:
        limit: how many.
    """

    def __init__(self, limit: int) -> None:
        self._free = limit
        self.message = f"at most {limit} clients are streamed to at once; try later"

    def take(self) -> bool:
        """Takes a slot, if one is free."""
        if self._free <= 0:
            return False
        self._free -= 1
        return True

    def give_back(self) -> None:
        """Gives a slot back."""
        self._free += 1
