"""`codeLocationChanges`: the code locations, live."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from strawberry import ID

from runwire.api.changes import ChangeType
from runwire.api.context import ApiInfo
from runwire.api.locations.types import CodeLocation
from runwire.api.nodes import global_id
from runwire.api.rows import field, view
from runwire.api.scalars import DateTime
from runwire.feed import LocationChange, watch_locations


def _deleted_id(change: LocationChange) -> ID | None:
    return global_id("CodeLocation", change.name) if change.type is ChangeType.DELETED else None


@view(LocationChange, "A change of a code location.")
class CodeLocationChange:
    """A change of a code location."""

    type: ChangeType = field("What happened to the code location.")
    name: str = field("The name of the code location.")
    code_location: CodeLocation | None = field(
        "The code location as it is now; null when the workspace no longer has it.",
        lambda change: change.state,
    )
    deleted_id: ID | None = field(
        "The global id that it had, for client caches; null unless DELETED.", _deleted_id
    )
    changed_at: DateTime = field("When it happened.")


async def code_location_changes(info: ApiInfo) -> AsyncGenerator[LocationChange, None]:
    """Sends every code location, then each change of one."""
    context = info.context
    async with aclosing(watch_locations(context.workspace, context.lanes)) as changes:
        async for change in changes:
            # What was loaded for a message is old by the next one.
            context.renew()
            yield change
