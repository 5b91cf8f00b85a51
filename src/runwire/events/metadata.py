"""Metadata: labelled values that user code or the engine attaches to events."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from runwire.errors import InvalidDefinitionError


class MetadataValue:
    """The values of metadata, made by what they mean: ``MetadataValue.markdown("**bold**")``."""

    @staticmethod
    def text(text: str) -> TextMetadata:
        """A text, shown as it is."""
        return TextMetadata(text)

    @staticmethod
    def markdown(text: str) -> TextMetadata:
        """A text in Markdown."""
        return TextMetadata(text, "MARKDOWN")

    @staticmethod
    def url(url: str) -> TextMetadata:
        """A link."""
        return TextMetadata(url, "URL")

    @staticmethod
    def path(path: str | Path) -> TextMetadata:
        """A path of a file or folder."""
        return TextMetadata(str(path), "PATH")

    @staticmethod
    def number(number: float) -> NumberMetadata:
        """A number, kept exactly: an int of any size, a float, also one that is not finite."""
        return NumberMetadata(str(number) if isinstance(number, int) else _exact(number))

    @staticmethod
    def json(value: Any) -> JsonMetadata:
        """Any value that JSON can hold.

        Raises:
            InvalidDefinitionError: JSON cannot hold it.
        """
        return JsonMetadata(_plain(value, "MetadataValue.json"))

    @staticmethod
    def run(run_id: str) -> RunMetadata:
        """A link to a run."""
        return RunMetadata(run_id)

    @staticmethod
    def asset(key: Sequence[str]) -> AssetMetadata:
        """A link to an asset."""
        return AssetMetadata(tuple(key))


class TextMetadata(msgspec.Struct, frozen=True, tag_field="kind", tag="text"):
    """A text; `format` is PLAIN, MARKDOWN, URL or PATH."""

    text: str
    format: str = "PLAIN"


class NumberMetadata(msgspec.Struct, frozen=True, tag_field="kind", tag="number"):
    """A number, as text in full, such as `9007199254740993`, `0.1` or `NaN`."""

    exact: str

    @property
    def number(self) -> float | None:
        """The number as a finite float; None when JSON cannot hold it."""
        try:
            value = float(self.exact)
        except (OverflowError, ValueError):
            return None
        return value if math.isfinite(value) else None


class JsonMetadata(msgspec.Struct, frozen=True, tag_field="kind", tag="json"):
    """A JSON value, a boolean or null included."""

    json: Any


class RunMetadata(msgspec.Struct, frozen=True, tag_field="kind", tag="run"):
    """A link to a run."""

    run_id: str


class AssetMetadata(msgspec.Struct, frozen=True, tag_field="kind", tag="asset"):
    """A link to an asset."""

    asset_key: tuple[str, ...]


AnyMetadataValue = TextMetadata | NumberMetadata | JsonMetadata | RunMetadata | AssetMetadata


class MetadataEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A labelled value."""

    label: str
    value: AnyMetadataValue
    description: str | None = None


def normalize_metadata(metadata: Mapping[str, Any] | None, owner: str) -> tuple[MetadataEntry, ...]:
    """Makes entries of what users give: plain texts, numbers, paths, JSON values, or metadata values.

    Args:
        metadata: values by label.
        owner: what carries the metadata, for messages, such as ``Output 'rows'``.

    Raises:
        InvalidDefinitionError: a value is none of these; names owner and label.
    """
    return tuple(
        MetadataEntry(str(label), _value(value, f"{owner}, metadata {label!r}"))
        for label, value in (metadata or {}).items()
    )


def _value(value: Any, place: str) -> AnyMetadataValue:
    match value:
        case TextMetadata() | NumberMetadata() | JsonMetadata() | RunMetadata() | AssetMetadata():
            return value
        case str():
            return TextMetadata(value)
        case Path():
            return MetadataValue.path(value)
        case None | bool():
            return JsonMetadata(value)
        case int() | float():
            return MetadataValue.number(value)
        case list() | tuple() | dict():
            return JsonMetadata(_plain(value, place))
        case _:
            raise InvalidDefinitionError(
                f"{place}: a {type(value).__name__} cannot be metadata; give a text, number, path,"
                " JSON value, or one of MetadataValue's"
            )


def _plain(value: Any, place: str) -> Any:
    try:
        return _finite(msgspec.to_builtins(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidDefinitionError(f"{place}: {error}; give values that JSON can hold") from None


def _finite(value: Any) -> Any:
    """The value with numbers that JSON cannot hold written as ``{"$number": "NaN"}``."""
    match value:
        case float() if not math.isfinite(value):
            return {"$number": _exact(value)}
        case list() | tuple():
            return [_finite(item) for item in value]
        case dict():
            return {key: _finite(item) for key, item in value.items()}
        case _:
            return value


def _exact(number: float) -> str:
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    return repr(float(number))
