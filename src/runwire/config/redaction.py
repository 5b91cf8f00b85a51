"""Secrets never print: `SecretStr` fields, and every value that came through `env:`, are redacted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr

from runwire.config.environment import is_env

REDACTED = "********"


def redacted(model: BaseModel, written: Any = None) -> dict[str, Any]:
    """A config as JSON-able values, defaults filled in, secrets redacted.

    Args:
        model: the validated config.
        written: the config as written; a value that is an ``{env: NAME}`` there is shown as that.
    """
    return {
        name: _value(getattr(model, name), _at(written, field.alias or name))
        for name, field in type(model).model_fields.items()
    }


def _value(value: Any, written: Any) -> Any:
    if is_env(written):
        return {"env": written["env"]}
    match value:
        case SecretStr() | SecretBytes():
            return REDACTED
        case BaseModel():
            return redacted(value, written)
        case Mapping():
            return {str(key): _value(v, _at(written, key)) for key, v in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_value(v, _at(written, i)) for i, v in enumerate(value)]
        case None | bool() | int() | float() | str():
            return value
        case _:
            return str(value)


def _at(written: Any, key: Any) -> Any:
    if isinstance(written, Mapping):
        return written.get(key)
    if isinstance(written, list) and isinstance(key, int) and key < len(written):
        return written[key]
    return None
