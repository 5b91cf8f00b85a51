"""Traces: a span for each operation, in the trace that the caller began; nothing of it when it is off."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from runwire.errors import InvalidConfigurationError
from runwire.instance import Instance
from runwire.instance.settings import Settings
from runwire.server.serve import checked_settings
from runwire.server.tracing import OperationTracer
from tests.server.conftest import LiveServer, ServeTry, greet, hear, say, subscribe

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def traced(serve_try: ServeTry, exporter: InMemorySpanExporter) -> LiveServer:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return serve_try(tracer=OperationTracer(provider))


def told(span: ReadableSpan) -> tuple[str, dict[str, Any]]:
    attributes = dict(span.attributes or {})
    attributes.pop("runwire.request_id")
    return span.name, attributes


def test_an_operation_is_a_span_of_its_callers_trace(
    traced: LiveServer, exporter: InMemorySpanExporter
) -> None:
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "X-Request-Id": "mine"}
    traced.post("query Greet { hello }", headers=headers)
    traced.post("mutation { touch }")
    traced.post("{ nothing }")
    traced.post("{")
    greeting, touching, *refused = exporter.get_finished_spans()
    assert greeting.attributes is not None
    assert greeting.attributes["runwire.request_id"] == "mine"
    assert greeting.kind is SpanKind.SERVER
    assert greeting.parent is not None
    assert f"{greeting.parent.trace_id:x}".zfill(32) == TRACE
    assert f"{greeting.parent.span_id:x}".zfill(16) == PARENT
    assert told(greeting) == (
        "query Greet",
        {
            "graphql.operation.type": "query",
            "graphql.operation.name": "Greet",
            "runwire.outcome": "ok",
        },
    )
    assert told(touching)[0] == "mutation"
    assert touching.parent is None
    assert [told(span)[1]["runwire.outcome"] for span in refused] == ["refused", "refused"]


async def test_a_stream_is_a_span_that_ends_with_it(
    traced: LiveServer, exporter: InMemorySpanExporter
) -> None:
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    async with traced.connect(additional_headers=headers) as client:
        await greet(client)
        await subscribe(client, "subscription Stay { forever }", id="a")
        assert (await hear(client))["type"] == "next"
        assert exporter.get_finished_spans() == ()
        await say(client, {"type": "complete", "id": "a"})
        assert await asyncio.to_thread(traced.ended.get, timeout=30) == "forever"
        await subscribe(client, "subscription Break { fault }", id="b")
        for kind in ("next", "error"):
            assert (await hear(client))["type"] == kind
    async with asyncio.timeout(30):
        while len(exporter.get_finished_spans()) < 2:  # noqa: ASYNC110 - another thread has them
            await asyncio.sleep(0.01)
    stay, broken = exporter.get_finished_spans()
    assert told(stay)[1]["runwire.outcome"] == "canceled"
    assert told(broken)[1]["runwire.outcome"] == "failed"
    assert (stay.status.status_code, broken.status.status_code) == (
        StatusCode.UNSET,
        StatusCode.ERROR,
    )
    for span in (stay, broken):
        assert span.parent is not None
        assert f"{span.parent.span_id:x}".zfill(16) == PARENT


def test_it_is_not_even_imported_when_it_is_off() -> None:
    program = "import sys, runwire.server.serve; sys.exit('opentelemetry' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_without_the_extra_it_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "runwire.server.tracing", None)
    with Instance.ephemeral(tmp_path) as instance:
        checked_settings(instance, "127.0.0.1")
        instance.settings = Settings.model_validate({"tracing": {"enabled": True}})
        with pytest.raises(InvalidConfigurationError, match=r"tracing\.enabled: needs OpenTel"):
            checked_settings(instance, "127.0.0.1")


class Collector(BaseHTTPRequestHandler):
    """Keeps what it is sent."""

    taken: SimpleQueue[tuple[str, bytes]] = SimpleQueue()

    def do_POST(self) -> None:
        self.taken.put((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_spans_are_sent_where_the_environment_says_before_the_server_ends(tmp_path: Path) -> None:
    (tmp_path / "runwire.yaml").write_text("tracing: {enabled: true}\n", encoding="utf-8")
    collector = HTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=collector.serve_forever)
    thread.start()
    environment = {key: value for key, value in os.environ.items() if key[:7] != "RUNWIRE"}
    environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{collector.server_port}"
    environment["OTEL_EXPORTER_OTLP_COMPRESSION"] = "none"
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.server.serving", str(tmp_path), "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        assert program.stdout is not None
        url = program.stdout.readline().strip()
        LiveServer(url, [], SimpleQueue()).post("query Version { instance { version } }")
        program.terminate()
        _, err = program.communicate(timeout=30)
        assert (program.returncode, err) == (0, "")
        path, body = Collector.taken.get(timeout=30)
    finally:
        program.kill()
        program.communicate()
        collector.shutdown()
        thread.join()
        collector.server_close()
    assert path == "/v1/traces"
    assert b"query Version" in body
    assert b"runwire" in body
