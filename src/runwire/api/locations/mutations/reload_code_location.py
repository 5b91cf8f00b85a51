"""`reloadCodeLocation`: loads the definitions of a code location anew."""

from __future__ import annotations

from typing import Annotated

import strawberry

from runwire.api.access import Forbidden
from runwire.api.context import ApiInfo
from runwire.api.locations.errors import CodeLocationNotFound
from runwire.api.locations.types import CodeLocation
from runwire.api.rows import result
from runwire.workspace import CodeLocationState, Workspace


@strawberry.input(description="Which code location to reload.")
class ReloadCodeLocationInput:
    """Which code location to reload."""

    name: str = strawberry.field(description="The name of the code location.")


@result("The code location was loaded anew, or failed to load.")
class ReloadCodeLocationSuccess:
    """The code location was loaded anew, or failed to load."""

    code_location: CodeLocationState = strawberry.field(
        description="The code location.", graphql_type=CodeLocation
    )


ReloadCodeLocationResult = Annotated[
    ReloadCodeLocationSuccess | CodeLocationNotFound | Forbidden,
    strawberry.union("ReloadCodeLocationResult", description="How `reloadCodeLocation` ended."),
]


async def reload_code_location(
    info: ApiInfo,
    input: Annotated[
        ReloadCodeLocationInput, strawberry.argument(description="Which code location.")
    ],
) -> ReloadCodeLocationSuccess:
    """Loads the definitions of a code location anew."""
    state = await info.context.lanes.load(_reload, info.context.workspace, input.name)
    return ReloadCodeLocationSuccess(code_location=state)


def _reload(workspace: Workspace, name: str) -> CodeLocationState:
    location = workspace.get_location(name)
    location.reload()
    return location.state
