"""The run config of a submission: from a file, from stdin, or from the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from runwire.config.yaml_file import parse_yaml
from runwire.errors import InputInvalidError

STDIN = "-"


def read_run_config(source: str | None, text: str | None) -> dict[str, Any] | None:
    """The run config that ``--config`` or ``--config-json`` gives; None when neither is given.

    A file is YAML, of which JSON is a part; a file that ends in ``.json`` is JSON.

    Raises:
        InputInvalidError: both are given, it cannot be read, or it is not a mapping of JSON values.
    """
    if source is not None and text is not None:
        raise InputInvalidError("give --config or --config-json, not both", ["config"])
    if text is not None:
        return _checked(_parse_json(text, "--config-json"), "--config-json")
    if source is None:
        return None
    name = "the run config on stdin" if source == STDIN else source
    parse = _parse_json if source.endswith(".json") else _parse_yaml
    return _checked(parse(_read(source, name), name), name)


def _read(source: str, name: str) -> str:
    try:
        data = sys.stdin.buffer.read() if source == STDIN else Path(source).read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise _unusable(name, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise _unusable(name, "is not UTF-8 text") from None


def _parse_json(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _unusable(name, f"is not JSON: {error}") from None


def _parse_yaml(text: str, name: str) -> Any:
    try:
        return parse_yaml(text)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise _unusable(name, f"is not YAML: {' '.join(str(error).split())}") from None


def _checked(value: Any, name: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise _unusable(name, f"must be a mapping of keys to values, not {_kind(value)}")
    try:
        problem = _not_json(value, ())
    except RecursionError:  # YAML can refer to itself
        problem = "is nested too deeply"
    if problem is not None:
        raise _unusable(name, problem)
    return dict(value)


def _not_json(value: Any, path: tuple[str, ...]) -> str | None:
    """What in a value JSON cannot hold, such as YAML's dates; None when it can hold all of it."""
    match value:
        case Mapping():
            for key, item in value.items():
                if not isinstance(key, str):
                    return f"has the key {key!r}{_at(path)}, which is no text; put it in quotes"
                if problem := _not_json(item, (*path, key)):
                    return problem
        case list():
            for index, item in enumerate(value):
                if problem := _not_json(item, (*path, str(index))):
                    return problem
        case float() if value - value != 0:
            return f"has {value!r}{_at(path)}, which JSON cannot hold"
        case None | str() | int() | float():
            pass
        case _:
            return f"has {_kind(value)}{_at(path)}, which JSON cannot hold; put it in quotes"
    return None


def _at(path: tuple[str, ...]) -> str:
    return f" at {'.'.join(path)}" if path else ""


def _kind(value: Any) -> str:
    return f"a value of type {type(value).__name__}"


def _unusable(name: str, problem: str) -> InputInvalidError:
    return InputInvalidError(f"{name} {problem}", ["config"])
