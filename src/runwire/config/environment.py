"""`env:` in YAML: ``{env: NAME}`` stands for the value of an environment variable, for any scalar."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from runwire.errors import ConfigProblem


def is_env(value: Any) -> bool:
    """Whether a value is an ``{env: NAME}`` reference."""
    return isinstance(value, Mapping) and set(value) == {"env"} and isinstance(value["env"], str)


def resolve_env(
    value: Any, path: tuple[str, ...] = (), environ: Mapping[str, str] | None = None
) -> tuple[Any, list[ConfigProblem]]:
    """The value with every ``{env: NAME}`` replaced by the variable's text, and a problem for each unset one.

    The text goes through the same validation as a literal would, so numbers and booleans are read from it.
    """
    variables = os.environ if environ is None else environ
    problems: list[ConfigProblem] = []
    resolved = _resolve(value, path, variables, problems)
    return resolved, problems


def _resolve(
    value: Any, path: tuple[str, ...], variables: Mapping[str, str], problems: list[ConfigProblem]
) -> Any:
    if is_env(value):
        name = value["env"]
        if name not in variables:
            message = f"the environment variable {name} is not set; set it or write the value here"
            problems.append(ConfigProblem(path, message, "env_unset"))
            return None
        return variables[name]
    if isinstance(value, Mapping):
        return {
            key: _resolve(v, (*path, str(key)), variables, problems) for key, v in value.items()
        }
    if isinstance(value, list):
        return [_resolve(v, (*path, str(i)), variables, problems) for i, v in enumerate(value)]
    return value
