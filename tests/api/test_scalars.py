"""Instants and JSON, as texts and as values."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import GraphQLError

from runwire.api.scalars import MAX_JSON_DEPTH, format_instant, parse_instant, parse_json


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1795280703.123456, "2026-11-21T17:05:03.123456Z"),
        (1795280703.5, "2026-11-21T17:05:03.500000Z"),
        (1795280703.0, "2026-11-21T17:05:03Z"),
        (0.0, "1970-01-01T00:00:00Z"),
        (-1.0, "1969-12-31T23:59:59Z"),
    ],
)
def test_an_instant_and_its_text_are_the_same_both_ways(seconds: float, text: str) -> None:
    assert format_instant(seconds) == text
    assert parse_instant(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21T18:05:03+01:00",
        "2026-11-21t17:05:03z",
        "2026-11-21 17:05:03Z",
        "2026-11-21T17:05:03.0Z",
        "2026-11-21T17:05:03.000000999Z",
    ],
)
def test_other_spellings_of_rfc_3339_are_taken(text: str) -> None:
    assert parse_instant(text) == 1795280703.0


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-21T17:05:03",
        "2026-11-21",
        "2026-W47-6T17:05:03Z",
        "20261121T170503Z",
        "2026-11-31T17:05:03Z",
        "2026-11-21T24:00:00Z",
        "2026-11-21T17:05:03.Z",
        "9999-12-31T23:59:59-12:00",
        "9999-12-31T23:59:59.999999Z",
        "0001-01-01T00:00:00+12:00",
        "2026-11-21T17:05:03+99:00",
        "٢٠٢٦-11-21T17:05:03Z",
        1795280703,
        True,
        ["2026-11-21T17:05:03Z"],
        "x" * 1000,
    ],
)
def test_what_is_no_instant_is_refused(value: Any) -> None:
    with pytest.raises(GraphQLError, match="is not an instant; write one like"):
        parse_instant(value)


def nested(depth: int) -> Any:
    value: Any = 1
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


def test_json_nests_as_deep_as_every_part_on_its_way_can_take() -> None:
    value = nested(MAX_JSON_DEPTH)
    assert parse_json(value) is value
    with pytest.raises(GraphQLError, match="at most 100 levels"):
        parse_json(nested(MAX_JSON_DEPTH + 1))
