"""JSON Schemas of what run config may hold, the same in every process, and values made from them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from pydantic import BaseModel, PydanticUserError, SecretBytes, SecretStr, TypeAdapter
from pydantic.errors import PydanticUndefinedAnnotation
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticSerializationError, to_jsonable_python

SCHEMA_ERRORS = (
    PydanticUserError,
    PydanticUndefinedAnnotation,
    PydanticSerializationError,
    TypeError,
)
"""What is raised for a type that cannot be validated or described as JSON."""

_DATA_KEYWORDS = frozenset({"const", "default", "enum", "examples"})


class _Generator(GenerateJsonSchema):
    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012

    def encode_default(self, dft: Any) -> Any:
        return as_json(dft)


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema of a model, with keys that are not declared refused at every level.

    Raises:
        PydanticUserError, PydanticUndefinedAnnotation: a field has a type that has none.
        PydanticSerializationError, TypeError: what the model adds to its schema is not JSON.
    """
    schema = model.model_json_schema(schema_generator=_Generator)
    for node in _nodes(schema):
        if "properties" in node:
            node["additionalProperties"] = False
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(schema))
    return plain


def has_schema(type_: Any) -> bool:
    """Whether values of a type can be given as JSON."""
    try:
        TypeAdapter(type_).json_schema(schema_generator=_Generator)
    except SCHEMA_ERRORS:
        return False
    return True


def as_json(value: Any) -> Any:
    """A value as JSON, the same in every process: sets are sorted, numbers that are not finite are texts.

    Raises:
        PydanticSerializationError: JSON cannot hold it, or it is a secret.
    """
    match value:
        case BaseModel():
            return as_json(value.model_dump(by_alias=True))
        case float() if not math.isfinite(value):
            return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
        case SecretStr() | SecretBytes():
            raise PydanticSerializationError("a secret is not shown")
        case Mapping():
            return {str(as_json(key)): as_json(element) for key, element in value.items()}
        case list() | tuple():
            return [as_json(element) for element in value]
        case set() | frozenset():
            return sorted(map(as_json, value), key=msgspec.json.encode)
        case _:
            return to_jsonable_python(value)


def with_defaults(schema: Mapping[str, Any], given: Any) -> dict[str, Any]:
    """The schema with what is given, which is JSON, as defaults; keys that so have one are not required any more."""
    return _with_defaults(schema, given, schema.get("$defs", {}))


def filled(schema: Mapping[str, Any], given: Any) -> Any:
    """What is given, with defaults for what is not, and null for what is required and has none.

    A key that is optional and whose default the schema does not tell is left out.
    """
    return _filled(schema, given, schema.get("$defs", {}))


def keys_at(schema: Mapping[str, Any], path: tuple[int | str, ...]) -> tuple[str, ...]:
    """The keys that can be set in the value at a path; none where it is no mapping with declared keys."""
    definitions = schema.get("$defs", {})
    node: Any = schema
    for part in path:
        node = _target(node, definitions)
        node = node.get("properties", {}).get(part) or node.get("items") or {}
        if not isinstance(node, Mapping):
            return ()
    return tuple(_target(node, definitions).get("properties", ()))


def _with_defaults(
    node: Mapping[str, Any], given: Any, definitions: Mapping[str, Any]
) -> dict[str, Any]:
    target = _target(node, definitions)
    if "properties" not in target or not isinstance(given, Mapping):
        return {**node, "default": given}
    properties = {
        key: _with_defaults(child, given[key], definitions) if key in given else child
        for key, child in target["properties"].items()
    }
    required = [
        key
        for key in target.get("required", ())
        if key not in given or "required" in _target(properties[key], definitions)
    ]
    own = {key: value for key, value in node.items() if key not in ("$ref", "default")}
    changed = {**target, **own, "properties": properties, "required": required}
    if not required:
        del changed["required"]
    return changed


def _filled(node: Mapping[str, Any], given: Any, definitions: Mapping[str, Any]) -> Any:
    target = _target(node, definitions)
    properties = target.get("properties")
    if properties is None or not isinstance(given, Mapping):
        return given
    values: dict[str, Any] = {}
    for key, child in properties.items():
        if key in given:
            values[key] = _filled(child, given[key], definitions)
        elif "default" in child:
            values[key] = child["default"]
        elif key in target.get("required", ()):
            values[key] = _required(child, definitions)
    return values


def _required(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Any:
    """Null, or for a mapping with declared keys, the mapping with what is needed in it."""
    if "properties" not in _target(node, definitions):
        return None
    return _filled(node, {}, definitions)


def _target(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = node.get("$ref")
    if reference is None:
        return node
    found: Mapping[str, Any] = definitions[reference.rpartition("/")[2]]
    return found


def _nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """All mappings of a schema that are part of it, not of the data in it."""
    if isinstance(schema, dict):
        yield schema
        for keyword, child in schema.items():
            if keyword not in _DATA_KEYWORDS:
                yield from _nodes(child)
    elif isinstance(schema, list):
        for child in schema:
            yield from _nodes(child)
