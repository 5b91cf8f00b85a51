"""`reloadCodeLocation`: every way in which it can end."""

from __future__ import annotations

from typing import Any

import pytest

from runwire.documents import load_document
from tests.api.conftest import Api


async def reload(api: Api, name: str) -> Any:
    answer = await api.ask(load_document("ReloadCodeLocation"), input={"name": name})
    return answer["reloadCodeLocation"]


async def test_a_location_is_told_as_it_is_after_the_reload(api: Api) -> None:
    answer = await reload(api, "here")
    assert answer["__typename"] == "ReloadCodeLocationSuccess"
    location = answer["codeLocation"]
    assert (location["name"], location["status"], location["loadError"]) == ("here", "LOADED", None)
    assert location["server"]["serverId"] == "server-2"
    other = api.workspace.get_location("there").state.server
    assert other is not None
    assert other.server_id == "server-1"


async def test_a_location_that_does_not_load_is_a_success_with_its_error(api: Api) -> None:
    api.workspace.get_location("here").broken = True
    answer = await reload(api, "here")
    assert answer["__typename"] == "ReloadCodeLocationSuccess"
    assert answer["codeLocation"]["status"] == "FAILED"
    assert answer["codeLocation"]["loadError"]["message"] == "no such module"


@pytest.mark.parametrize(("name", "shown"), [("gone", "gone"), ("", ""), ("\ud800", "\\ud800")])
async def test_an_unknown_location_is_refused(api: Api, name: str, shown: str) -> None:
    document = """mutation($name: String!) { reloadCodeLocation(input: {name: $name}) {
      __typename ... on CodeLocationNotFound { name message } } }"""
    answer = await api.ask(document, name=name)
    refusal = answer["reloadCodeLocation"]
    assert (refusal["__typename"], refusal["name"]) == ("CodeLocationNotFound", shown)
    assert refusal["message"].startswith("the workspace has no code location ")
    states = [location.state for location in api.workspace.list_locations()]
    assert [state.server and state.server.server_id for state in states] == ["server-1"] * 2


async def test_what_was_loaded_before_is_forgotten(api: Api) -> None:
    document = """mutation {
      first: reloadCodeLocation(input: {name: "here"}) {
        ... on ReloadCodeLocationSuccess { codeLocation { repositories { jobs { name } } } } }
    }"""
    api.workspace.get_location("here").broken = True
    answer = await api.ask(document)
    assert answer == {"first": {"codeLocation": {"repositories": []}}}
