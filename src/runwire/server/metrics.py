"""What the server counts of its work, for Prometheus.

Each application has a registry of its own. What is counted as it happens is counted here, once for each operation,
connection or batch. What others count for themselves, as plain numbers, is read when a page is asked for
(`runwire.server.figures`).
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from runwire.lanes import TIME_BOUNDS

CONTENT_TYPE = CONTENT_TYPE_LATEST

MAX_NAMES = 200
"""How many names of operations are told apart; a caller makes them up, and each costs memory for ever."""
MAX_NAME_LENGTH = 128
"""How long a name may be that is told apart; it stands in each line of the page."""

OTHER = "other"
ANONYMOUS = "anonymous"
INVALID = "invalid"


class Metrics:
    """The figures of one application.

    Args:
        max_names: how many names of operations are told apart.
    """

    def __init__(self, *, max_names: int = MAX_NAMES) -> None:
        self.registry = registry = CollectorRegistry()
        self._told = CollectorRegistry()
        self._max_names = max_names
        self._names: set[str] = {ANONYMOUS, INVALID}
        self._operations = Counter(
            "runwire_operations",
            "Operations that have ended, by name, type and outcome.",
            ["operation", "type", "outcome"],
            registry=registry,
        )
        self._seconds = Histogram(
            "runwire_operation_duration_seconds",
            "How long queries and mutations took until their answer was ready to be written.",
            ["operation", "type"],
            buckets=TIME_BOUNDS,
            registry=registry,
        )
        self._points = Counter(
            "runwire_operation_cost_points",
            "What the operations that have ended cost their callers, in points.",
            ["operation", "type"],
            registry=registry,
        )
        self._live = Gauge(
            "runwire_live_operations", "Operations that run now.", ["type"], registry=registry
        )
        self._connections = Gauge(
            "runwire_streaming_connections",
            "Connections that are streamed to now, by transport.",
            ["transport"],
            registry=registry,
        )
        self._refusals = Counter(
            "runwire_http_refusals",
            "Requests and handshakes that were answered with a status of 400 or more.",
            ["code"],
            registry=registry,
        )
        self._stalled = Counter(
            "runwire_stalled_readers_closed",
            "Connections that were closed because nothing was read from them.",
            ["transport"],
            registry=registry,
        )

    def add(self, collectors: Iterable[Collector]) -> None:
        """Tells on each page what collectors tell then."""
        for collector in collectors:
            self._told.register(collector)

    def page(self) -> bytes:
        """The page as text: what was counted, and what collectors tell."""
        return self.counted() + self.told()

    def counted(self) -> bytes:
        """The part of the page that is counted here. It may be long; any thread may make it."""
        return generate_latest(self.registry)

    def told(self) -> bytes:
        """The part that collectors tell. It is read now, in the event loop that what they tell of belongs to."""
        return generate_latest(self._told)

    # ------------------------------------------------------------------------ what happens

    def operation_began(self, type: str) -> None:
        """Counts an operation that begins."""
        self._live.labels(type).inc()

    def operation_ended(
        self,
        began_as: str,
        name: str,
        type: str,
        outcome: str,
        seconds: float,
        points: int,
        *,
        is_timed: bool,
    ) -> None:
        """Counts an operation that has ended.

        Args:
            began_as: the type that it was said to have when it began.
            name: its name; a valid document has it, or it is ANONYMOUS or INVALID.
            type: query, mutation, subscription or unknown.
            outcome: what came of it.
            seconds: how long it took.
            points: what it cost its caller.
            is_timed: whether that says something of the server, not only of whoever listened.
        """
        name = self._bounded(name)
        self._live.labels(began_as).dec()
        self._operations.labels(name, type, outcome).inc()
        self._points.labels(name, type).inc(points)
        if is_timed:
            self._seconds.labels(name, type).observe(seconds)

    def connection_opened(self, transport: str) -> None:
        """Counts a connection that is streamed to from now on."""
        self._connections.labels(transport).inc()

    def connection_closed(self, transport: str) -> None:
        """Counts a connection that is gone."""
        self._connections.labels(transport).dec()

    def refused(self, code: int) -> None:
        """Counts an answer that refuses."""
        self._refusals.labels(str(code)).inc()

    def stalled(self, transport: str) -> None:
        """Counts a connection that is closed because its client takes nothing."""
        self._stalled.labels(transport).inc()

    def _bounded(self, name: str) -> str:
        if name not in self._names:
            if len(name) > MAX_NAME_LENGTH:
                return OTHER
            if len(self._names) >= self._max_names:
                return OTHER
            self._names.add(name)
        return name
