"""Which media type an answer gets."""

from __future__ import annotations

from starlette.datastructures import Headers

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"

EVENT_STREAM = "text/event-stream"

_RANGES = {
    JSON: JSON,
    GRAPHQL_JSON: GRAPHQL_JSON,
    EVENT_STREAM: EVENT_STREAM,
    "application/*": JSON,
    "*/*": JSON,
}


def accepted(headers: Headers) -> str | None:
    """What a request accepts: several headers are one list (RFC 9110, 5.3); None when it has none."""
    return ", ".join(headers.getlist("accept")) or None


def answer_type(accept: str | None) -> str | None:
    """The media type that an Accept header prefers; None when it takes none.

    Without a preference it is plain JSON, as old clients expect.
    """
    best: tuple[float, str] | None = None
    for item in (accept or "*/*").split(","):
        media_range, *parameters = (part.strip().lower() for part in item.split(";"))
        offered, quality = _RANGES.get(media_range), _quality(parameters)
        if offered and quality > 0 and (best is None or quality > best[0]):
            best = (quality, offered)
    return best and best[1]


def is_json_body(content_type: str | None) -> bool:
    """Whether a Content-Type says JSON in UTF-8; no other body is one that only a script can send."""
    media_type, *parameters = (part.strip().lower() for part in (content_type or "").split(";"))
    values = dict(parameter.partition("=")[::2] for parameter in parameters)
    return media_type == JSON and values.get("charset", "utf-8").strip('"') in {"utf-8", "utf8"}


def takes_html(accept: str | None) -> bool:
    """Whether an Accept header names HTML, as that of a browser that opens a page does."""
    return any(
        item.split(";")[0].strip().lower() == "text/html" for item in (accept or "").split(",")
    )


def takes_gzip(accept_encoding: str | None) -> bool:
    """Whether an Accept-Encoding header takes gzip."""
    for item in (accept_encoding or "").split(","):
        coding, *parameters = (part.strip().lower() for part in item.split(";"))
        if coding in {"gzip", "*"}:
            return _quality(parameters) > 0
    return False


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
