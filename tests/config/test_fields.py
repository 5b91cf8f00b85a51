"""What the types of fields take and refuse."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from runwire.config import MAX_SECONDS, PositiveSeconds, Seconds, Section, WholeNumber


class Fields(BaseModel):
    """One field of each type."""

    pause: Seconds = 1.0
    limit: PositiveSeconds | None = 1.0
    count: WholeNumber = 1
    section: Section[dict[str, int]] = {"default": 1}
    items: Section[tuple[str, ...]] = ("default",)


@pytest.mark.parametrize(
    ("name", "written", "value"),
    [
        ("pause", 0, 0.0),
        ("pause", MAX_SECONDS, float(MAX_SECONDS)),
        ("pause", "2.5", 2.5),
        ("limit", 1e-3, 0.001),
        ("limit", MAX_SECONDS, float(MAX_SECONDS)),
        ("limit", None, None),
        ("count", 0, 0),
        ("count", "3", 3),
        ("section", None, {"default": 1}),
        ("section", {}, {}),
        ("items", None, ("default",)),
        ("items", [], ()),
    ],
)
def test_what_is_taken(name: str, written: Any, value: Any) -> None:
    assert getattr(Fields.model_validate({name: written}), name) == value


@pytest.mark.parametrize("name", ["pause", "limit"])
@pytest.mark.parametrize(
    ("written", "says"),
    [
        (-1, "0"),
        (MAX_SECONDS + 1, "less than or equal to 31622400"),
        (1e300, "less than or equal to 31622400"),
        ("1e300", "less than or equal to 31622400"),
        (float("inf"), "less than or equal to 31622400"),
        (float("nan"), "0"),
        (True, "must be a number, not true or false"),
        ("true", "valid number"),
    ],
)
def test_a_duration_has_bounds(name: str, written: Any, says: str) -> None:
    assert says in refusal(name, written)


def test_only_a_duration_that_may_be_zero_is() -> None:
    assert refusal("limit", 0) == "Input should be greater than 0"


@pytest.mark.parametrize("written", [True, False])
def test_a_boolean_is_no_whole_number(written: bool) -> None:
    assert refusal("count", written) == "must be a number, not true or false"


@pytest.mark.parametrize("written", [1.5, "1.5", "true", None])
def test_a_whole_number_is_whole(written: Any) -> None:
    assert "valid integer" in refusal("count", written)


def refusal(name: str, written: Any) -> str:
    with pytest.raises(ValidationError) as refused:
        Fields.model_validate({name: written})
    [problem] = refused.value.errors()
    assert problem["loc"] == (name,)
    message: str = problem["msg"]
    return message
