"""JSON forms of values that are no JSON."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from enum import Enum
from typing import Any

import pytest
from pydantic import BaseModel, Field, SecretStr
from pydantic_core import PydanticSerializationError

from runwire.definitions.json_schema import as_json, filled, has_schema, keys_at, schema_of


class Colour(Enum):
    RED = "red"


class Inner(BaseModel):
    value: set[int] = Field({3, 1, 2}, alias="values")


@dataclasses.dataclass
class Point:
    x: int


@pytest.mark.parametrize(
    ("value", "json"),
    [
        (None, None),
        (1, 1),
        (Colour.RED, "red"),
        (datetime(2024, 1, 2, 3), "2024-01-02T03:00:00"),  # noqa: DTZ001
        (float("nan"), "NaN"),
        (float("-inf"), "-Infinity"),
        ((1, (2,)), [1, [2]]),
        ({"b", "a"}, ["a", "b"]),
        ({1: {2, 1}}, {"1": [1, 2]}),
        (Inner(), {"values": [1, 2, 3]}),
        (Point(3), {"x": 3}),
    ],
)
def test_values_have_one_json_form(value: Any, json: Any) -> None:
    assert as_json(value) == json


@pytest.mark.parametrize("value", [object(), SecretStr("x"), [SecretStr("x")]])
def test_what_json_cannot_hold_or_should_not_is_refused(value: Any) -> None:
    with pytest.raises(PydanticSerializationError):
        as_json(value)


def test_types_that_json_can_give_have_a_schema() -> None:
    assert [has_schema(type_) for type_ in (int, Any, list[Inner], Point, Colour)] == [True] * 5
    assert [has_schema(type_) for type_ in (object(), Exception, type(has_schema))] == [False] * 3


class Tree(BaseModel):
    name: str
    left: Tree | None = None
    leaves: list[Tree] = []


def test_keys_are_found_through_references_and_lists() -> None:
    class Config(BaseModel):
        tree: Tree
        numbers: dict[str, int]

    schema = schema_of(Config)
    assert keys_at(schema, ()) == ("tree", "numbers")
    assert keys_at(schema, ("tree",)) == ("name", "left", "leaves")
    assert keys_at(schema, ("tree", "leaves", 3)) == ("name", "left", "leaves")
    assert keys_at(schema, ("numbers", "x")) == ()
    assert keys_at(schema, ("nope", "x")) == ()


def test_a_model_that_holds_itself_is_filled_once() -> None:
    class Config(BaseModel):
        tree: Tree

    assert filled(schema_of(Config), {}) == {"tree": {"name": None, "left": None, "leaves": []}}
