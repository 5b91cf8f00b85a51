"""What differs between the published schema and the code's, and what is broken of what was released.

A release leaves its schema in `released/<version>.graphql`, beside the published one, and the documents that it came
with in `released/<version>/`. What breaks either is a complaint, unless the changelog's unreleased section names it in
backticks: the changed coordinate, such as `Run.status`, or the document.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from graphql import (
    BreakingChangeType,
    GraphQLError,
    GraphQLSchema,
    build_schema,
    find_schema_changes,
    parse,
    validate,
)

from runwire.documents import load_document, operation_names
from runwire.errors import InputInvalidError


def schema_diff(name: str, published: str, exported: str) -> list[str]:
    """The lines of a unified diff; none when both are the same."""
    lines = difflib.unified_diff(
        published.splitlines(),
        exported.splitlines(),
        fromfile=name,
        tofile="exported from the code",
        lineterm="",
    )
    changed = list(lines)
    if not changed and published != exported:
        return [f"{name}: the line endings differ"]
    return changed


def document_faults(schema_text: str) -> Iterator[str]:
    """What is wrong with the documents of graphql/ under a schema, a line each."""
    schema = build_schema(schema_text)
    for name in operation_names():
        try:
            text = load_document(name)
        except LookupError as error:
            yield f"graphql document {name}: {error}"
        else:
            yield from (f"graphql document {name}: {fault}" for fault in _faults(schema, text))


def _faults(schema: GraphQLSchema, document: str) -> list[str]:
    try:
        return [error.message for error in validate(schema, parse(document))]
    except GraphQLError as error:
        return [str(error)]


# ------------------------------------------------------------ releases


def last_release(folder: Path) -> str | None:
    """The highest version of which a schema folder has a snapshot; None when nothing was released."""
    versions = [file.stem for file in (folder / "released").glob("*.graphql")]
    return max((each for each in versions if _VERSION.fullmatch(each)), key=_order, default=None)


def release_files(version: str, schema_text: str) -> dict[str, str]:
    """What a release leaves in the schema folder: texts by their paths below it.

    Raises:
        InputInvalidError: it is no version such as 1.2.3.
    """
    if not _VERSION.fullmatch(version):
        raise InputInvalidError(
            f"{version!r} is no version of a release; write it as 1.2.3", ["version"]
        )
    documents = {
        f"released/{version}/{name}.graphql": load_document(name) for name in operation_names()
    }
    return {f"released/{version}.graphql": schema_text, **documents}


def broken_promises(folder: Path, exported: str, changelog: str) -> Iterator[str]:
    """What the schema breaks of the last release without a word in the changelog, a line each."""
    version = last_release(folder)
    if version is None:
        return
    released = folder / "released"
    present, announced = build_schema(exported), _announced(changelog)
    before = build_schema((released / f"{version}.graphql").read_text(encoding="utf-8"))
    for change in find_schema_changes(before, present):
        coordinate = _coordinate(change.description)
        if isinstance(change.type, BreakingChangeType) and coordinate not in announced:
            yield (
                f"breaks {version}: {change.description} Keep it, deprecated; or name"
                f" `{coordinate}` in the unreleased section of the changelog"
            )
    for file in sorted((released / version).glob("*.graphql")):
        if file.stem not in announced:
            for fault in _faults(present, file.read_text(encoding="utf-8")):
                yield f"breaks the document {file.stem} of {version}: {fault}"


_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_MEMBER = re.compile(r"@\w+(\(\w+:\))?|\b\w+\.\w+(\(\w+:\))?")
_TYPE = re.compile(r"union type (?P<union>\w+)|^(Standard scalar )?(?P<type>\w+)")
_UNRELEASED = re.compile(r"^## \[Unreleased\]\n(.*?)(?=^## \[|\Z)", re.DOTALL | re.MULTILINE)


def _order(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _coordinate(description: str) -> str:
    """What a description of graphql-core is about, as a schema coordinate: `Type.field`, or the type."""
    member = _MEMBER.search(description)
    if member is not None:
        return member[0]
    found: Mapping[str, str | None] = {}
    for match in _TYPE.finditer(description):
        found = {**found, **{k: v for k, v in match.groupdict().items() if v}}
    return found.get("union") or found.get("type") or description


def _announced(changelog: str) -> set[str]:
    """What the unreleased section names in backticks."""
    section = _UNRELEASED.search(changelog)
    return set() if section is None else set(re.findall(r"`([^`\n]+)`", section[1]))
