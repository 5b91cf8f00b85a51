"""How schedules and sensors are named and filtered."""

from __future__ import annotations

import strawberry
from strawberry import UNSET

from runwire.api.rows import given
from runwire.control import ScheduleSelector as ScheduleSelectorRow
from runwire.control import SensorSelector as SensorSelectorRow
from runwire.control import TickSourceRecord
from runwire.events.entry import storable_text
from runwire.ticks import TickSourceStatus


@strawberry.input(
    description="Names a schedule. Repository and code location are needed only where its name is ambiguous."
)
class ScheduleSelector:
    """Names a schedule."""

    schedule_name: str = strawberry.field(description="The name of the schedule.")
    repository_name: str | None = strawberry.field(
        description="The name of its repository.", default=UNSET
    )
    location_name: str | None = strawberry.field(
        description="The name of its code location.", default=UNSET
    )

    def to_selector(self) -> ScheduleSelectorRow:
        """The selector of the layers below. A text that no store takes names nothing."""
        return ScheduleSelectorRow(
            storable_text(self.schedule_name),
            _storable(given(self.repository_name)),
            _storable(given(self.location_name)),
        )


@strawberry.input(
    description="Names a sensor. Repository and code location are needed only where its name is ambiguous."
)
class SensorSelector:
    """Names a sensor."""

    sensor_name: str = strawberry.field(description="The name of the sensor.")
    repository_name: str | None = strawberry.field(
        description="The name of its repository.", default=UNSET
    )
    location_name: str | None = strawberry.field(
        description="The name of its code location.", default=UNSET
    )

    def to_selector(self) -> SensorSelectorRow:
        """The selector of the layers below. A text that no store takes names nothing."""
        return SensorSelectorRow(
            storable_text(self.sensor_name),
            _storable(given(self.repository_name)),
            _storable(given(self.location_name)),
        )


def _storable(text: str | None) -> str | None:
    return None if text is None else storable_text(text)


@strawberry.input(description="Names a schedule or a sensor.", one_of=True)
class TickSourceSelector:
    """Names a schedule or a sensor."""

    schedule: ScheduleSelector | None = strawberry.field(description="A schedule.", default=UNSET)
    sensor: SensorSelector | None = strawberry.field(description="A sensor.", default=UNSET)

    def to_selector(self) -> ScheduleSelectorRow | SensorSelectorRow:
        """The selector of the layers below."""
        schedule, sensor = given(self.schedule), given(self.sensor)
        if schedule is not None:
            return schedule.to_selector()
        if sensor is not None:
            return sensor.to_selector()
        raise ValueError("the schema demands one of its fields")


@strawberry.input(description="Which schedules or sensors. Fields are joined by and.")
class TickSourceFilter:
    """Which schedules or sensors."""

    name: str | None = strawberry.field(
        description="Those whose name holds this text, in any case.", default=UNSET
    )
    location_name: str | None = strawberry.field(
        description="Those of this code location.", default=UNSET
    )
    job_name: str | None = strawberry.field(
        description="Those that may request runs of this job.", default=UNSET
    )
    status: TickSourceStatus | None = strawberry.field(
        description="Those in this status.", default=UNSET
    )

    def matches(self, record: TickSourceRecord) -> bool:
        """Whether one is wanted."""
        name, location_name = given(self.name), given(self.location_name)
        job_name, status = given(self.job_name), given(self.status)
        return (
            (name is None or name.casefold() in record.origin.name.casefold())
            and (location_name is None or record.origin.location_name == location_name)
            and (job_name is None or job_name in record.job_names)
            and (status is None or record.status is status)
        )
