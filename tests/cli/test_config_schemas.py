"""The JSON Schemas of runwire.yaml and workspace.yaml: they take what the docs show, and no wrong key."""

from __future__ import annotations

import copy
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from runwire.cli.config_schemas import config_schemas
from runwire.instance.settings import Settings
from runwire.locations.workspace_file import WorkspaceFile

ROOT = Path(__file__).parents[2]
RUNWIRE, WORKSPACE = (json.loads(text) for text in config_schemas().values())

TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
    "null": type(None),
}
SILENT = {
    "$schema",
    "$defs",
    "title",
    "description",
    "default",
    "format",
    "writeOnly",
    "discriminator",
}


def faults(schema: dict[str, Any], value: Any, whole: dict[str, Any], path: str = "") -> list[str]:
    """What a value has wrong by those keywords of JSON Schema that ours use; no other one may be in them."""
    found: list[str] = []
    for keyword, said in schema.items():
        match keyword:
            case "$ref":
                found += faults(whole["$defs"][said.removeprefix("#/$defs/")], value, whole, path)
            case "type":
                is_bool = isinstance(value, bool) and said in {"number", "integer"}
                if is_bool or not isinstance(value, TYPES[said]):
                    found.append(f"{path}: no {said}")
            case "anyOf":
                each = [faults(option, value, whole, path) for option in said]
                found += [] if [] in each else [fault for option in each for fault in option]
            case "properties" if isinstance(value, dict):
                for key in said.keys() & value.keys():
                    found += faults(said[key], value[key], whole, f"{path}/{key}")
            case "additionalProperties" if isinstance(value, dict) and said is not True:
                for key in value.keys() - schema.get("properties", {}).keys():
                    found += (
                        [f"{path}/{key}: unknown"]
                        if said is False
                        else faults(said, value[key], whole, f"{path}/{key}")
                    )
            case "propertyNames" if isinstance(value, dict):
                for key in value:
                    found += faults(said, key, whole, f"{path}/{key}")
            case "items" if isinstance(value, list):
                for number, item in enumerate(value):
                    found += faults(said, item, whole, f"{path}/{number}")
            case "required" if isinstance(value, dict):
                found += [f"{path}/{key}: missing" for key in said if key not in value]
            case "enum":
                found += [] if value in said else [f"{path}: none of {said}"]
            case "pattern" if isinstance(value, str):
                found += [] if re.search(said, value) else [f"{path}: not {said}"]
            case (
                "minimum"
                | "maximum"
                | "exclusiveMinimum"
                | "exclusiveMaximum"
                | "minLength"
                | "maxLength"
                | "minProperties"
                | "maxProperties"
                | "minItems"
                | "maxItems"
            ):
                found += _bound(keyword, said, value, path)
            case (
                "properties"
                | "additionalProperties"
                | "propertyNames"
                | "items"
                | "required"
                | "pattern"
            ):
                pass
            case _:
                assert keyword in SILENT, f"{keyword} is not checked"
    return found


_SIZED: dict[str, type[str | dict[Any, Any] | list[Any]]] = {
    "Length": str,
    "Properties": dict,
    "Items": list,
}
"""What the keywords that end so bound the size of."""


def _bound(keyword: str, bound: float, value: Any, path: str) -> list[str]:
    of = next((kind for end, kind in _SIZED.items() if keyword.endswith(end)), None)
    if of is not None:
        if not isinstance(value, of):
            return []
        value, keyword = len(value), keyword[:3] + "imum"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return []
    holds = {
        "minimum": value >= bound,
        "maximum": value <= bound,
        "exclusiveMinimum": value > bound,
        "exclusiveMaximum": value < bound,
    }
    return [] if holds[keyword] else [f"{path}: {keyword} {bound}"]


def plain(value: Any) -> Any:
    """What YAML reads, as JSON has it."""
    match value:
        case dict():
            return {str(key): plain(each) for key, each in value.items()}
        case list():
            return [plain(each) for each in value]
        case datetime():
            return value.isoformat()
        case _:
            return value


def examples() -> list[Any]:
    """Every block of YAML in the docs."""
    pages = sorted((ROOT / "docs").glob("*.md"))
    texts = [
        text
        for page in pages
        for text in re.findall(r"^```yaml\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
    ]
    return [plain(yaml.safe_load(text)) for text in texts]


OF_OTHERS = {"livenessProbe", "readinessProbe", "scrape_configs", "resources"}
"""Keys of files that are not ours, and of run configs, which their own pages try."""

EXAMPLES = [each for each in examples() if not each.keys() <= OF_OTHERS]
WORKSPACES = [each for each in EXAMPLES if "load_from" in each]
SETTINGS = [each for each in EXAMPLES if each not in WORKSPACES]


def test_the_docs_have_examples_of_both() -> None:
    assert len(SETTINGS) >= 8
    assert len(WORKSPACES) >= 1


@pytest.mark.parametrize("example", SETTINGS, ids="-".join)
def test_what_the_docs_write_into_runwire_yaml_is_taken(example: Any) -> None:
    assert faults(RUNWIRE, example, RUNWIRE) == []


@pytest.mark.parametrize("example", WORKSPACES)
def test_what_the_docs_write_into_workspace_yaml_is_taken(example: Any) -> None:
    assert faults(WORKSPACE, example, WORKSPACE) == []


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ({"serverr": {}}, "/serverr: unknown"),
        ({"server": {"prot": 1}}, "/server/prot: unknown"),
        ({"server": {"port": 70_000}}, "/server/port: maximum 65535"),
        ({"server": {"port": True}}, "/server/port: no integer"),
        ({"server": {"port": {"env": "PORT", "more": 1}}}, "/server/port"),
        ({"server": []}, "/server: no object"),
        ({"auth": {"tokens": [{"name": "a"}]}}, "/auth/tokens/0/sha256: missing"),
        ({"auth": {"tokens": [{"name": "a", "sha256": "0"}]}}, "/auth/tokens/0/sha256: not"),
        (
            {"retention": {"runs": {"purge_after_days": {"LOST": 1}}}},
            "/retention/runs/purge_after_days",
        ),
        ({"retention": {"runs": {"purge_after_days": 0}}}, "/retention/runs/purge_after_days"),
        ({"run_launcher": {"module": "a"}}, "/run_launcher/class: missing"),
        ({"run_launcher": {"module": "a", "class_name": "B"}}, "/run_launcher/class"),
        ({"name": ""}, "/name: minimum 1"),
    ],
)
def test_what_is_wrong_in_runwire_yaml_is_refused(value: Any, fault: str) -> None:
    assert [each for each in faults(RUNWIRE, value, RUNWIRE) if each.startswith(fault)]


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ({}, "/load_from: missing"),
        ({"load_from": [{"python_fil": "a.py"}]}, "/load_from/0/python_fil: unknown"),
        ({"load_from": [{}]}, "/load_from/0: minimum 1"),
        ({"load_from": [{"python_file": "a.py", "python_module": "b"}]}, "/load_from/0: maximum 1"),
        ({"load_from": [{"python_file": {"attribute": "a"}}]}, "/load_from/0/python_file"),
        ({"load_from": [{"python_file": 1}]}, "/load_from/0/python_file"),
        ({"load_from": [{"grpc_server": {"port": 0}}]}, "/load_from/0/grpc_server/port: minimum 1"),
    ],
)
def test_what_is_wrong_in_workspace_yaml_is_refused(value: Any, fault: str) -> None:
    assert [each for each in faults(WORKSPACE, value, WORKSPACE) if each.startswith(fault)]


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"server": None, "daemons": None, "auth": {"tokens": None}},
        {"server": {"port": {"env": "PORT"}, "allowed_hosts": [{"env": "HOST"}]}},
        {"auth": {"token": {"env": "TOKEN"}}},
        {"retention": {"runs": {"purge_after_days": 30}}},
        {"run_monitoring": {"max_runtime_seconds": None}},
    ],
)
def test_what_may_be_short_or_come_from_the_environment_is_taken(value: Any) -> None:
    before = copy.deepcopy(value)
    assert faults(RUNWIRE, value, RUNWIRE) == []
    assert value == before


def test_they_say_which_dialect_they_are_written_in_and_whose_they_are() -> None:
    for schema, title, model in (
        (RUNWIRE, "runwire.yaml", Settings),
        (WORKSPACE, "workspace.yaml", WorkspaceFile),
    ):
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert schema["title"] == title
        assert schema["properties"].keys() == model.model_fields.keys()
