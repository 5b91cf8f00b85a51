"""How mutations are declared."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import strawberry
from strawberry.extensions import FieldExtension

from runwire.api.access import Permission, RequiresPermission
from runwire.api.context import ApiInfo


class FreshLoaders(FieldExtension):
    """Forgets what was loaded before: a mutation and its answer see things as they are."""

    async def resolve_async(
        self,
        next_: Callable[..., Awaitable[Any]],
        source: Any,
        info: ApiInfo,
        **kwargs: Any,
    ) -> Any:
        info.context.renew()
        return await next_(source, info, **kwargs)


def mutation(
    resolver: Callable[..., Awaitable[Any]],
    result: object,
    permission: Permission,
    description: str,
) -> Any:
    """A mutation, with the union that it answers with, and what it demands of who asks."""
    return strawberry.mutation(
        resolver=resolver,
        graphql_type=result,
        description=description,
        extensions=[FreshLoaders()],
        directives=[RequiresPermission(permission=permission)],
    )
