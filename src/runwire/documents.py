"""The operation documents of graphql/: what the client, the command line, GraphiQL and the tests run.

One operation a file, named as the file. In a checkout they lie in graphql/ beside src/; an installed
package carries them within itself.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

_PACKAGED = Path(__file__).parent / "graphql_documents"
_CHECKOUT = Path(__file__).parents[2] / "graphql"
_OPERATION_FOLDERS = ("queries", "mutations", "subscriptions")

_COMMENT = re.compile(r"#[^\n]*")
_SPREAD = re.compile(r"\.\.\.\s*(?!on\b)([_A-Za-z]\w*)")
_FRAGMENT = re.compile(r"\bfragment\s+(?!on\b)([_A-Za-z]\w*)\s+on\b")


def documents_folder() -> Path:
    """The folder that holds queries/, mutations/, subscriptions/ and fragments/."""
    return _PACKAGED if _PACKAGED.is_dir() else _CHECKOUT


@functools.cache
def operation_names() -> tuple[str, ...]:
    """The names of all operations, by name."""
    return tuple(sorted(_operation_files()))


@functools.cache
def load_document(name: str) -> str:
    """The document of an operation, followed by every fragment that it uses.

    Raises:
        LookupError: there is no such operation, or a fragment that it uses is missing.
    """
    try:
        text = _operation_files()[name].read_text(encoding="utf-8")
    except KeyError:
        known = ", ".join(operation_names())
        raise LookupError(f"there is no operation {name!r}; there are: {known}") from None
    parts, fragments = [text], _fragment_files()
    while missing := _missing_fragments(parts):
        fragment = min(missing)
        if fragment not in fragments:
            raise LookupError(
                f"operation {name!r} uses the fragment {fragment!r}, which is nowhere"
            )
        parts.append(fragments[fragment].read_text(encoding="utf-8"))
    return "\n".join(parts)


def _missing_fragments(parts: list[str]) -> set[str]:
    code = _COMMENT.sub("", "\n".join(parts))
    return set(_SPREAD.findall(code)) - set(_FRAGMENT.findall(code))


@functools.cache
def _operation_files() -> dict[str, Path]:
    folder = documents_folder()
    return {
        file.stem: file for kind in _OPERATION_FOLDERS for file in (folder / kind).glob("*.graphql")
    }


@functools.cache
def _fragment_files() -> dict[str, Path]:
    return {
        name: file
        for file in (documents_folder() / "fragments").glob("*.graphql")
        for name in _FRAGMENT.findall(_COMMENT.sub("", file.read_text(encoding="utf-8")))
    }
