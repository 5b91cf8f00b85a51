"""`addRunTags`: every way in which it can end."""

from __future__ import annotations

from typing import Any

import pytest

from runwire.documents import load_document
from tests.api.conftest import Api


async def add(api: Api, run_id: str, *tags: tuple[str, str]) -> Any:
    given = [{"key": key, "value": value} for key, value in tags]
    answer = await api.ask(load_document("AddRunTags"), input={"runId": run_id, "tags": given})
    return answer["addRunTags"]


async def test_tags_are_added_and_replaced(api: Api) -> None:
    api.add_run("r1", tags={"a": "1", "b": "2"})
    answer = await add(api, "r1", ("b", "3"), ("c", ""))
    assert answer["__typename"] == "AddRunTagsSuccess"
    assert answer["run"]["tags"] == [
        {"key": "a", "value": "1"},
        {"key": "b", "value": "3"},
        {"key": "c", "value": ""},
    ]
    assert api.record("r1").run.tags == {"a": "1", "b": "3", "c": ""}


@pytest.mark.parametrize(
    ("tags", "path"),
    [
        ([("a", "1"), ("a", "2")], ["tags", "1", "key"]),
        ([("runwire/x", "1")], ["tags", "0", "key"]),
        ([("a", "\ud800")], ["tags", "0", "value"]),
        ([("\ud800", "a")], ["tags", "0", "key"]),
        ([(f"k{number}", "") for number in range(201)], ["tags"]),
    ],
)
async def test_a_tag_that_is_refused_is_told_with_the_way_to_it(
    api: Api, tags: list[tuple[str, str]], path: list[str]
) -> None:
    api.add_run("r1", tags={"z": "1"})
    answer = await add(api, "r1", *tags)
    assert (answer["__typename"], answer["path"]) == ("InputInvalid", ["input", *path])
    assert api.record("r1").run.tags == {"z": "1"}


@pytest.mark.parametrize("run_id", ["gone", "\ud800"])
async def test_an_unknown_run_is_refused(api: Api, run_id: str) -> None:
    assert (await add(api, run_id, ("a", "1")))["__typename"] == "RunNotFound"
