"""Types of the fields of configurations, so that each kind of value is bounded and refused alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, PydanticUseDefault

MAX_SECONDS = 366 * 24 * 60 * 60
"""The longest duration. Threads, sockets and databases can wait for so long; not for any time at all."""

MAX_DAYS = 36_525
"""The longest time that something is kept: a hundred years."""

T = TypeVar("T")


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticCustomError("number", "must be a number, not true or false")
    return value


def _default_when_empty(value: Any) -> Any:
    if value is None:
        raise PydanticUseDefault
    return value


@dataclass(frozen=True, slots=True)
class AlsoTakes:
    """Says in the JSON Schema of a field what its validators take besides its type.

    Attributes:
        schema: the JSON Schema of that.
    """

    schema: dict[str, Any]

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        known = handler(core_schema)
        return {"anyOf": [*known.get("anyOf", [known]), self.schema]}


Seconds: TypeAlias = Annotated[float, BeforeValidator(_no_boolean), Field(ge=0, le=MAX_SECONDS)]
"""A duration that may be zero."""

PositiveSeconds: TypeAlias = Annotated[
    float, BeforeValidator(_no_boolean), Field(gt=0, le=MAX_SECONDS)
]
"""A duration."""

Days: TypeAlias = Annotated[float, BeforeValidator(_no_boolean), Field(gt=0, le=MAX_DAYS)]
"""For how many days something is kept, fractions of a day among them."""

WholeNumber: TypeAlias = Annotated[int, BeforeValidator(_no_boolean)]
"""An integer; YAML's ``true`` is none."""

Section: TypeAlias = Annotated[T, BeforeValidator(_default_when_empty), AlsoTakes({"type": "null"})]
"""A mapping or list under a key that may have no value, which stands for the default as leaving it out does."""
