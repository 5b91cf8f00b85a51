"""`stopSensor`: stops a sensor."""

from __future__ import annotations

from typing import Annotated

import strawberry

from runwire.api.access import Forbidden
from runwire.api.context import ApiInfo
from runwire.api.rows import result
from runwire.api.ticks.errors import SensorNotFound
from runwire.api.ticks.inputs import SensorSelector
from runwire.api.ticks.types import Sensor
from runwire.api.user_errors import InputInvalid, input_at
from runwire.control import SensorRecord


@strawberry.input(description="Which sensor to stop.")
class StopSensorInput:
    """Which sensor to stop."""

    sensor: SensorSelector = strawberry.field(description="The sensor.")


@result("The sensor is stopped.")
class StopSensorSuccess:
    """The sensor is stopped."""

    sensor: SensorRecord = strawberry.field(description="The sensor.", graphql_type=Sensor)


StopSensorResult = Annotated[
    StopSensorSuccess | SensorNotFound | InputInvalid | Forbidden,
    strawberry.union("StopSensorResult", description="How `stopSensor` ended."),
]


async def stop_sensor(
    info: ApiInfo,
    input: Annotated[StopSensorInput, strawberry.argument(description="Which sensor.")],
) -> StopSensorSuccess:
    """Stops a sensor."""
    context = info.context
    with input_at("input"):
        record = await context.lanes.call(
            context.instance.stop_sensor, input.sensor.to_selector(), context.workspace
        )
    return StopSensorSuccess(sensor=record)
