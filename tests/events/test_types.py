"""The groups of event types."""

from runwire.events import EventType
from runwire.events.types import DURABLE_EVENTS, RUN_EVENTS


def test_runs_assets_and_the_beginning_and_end_of_each_attempt_at_a_step_are_durable() -> None:
    others = {each.value for each in DURABLE_EVENTS - RUN_EVENTS}
    assert DURABLE_EVENTS > RUN_EVENTS
    assert others == {
        "STEP_START",
        "STEP_RESTARTED",
        "STEP_SUCCESS",
        "STEP_FAILURE",
        "STEP_UP_FOR_RETRY",
        "ASSET_MATERIALIZATION",
        "ASSET_OBSERVATION",
        "ASSET_MATERIALIZATION_PLANNED",
    }
    assert EventType.STEP_SKIPPED not in DURABLE_EVENTS
