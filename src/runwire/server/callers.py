"""What each caller may have: a caller is whose token it is, and without one whose address."""

from __future__ import annotations

import math
import time
from collections import Counter, OrderedDict
from contextvars import ContextVar
from dataclasses import dataclass

from runwire.api.access import Principal
from runwire.server.origins import is_loopback

client_host: ContextVar[str | None] = ContextVar("client_host", default=None)
"""The address of who sent the request that is answered here."""

CROWDED_SECONDS = 10
"""When to come back who has all that a caller may have at once."""

_MAX_BUCKETS = 10_000


def caller_of(principal: Principal) -> str | None:
    """What tells a caller from others; None for who calls from this machine without a token, who has no limits."""
    if principal.issuer is not None:
        return f"subject {principal.name} of {principal.issuer}"
    if principal.authenticated:
        return f"token {principal.name}"
    host = client_host.get()
    return None if host is None or is_loopback(host) else f"address {host}"


class CallerSlots:
    """How many there may be of each caller at once.

    Args:
        limit: how many.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._taken: Counter[str] = Counter()

    def take(self, caller: str | None) -> bool:
        """Takes a slot, if the caller has one left."""
        if caller is None:
            return True
        if self._taken[caller] >= self.limit:
            return False
        self._taken[caller] += 1
        return True

    def give_back(self, caller: str | None) -> None:
        """Gives a slot back."""
        if caller is not None:
            self._taken[caller] -= 1
            if not self._taken[caller]:
                del self._taken[caller]


class CrowdedError(Exception):
    """A caller has as many connections as it may have."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"at most {limit} connections of one caller are open at once")


@dataclass(frozen=True, slots=True)
class Shortage:
    """A caller has too few points left.

    Attributes:
        cost: how many points the operation costs.
        left: how many the caller has.
        retry_after_seconds: when it has enough, in whole seconds from now.
    """

    cost: int
    left: int
    retry_after_seconds: int


class Points:
    """The points of each caller, which come back steadily.

    Args:
        per_minute: how many come back in a minute, and how many there are at the most; None for no limit.
    """

    def __init__(self, per_minute: int | None) -> None:
        self._per_minute = per_minute
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def spend(self, caller: str | None, cost: int) -> Shortage | None:
        """Takes the points of an operation, or tells how many are missing.

        What costs more than there can be costs all that there can be.
        """
        if self._per_minute is None or caller is None:
            return None
        now, capacity = time.monotonic(), float(self._per_minute)
        left, since = self._buckets.pop(caller, (capacity, now))
        left = min(capacity, left + (now - since) * capacity / 60)
        price = min(cost, self._per_minute)
        shortage = None
        if left < price:
            wait = math.ceil((price - left) * 60 / capacity)
            shortage = Shortage(price, int(left), max(1, wait))
        else:
            left -= price
        # Whoever called longest ago is forgotten first, and has most of its points again.
        self._buckets[caller] = left, now
        while len(self._buckets) > _MAX_BUCKETS:
            self._buckets.popitem(last=False)
        return shortage
