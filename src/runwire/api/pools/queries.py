"""Queries of concurrency pools."""

from __future__ import annotations

from typing import Annotated

import strawberry
from strawberry import UNSET

from runwire.api.context import ApiContext, ApiInfo
from runwire.api.opaque import shown, unpack
from runwire.api.paging import check_limit
from runwire.api.pools.types import Pool, PoolConnection, PoolPage
from runwire.api.rows import given, resolved
from runwire.api.user_errors import check_text
from runwire.control import find_pool
from runwire.errors import CursorInvalidError
from runwire.storage import InstanceStorage
from runwire.storage import Pool as PoolRow

DEFAULT_POOLS = 25
MAX_POOLS = 100


async def find_pool_row(context: ApiContext, key: list[str]) -> PoolRow | None:
    """The pool of a global id."""
    (name,) = key
    return await context.lanes.read(find_pool, context.instance.storage, name)


async def _pool(
    info: ApiInfo,
    name: Annotated[str, strawberry.argument(description="The name of the pool.")],
) -> PoolRow | None:
    return await find_pool_row(info.context, [check_text(name, ("name",))])


async def _pools(
    info: ApiInfo,
    first: Annotated[int | None, strawberry.argument(description="How many pools.")] = (
        DEFAULT_POOLS
    ),
    after: Annotated[
        str | None,
        strawberry.argument(description="The cursor of the pool before the first one wanted."),
    ] = UNSET,
) -> PoolPage:
    limit = check_limit("first", DEFAULT_POOLS if first is None else first, MAX_POOLS)
    cursor = given(after)
    start = "" if cursor is None else _parse_cursor(cursor)
    return await info.context.lanes.read(_read, info.context.instance.storage, start, limit)


def _read(storage: InstanceStorage, after: str, limit: int) -> PoolPage:
    pools = storage.pool_storage.get_pools()
    following = [pool for pool in pools if pool.name > after]
    has_previous = len(following) < len(pools)
    return PoolPage(following[:limit], len(following) > limit, has_previous, len(pools))


def _parse_cursor(cursor: str) -> str:
    match unpack(cursor):
        case [1, "pools", str(name)]:
            return name
        case _:
            raise CursorInvalidError(f"{shown(cursor)} is not a cursor of a list of pools")


@strawberry.type
class PoolQueries:
    """Queries of concurrency pools."""

    pool: Pool | None = resolved(
        _pool,
        "Finds a concurrency pool; null when it has no limit of its own, and no step uses it or waits for it.",
        type=Pool | None,
    )
    pools: PoolConnection = resolved(
        _pools,
        "The concurrency pools that have a limit of their own, or that steps use or wait for, by name.",
        type=PoolConnection,
    )
