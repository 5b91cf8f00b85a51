"""When to start again what ended by itself."""

from __future__ import annotations

from runwire.locations.restart_delays import RestartDelays


def test_the_first_restart_is_at_once_and_then_they_wait_longer_and_longer() -> None:
    delays = RestartDelays()
    assert [delays.next(0.5) for _ in range(9)] == [0, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_minute_of_health_begins_anew() -> None:
    delays = RestartDelays()
    assert [delays.next(lived) for lived in (1, 59.9, 60, 1)] == [0, 1, 0, 1]


def test_delays_stay_bounded_for_ever() -> None:
    delays = RestartDelays()
    assert [delays.next(0) for _ in range(2000)][-1] == 30
