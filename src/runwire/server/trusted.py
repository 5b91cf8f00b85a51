"""Documents that are known before anybody sends them, by the SHA-256 of their text.

https://github.com/graphql/graphql-over-http/blob/main/spec/Appendix%20A%20--%20Persisted%20Documents.md
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from graphql import GraphQLError, GraphQLSyntaxError, parse, print_ast

from runwire.documents import load_document, operation_names
from runwire.server.requests import GraphQLRequest

Mode = Literal["off", "prefer", "only"]

PREFIX = "sha256:"


def document_id(text: str) -> str:
    """The id of a document."""
    return PREFIX + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def packaged_documents() -> dict[str, str]:
    """The documents that come with runwire, by name."""
    return {name: load_document(name) for name in operation_names()}


def documents_in(folder: Path) -> dict[str, str]:
    """The documents of a folder, one a file `*.graphql`, by name.

    Raises:
        ValueError: the folder or one of its files cannot be read, or has no document.
    """
    try:
        found = {file.name: file.read_text("utf-8") for file in sorted(folder.glob("*.graphql"))}
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{folder} cannot be read: {error}") from None
    if not found:
        raise ValueError(f"{folder} has no file *.graphql")
    for name, text in found.items():
        try:
            parse(text)
        except GraphQLSyntaxError as error:
            raise ValueError(f"{folder / name} is no document: {error.message}") from None
    return found


class TrustedDocuments:
    """Tells the text of what a request asks for.

    Args:
        mode: `off` takes texts only; `prefer` takes ids as well; `only` takes nothing but known documents,
            by id or by text.
        texts: the documents. As printed from its syntax tree, as some clients send it, a text is known too.
    """

    def __init__(self, mode: Mode = "off", texts: Iterable[str] = ()) -> None:
        self._mode = mode
        self._texts: Mapping[str, str] = {
            document_id(form): form for text in texts for form in (text, print_ast(parse(text)))
        }

    def text_of(self, request: GraphQLRequest) -> str:
        """The text of the document of a request.

        Raises:
            GraphQLError: it is not known, or not taken here.
        """
        if request.document_id is None:
            if self._mode == "only" and document_id(request.query) not in self._texts:
                raise _refusal(
                    "this server executes trusted documents only; send the documentId of one",
                    "DOCUMENT_NOT_TRUSTED",
                )
            return request.query
        if self._mode == "off":
            raise _refusal("this server takes no documentId; send query", "DOCUMENT_NOT_FOUND")
        text = self._texts.get(request.document_id)
        if text is None:
            raise _refusal("there is no document with this documentId", "DOCUMENT_NOT_FOUND")
        return text


def _refusal(message: str, code: str) -> GraphQLError:
    return GraphQLError(message, extensions={"code": code})
