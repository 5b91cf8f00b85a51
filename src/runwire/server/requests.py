"""A GraphQL request as it comes in, in the body of an HTTP request or in a message on a websocket."""

from __future__ import annotations

import json
from typing import Annotated, Any, TypeVar

import msgspec

T = TypeVar("T")


class GraphQLRequest(msgspec.Struct, frozen=True, rename="camel"):
    """What shall be executed: `query`, or the document of `document_id`.

    Unknown members are ignored, `extensions` are accepted and not used.
    """

    query: Annotated[str, msgspec.Meta(min_length=1)] = ""
    variables: dict[str, Any] | None = None
    operation_name: str | None = None
    extensions: dict[str, Any] | None = None
    document_id: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] | None = None

    def __post_init__(self) -> None:
        if not self.query and self.document_id is None:
            raise ValueError("Object missing required field `query`")
        if self.query and self.document_id is not None:
            raise ValueError("Object has both `query` and `documentId`; send one of them")


class MalformedError(Exception):
    """What came in is not JSON, or not of the right shape. The message is for the client."""


def decode_json(data: bytes | str, decoder: msgspec.json.Decoder[T]) -> T:
    """What came in, checked against the decoder's type.

    Raises:
        MalformedError: it is not JSON, nests too deeply, or is of another shape.
    """
    try:
        try:
            return decoder.decode(data)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            # The same, but takes the escape of a lone surrogate, which JavaScript writes for such a text;
            # whether a text may hold one is for the schema to say.
            text = data if isinstance(data, str) else data.decode()
            value = json.loads(text, parse_constant=_refuse_constant)
            return msgspec.convert(value, decoder.type)
    except msgspec.ValidationError as error:
        raise MalformedError(str(error)) from None
    except RecursionError:
        raise MalformedError("it is nested too deeply") from None
    except ValueError as error:  # a UnicodeDecodeError as well
        raise MalformedError(f"it is not JSON: {error}") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")
