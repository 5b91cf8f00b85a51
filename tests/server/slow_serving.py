"""A program that serves a schema whose operations take as long as they are told to, for tests."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import strawberry

from runwire.api.context import OperationContext
from runwire.api.errors import PublicErrors
from runwire.api.schema import RunwireSchema
from runwire.server import serve
from runwire.server.address import listen, url_of
from runwire.server.app import assemble
from runwire.server.settings import AppSettings, Limits


@strawberry.type
class Query:
    @strawberry.field
    async def wait(self, file: str) -> str:
        """Answers when a file is there; makes another one when it begins to wait."""
        Path(f"{file}.begun").touch()  # noqa: ASYNC240 - quick
        while not Path(file).exists():  # noqa: ASYNC110, ASYNC240 - what tells it is another process
            await asyncio.sleep(0.02)
        return "done"


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def forever(self) -> AsyncGenerator[int, None]:
        yield 0
        await asyncio.Event().wait()


def main(shutdown_seconds: str, drain_seconds: str) -> None:
    """Serves until it is stopped; the first line that it prints is its URL."""
    schema = RunwireSchema(Query, subscription=Subscription, extensions=[PublicErrors])
    app = assemble(schema, lambda _: OperationContext(), AppSettings())
    with listen("127.0.0.1", 0) as listener:
        config = serve._config(app, Limits(), int(shutdown_seconds))
        url = url_of("127.0.0.1", listener)

        def tell() -> None:
            sys.stdout.write(f"{url}\n")
            sys.stdout.flush()

        serve._Server(config, tell, float(drain_seconds)).run([listener])


if __name__ == "__main__":
    main(*sys.argv[1:])
