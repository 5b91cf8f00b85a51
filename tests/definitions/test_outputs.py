"""What ops give: outputs, assets, failures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runwire import DEFAULT_OUTPUT, AssetMaterialization, Failure, MetadataValue, Output
from runwire.errors import InvalidDefinitionError
from runwire.events.metadata import (
    JsonMetadata,
    MetadataEntry,
    NumberMetadata,
    TextMetadata,
)

GIVEN = {
    "note": "all good",
    "rows": 3,
    "by year": {"2024": [1, 2]},
    "file": Path("a/b"),
    "report": MetadataValue.markdown("# x"),
}
ENTRIES = (
    MetadataEntry("note", TextMetadata("all good")),
    MetadataEntry("rows", NumberMetadata("3")),
    MetadataEntry("by year", JsonMetadata({"2024": [1, 2]})),
    MetadataEntry("file", TextMetadata("a/b", "PATH")),
    MetadataEntry("report", TextMetadata("# x", "MARKDOWN")),
)


def test_an_output_is_for_the_one_output_unless_it_is_named() -> None:
    assert (Output(5).output_name, Output(5).metadata) == (DEFAULT_OUTPUT, ())
    output = Output([1], "rows", GIVEN)
    assert (output.value, output.output_name, output.metadata) == ([1], "rows", ENTRIES)


def test_an_asset_has_parts_metadata_tags_and_a_partition() -> None:
    asset = AssetMaterialization(["shop", "sales"], "Sold.", GIVEN, {"team": "x"}, "2024-01")
    assert asset.asset_key == ("shop", "sales")
    assert asset.description == "Sold."
    assert asset.metadata == ENTRIES
    assert asset.tags == {"team": "x"}
    assert asset.partition == "2024-01"
    bare = AssetMaterialization("sales/eu")
    assert (bare.asset_key, bare.description, bare.metadata) == (("sales/eu",), None, ())
    assert (bare.tags, bare.partition) == ({}, None)


@pytest.mark.parametrize("key", ["", [], ["a", ""], ["a", 3], 5, None])
def test_an_asset_key_without_parts_is_refused(key: Any) -> None:
    with pytest.raises(InvalidDefinitionError) as caught:
        AssetMaterialization(key)
    assert str(caught.value) == (
        f"{key!r} is no asset key; give a text, or a list of texts that are not empty"
    )


def test_what_is_no_metadata_tag_or_partition_is_refused_with_its_owner() -> None:
    wrong: Any = {"x": object()}
    with pytest.raises(InvalidDefinitionError, match=r"^output 'rows', metadata 'x': a object "):
        Output(1, "rows", wrong)
    with pytest.raises(InvalidDefinitionError, match=r"^asset 'a/b', metadata 'x': a object "):
        AssetMaterialization(["a", "b"], metadata=wrong)
    with pytest.raises(InvalidDefinitionError, match=r"^asset 'a': tag 'n' is 3, which is not"):
        AssetMaterialization("a", tags={"n": 3})  # type: ignore[dict-item]
    with pytest.raises(InvalidDefinitionError, match=r"^asset 'a': the partition is a int; give"):
        AssetMaterialization("a", partition=3)  # type: ignore[arg-type]
    with pytest.raises(InvalidDefinitionError, match=r"^Failure, metadata 'x': a object "):
        Failure("x", wrong)


def test_outputs_and_assets_do_not_change() -> None:
    with pytest.raises(AttributeError):
        Output(1).value = 2  # type: ignore[misc]
    with pytest.raises(AttributeError):
        AssetMaterialization("a").partition = "b"  # type: ignore[misc]


def test_a_failure_tells_its_reason() -> None:
    failure = Failure("the file is empty", GIVEN)
    assert str(failure) == failure.description == "the file is empty"
    assert failure.metadata == ENTRIES
    assert (str(Failure()), Failure().description, Failure().metadata) == ("", None, ())
