"""The baseline of streams: the same schema and the same feeds, served by Strawberry's own application.

``python -m benchmarks.plain_strawberry HOME`` prints its port.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute
from strawberry.asgi import GraphQL
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from runwire.api.access import Principal
from runwire.api.context import ApiContext
from runwire.api.schema import schema
from runwire.feed import DaemonFeed, InstanceFeed, RunFeed
from runwire.instance import Instance
from runwire.lanes import Lanes
from runwire.locations.workspace import LocalWorkspace
from runwire.server.address import listen


def main() -> None:
    with Instance.from_home(Path(sys.argv[1])) as instance, LocalWorkspace([]) as workspace:
        lanes = Lanes()
        feeds = RunFeed(instance.storage, lanes), InstanceFeed(instance.storage, lanes)
        daemon_feed = DaemonFeed(instance, lanes)

        class Plain(GraphQL[Any, Any]):
            async def get_context(self, request: Any, response: Any) -> ApiContext:
                return ApiContext(
                    instance, workspace, lanes, *feeds, daemon_feed, Principal("anybody", True)
                )

        @contextlib.asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            for feed in (*feeds, daemon_feed):
                await feed.start()
            yield
            for feed in (daemon_feed, *feeds):
                await feed.close()
            await asyncio.to_thread(lanes.close)

        interpreted = copy.copy(schema)
        interpreted.execution_context_class = StrawberryGraphQLCoreExecutionContext
        plain = Plain(interpreted)
        app = Starlette(
            routes=[Route("/graphql", plain, methods=["POST"]), WebSocketRoute("/graphql", plain)],
            lifespan=lifespan,
        )
        config = uvicorn.Config(
            app,
            loop="uvloop",
            http="httptools",
            ws="websockets-sansio",
            ws_per_message_deflate=False,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        with listen("127.0.0.1", 0) as listener:
            print(listener.getsockname()[1], flush=True)
            asyncio.run(uvicorn.Server(config).serve([listener]))


if __name__ == "__main__":
    main()
