"""Places in orders of runs compare as the storages order runs."""

from __future__ import annotations

import itertools

import pytest

from runwire.api.runs.places import format_place, lies_before, parse_place
from runwire.errors import CursorInvalidError
from runwire.runs.filters import RunOrder, RunOrderField, RunPlace

ORDERS = [RunOrder(field, descending) for field in RunOrderField for descending in (True, False)]


@pytest.mark.parametrize("order", ORDERS, ids=str)
@pytest.mark.parametrize("value", [None, 0.0, 1795280703.123456, -5.25, 7])
def test_a_place_comes_back_from_its_cursor(order: RunOrder, value: float | None) -> None:
    place = RunPlace(value, 2**63 - 1)
    if value is not None or order.field is not RunOrderField.CREATED_AT:
        assert parse_place(format_place(place, order), order) == place


def test_runs_of_one_instant_are_ordered_by_their_making() -> None:
    early, late = RunPlace(9.0, 1), RunPlace(9.0, 2)
    assert lies_before(early, late, RunOrder(descending=False))
    assert lies_before(late, early, RunOrder(descending=True))


def test_every_run_has_the_instant_of_its_creation() -> None:
    order = RunOrder()
    with pytest.raises(CursorInvalidError, match="is not a cursor of a list of runs"):
        parse_place(format_place(RunPlace(None, 1), order), order)


@pytest.mark.parametrize(
    ("descending", "wanted"),
    [
        (False, [(1.0, 1), (1.0, 2), (2.0, 1), (None, 1), (None, 2)]),
        (True, [(2.0, 1), (1.0, 2), (1.0, 1), (None, 2), (None, 1)]),
    ],
)
def test_runs_without_the_instant_come_last_in_both_directions(
    descending: bool, wanted: list[tuple[float | None, int]]
) -> None:
    order = RunOrder(RunOrderField.STARTED_AT, descending)
    places = [RunPlace(*pair) for pair in wanted]
    for one, other in itertools.combinations(places, 2):
        assert lies_before(one, other, order)
        assert not lies_before(other, one, order)
    assert not lies_before(places[0], places[0], order)
