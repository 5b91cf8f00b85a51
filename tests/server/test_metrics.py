"""The figures: what is counted under which labels, that labels stay few, and who may see them."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from runwire.api.access import Role
from runwire.daemons.required import DAEMON_TYPES
from runwire.events.entry import EventLogEntry
from runwire.instance import Instance
from runwire.instance.settings import ServerSettings
from runwire.lanes import TIME_BOUNDS, Lanes, LaneTimes
from runwire.server.app import create_app
from runwire.server.auth import AcceptedToken
from runwire.server.figures import StorageFigures
from runwire.server.metrics import Metrics
from runwire.server.settings import AppSettings, Limits
from runwire.storage.run_storage import DaemonHeartbeat
from runwire.testing.backfill_storage import a_backfill
from tests.server.conftest import LiveServer, greet, hear, run_app, say, subscribe
from tests.server.serving import EmptyWorkspace

TOKEN = "a-token-of-16-or-more"
CREATE = (
    'mutation Create { createRun(input: { managed: true, newRun: { job: { jobName: "j" } } })'
    " { ... on CreateRunSuccess { run { runId } } } }"
)
WATCH = "subscription Watch($id: ID!) { runEvents(runId: $id) { __typename } }"

Sample = tuple[str, frozenset[tuple[str, str]]]


class Figures(dict[Sample, float]):
    """The samples of a page, by name and labels."""

    def __init__(self, page: str) -> None:
        super().__init__(
            ((sample.name, frozenset(sample.labels.items())), sample.value)
            for family in text_string_to_metric_families(page)
            for sample in family.samples
        )

    def of(self, name: str, **labels: str) -> float:
        return self.get((name, frozenset(labels.items())), 0.0)


def figures(server: LiveServer) -> Figures:
    answer = server.request("GET", "/metrics")
    assert answer.status_code == 200
    return Figures(answer.text)


def figures_when(server: LiveServer, is_so: Callable[[Figures], bool]) -> Figures:
    """The figures once something is so."""
    end = time.monotonic() + 30
    while not is_so(page := figures(server)):
        assert time.monotonic() < end, page
        time.sleep(0.02)
    return page


def ended(page: Figures, operation: str, type: str, outcome: str) -> float:
    labels = {"operation": operation, "type": type, "outcome": outcome}
    return page.of("runwire_operations_total", **labels)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    with Instance.from_home(tmp_path) as made:
        yield made


@pytest.fixture
def live(instance: Instance) -> Iterator[LiveServer]:
    app = create_app(instance, EmptyWorkspace(), settings=AppSettings())
    with run_app(app, Limits(stall_seconds=0.2)) as url:
        yield LiveServer(url, [], SimpleQueue())


def test_operations_are_counted_by_name_type_and_outcome(live: LiveServer) -> None:
    live.post("query Version { instance { version } }")
    live.post("{ instance { version } }")
    live.post(CREATE)
    live.post("query Wrong { nothing }")
    live.post("query Bad { runs(after: 5) { __typename } }")
    live.post("{")
    live.post("query A { __typename } query B { __typename }")
    live.post('query Missing { runs(after: "nonsense") { edges { cursor } } }')
    live.request("POST", content="{", headers={"Content-Type": "application/json"})
    page = figures(live)
    assert ended(page, "Version", "query", "ok") == 1
    assert ended(page, "anonymous", "query", "ok") == 1
    assert ended(page, "Create", "mutation", "ok") == 1
    assert ended(page, "Missing", "query", "errors") == 1
    # What is not valid has a name that its caller made up.
    assert ended(page, "invalid", "unknown", "refused") == 4
    assert page.of("runwire_http_refusals_total", code="400") == 1
    durations = "runwire_operation_duration_seconds"
    assert page.of(f"{durations}_count", operation="Version", type="query") == 1
    points = "runwire_operation_cost_points_total"
    assert page.of(points, operation="Version", type="query") == 2  # itself, and the instance
    assert page.of(points, operation="Missing", type="query") == 1 + 25 + 25
    assert page.of(f"{durations}_bucket", operation="Create", type="mutation", le="+Inf") == 1
    assert page.of("runwire_live_operations", type="query") == 0
    assert page.of("runwire_lane_call_duration_seconds_count", lane="reader") >= 1


async def test_the_page_is_made_beside_the_loop_for_one_after_another(
    live: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way = most = 0
    count = Metrics.counted

    def counted(self: Metrics) -> bytes:
        nonlocal under_way, most
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        under_way += 1
        most = max(most, under_way)
        time.sleep(0.02)
        under_way -= 1
        return count(self)

    monkeypatch.setattr(Metrics, "counted", counted)
    pages = await asyncio.gather(*(asyncio.to_thread(figures, live) for _ in range(4)))
    assert most == 1
    assert all(page.of("runwire_cohorts") == 0 and len(page) > 20 for page in pages)


def test_names_that_are_long_are_not_told_apart(
    live: LiveServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "runwire.operations")
    for letter in ("a", "b"):
        assert "errors" not in live.post(f"query {letter * 60_000} {{ __typename }}").json()
    assert live.post(f"query {'c' * 128} {{ __typename }}").status_code == 200
    page = figures(live)
    assert ended(page, "other", "query", "ok") == 2
    assert ended(page, "c" * 128, "query", "ok") == 1
    assert max(len(record.getMessage()) for record in caplog.records) < 1000


def test_names_that_callers_make_up_stay_few() -> None:
    metrics = Metrics(max_names=4)
    for name in ("A", "B", "C", "D", "A"):
        metrics.operation_began("query")
        metrics.operation_ended("query", name, "query", "ok", 0.1, 1, is_timed=True)
    page = Figures(metrics.page().decode())
    assert [ended(page, name, "query", "ok") for name in ("A", "B", "C", "D", "other")] == [
        2,
        1,
        0,
        0,
        2,
    ]


async def test_streams_are_counted_once_for_a_batch(live: LiveServer, instance: Instance) -> None:
    created = await asyncio.to_thread(live.post, CREATE)
    run_id = created.json()["data"]["createRun"]["run"]["runId"]
    entry = EventLogEntry(run_id=run_id, message="hello")
    instance.report_event(entry)
    async with live.connect() as one, live.connect() as two:
        for client in (one, two):
            await greet(client)
            await subscribe(client, WATCH, variables={"id": run_id})
            assert (await hear(client))["type"] == "next"
        for client in (one, two):
            await say(client, {"type": "ping"})
            assert (await hear(client))["type"] == "pong"
        await asyncio.to_thread(instance.report_event, entry)
        for client in (one, two):
            assert (await hear(client))["type"] == "next"
        page = await asyncio.to_thread(figures, live)
    assert page.of("runwire_streaming_connections", transport="websocket") == 2
    assert page.of("runwire_live_operations", type="subscription") == 2
    assert page.of("runwire_cohorts") == 1
    assert page.of("runwire_cohort_members") == 2
    assert page.of("runwire_cohort_batches_total") == 1
    assert page.of("runwire_deliveries_total", kind="shared") == 2
    assert page.of("runwire_deliveries_total", kind="own") == 2
    assert page.of("runwire_feed_followed_runs") == 1
    assert page.of("runwire_feed_catch_up_reads_total", log="run") >= 1
    page = await asyncio.to_thread(
        figures_when, live, lambda page: not page.of("runwire_live_operations", type="subscription")
    )
    assert ended(page, "Watch", "subscription", "canceled") == 2
    assert page.of("runwire_streaming_connections", transport="websocket") == 0
    durations = "runwire_operation_duration_seconds_count"
    assert page.of(durations, operation="Watch", type="subscription") == 0


def test_a_reader_that_stalls_is_counted(live: LiveServer) -> None:
    host, port = live.authority.split(":")
    whole = "__schema { types { name description fields { name description } } }"
    wish = "{ " + " ".join(f"a{n}: {whole}" for n in range(15)) + " }"
    body = ('{"query": "' + wish + '"}').encode()
    head = f"POST /graphql HTTP/1.1\r\nHost: {live.authority}\r\nContent-Type: application/json\r\n"
    with socket.create_connection((host, int(port))) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(40):
            client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        stalled = "runwire_stalled_readers_closed_total"
        page = figures_when(live, lambda page: bool(page.of(stalled, transport="http")))
    assert page.of(stalled, transport="http") == 1


def test_the_storage_tells_runs_and_daemons(live: LiveServer, instance: Instance) -> None:
    created = live.post(CREATE)
    assert created.json()["data"]["createRun"]["run"]["runId"]
    daemon_type = next(iter(DAEMON_TYPES))
    now = instance.storage.run_storage.now()
    heartbeat = DaemonHeartbeat(
        daemon_type=daemon_type, daemon_id="d", hostname="h", timestamp=now - 5, progress_at=now - 5
    )
    instance.add_daemon_heartbeat(heartbeat)
    instance.storage.backfill_storage.add_backfill(a_backfill())
    page = figures(live)
    assert page.of("runwire_storage_figures_known") == 1
    assert page.of("runwire_runs", status="MANAGED") == 1
    assert page.of("runwire_runs", status="SUCCESS") == 0
    assert page.of("runwire_backfills", status="REQUESTED") == 1
    assert page.of("runwire_backfills", status="CANCELING") == 0
    assert page.of("runwire_daemon_healthy", daemon=daemon_type) == 1
    assert 5 <= page.of("runwire_daemon_heartbeat_age_seconds", daemon=daemon_type) < 60
    # It was asked a moment ago, so that it is not asked again.
    live.post(CREATE)
    assert figures(live).of("runwire_runs", status="MANAGED") == 1


async def test_a_storage_that_hangs_is_left_out_and_asked_once(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    lanes, goes_on, asked = Lanes(), threading.Event(), SimpleQueue[None]()
    stored, metrics = StorageFigures(instance, lanes, kept_seconds=0), Metrics()
    metrics.add([stored])
    await stored.refresh()
    assert Figures(metrics.page().decode()).of("runwire_storage_figures_known") == 1

    def hang(*_: Any, **__: Any) -> int:
        asked.put(None)
        goes_on.wait(60)
        return 7

    monkeypatch.setattr(instance.storage.run_storage, "get_runs_count", hang)
    stored._answer_seconds = 0.05
    await stored.refresh()
    await stored.refresh()
    page = Figures(metrics.page().decode())
    assert page.of("runwire_storage_figures_known") == 0
    assert not any(name == "runwire_runs" for name, _ in page)
    assert asked.qsize() == 1
    goes_on.set()
    while not page.of("runwire_storage_figures_known"):
        await stored.refresh()
        page = Figures(metrics.page().decode())
    assert page.of("runwire_runs", status="STARTED") == 7
    await asyncio.to_thread(lanes.close)


async def test_a_storage_that_fails_is_logged_and_left_out(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(instance.storage.run_storage, "get_runs_count", fail)
    lanes, metrics = Lanes(), Metrics()
    stored = StorageFigures(instance, lanes)
    metrics.add([stored])
    await stored.refresh()
    assert Figures(metrics.page().decode()).of("runwire_storage_figures_known") == 0
    assert caplog.messages == ["the storage did not tell its figures"]
    await asyncio.to_thread(lanes.close)


@pytest.mark.parametrize(
    ("setting", "without", "with_token"),
    [("off", 404, 404), ("protected", 401, 200), ("open", 200, 200)],
)
def test_who_may_see_them(instance: Instance, setting: Any, without: int, with_token: int) -> None:
    viewer = AcceptedToken.of(TOKEN)
    assert viewer.role is Role.ADMIN
    settings = AppSettings(tokens=(viewer,), metrics=setting)
    app = create_app(instance, EmptyWorkspace(), settings=settings)
    with run_app(app, Limits()) as url:
        server = LiveServer(url, [], SimpleQueue())
        answers = [
            server.request("GET", "/metrics", headers=headers).status_code
            for headers in (None, {"Authorization": f"Bearer {TOKEN}"})
        ]
    assert answers == [without, with_token]


def test_the_setting_may_be_written_as_yaml_reads_it() -> None:
    assert ServerSettings.model_validate({"metrics": False}).metrics == "off"
    with pytest.raises(ValueError, match="'off', 'protected' or 'open'"):
        ServerSettings.model_validate({"metrics": True})


def test_times_fall_into_classes() -> None:
    times = LaneTimes()
    for seconds in (0.0, TIME_BOUNDS[0], TIME_BOUNDS[0] * 1.01, 3600.0):
        times.add(seconds)
    assert (times.counts[0], times.counts[1], times.counts[-1]) == (2, 1, 1)
    assert times.seconds > 3600
