"""Refusals that tell of schedules and sensors."""

from __future__ import annotations

from typing import Self

import strawberry

from runwire.api.rows import result
from runwire.api.user_errors import MESSAGE, UserError
from runwire.errors import ScheduleNotFoundError, SensorNotFoundError
from runwire.events.entry import storable_text


@result("There is no such schedule.")
class ScheduleNotFound(UserError):
    """There is no such schedule."""

    message: str = strawberry.field(description=MESSAGE)
    schedule_name: str = strawberry.field(description="The name that was asked for.")

    @classmethod
    def of(cls, error: ScheduleNotFoundError) -> Self:
        """Tells of an error."""
        return cls(
            message=storable_text(str(error)), schedule_name=storable_text(error.schedule_name)
        )


@result("There is no such sensor.")
class SensorNotFound(UserError):
    """There is no such sensor."""

    message: str = strawberry.field(description=MESSAGE)
    sensor_name: str = strawberry.field(description="The name that was asked for.")

    @classmethod
    def of(cls, error: SensorNotFoundError) -> Self:
        """Tells of an error."""
        return cls(message=storable_text(str(error)), sensor_name=storable_text(error.sensor_name))
