"""What the client asks of sensors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from runwire.client.following import decode
from runwire.client.inputs import given
from runwire.client.schedule_calls import TickSourceCalls, source_filter, tick_page
from runwire.client.schedule_records import DryTick
from runwire.client.sensor_records import Sensor, SensorDetail, SensorPage
from runwire.ticks.source import TickSourceStatus
from runwire.ticks.tick import TickStatus


class SensorCalls(TickSourceCalls):
    """The methods of the client for sensors.

    A sensor is named by its name; repository and code location are needed only where it is ambiguous.
    """

    def list_sensors(
        self,
        *,
        name: str | None = None,
        location: str | None = None,
        job: str | None = None,
        status: TickSourceStatus | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> SensorPage:
        """A page of the sensors that match all that is given, by name.

        Args:
            name: those whose name holds this text.
            location: those of this code location.
            job: those that may request runs of this job.
            status: those in this status.
            limit: how many at most; a page has at most 100.
            after: the `end_cursor` of the page before.
        """
        wanted = source_filter(name, location, job, status)
        variables = {"filter": wanted, "first": limit, "after": after, "ticks": 1}
        found = self.execute("Sensors", variables)["sensors"]
        page = found["pageInfo"]
        return SensorPage(
            sensors=decode(found["nodes"], tuple[Sensor, ...]),
            total_count=found["totalCount"],
            end_cursor=page["endCursor"],
            has_next_page=page["hasNextPage"],
        )

    def get_sensor(
        self,
        name: str,
        *,
        repository: str | None = None,
        location: str | None = None,
        ticks: int = 25,
        statuses: Iterable[TickStatus] | None = None,
        after: str | None = None,
    ) -> SensorDetail | None:
        """A sensor with some of its ticks; None when there is none.

        Args:
            name: its name.
            repository: the name of its repository.
            location: the name of its code location.
            ticks: how many ticks, from the newest on, from 1 to 100.
            statuses: only ticks in one of these statuses.
            after: the `end_cursor` of the page of ticks before.
        """
        variables = {
            "selector": _selector(name, repository, location),
            "ticks": ticks,
            "statuses": None if statuses is None else [status.value for status in statuses],
            "after": after,
        }
        found = self.execute("SensorDetail", variables)["sensor"]
        if found is None:
            return None
        listed = found.pop("ticks")
        return decode({**found, "ticks": tick_page(listed)}, SensorDetail)

    def start_sensor(
        self, name: str, *, repository: str | None = None, location: str | None = None
    ) -> Sensor:
        """Starts a sensor from its stored cursor; nothing changes when it runs already."""
        wanted = {"sensor": _selector(name, repository, location)}
        return decode(self._mutate("StartSensor", "startSensor", wanted)["sensor"], Sensor)

    def stop_sensor(
        self, name: str, *, repository: str | None = None, location: str | None = None
    ) -> Sensor:
        """Stops a sensor and keeps its cursor; nothing changes when it is stopped already."""
        wanted = {"sensor": _selector(name, repository, location)}
        return decode(self._mutate("StopSensor", "stopSensor", wanted)["sensor"], Sensor)

    def set_sensor_cursor(
        self,
        name: str,
        cursor: str | None,
        *,
        repository: str | None = None,
        location: str | None = None,
    ) -> Sensor:
        """Sets the cursor of a sensor; None has it begin anew."""
        wanted = {"sensor": _selector(name, repository, location), "cursor": cursor}
        found = self._mutate("SetSensorCursor", "setSensorCursor", wanted)
        return decode(found["sensor"], Sensor)

    def evaluate_sensor(
        self,
        name: str,
        *,
        repository: str | None = None,
        location: str | None = None,
        cursor: str | None = None,
    ) -> DryTick:
        """Evaluates a sensor, with its stored cursor unless one is given; stores nothing and runs nothing."""
        wanted = {"source": {"sensor": _selector(name, repository, location)}, "cursor": cursor}
        return decode(self._mutate("EvaluateTick", "evaluateTick", given(wanted)), DryTick)


def _selector(name: str, repository: str | None, location: str | None) -> dict[str, Any]:
    return given({"sensorName": name, "repositoryName": repository, "locationName": location})
