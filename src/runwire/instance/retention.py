"""The section `retention` of `runwire.yaml`: how long what is over is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from runwire.config import MAX_DAYS, AlsoTakes, Days, PositiveSeconds, Seconds, Section, WholeNumber

PurgeableRunStatus = Literal["SUCCESS", "FAILURE", "CANCELED", "NOT_STARTED"]
PurgeableTickStatus = Literal["SKIPPED", "SUCCESS", "FAILURE"]
_ENDED: tuple[PurgeableRunStatus, ...] = ("SUCCESS", "FAILURE", "CANCELED")
_ENDED_TICKS: tuple[PurgeableTickStatus, ...] = get_args(PurgeableTickStatus)

USUAL_ORPHAN_DAYS = 1.0
"""How old a leftover of a run that is gone must be, unless the section says otherwise."""

_DAYS: TypeAdapter[float] = TypeAdapter(Days)
_ONE_NUMBER = AlsoTakes({"type": "number", "exclusiveMinimum": 0, "maximum": MAX_DAYS})


def _one_for_all(statuses: Sequence[str]) -> Callable[[Any], Any]:
    """Lets one number stand for the same number for each of some statuses."""

    def expand(value: Any) -> Any:
        if value is None or isinstance(value, Mapping):
            return value
        try:
            days = _DAYS.validate_python(value)
        except ValidationError as error:
            problem = error.errors()[0]
            raise PydanticCustomError("number", "{problem}", {"problem": problem["msg"]}) from None
        return dict.fromkeys(statuses, days)

    return expand


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RunRetention(_Strict):
    """How long runs are kept, with their event logs and their files.

    Attributes:
        purge_after_days: by status, how many days after its last change a run is deleted. One number stands for
            SUCCESS, FAILURE and CANCELED. Without the status of a run it is kept.
    """

    purge_after_days: Annotated[
        Section[dict[PurgeableRunStatus, Days]], BeforeValidator(_one_for_all(_ENDED)), _ONE_NUMBER
    ] = {}


class EventRetention(_Strict):
    """How long the instance-wide log is kept. What a run's own log has goes with the run.

    Attributes:
        purge_after_days: how old an entry is when it is deleted; None for never. Cursors before it expire.
    """

    purge_after_days: Days | None = None


class TickRetention(_Strict):
    """How long ticks of schedules and sensors are kept. The runs that they asked for are not concerned.

    Attributes:
        purge_after_days: by status, how many days after it was due a tick is deleted. One number stands for all
            statuses but STARTED, which is never deleted. Without the status of a tick it is kept.
    """

    purge_after_days: Annotated[
        Section[dict[PurgeableTickStatus, Days]],
        BeforeValidator(_one_for_all(_ENDED_TICKS)),
        _ONE_NUMBER,
    ] = {}


class DaemonRetention(_Strict):
    """How long it is remembered which processes were daemons.

    Attributes:
        purge_after_days: how old a last heartbeat is when it is forgotten; None for never. That of a process that
            works is never so old, unless this is less than the heartbeats are apart.
    """

    purge_after_days: Days | None = None


class OrphanRetention(_Strict):
    """What becomes of the leftovers of runs that are gone, as after a crash while they were deleted.

    Attributes:
        purge_after_days: how old a leftover is when it is deleted; None for a day, if anything else is purged.
    """

    purge_after_days: Days | None = None


class RetentionSettings(_Strict):
    """How long what is over is kept: for ever, unless something here says otherwise.

    Attributes:
        runs: of runs.
        events: of the instance-wide log.
        ticks: of ticks of schedules and sensors.
        daemons: of heartbeats and leases of daemons.
        orphans: of leftovers.
        poll_interval_seconds: how often the retention daemon looks whether something is due.
        batch_size: in how many steps it works until it pauses; a step deletes one run, say.
        pause_seconds: for how long it then leaves the storage to others.
    """

    runs: Section[RunRetention] = RunRetention()
    events: Section[EventRetention] = EventRetention()
    ticks: Section[TickRetention] = TickRetention()
    daemons: Section[DaemonRetention] = DaemonRetention()
    orphans: Section[OrphanRetention] = OrphanRetention()
    poll_interval_seconds: PositiveSeconds = 300.0
    batch_size: WholeNumber = Field(default=20, ge=1, le=1000)
    pause_seconds: Seconds = 0.1

    @property
    def enabled(self) -> bool:
        """Whether anything is ever purged."""
        kinds = (self.runs, self.events, self.ticks, self.daemons, self.orphans)
        return any(kind.purge_after_days for kind in kinds)

    @property
    def orphan_days(self) -> float:
        """How old leftovers are when they are deleted."""
        return self.orphans.purge_after_days or USUAL_ORPHAN_DAYS
