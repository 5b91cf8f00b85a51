"""`setPoolLimit`: sets the limit of a concurrency pool."""

from __future__ import annotations

from typing import Annotated

import strawberry

from runwire import control
from runwire.api.access import Forbidden
from runwire.api.context import ApiInfo
from runwire.api.pools.types import Pool
from runwire.api.rows import result
from runwire.api.user_errors import InputInvalid, input_at
from runwire.storage import Pool as PoolRow


@strawberry.input(description="The limit of a concurrency pool.")
class SetPoolLimitInput:
    """The limit of a concurrency pool."""

    name: str = strawberry.field(description="The name of the pool, which need not be in use.")
    limit: int = strawberry.field(
        description="How many steps hold a slot of it at once; 0 lets no further step begin."
    )


@result("The pool has the limit.")
class SetPoolLimitSuccess:
    """The pool has the limit."""

    pool: PoolRow = strawberry.field(description="The pool.", graphql_type=Pool)


SetPoolLimitResult = Annotated[
    SetPoolLimitSuccess | InputInvalid | Forbidden,
    strawberry.union("SetPoolLimitResult", description="How `setPoolLimit` ended."),
]


async def set_pool_limit(
    info: ApiInfo,
    input: Annotated[SetPoolLimitInput, strawberry.argument(description="What to set.")],
) -> SetPoolLimitSuccess:
    """Sets the limit of a pool."""
    context = info.context
    with input_at("input"):
        pool = await context.lanes.write(
            control.set_pool_limit, context.instance.storage, input.name, input.limit
        )
    return SetPoolLimitSuccess(pool=pool)
