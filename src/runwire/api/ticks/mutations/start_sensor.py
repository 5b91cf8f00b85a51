"""`startSensor`: starts a sensor."""

from __future__ import annotations

from typing import Annotated

import strawberry

from runwire.api.access import Forbidden
from runwire.api.context import ApiInfo
from runwire.api.locations.errors import CodeLocationUnavailable
from runwire.api.rows import result
from runwire.api.ticks.errors import SensorNotFound
from runwire.api.ticks.inputs import SensorSelector
from runwire.api.ticks.types import Sensor
from runwire.api.user_errors import InputInvalid, input_at
from runwire.control import SensorRecord


@strawberry.input(description="Which sensor to start.")
class StartSensorInput:
    """Which sensor to start."""

    sensor: SensorSelector = strawberry.field(description="The sensor.")


@result("The sensor runs.")
class StartSensorSuccess:
    """The sensor runs."""

    sensor: SensorRecord = strawberry.field(description="The sensor.", graphql_type=Sensor)


StartSensorResult = Annotated[
    StartSensorSuccess | SensorNotFound | CodeLocationUnavailable | InputInvalid | Forbidden,
    strawberry.union("StartSensorResult", description="How `startSensor` ended."),
]


async def start_sensor(
    info: ApiInfo,
    input: Annotated[StartSensorInput, strawberry.argument(description="Which sensor.")],
) -> StartSensorSuccess:
    """Starts a sensor."""
    context = info.context
    with input_at("input"):
        record = await context.lanes.call(
            context.instance.start_sensor, input.sensor.to_selector(), context.workspace
        )
    return StartSensorSuccess(sensor=record)
