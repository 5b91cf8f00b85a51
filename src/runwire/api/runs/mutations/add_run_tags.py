"""`addRunTags`: adds tags to a run."""

from __future__ import annotations

from typing import Annotated

import strawberry
from strawberry import ID

from runwire.api.access import Forbidden
from runwire.api.context import ApiInfo
from runwire.api.rows import result
from runwire.api.runs.errors import RunNotFound
from runwire.api.runs.types import Run
from runwire.api.tags import TagInput, pairs
from runwire.api.user_errors import InputInvalid, input_at
from runwire.events.entry import storable_text
from runwire.runs.run import RunRecord


@strawberry.input(description="What to add to a run.")
class AddRunTagsInput:
    """What to add to a run."""

    run_id: ID = strawberry.field(description="The id of the run.")
    tags: list[TagInput] = strawberry.field(description="The tags, each key once.")


@result("The run has the tags.")
class AddRunTagsSuccess:
    """The run has the tags."""

    run: RunRecord = strawberry.field(description="The run.", graphql_type=Run)


AddRunTagsResult = Annotated[
    AddRunTagsSuccess | RunNotFound | InputInvalid | Forbidden,
    strawberry.union("AddRunTagsResult", description="How `addRunTags` ended."),
]


async def add_run_tags(
    info: ApiInfo,
    input: Annotated[AddRunTagsInput, strawberry.argument(description="What to add.")],
) -> AddRunTagsSuccess:
    """Adds tags to a run."""
    context = info.context
    with input_at("input"):
        record = await context.lanes.write(
            context.instance.add_run_tags, storable_text(input.run_id), pairs(input.tags)
        )
    return AddRunTagsSuccess(run=record)
