"""What ops declare about inputs and outputs, and what they give: outputs, assets, failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeAlias, TypeVar

from runwire.definitions.naming import checked_tags
from runwire.errors import InvalidDefinitionError
from runwire.events.metadata import MetadataEntry, normalize_metadata

T = TypeVar("T")

DEFAULT_OUTPUT: Final = "result"
"""The name of the output of an op that declares none."""

AssetKey: TypeAlias = str | Sequence[str]
"""Names an asset: its parts, outermost first, or the one part that it has."""


class _Unset:
    """Stands for what was not given, where None means something."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = _Unset()


@dataclass(frozen=True)
class In:
    """Adds to what the signature of an op tells about an input.

    Attributes:
        description: what the input is, for people.
        default: the value where nothing feeds the input; wins over the default in the signature.
        type: its type; wins over the annotation.
    """

    description: str | None = None
    default: Any = UNSET
    type: Any = UNSET


@dataclass(frozen=True)
class Out:
    """Declares an output of an op.

    Attributes:
        type: its type; the annotation of the return value when left out.
        description: what the output is, for people.
        is_required: whether the op always gives it; steps that need one that is not given are skipped.
        metadata: metadata of every value of the output.
    """

    type: Any = UNSET
    description: str | None = None
    is_required: bool = True
    metadata: Mapping[str, Any] | None = None


@dataclass(frozen=True, init=False)
class Output(Generic[T]):
    """A value that an op gives, with the output that it is for.

    Attributes:
        value: the value.
        output_name: the output that it is for.
        metadata: what the op tells about the value.

    Raises:
        InvalidDefinitionError: a value cannot be metadata.
    """

    value: T
    output_name: str
    metadata: tuple[MetadataEntry, ...]

    def __init__(
        self,
        value: T,
        output_name: str = DEFAULT_OUTPUT,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        entries = normalize_metadata(metadata, f"output {output_name!r}")
        _fill(self, value=value, output_name=output_name, metadata=entries)


@dataclass(frozen=True, init=False)
class AssetMaterialization:
    """Tells that the run made an asset, or made it anew.

    Attributes:
        asset_key: the parts of the asset's key, outermost first.
        description: what was made, for people.
        metadata: what the op tells about it.
        tags: its tags.
        partition: the part of the asset that was made.

    Raises:
        InvalidDefinitionError: the key has no parts or an empty one, a tag is not text, or a value cannot
            be metadata.
    """

    asset_key: tuple[str, ...]
    description: str | None
    metadata: tuple[MetadataEntry, ...]
    tags: Mapping[str, str]
    partition: str | None

    def __init__(
        self,
        asset_key: AssetKey,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        partition: str | None = None,
    ) -> None:
        key = asset_key_parts(asset_key)
        owner = f"asset {'/'.join(key)!r}"
        if partition is not None and not isinstance(partition, str):
            raise InvalidDefinitionError(
                f"{owner}: the partition is a {type(partition).__name__}; give a text"
            )
        _fill(
            self,
            asset_key=key,
            description=description,
            metadata=normalize_metadata(metadata, owner),
            tags=checked_tags(tags, owner),
            partition=partition,
        )


class Failure(Exception):  # noqa: N818 - users raise it by this name; it is an outcome, not a fault
    """Raised by an op: the step has failed for a reason that its author foresaw.

    Attributes:
        description: the reason, for people.
        metadata: what the op tells about it.
        allow_retries: whether the retry policy of the op counts.

    Raises:
        InvalidDefinitionError: a value cannot be metadata.
    """

    def __init__(
        self,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        allow_retries: bool = True,
    ) -> None:
        super().__init__(description or "")
        self.description = description
        self.allow_retries = allow_retries
        self.metadata = normalize_metadata(metadata, "Failure")


def asset_key_parts(asset_key: object) -> tuple[str, ...]:
    """The parts of an asset key, outermost first.

    Raises:
        InvalidDefinitionError: it is none.
    """
    parts: tuple[object, ...] = (asset_key,)
    if isinstance(asset_key, Sequence) and not isinstance(asset_key, str):
        parts = tuple(asset_key)
    texts = tuple(part for part in parts if isinstance(part, str) and part)
    if not texts or len(texts) != len(parts):
        raise InvalidDefinitionError(
            f"{asset_key!r} is no asset key; give a text, or a list of texts that are not empty"
        )
    return texts


def _fill(instance: object, **values: Any) -> None:
    """Sets the fields of a frozen dataclass that is being made."""
    for name, value in values.items():
        object.__setattr__(instance, name, value)
