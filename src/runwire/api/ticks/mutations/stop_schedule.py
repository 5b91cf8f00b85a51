"""`stopSchedule`: stops a schedule."""

from __future__ import annotations

from typing import Annotated

import strawberry

from runwire.api.access import Forbidden
from runwire.api.context import ApiInfo
from runwire.api.rows import result
from runwire.api.ticks.errors import ScheduleNotFound
from runwire.api.ticks.inputs import ScheduleSelector
from runwire.api.ticks.types import Schedule
from runwire.api.user_errors import InputInvalid, input_at
from runwire.control import ScheduleRecord


@strawberry.input(description="Which schedule to stop.")
class StopScheduleInput:
    """Which schedule to stop."""

    schedule: ScheduleSelector = strawberry.field(description="The schedule.")


@result("The schedule is stopped.")
class StopScheduleSuccess:
    """The schedule is stopped."""

    schedule: ScheduleRecord = strawberry.field(description="The schedule.", graphql_type=Schedule)


StopScheduleResult = Annotated[
    StopScheduleSuccess | ScheduleNotFound | InputInvalid | Forbidden,
    strawberry.union("StopScheduleResult", description="How `stopSchedule` ended."),
]


async def stop_schedule(
    info: ApiInfo,
    input: Annotated[StopScheduleInput, strawberry.argument(description="Which schedule.")],
) -> StopScheduleSuccess:
    """Stops a schedule."""
    context = info.context
    with input_at("input"):
        record = await context.lanes.call(
            context.instance.stop_schedule, input.schedule.to_selector(), context.workspace
        )
    return StopScheduleSuccess(schedule=record)
