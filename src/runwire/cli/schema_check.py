"""What differs between the published schema and the code's, and which documents do not fit it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from graphql import GraphQLError, build_schema, parse, validate

from runwire.documents import load_document, operation_names


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
            errors = validate(schema, parse(load_document(name)))
        except (GraphQLError, LookupError) as error:
            yield f"graphql document {name}: {error}"
            continue
        yield from (f"graphql document {name}: {error.message}" for error in errors)
