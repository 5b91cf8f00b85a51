"""Types: their names, and which values have them."""

from __future__ import annotations

import collections
from collections import abc
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    Optional,
    Protocol,
    TypedDict,
    TypeVar,
    Union,
    runtime_checkable,
)

import pytest
from pydantic import BaseModel

from runwire.definitions import check_type, type_name
from runwire.events.payloads import TypeCheck

T = TypeVar("T")
Number = TypeVar("Number", bound=int)
UserId = NewType("UserId", int)


class Row(BaseModel):
    n: int


class BigRow(Row): ...


class Box(Generic[T]): ...


class Point(NamedTuple):
    x: int
    y: int


class Movie(TypedDict):
    name: str


class Closes(Protocol):
    def close(self) -> None: ...


@runtime_checkable
class Runs(Protocol):
    def run(self) -> None: ...


class Unprintable:
    def __repr__(self) -> str:
        raise ValueError("no")


class Outer:
    class Inner: ...


@pytest.mark.parametrize(
    ("type_", "name"),
    [
        (int, "int"),
        (None, "None"),
        (Any, "Any"),
        (object, "Any"),
        (list[int], "list[int]"),
        (dict[str, list[int | None]], "dict[str, list[int | None]]"),
        (tuple[int, ...], "tuple[int, ...]"),
        (tuple[()], "tuple[()]"),
        (str | None, "str | None"),
        (Optional[str], "str | None"),  # noqa: UP045
        (Union[int, None, str], "int | None | str"),  # noqa: UP007
        (Annotated[int, "positive"], "int"),
        (Literal["a", 1], "Literal['a', 1]"),
        (abc.Callable[[int], str], "Callable[[int], str]"),
        (abc.Callable[..., int], "Callable[..., int]"),
        (abc.Iterator[int], "Iterator[int]"),
        (type[int], "type[int]"),
        (UserId, "int"),
        (Number, "int"),
        (T, "Any"),
        (Row, "Row"),
        (Box[int], "Box[int]"),
        (Outer.Inner, "Outer.Inner"),
        (Movie, "Movie"),
        ("Unknown", "Unknown"),
    ],
)
def test_the_name_of_a_type_reads_as_it_is_written(type_: Any, name: str) -> None:
    assert type_name(type_) == name


def test_the_name_of_a_local_class_is_its_own() -> None:
    class Local: ...

    assert type_name(list[Local]) == "list[Local]"


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        (object(), Any),
        (None, None),
        (None, int | None),
        (3, int | None),
        (3, float),
        (3.5, complex),
        (True, bool),
        (True, object),
        (BigRow(n=1), Row),
        ([1, 2], list[int]),
        ([], list[int]),
        ((1, 2), abc.Sequence[int]),
        ((1, "a"), tuple[int, str]),
        ((1, 2, 3), tuple[int, ...]),
        ((), tuple[()]),
        ({"a": 1}, dict[str, int]),
        ({"a": 1}, abc.Mapping[str, int]),
        ({"a": 1}, abc.Iterable[str]),
        (collections.Counter("ab"), collections.Counter[str]),
        ({1, 2}, set[int]),
        ([[1], ["x"]], list[list[int]]),
        ([1, "a"], list[int | str]),
        ([1] * 100 + ["x"], list[int]),
        (Point(1, 2), Point),
        ({"name": "x"}, Movie),
        (5, Closes),
        ("a", Literal["a", 1]),
        (int, type[int]),
        (print, abc.Callable[[str], None]),
        (UserId(3), UserId),
        (Box(), Box[int]),
        (3, T),
        (3, "Unknown"),
    ],
)
def test_a_value_has_its_type(value: Any, type_: Any) -> None:
    assert check_type(value, type_) == TypeCheck(True, type_name(type_))


@pytest.mark.parametrize(
    ("value", "type_", "description"),
    [
        (True, int, "expected int, got True of type bool"),
        (True, float, "expected float, got True of type bool"),
        (1.5, int, "expected int, got 1.5 of type float"),
        (None, int, "expected int, got None"),
        ("", None, "expected None, got '' of type str"),
        ("x", int | None, "expected int | None, got 'x' of type str"),
        ([1], int, "expected int, got 1 element of type list"),
        ([1, 2], int, "expected int, got 2 elements of type list"),
        (Row(n=1), BigRow, "expected BigRow, got Row(n=1) of type Row"),
        ([1, "a"], list[int], "expected list[int], got 'a' of type str at element 1"),
        ([1, None], list[int], "expected list[int], got None at element 1"),
        ([True], list[int], "expected list[int], got True of type bool at element 0"),
        ((1, "a"), abc.Sequence[int], "expected Sequence[int], got 'a' of type str at element 1"),
        ((1,), tuple[int, str], "expected tuple[int, str], got 1 element"),
        ((1, 2), tuple[int, str], "expected tuple[int, str], got 2 of type int at element 1"),
        (("a",), tuple[int, ...], "expected tuple[int, ...], got 'a' of type str at element 0"),
        ({"a": "b"}, dict[str, int], "expected dict[str, int], got 'b' of type str at key 'a'"),
        ({1: 1}, dict[str, int], "expected dict[str, int], got 1 of type int as a key"),
        ({"a"}, set[int], "expected set[int], got 'a' of type str at element 0"),
        (
            [1],
            list[list[int]],
            "expected list[list[int]], got 1 of type int at element 0",
        ),
        (["x"], list[int] | None, "expected list[int] | None, got 1 element of type list"),
        ([1] * 99 + ["x"], list[int], "expected list[int], got 'x' of type str at element 99"),
        (True, Literal["a", 1], "expected Literal['a', 1], got True of type bool"),
        (5, Runs, "expected Runs, got 5 of type int"),
        (5, Movie, "expected Movie, got 5 of type int"),
        (str, type[int], "expected type[int], got <class 'str'> of type type"),
        (5, abc.Callable[[], None], "expected Callable[[], None], got 5 of type int"),
        (5, Box[int], "expected Box[int], got 5 of type int"),
    ],
)
def test_a_value_without_its_type_is_told_with_what_was_expected(
    value: Any, type_: Any, description: str
) -> None:
    assert check_type(value, type_) == TypeCheck(False, type_name(type_), description)


def test_a_long_or_unprintable_value_is_told_in_short() -> None:
    long = check_type("x" * 10_000, int).description
    assert long is not None
    assert len(long) < 150
    unprintable = check_type(Unprintable(), int).description
    assert unprintable is not None
    assert unprintable.startswith("expected int, got <Unprintable instance at ")


def test_a_type_whose_check_raises_lets_every_value_pass() -> None:
    class Meta(type):
        def __instancecheck__(cls, instance: object) -> bool:
            raise TypeError("no")

    class Odd(metaclass=Meta): ...

    assert check_type(5, Odd) == TypeCheck(True, "Odd")
