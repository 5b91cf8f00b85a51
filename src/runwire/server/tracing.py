"""Traces of operations by OpenTelemetry, which is an extra. Only what traces imports this module.

What OpenTelemetry reads from the environment counts: OTEL_EXPORTER_OTLP_ENDPOINT and its kin, OTEL_SERVICE_NAME,
OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER, OTEL_SDK_DISABLED.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import propagate, trace
from opentelemetry.context import Context, attach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from runwire.server.log_context import request_id
from runwire.server.telemetry import Subject

logger = logging.getLogger(__name__)

FAREWELL_SECONDS = 3.0
"""How long it may take in the end to send what was not sent yet."""


class OperationTracer:
    """Makes a span of each operation. It is a `runwire.server.telemetry.Tracer`.

    Nothing is detached from the context: each request, and each operation of a websocket, has a task of its own.

    Args:
        provider: where spans go.
    """

    def __init__(self, provider: trace.TracerProvider) -> None:
        self._tracer = provider.get_tracer("runwire")

    def enter_request(self, headers: Mapping[str, str]) -> None:
        """Has what follows in this task belong to the trace of a request's `traceparent`, if it has one."""
        attach(propagate.extract(headers, Context()))

    def begin(self, subject: Subject) -> OperationSpan:
        """The span of an operation that begins now; what is traced below it is its child."""
        kind, name = subject.type or "unknown", subject.name
        attributes = {"graphql.operation.type": kind}
        if name is not None:
            attributes["graphql.operation.name"] = name
        known = request_id.get()
        if known is not None:
            attributes["runwire.request_id"] = known
        span = self._tracer.start_span(
            kind if name is None else f"{kind} {name}",
            kind=trace.SpanKind.SERVER,
            attributes=attributes,
        )
        attach(trace.set_span_in_context(span))
        return OperationSpan(span)


class OperationSpan:
    """An operation in a trace. It is a `runwire.server.telemetry.Span`."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def end(self, attributes: Mapping[str, str], *, failed: bool) -> None:
        """Tells what it was, and that it has ended."""
        self._span.set_attributes(dict(attributes))
        if failed:
            self._span.set_status(trace.StatusCode.ERROR)
        self._span.end()


@contextmanager
def exporting() -> Iterator[OperationTracer]:
    """A tracer that sends spans by OTLP over HTTP, in batches, from a thread of its own."""
    resource = Resource.create()
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: "runwire"}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    try:
        yield OperationTracer(provider)
    finally:
        # A collector that does not answer would be waited for much longer.
        ending = threading.Thread(target=provider.shutdown, name="runwire-traces", daemon=True)
        ending.start()
        ending.join(FAREWELL_SECONDS)
        if ending.is_alive():
            logger.warning("the last traces were not taken within %g s", FAREWELL_SECONDS)
