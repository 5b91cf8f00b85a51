"""Run config: what a run is told. Its schema, its defaults, and the check of what somebody gives.

The shape is ``{"ops": {handle: {"config": {...}, "inputs": {name: value}}}, "resources": {key:
{"config": {...}}}}``. It is JSON and is checked as JSON; keys that nothing declares are refused at every
level.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_core import ErrorDetails, PydanticSerializationError, to_json

from runwire.definitions.json_schema import (
    as_json,
    filled,
    has_schema,
    keys_at,
    schema_of,
    with_defaults,
)
from runwire.definitions.op_io import InputDefinition
from runwire.definitions.resource import ResourceDefinition
from runwire.definitions.wiring import OpNode
from runwire.errors import ConfigProblem, RunConfigInvalidError

_REFUSED_KEYS = ("extra_forbidden", "unexpected_keyword_argument")


@dataclass(frozen=True)
class OpRunConfig:
    """What a run tells one op. `inputs` has the values of inputs that were given, by name."""

    config: BaseModel | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ResolvedRunConfig:
    """A run config that was checked: models in place of mappings, for each op and each resource."""

    ops: Mapping[str, OpRunConfig]
    resources: Mapping[str, BaseModel | None]


class RunConfigType:
    """What the run config of one job may be.

    Args:
        job_name: the job.
        nodes: its ops.
        resource_defs: its resources.
        preset: the job's own config, as JSON, under what a run gives.
    """

    def __init__(
        self,
        job_name: str,
        nodes: Sequence[OpNode],
        resource_defs: Mapping[str, ResourceDefinition],
        preset: Mapping[str, Any],
    ) -> None:
        self._job_name = job_name
        self._ops = {node.handle: _op_fields(node) for node in nodes}
        self._resources = {key: _config_field(d.config_model) for key, d in resource_defs.items()}
        descriptions = {node.handle: node.op.description for node in nodes}
        self._op_models = {
            handle: _model(f"Op_{handle}", fields) for handle, fields in self._ops.items()
        }
        self._resource_models = {
            key: _model(f"Resource_{key}", fields) for key, fields in self._resources.items()
        }
        ops = {
            handle: _mapping(model, descriptions[handle])
            for handle, model in self._op_models.items()
        }
        resources = {
            key: _mapping(model, resource_defs[key].description)
            for key, model in self._resource_models.items()
        }
        self._model = _model(
            "RunConfig",
            {
                "ops": _mapping(_model("Ops", ops), "What ops are told, by handle."),
                "resources": _mapping(
                    _model("Resources", resources), "What resources are told, by key."
                ),
            },
        )
        self._schema = with_defaults(schema_of(self._model), preset)
        self._under = merged(self._frame(), preset)

    def schema(self) -> dict[str, Any]:
        """Its JSON Schema."""
        return copy.deepcopy(self._schema)

    def default(self) -> dict[str, Any]:
        """One to start from: defaults filled in, null for what is required."""
        default: dict[str, Any] = copy.deepcopy(filled(self._schema, self._under))
        return default

    def resolve(self, run_config: Mapping[str, Any]) -> ResolvedRunConfig:
        """The checked form of a run config.

        Raises:
            RunConfigInvalidError: it does not fit; carries every problem.
        """
        given = _given(self._check(self._model, self._under, run_config))
        return ResolvedRunConfig(
            {handle: _op_run_config(_part(given["ops"], handle)) for handle in self._ops},
            {key: _part(given["resources"], key).get("config") for key in self._resources},
        )

    def resolve_op(
        self, run_config: Mapping[str, Any], handle: str, resource_keys: Collection[str]
    ) -> ResolvedRunConfig:
        """The part of a run config that one op and some resources are told.

        Raises:
            RunConfigInvalidError: it does not fit; carries every problem of the first that does not.
        """

        def part(model: type[BaseModel], *path: str) -> dict[str, Any]:
            under, over = _at(self._under, path), _at(run_config, path)
            return _given(self._check(model, under, over, path))

        return ResolvedRunConfig(
            {handle: _op_run_config(part(self._op_models[handle], "ops", handle))},
            {
                key: part(self._resource_models[key], "resources", key).get("config")
                for key in resource_keys
            },
        )

    def _check(
        self, model: type[BaseModel], under: Any, over: Any, path: tuple[str, ...] = ()
    ) -> BaseModel:
        """What a model makes of what is told at a path."""
        try:
            body = to_json(merged(under, over))
        except (PydanticSerializationError, ValueError, RecursionError) as error:
            raise self._refusal(f"it is not JSON: {error}", "json_invalid") from None
        try:
            return model.model_validate_json(body, extra="forbid")
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=False, include_input=False)
            raise RunConfigInvalidError(
                self._job_name, [self._problem(d, path) for d in details]
            ) from None
        # A validator of the user's may raise anything, and must not end the process that serves it.
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            what = f"a validator raised {type(error).__name__}: {error}"
            raise self._refusal(what, "validator_raised") from error

    def _refusal(self, message: str, code: str) -> RunConfigInvalidError:
        return RunConfigInvalidError(self._job_name, [ConfigProblem((), message, code)])

    def _problem(self, details: ErrorDetails, path: tuple[str, ...]) -> ConfigProblem:
        location, code, message = (*path, *details["loc"]), details["type"], details["msg"]
        message = message.removeprefix("Value error, ")
        if code in _REFUSED_KEYS:
            keys = ", ".join(keys_at(self._schema, location[:-1]))
            message = f"{location[-1]!r} cannot be set here; " + (
                f"what can: {keys}" if keys else "nothing can"
            )
        return ConfigProblem(tuple(map(str, location)), message, code)

    def _frame(self) -> dict[str, Any]:
        """Empty mappings for all that can be told: so a problem is found at the key that it is of."""
        return {
            kind: {name: {key: {} for key in fields} for name, fields in parts.items() if fields}
            for kind, parts in (("ops", self._ops), ("resources", self._resources))
        }


def preset_problems(
    preset: Mapping[str, Any], problems: Iterable[ConfigProblem]
) -> list[ConfigProblem]:
    """Those problems of a run config that nothing but its preset can have caused.

    What is not given yet does not count, nor what a validator says of a mapping that may still grow.
    """
    return [problem for problem in problems if _is_caused_by(preset, problem)]


def _is_caused_by(preset: Any, problem: ConfigProblem) -> bool:
    value: Any = preset
    for key in problem.path:
        if not isinstance(value, Mapping):
            return True
        if key not in value:
            return False
        value = value[key]
    return (
        not isinstance(value, Mapping)
        or problem.code in _REFUSED_KEYS
        or problem.code.endswith("_type")
    )


def merged(under: Any, over: Any) -> Any:
    """Mappings merged at every level; anything else of `over` stands in place of what is under it."""
    if not isinstance(under, Mapping) or not isinstance(over, Mapping):
        return over
    both = {
        key: merged(under[key], value) if key in under else value for key, value in over.items()
    }
    return {**under, **both}


def _at(value: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    """What stands at a path; an empty mapping where nothing does."""
    for key in path:
        value = value.get(key, {})
    return value


_Field = tuple[Any, dict[str, Any]]
"""The type of a field and the arguments of its `Field`."""


def _model(name: str, fields: Mapping[str, _Field]) -> type[BaseModel]:
    """A model whose keys are aliases, so that each text can be one: `copy`, `schema`, `_x` as well."""
    definitions: dict[str, Any] = {
        f"field_{index}": (type_, Field(alias=key, **arguments))
        for index, (key, (type_, arguments)) in enumerate(fields.items())
    }
    return create_model(name, __config__=ConfigDict(extra="forbid"), **definitions)


def _given(instance: BaseModel) -> dict[str, Any]:
    """The values of a model made by `_model`, by key; of inputs only those that were given."""
    return {
        str(info.alias): getattr(instance, name)
        for name, info in type(instance).model_fields.items()
        if name in instance.model_fields_set
    }


def _part(instance: BaseModel, key: str) -> dict[str, Any]:
    part = _given(instance).get(key)
    return {} if part is None else _given(part)


def _op_run_config(part: Mapping[str, Any]) -> OpRunConfig:
    inputs = part.get("inputs")
    return OpRunConfig(part.get("config"), {} if inputs is None else _given(inputs))


def _op_fields(node: OpNode) -> dict[str, _Field]:
    inputs = {
        name: _input(definition)
        for name, definition in node.op.inputs.items()
        if name not in node.sources and has_schema(definition.type)
    }
    fields = _config_field(node.op.config_model)
    if inputs:
        fields["inputs"] = _mapping(_model(f"Inputs_{node.handle}", inputs), None)
    return fields


def _config_field(model: type[BaseModel] | None) -> dict[str, _Field]:
    return {} if model is None else {"config": _mapping(model, None)}


def _mapping(model: type[BaseModel], description: str | None) -> _Field:
    """A field that must be given only where a key in it must."""
    arguments: dict[str, Any] = {"description": description}
    if not any(info.is_required() for info in model.model_fields.values()):
        arguments["default_factory"] = model
    return model, arguments


def _input(definition: InputDefinition) -> _Field:
    arguments: dict[str, Any] = {"description": definition.description}
    if definition.has_default:
        arguments["default_factory"] = lambda: definition.default
        # The schema does not tell a default that JSON cannot hold.
        with suppress(PydanticSerializationError, ValueError):
            arguments["json_schema_extra"] = {"default": as_json(definition.default)}
    return definition.type, arguments
