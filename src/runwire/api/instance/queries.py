"""Queries of the instance and of who asks."""

from __future__ import annotations

import strawberry

from runwire.api.access import Principal
from runwire.api.context import ApiContext, ApiInfo
from runwire.api.instance.types import Instance, Viewer
from runwire.api.rows import resolved
from runwire.instance import Instance as InstanceRow


async def find_viewer(context: ApiContext, key: list[str]) -> Principal | None:
    """The principal of a global id; only the one that asks can be found."""
    (name,) = key
    return context.viewer if context.viewer.name == name else None


async def find_instance(context: ApiContext, key: list[str]) -> InstanceRow | None:
    """The instance of a global id."""
    (name,) = key
    return context.instance if context.instance.name == name else None


def _viewer(info: ApiInfo) -> Principal:
    return info.context.viewer


def _instance(info: ApiInfo) -> InstanceRow:
    return info.context.instance


@strawberry.type
class InstanceQueries:
    """Queries of the instance and of who asks."""

    viewer: Viewer = resolved(_viewer, "The principal that asks.")
    instance: Instance = resolved(_instance, "The instance that answers.")
