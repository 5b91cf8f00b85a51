"""Filters of event records refuse what they cannot mean."""

from __future__ import annotations

import pytest

from runwire.errors import InputInvalidError
from runwire.events.filters import EventRecordsFilter
from runwire.events.types import ASSET_EVENTS, MIRRORED_EVENTS, EventType


def test_every_mirrored_type_may_be_asked_for() -> None:
    assert EventRecordsFilter(event_types=MIRRORED_EVENTS).event_types == MIRRORED_EVENTS


def test_types_that_are_not_mirrored_are_refused_by_name() -> None:
    wanted = frozenset({EventType.RUN_START, EventType.STEP_START, EventType.LOGS_CAPTURED})
    with pytest.raises(InputInvalidError) as refused:
        EventRecordsFilter(event_types=wanted)
    assert refused.value.path == ("event_types",)
    assert str(refused.value) == (
        "LOGS_CAPTURED, STEP_START are not in the instance-wide log, which has the events of runs themselves,"
        " STEP_FAILURE and asset events; ask the log of a run"
    )


def test_partitions_need_assets() -> None:
    with pytest.raises(InputInvalidError, match="partitions are given without assets") as refused:
        EventRecordsFilter(event_types=ASSET_EVENTS, partitions=frozenset({"mon"}))
    assert refused.value.path == ("partitions",)
