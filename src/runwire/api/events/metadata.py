"""Errors and metadata as events carry them."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated, Any

import strawberry
from strawberry import ID

from runwire.api.context import ApiContext
from runwire.api.events.assets import ASSET, asset_of
from runwire.api.events.enums import TextFormat
from runwire.api.loaders import RunRecords
from runwire.api.rows import field, later, loaded, view
from runwire.api.scalars import JSON
from runwire.error_info import ErrorInfo as ErrorInfoRow
from runwire.events import metadata as rows
from runwire.runs.run import RunRecord


@view(ErrorInfoRow, "An error as it was raised.")
class ErrorInfo:
    """An error as it was raised."""

    message: str = field("The message of the error.")
    class_name: str | None = field(
        "The name of the error's class; null when an external system did not tell."
    )
    stack: list[str] = field("The lines of the stack trace, outermost call first.")
    causes: list[ErrorInfo] = field(
        "The errors behind it, nearest first; empty in an error of this list."
    )


@view(rows.TextMetadata, "A text.")
class TextMetadata:
    """A text."""

    text: str = field("The text.")
    format: TextFormat = field("How to show it.", lambda value: TextFormat(value.format))


@view(rows.NumberMetadata, "A number.")
class NumberMetadata:
    """A number."""

    number: float | None = field("The number; null when JSON cannot hold it: not finite.")
    exact: str = field("The number in full, such as `9007199254740993` or `NaN`.")


@view(rows.JsonMetadata, "A JSON value, a boolean included.")
class JsonMetadata:
    """A JSON value."""

    json: JSON | None = field("The value; null stands for itself.")


def _run(row: rows.RunMetadata, context: ApiContext) -> Awaitable[RunRecord | None]:
    return context.loader(RunRecords).find(row.run_id)


@view(rows.RunMetadata, "A link to a run.")
class RunMetadata:
    """A link to a run."""

    run_id: ID = field("The id of the run.")
    run: Any = loaded(
        _run,
        "The run; null when it is deleted.",
        type=later("Run", "runwire.api.runs.types") | None,
    )


@view(rows.AssetMetadata, "A link to an asset.")
class AssetMetadata:
    """A link to an asset."""

    asset_key: list[str] = field("The parts of the asset's key.")
    asset: Any = loaded(
        asset_of, "The asset; null when no event has named it, or it was wiped.", type=ASSET
    )


MetadataValue = Annotated[
    TextMetadata | NumberMetadata | JsonMetadata | RunMetadata | AssetMetadata,
    strawberry.union(
        "MetadataValue",
        description="A value of a metadata entry. Members have no field in common, so that one selection can"
        " take them all.",
    ),
]


@view(rows.MetadataEntry, "A labelled value that user code or the engine attached.")
class MetadataEntry:
    """A labelled value."""

    label: str = field("The label of the value.")
    description: str | None = field("What the value means, for people.")
    value: MetadataValue = field("The value.")
