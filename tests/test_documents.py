from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from graphql import OperationDefinitionNode, parse

from runwire import documents
from runwire.documents import load_document, operation_names


def test_every_file_holds_one_operation_of_its_name_and_all_its_fragments() -> None:
    assert operation_names()
    for name in operation_names():
        operations = [
            node
            for node in parse(load_document(name)).definitions
            if isinstance(node, OperationDefinitionNode)
        ]
        assert [node.name and node.name.value for node in operations] == [name]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for kind in ("queries", "mutations", "subscriptions", "fragments"):
        (tmp_path / kind).mkdir()
    monkeypatch.setattr(documents, "_PACKAGED", tmp_path)
    caches = [operation_names, load_document, documents._operation_files, documents._fragment_files]
    for cache in caches:
        cache.cache_clear()
    yield tmp_path
    for cache in caches:
        cache.cache_clear()


def test_fragments_follow_once_each_however_they_are_reached(folder: Path) -> None:
    (folder / "queries/Q.graphql").write_text(
        "query Q { a { ...A ... on B { b } ...C } }\n# ...D\n"
    )
    (folder / "fragments/A.graphql").write_text("fragment A on X { ...C }\n")
    (folder / "fragments/C.graphql").write_text("# fragment D on X\nfragment C on X { ...E }\n")
    (folder / "fragments/Two.graphql").write_text("fragment E on X { a }\nfragment F on X { b }\n")
    (folder / "fragments/Unused.graphql").write_text("fragment D on X { a }\n")
    names = [
        node.name.value
        for node in parse(load_document("Q")).definitions
        if hasattr(node, "name") and node.name is not None
    ]
    assert names == ["Q", "A", "C", "E", "F"]


def test_an_unknown_operation_is_told_with_those_that_there_are(folder: Path) -> None:
    (folder / "mutations/Known.graphql").write_text("mutation Known { a }")
    with pytest.raises(LookupError, match="there is no operation 'Other'; there are: Known"):
        load_document("Other")


def test_a_fragment_that_is_nowhere_is_told(folder: Path) -> None:
    (folder / "queries/Q.graphql").write_text("query Q { ...Gone }")
    with pytest.raises(LookupError, match="operation 'Q' uses the fragment 'Gone'"):
        load_document("Q")
