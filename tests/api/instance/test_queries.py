"""The instance and who asks it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runwire import __version__
from runwire.api.access import Principal
from runwire.documents import load_document
from runwire.instance import Instance
from runwire.storages.migrations import HEAD_REVISION
from tests.api.conftest import Api


async def test_the_instance_shows_its_parts(api: Api) -> None:
    document = """{ instance {
      name version
      runCoordinator { module className config }
      runLauncher { module className config }
      storages { kind schemaRevision headRevision component { module className config } }
    } }"""
    memory = {"module": "runwire.storages.memory", "className": "MemoryStorage", "config": {}}
    assert await api.ask(document) == {
        "instance": {
            "name": "ephemeral",
            "version": __version__,
            "runCoordinator": {
                "module": "runwire.coordinators.default",
                "className": "DefaultRunCoordinator",
                "config": {},
            },
            # built directly, not from configuration
            "runLauncher": {
                "module": "tests.api.conftest",
                "className": "FakeLauncher",
                "config": {},
            },
            "storages": [
                {"kind": kind, "schemaRevision": None, "headRevision": None, "component": memory}
                for kind in ("RUNS", "EVENT_LOG", "SCHEDULES")
            ],
        }
    }


async def test_storages_that_are_joined_are_told_apart(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("PLACE", str(tmp_path / "hidden"))
    (home / "runwire.yaml").write_text(
        "event_log_storage: {sqlite: {base_dir: {env: PLACE}, layout: consolidated}}"
    )
    document = """{ instance {
      configuration storages { kind schemaRevision headRevision component { className config } }
    } }"""
    with Instance.from_home(home) as instance:
        api.instance = instance
        answer = (await api.ask(document))["instance"]
    assert "hidden" not in str(answer)
    told = [(each["kind"], each["component"]["config"]["layout"]) for each in answer["storages"]]
    assert told == [("RUNS", "sharded"), ("EVENT_LOG", "consolidated"), ("SCHEDULES", "sharded")]
    for each in answer["storages"]:
        assert (each["schemaRevision"], each["headRevision"]) == (HEAD_REVISION, HEAD_REVISION)


async def test_the_configuration_is_the_effective_one(api: Api) -> None:
    answer = await api.ask("{ instance { configuration } }")
    assert answer["instance"]["configuration"] == api.instance.info_dict()


async def test_the_viewer_is_the_one_that_asks(api: Api) -> None:
    document = "{ viewer { name authenticated } }"
    assert await api.ask(document) == {"viewer": {"name": "ada", "authenticated": True}}
    api.viewer = Principal("anyone", False)
    assert await api.ask(document) == {"viewer": {"name": "anyone", "authenticated": False}}


KEYS = "query($prefix: String, $first: Int) { instance { runTagKeys(prefix: $prefix, first: $first) } }"
VALUES = """query($key: String!, $prefix: String, $first: Int) {
  instance { runTagValues(key: $key, prefix: $prefix, first: $first) }
}"""


async def test_tags_in_use_are_listed_by_name(api: Api) -> None:
    api.add_run("r1", tags={"env": "prod", "who": "ada"})
    api.add_run("r2", tags={"env": "test", "end": ""})
    keys: list[tuple[dict[str, Any], list[str]]] = [
        ({}, ["end", "env", "who"]),
        ({"prefix": "en"}, ["end", "env"]),
        ({"prefix": None, "first": None}, ["end", "env", "who"]),
        ({"first": 1}, ["end"]),
        ({"prefix": "%"}, []),
    ]
    for variables, wanted in keys:
        assert await api.ask(KEYS, **variables) == {"instance": {"runTagKeys": wanted}}
    values: list[tuple[dict[str, Any], list[str]]] = [
        ({"key": "env"}, ["prod", "test"]),
        ({"key": "env", "prefix": "p"}, ["prod"]),
        ({"key": "env", "first": 1}, ["prod"]),
        ({"key": "gone"}, []),
    ]
    for variables, wanted in values:
        assert await api.ask(VALUES, **variables) == {"instance": {"runTagValues": wanted}}


@pytest.mark.parametrize(
    ("document", "variables", "message"),
    [
        (KEYS, {"first": 0}, "`first` is 0; give 1 to 100"),
        (KEYS, {"first": 101}, "`first` is 101; give 1 to 100"),
        (KEYS, {"prefix": "\ud800"}, "the text is not valid Unicode"),
        (VALUES, {"key": "a", "first": 101}, "`first` is 101; give 1 to 100"),
        (VALUES, {"key": "\ud800"}, "the text is not valid Unicode"),
        (VALUES, {"key": "a", "prefix": "\ud800"}, "the text is not valid Unicode"),
    ],
)
async def test_wrong_arguments_are_refused(
    api: Api, document: str, variables: dict[str, Any], message: str
) -> None:
    assert await api.refusal(document, **variables) == ("INVALID_ARGUMENT", message)


@pytest.mark.parametrize(
    ("name", "variables"),
    [
        ("InstanceHealth", {"withConfiguration": True}),
        ("InstanceInfo", {}),
        ("RunsPage", {"suggest": True, "tagKey": "env"}),
    ],
)
async def test_the_documents_run(api: Api, name: str, variables: dict[str, Any]) -> None:
    api.add_run("r1", tags={"env": "prod"})
    answer = await api.ask(load_document(name), **variables)
    assert answer["instance"]["id"]
