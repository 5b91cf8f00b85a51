"""The JSON Schemas of `runwire.yaml` and `workspace.yaml`, for editors and whoever writes them by a program."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from runwire.instance.settings import CONFIG_FILENAME, Settings
from runwire.locations.workspace_file import WORKSPACE_FILENAME, WorkspaceFile

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_FROM_ENVIRONMENT = {
    "type": "object",
    "description": "Stands for the value of an environment variable.",
    "properties": {"env": {"type": "string", "description": "The name of the variable."}},
    "required": ["env"],
    "additionalProperties": False,
}
_REFERENCE = {"$ref": "#/$defs/FromEnvironment"}
_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
_SCALARS = frozenset({"string", "number", "integer", "boolean"})


def config_schemas() -> dict[str, str]:
    """The text of each schema by the name of its file."""
    return {
        "runwire.schema.json": _text(CONFIG_FILENAME, Settings),
        "workspace.schema.json": _text(WORKSPACE_FILENAME, WorkspaceFile),
    }


def _text(title: str, model: type[BaseModel]) -> str:
    schema = model.model_json_schema()
    for node in _nodes(schema):
        _write_plainly(node)
    # The innermost first: what is around them takes them over as they are then.
    for node in reversed(list(_nodes(schema))):
        _let_environment_stand(node)
    schema["$defs"] = {**schema.get("$defs", {}), "FromEnvironment": _FROM_ENVIRONMENT}
    whole = {"$schema": _DIALECT, "title": title, **schema}
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """A schema and all that it is made of, defaults and the like left out."""
    if not isinstance(schema, dict):
        return
    yield schema
    for keyword, value in schema.items():
        if keyword in {"properties", "$defs"}:
            for each in value.values():
                yield from _nodes(each)
        elif keyword in {"items", "additionalProperties", "propertyNames"}:
            yield from _nodes(value)
        elif keyword in {"anyOf", "oneOf", "allOf", "prefixItems"}:
            for each in value:
                yield from _nodes(each)


def _write_plainly(node: dict[str, Any]) -> None:
    """Leaves out titles that repeat the key, and calls bounds as JSON Schema does wherever Pydantic does not."""
    node.pop("title", None)
    for keyword, name in _BOUNDS.items():
        if keyword in node:
            node[name] = node.pop(keyword)


def _let_environment_stand(node: dict[str, Any]) -> None:
    """Takes `{env: NAME}` where a schema takes a scalar."""
    if "anyOf" in node:
        if any(_is_scalar(each) for each in node["anyOf"]):
            node["anyOf"] = [*node["anyOf"], _REFERENCE]
        return
    if "properties" in node:
        properties = node["properties"]
        node["properties"] = {name: _with_environment(each) for name, each in properties.items()}
    for keyword in ("items", "additionalProperties"):
        if isinstance(node.get(keyword), dict):
            node[keyword] = _with_environment(node[keyword])


def _with_environment(schema: dict[str, Any]) -> dict[str, Any]:
    if not _is_scalar(schema):
        return schema
    outside: dict[str, Any] = {
        key: schema[key] for key in ("default", "description") if key in schema
    }
    inside = {key: value for key, value in schema.items() if key not in outside}
    return {"anyOf": [inside, _REFERENCE], **outside}


def _is_scalar(schema: dict[str, Any]) -> bool:
    return schema.get("type") in _SCALARS
