"""`deletePoolLimit`: takes away the limit of a concurrency pool."""

from __future__ import annotations

from typing import Annotated

import strawberry

from runwire import control
from runwire.api.access import Forbidden
from runwire.api.context import ApiInfo
from runwire.api.pools.errors import PoolNotFound
from runwire.api.pools.types import Pool
from runwire.api.rows import result
from runwire.events.entry import storable_text
from runwire.storage import Pool as PoolRow


@strawberry.input(description="Which limit to take away.")
class DeletePoolLimitInput:
    """Which limit to take away."""

    name: str = strawberry.field(description="The name of the pool.")


@result("The pool has no limit of its own any more.")
class DeletePoolLimitSuccess:
    """The pool has no limit of its own any more."""

    pool: PoolRow = strawberry.field(
        description="The pool, with the default limit of the instance.", graphql_type=Pool
    )


DeletePoolLimitResult = Annotated[
    DeletePoolLimitSuccess | PoolNotFound | Forbidden,
    strawberry.union("DeletePoolLimitResult", description="How `deletePoolLimit` ended."),
]


async def delete_pool_limit(
    info: ApiInfo,
    input: Annotated[
        DeletePoolLimitInput, strawberry.argument(description="Which limit to take away.")
    ],
) -> DeletePoolLimitSuccess:
    """Takes away the limit of a pool."""
    context = info.context
    pool = await context.lanes.write(
        control.delete_pool_limit, context.instance.storage, storable_text(input.name)
    )
    return DeletePoolLimitSuccess(pool=pool)
