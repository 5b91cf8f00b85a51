"""The application: every path of the server, and the rules before all of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import strawberry
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute

from runwire.api.access import Principal
from runwire.api.context import ApiContext, OperationContext
from runwire.api.schema import schema
from runwire.feed import DaemonFeed, InstanceFeed, RunFeed
from runwire.instance import Instance
from runwire.lanes import Lanes
from runwire.server.auth import TokenAuth
from runwire.server.endpoint import Endpoint
from runwire.server.figures import FeedFigures, LaneFigures, StorageFigures, StreamFigures
from runwire.server.guard import Guard
from runwire.server.ide.assets import Assets
from runwire.server.ide.pages import ASSETS_PATH, GraphiQL
from runwire.server.metrics_page import MetricsPage
from runwire.server.operations import Operations
from runwire.server.origins import OriginRules
from runwire.server.readiness import Readiness
from runwire.server.request_context import RequestContext
from runwire.server.settings import AppSettings
from runwire.server.telemetry import Telemetry
from runwire.server.websocket.dialects import LEGACY, TRANSPORT_WS
from runwire.workspace import Workspace

ENDPOINT = "/graphql"
LIVEZ = "/livez"
READYZ = "/readyz"
METRICS = "/metrics"

_SETTLE_SECONDS = 10.0
"""How long mutations that nobody waits for any more may go on when the server stops."""

Lifespan = Callable[[Any], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True)
class Operating:
    """What those who operate an application may ask of it.

    Attributes:
        readiness: answers whether it is ready.
        collectors: tell figures.
        refresh: brings those up to date that have to be asked for.
        draining: is set when the application is about to stop.
    """

    readiness: Readiness
    collectors: tuple[Collector, ...]
    refresh: Callable[[], Awaitable[None]]
    draining: asyncio.Event


def create_app(instance: Instance, workspace: Workspace, *, settings: AppSettings) -> Starlette:
    """The application that serves an instance. The caller disposes of instance and workspace.

    Raises:
        ValueError: an allowed host or origin of the settings is none.
    """
    lanes = Lanes()
    feed = RunFeed(instance.storage, lanes)
    instance_feed = InstanceFeed(instance.storage, lanes)
    daemon_feed = DaemonFeed(instance, lanes)

    def make_context(principal: Principal) -> ApiContext:
        return ApiContext(instance, workspace, lanes, feed, instance_feed, daemon_feed, principal)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await feed.start()
        await instance_feed.start()
        await daemon_feed.start()
        try:
            yield
        finally:
            await daemon_feed.close()
            await instance_feed.close()
            await feed.close()
            await asyncio.to_thread(lanes.close)

    draining, stored = asyncio.Event(), StorageFigures(instance, lanes)
    operating = Operating(
        Readiness(instance.storage, workspace, lanes, draining),
        (FeedFigures(feed, instance_feed), LaneFigures(lanes), stored),
        stored.refresh,
        draining,
    )
    return assemble(schema, make_context, settings, lifespan, operating)


def assemble(
    schema: strawberry.Schema,
    make_context: Callable[[Principal], OperationContext],
    settings: AppSettings,
    lifespan: Lifespan | None = None,
    operating: Operating | None = None,
) -> Starlette:
    """The application that serves a schema, each operation with a context of its own.

    Raises:
        ValueError: an allowed host or origin of the settings is none.
    """
    graphiql = GraphiQL(ENDPOINT, settings.demands_token, Assets.load())
    stopping = asyncio.Event()
    telemetry = Telemetry(tracer=settings.tracer)
    auth = TokenAuth(settings.tokens, settings.signed_tokens)
    operations = Operations(
        schema,
        make_context,
        settings.limits,
        telemetry,
        settings.documents,
        settings.introspection,
    )
    dialects = (TRANSPORT_WS, LEGACY) if settings.legacy_graphql_ws else (TRANSPORT_WS,)
    endpoint = Endpoint(operations, auth, graphiql, settings.limits, stopping, dialects)

    @contextlib.asynccontextmanager
    async def settling(app: Starlette) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            if lifespan is not None:
                await stack.enter_async_context(lifespan(app))
            yield
            await operations.settle(_SETTLE_SECONDS)
            operations.close()

    rules = OriginRules(settings.on_loopback, settings.allowed_hosts, settings.allowed_origins)
    open_paths = {LIVEZ, READYZ, *([METRICS] if settings.metrics == "open" else [])}
    middleware = [
        Middleware(RequestContext, telemetry),
        Middleware(Guard, rules, frozenset(open_paths)),
    ]
    if settings.allowed_origins:
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=list(settings.allowed_origins),
                allow_methods=["GET", "POST"],
                allow_headers=["Authorization", "Content-Type", "Last-Event-ID"],
                expose_headers=["X-Request-Id"],
            )
        )
    routes = [
        Route("/", _to_endpoint),
        Route(LIVEZ, _livez),
        Route(ENDPOINT, endpoint),
        WebSocketRoute(ENDPOINT, endpoint.websocket),
        Route(f"{ASSETS_PATH}/{{version}}/{{name}}", graphiql.file),
    ]
    telemetry.metrics.add([StreamFigures(endpoint.cohorts)])
    if operating is not None:
        telemetry.metrics.add(operating.collectors)
        routes.append(Route(READYZ, operating.readiness.answer))
        if settings.metrics != "off":
            asked = None if settings.metrics == "open" else auth
            page = MetricsPage(telemetry.metrics, asked, operating.refresh)
            routes.append(Route(METRICS, page.answer))
    app = Starlette(routes=routes, middleware=middleware, lifespan=settling)
    # Whoever runs the application sets it before it waits for the requests that are being answered.
    app.state.stopping = stopping
    app.state.draining = asyncio.Event() if operating is None else operating.draining
    app.state.metrics = telemetry.metrics
    return app


async def _livez(_: Request) -> Response:
    """Tells that the process answers, to anybody."""
    return PlainTextResponse("ok\n")


async def _to_endpoint(_: Request) -> Response:
    return RedirectResponse(ENDPOINT)
