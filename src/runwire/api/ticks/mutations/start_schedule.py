"""`startSchedule`: starts a schedule."""

from __future__ import annotations

from typing import Annotated

import strawberry

from runwire.api.access import Forbidden
from runwire.api.context import ApiInfo
from runwire.api.locations.errors import CodeLocationUnavailable
from runwire.api.rows import result
from runwire.api.ticks.errors import ScheduleNotFound
from runwire.api.ticks.inputs import ScheduleSelector
from runwire.api.ticks.types import Schedule
from runwire.api.user_errors import InputInvalid, input_at
from runwire.control import ScheduleRecord


@strawberry.input(description="Which schedule to start.")
class StartScheduleInput:
    """Which schedule to start."""

    schedule: ScheduleSelector = strawberry.field(description="The schedule.")


@result("The schedule runs.")
class StartScheduleSuccess:
    """The schedule runs."""

    schedule: ScheduleRecord = strawberry.field(description="The schedule.", graphql_type=Schedule)


StartScheduleResult = Annotated[
    StartScheduleSuccess | ScheduleNotFound | CodeLocationUnavailable | InputInvalid | Forbidden,
    strawberry.union("StartScheduleResult", description="How `startSchedule` ended."),
]


async def start_schedule(
    info: ApiInfo,
    input: Annotated[StartScheduleInput, strawberry.argument(description="Which schedule.")],
) -> StartScheduleSuccess:
    """Starts a schedule."""
    context = info.context
    with input_at("input"):
        record = await context.lanes.call(
            context.instance.start_schedule, input.schedule.to_selector(), context.workspace
        )
    return StartScheduleSuccess(schedule=record)
