"""What costs the server more than a caller may cause at once is done later."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict

from runwire.api.access import Principal
from runwire.server.callers import caller_of, client_host

_MAX_CALLERS = 10_000
_BYTES_OF_REFUSAL = 64 * 1024


def source_of(principal: Principal | None) -> str:
    """What tells who asks from others, who calls from this machine included; None for who is not known yet."""
    caller = None if principal is None else caller_of(principal)
    return caller or f"address {client_host.get()}"


class Allowance:
    """How much each source may use; who has used more waits until it came back.

    Args:
        at_once: how much, when nothing was used for long.
        per_second: how much comes back in a second.
    """

    def __init__(self, at_once: float, per_second: float) -> None:
        self._at_once = at_once
        self._per_second = per_second
        self._used: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def spend(self, source: str, amount: float) -> None:
        """Takes note of what was used, be it more than was left."""
        now = time.monotonic()
        self._used[source] = self._in_use(source, now) + amount, now
        self._used.move_to_end(source)
        while len(self._used) > _MAX_CALLERS:
            self._used.popitem(last=False)

    def seconds_left(self, source: str) -> float:
        """How long a source has to wait until it has used no more than it may; 0 for not at all."""
        if source not in self._used:
            return 0.0
        return max(0.0, self._in_use(source, time.monotonic()) - self._at_once) / self._per_second

    def _in_use(self, source: str, now: float) -> float:
        used, since = self._used.get(source, (0.0, now))
        return max(0.0, used - (now - since) * self._per_second)


class Refusals:
    """Holds back what refuses, for who is refused often: asking again at once must not pay.

    Args:
        at_once: how many come without delay.
        per_second: how many come in a second after that.
        max_seconds: how long one is held back at the most.
    """

    def __init__(self, at_once: int, per_second: int, max_seconds: float = 5.0) -> None:
        self._allowance = Allowance(at_once, per_second)
        self._max_seconds = max_seconds

    async def hold_back(self, principal: Principal | None, size: int = 0) -> None:
        """Returns when a refusal may be sent.

        Args:
            principal: to whom; None to who is not known, or not asked.
            size: how many bytes were read for nothing; many of them count as several refusals.
        """
        source = source_of(principal)
        seconds = self._allowance.seconds_left(source)
        if seconds < self._max_seconds:
            self._allowance.spend(source, 1 + size // _BYTES_OF_REFUSAL)
            seconds = self._allowance.seconds_left(source)
        if seconds > 0:
            await asyncio.sleep(min(seconds, self._max_seconds))
