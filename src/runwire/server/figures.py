"""Figures that are read when a page of metrics is asked for: what others count, and what the storage tells."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from runwire.api.webhooks.reads import WebhookRow, webhook_rows
from runwire.daemons.status import DaemonStatus, daemon_statuses
from runwire.feed import InstanceFeed, RunFeed
from runwire.instance import Instance
from runwire.lanes import TIME_BOUNDS, Lanes, LaneTimes
from runwire.runs.filters import RunsFilter
from runwire.runs.status import RunStatus
from runwire.server.cohorts import Cohorts
from runwire.storage import BackfillStatus, WebhookStatus

logger = logging.getLogger(__name__)

KEPT_SECONDS = 5.0
"""For how long what the storage told is told again."""

ANSWER_SECONDS = 2.0
"""How long a page waits for the storage; what comes later is told by the next one."""

MAX_RUNS = 100_000
"""How far the runs of one status are counted, so that it takes bounded time."""


class StreamFigures(Collector):
    """Cohorts, and the messages of streams."""

    def __init__(self, cohorts: Cohorts) -> None:
        self._cohorts = cohorts

    def collect(self) -> Iterator[Metric]:
        """The figures as they are now."""
        cohorts, counts = self._cohorts, self._cohorts.counts
        deliveries = CounterMetricFamily(
            "runwire_deliveries",
            "Messages for subscribers: made for one of them, or shared by a cohort and counted for each member.",
            labels=["kind"],
        )
        deliveries.add_metric(["own"], counts.own)
        deliveries.add_metric(["shared"], counts.shared)
        yield deliveries
        yield CounterMetricFamily(
            "runwire_cohort_batches",
            "Messages that were executed and encoded once for all members of a cohort.",
            value=counts.batches,
        )
        yield CounterMetricFamily(
            "runwire_cohort_fallbacks",
            "How often a member fell behind its cohort and went on alone.",
            value=counts.fallen_behind,
        )
        yield GaugeMetricFamily("runwire_cohorts", "Cohorts now.", value=len(cohorts))
        yield GaugeMetricFamily(
            "runwire_cohort_members", "Subscribers in cohorts now.", value=cohorts.members
        )
        yield GaugeMetricFamily(
            "runwire_cohort_lag_messages",
            "How many messages the member that is furthest behind its cohort has not taken yet.",
            value=cohorts.lag,
        )


class FeedFigures(Collector):
    """The live tails of logs."""

    def __init__(self, feed: RunFeed, instance_feed: InstanceFeed) -> None:
        self._feed = feed
        self._instance_feed = instance_feed

    def collect(self) -> Iterator[Metric]:
        """The figures as they are now."""
        reads = CounterMetricFamily(
            "runwire_feed_catch_up_reads",
            "Pages that followers read from storage, because no ring had what they wanted.",
            labels=["log"],
        )
        reads.add_metric(["run"], self._feed.catch_up_reads)
        reads.add_metric(["instance"], self._instance_feed.catch_up_reads)
        yield reads
        yield GaugeMetricFamily(
            "runwire_feed_followed_runs", "Runs that are followed now.", value=self._feed.tails
        )
        yield GaugeMetricFamily(
            "runwire_feed_ring_bytes",
            "What the rings of the followed runs hold.",
            value=self._feed.ring_bytes,
        )


class LaneFigures(Collector):
    """How long calls of storages and code locations took."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes

    def collect(self) -> Iterator[Metric]:
        """The figures as they are now."""
        seconds = HistogramMetricFamily(
            "runwire_lane_call_duration_seconds",
            "How long calls of storages (reader, writer, catch-up, probe) and code locations (call, load) took,"
            " the wait for a free thread included.",
            labels=["lane"],
        )
        pending = GaugeMetricFamily(
            "runwire_lane_pending_calls", "Calls that wait or run now.", labels=["lane"]
        )
        for name, times in self._lanes.times.items():
            seconds.add_metric([name], _buckets(times), times.seconds)
            pending.add_metric([name], times.pending)
        yield seconds
        yield pending


def _buckets(times: LaneTimes) -> list[tuple[str, float]]:
    """Cumulative counts by upper bound, as Prometheus has them."""
    total, buckets = 0, []
    for bound, count in zip([*map(str, TIME_BOUNDS), "+Inf"], times.counts, strict=True):
        total += count
        buckets.append((bound, float(total)))
    return buckets


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the storage told."""

    runs: Mapping[RunStatus, int] = field(default_factory=dict)
    daemons: tuple[DaemonStatus, ...] = ()
    backfills: Mapping[BackfillStatus, int] = field(default_factory=dict)
    webhooks: tuple[WebhookRow, ...] = ()
    now: float = 0.0
    """The time of the storage, in seconds since the epoch."""


class StorageFigures(Collector):
    """Runs by status, and daemons: asked of the storage, in bounded time and not for every page.

    Args:
        instance: whose storage.
        lanes: where it is asked.
        answer_seconds: how long a page waits for it.
        kept_seconds: for how long what it told is told again.
    """

    def __init__(
        self,
        instance: Instance,
        lanes: Lanes,
        *,
        answer_seconds: float = ANSWER_SECONDS,
        kept_seconds: float = KEPT_SECONDS,
    ) -> None:
        self._instance = instance
        self._lanes = lanes
        self._answer_seconds = answer_seconds
        self._kept_seconds = kept_seconds
        self._asking: asyncio.Task[None] | None = None
        self._stored: _Stored | None = None
        self._asked_at = float("-inf")

    async def refresh(self) -> None:
        """Asks the storage, unless it told a moment ago, and waits for it a while."""
        loop = asyncio.get_running_loop()
        if self._asking is None or self._asking.done():
            if loop.time() < self._asked_at + self._kept_seconds:
                return
            self._asking = asyncio.create_task(self._ask(), name="figures of the storage")
        done, _ = await asyncio.wait({self._asking}, timeout=self._answer_seconds)
        if not done:
            self._stored = None

    async def _ask(self) -> None:
        try:
            self._stored = await self._lanes.probe(_ask, self._instance)
        except Exception:
            logger.exception("the storage did not tell its figures")
            self._stored = None
        self._asked_at = asyncio.get_running_loop().time()

    def collect(self) -> Iterator[Metric]:
        """The figures as the storage told them last; none when it did not."""
        stored = self._stored
        yield GaugeMetricFamily(
            "runwire_storage_figures_known",
            "Whether the storage told in time what the metrics below it are made of.",
            value=float(stored is not None),
        )
        if stored is not None:
            yield from _told(stored)


def _ask(instance: Instance) -> _Stored:
    runs = instance.storage.run_storage
    counts = {
        status: runs.get_runs_count(RunsFilter(statuses=frozenset({status})), limit=MAX_RUNS)
        for status in RunStatus
    }
    now = runs.now()
    daemons = tuple(daemon_statuses(instance, now=now))
    backfills = instance.storage.backfill_storage.get_backfill_counts()
    return _Stored(counts, daemons, backfills, tuple(webhook_rows(instance)), now)


def _told(stored: _Stored) -> Iterator[Metric]:
    runs = GaugeMetricFamily(
        "runwire_runs", f"Runs by status, counted up to {MAX_RUNS} each.", labels=["status"]
    )
    for status, count in stored.runs.items():
        runs.add_metric([status.value], count)
    yield runs
    ages = GaugeMetricFamily(
        "runwire_daemon_heartbeat_age_seconds",
        "How old the last heartbeat of a daemon was when the storage was asked.",
        labels=["daemon"],
    )
    healthy = GaugeMetricFamily(
        "runwire_daemon_healthy",
        "Whether a daemon works without errors; one that is neither required nor beats is left out.",
        labels=["daemon"],
    )
    for daemon in stored.daemons:
        if daemon.last_heartbeat is not None:
            age = max(0.0, stored.now - daemon.last_heartbeat.timestamp)
            ages.add_metric([daemon.daemon_type], age)
        if daemon.healthy is not None:
            healthy.add_metric([daemon.daemon_type], float(daemon.healthy))
    yield ages
    yield healthy
    backfills = GaugeMetricFamily(
        "runwire_backfills", "Backfills that have not ended, by status.", labels=["status"]
    )
    for active in (each for each in BackfillStatus if not each.is_terminal):
        backfills.add_metric([active.value], stored.backfills.get(active, 0))
    yield backfills
    yield from _webhooks(stored.webhooks)


def _webhooks(rows: tuple[WebhookRow, ...]) -> Iterator[Metric]:
    """What became of webhooks; none of those that no daemon has begun with."""
    sent = CounterMetricFamily(
        "runwire_webhook_delivered", "Events that a webhook took.", labels=["webhook"]
    )
    failed = CounterMetricFamily(
        "runwire_webhook_failures", "Requests to a webhook that failed.", labels=["webhook"]
    )
    lag = GaugeMetricFamily(
        "runwire_webhook_lag",
        "Entries of the instance-wide log that a webhook is not done with, wanted or not.",
        labels=["webhook"],
    )
    dead = GaugeMetricFamily(
        "runwire_webhook_dead_letters",
        "Events that a webhook did not take and that were given up.",
        labels=["webhook"],
    )
    running = GaugeMetricFamily(
        "runwire_webhook_running",
        "Whether a webhook is delivered to: it is neither paused nor disabled.",
        labels=["webhook"],
    )
    for row in rows:
        if row.state is not None:
            name = [row.settings.name]
            sent.add_metric(name, row.state.delivered)
            failed.add_metric(name, row.state.failures)
            lag.add_metric(name, max(0, row.head - row.state.position))
            dead.add_metric(name, row.dead_letters)
            running.add_metric(name, float(row.state.status is WebhookStatus.RUNNING))
    yield from (sent, failed, lag, dead, running)
