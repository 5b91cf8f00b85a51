"""The application: every path of the server, and the rules before all of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import strawberry
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
from runwire.server.guard import Guard
from runwire.server.ide.assets import Assets
from runwire.server.ide.pages import ASSETS_PATH, GraphiQL
from runwire.server.operations import Operations
from runwire.server.origins import OriginRules
from runwire.server.settings import AppSettings
from runwire.workspace import Workspace

ENDPOINT = "/graphql"
LIVEZ = "/livez"

Lifespan = Callable[[Any], AbstractAsyncContextManager[None]]


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

    return assemble(schema, make_context, settings, lifespan)


def assemble(
    schema: strawberry.Schema,
    make_context: Callable[[Principal], OperationContext],
    settings: AppSettings,
    lifespan: Lifespan | None = None,
) -> Starlette:
    """The application that serves a schema, each operation with a context of its own.

    Raises:
        ValueError: an allowed host or origin of the settings is none.
    """
    graphiql = GraphiQL(ENDPOINT, bool(settings.tokens), Assets.load())
    stopping = asyncio.Event()
    endpoint = Endpoint(
        Operations(schema, make_context, settings.limits),
        TokenAuth(settings.tokens),
        graphiql,
        settings.limits,
        stopping,
    )
    rules = OriginRules(settings.on_loopback, settings.allowed_hosts, settings.allowed_origins)
    middleware = [Middleware(Guard, rules, frozenset({LIVEZ}))]
    if settings.allowed_origins:
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=list(settings.allowed_origins),
                allow_methods=["GET", "POST"],
                allow_headers=["Authorization", "Content-Type", "Last-Event-ID"],
            )
        )
    routes = [
        Route("/", _to_endpoint),
        Route(LIVEZ, _livez),
        Route(ENDPOINT, endpoint),
        WebSocketRoute(ENDPOINT, endpoint.websocket),
        Route(f"{ASSETS_PATH}/{{version}}/{{name}}", graphiql.file),
    ]
    app = Starlette(routes=routes, middleware=middleware, lifespan=lifespan)
    # Whoever runs the application sets it before it waits for the requests that are being answered.
    app.state.stopping = stopping
    return app


async def _livez(_: Request) -> Response:
    """Tells that the process answers, to anybody."""
    return PlainTextResponse("ok\n")


async def _to_endpoint(_: Request) -> Response:
    return RedirectResponse(ENDPOINT)
