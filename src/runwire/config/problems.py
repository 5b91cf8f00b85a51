"""Pydantic's errors as our problems: path, message, code."""

from __future__ import annotations

from pydantic import ValidationError

from runwire.errors import ConfigProblem

_MAPPING = "must be a mapping of keys to values"
_LIST = "must be a list of values"

_MESSAGES = {
    "missing": "a value is needed here",
    "extra_forbidden": "there is no such key; remove it or mend its name",
    "model_type": _MAPPING,
    "dict_type": _MAPPING,
    "list_type": _LIST,
    "tuple_type": _LIST,
}


def pydantic_problems(error: ValidationError, prefix: tuple[str, ...] = ()) -> list[ConfigProblem]:
    """Every problem of a validation, with the keys on the way to it below a prefix.

    The refused values are not repeated in the messages: they may be secrets.
    """
    return [
        ConfigProblem(
            (*prefix, *(str(part) for part in problem["loc"])),
            _MESSAGES.get(problem["type"], problem["msg"].removeprefix("Value error, ")),
            problem["type"],
        )
        for problem in error.errors(include_url=False, include_context=False, include_input=False)
    ]
