"""`setSensorCursor`: sets the cursor of a sensor."""

from __future__ import annotations

from typing import Annotated

import strawberry
from strawberry import UNSET

from runwire.api.access import Forbidden
from runwire.api.context import ApiInfo
from runwire.api.rows import given, result
from runwire.api.ticks.errors import SensorNotFound
from runwire.api.ticks.inputs import SensorSelector
from runwire.api.ticks.types import Sensor
from runwire.api.user_errors import InputInvalid, input_at
from runwire.control import SensorRecord


@strawberry.input(description="Which sensor gets which cursor.")
class SetSensorCursorInput:
    """Which sensor gets which cursor."""

    sensor: SensorSelector = strawberry.field(description="The sensor.")
    cursor: str | None = strawberry.field(
        description="The cursor; null makes it begin anew: of one that watches events, with those from now on.",
        default=UNSET,
    )


@result("The sensor has the cursor.")
class SetSensorCursorSuccess:
    """The sensor has the cursor."""

    sensor: SensorRecord = strawberry.field(description="The sensor.", graphql_type=Sensor)


SetSensorCursorResult = Annotated[
    SetSensorCursorSuccess | SensorNotFound | InputInvalid | Forbidden,
    strawberry.union("SetSensorCursorResult", description="How `setSensorCursor` ended."),
]


async def set_sensor_cursor(
    info: ApiInfo,
    input: Annotated[
        SetSensorCursorInput, strawberry.argument(description="Which sensor, and its cursor.")
    ],
) -> SetSensorCursorSuccess:
    """Sets the cursor of a sensor."""
    context = info.context
    with input_at("input"):
        record = await context.lanes.call(
            context.instance.set_sensor_cursor,
            input.sensor.to_selector(),
            given(input.cursor),
            context.workspace,
        )
    return SetSensorCursorSuccess(sensor=record)
