"""Raw probes of HTTP: the bytes that are sent, and what must come back, to the letter.

https://graphql.github.io/graphql-over-http/draft/ and RFC 9110, 9112. Each probe is one connection.
"""

from __future__ import annotations

import gzip
import json
import socket
from typing import IO, Any

import pytest

from tests.server.conftest import LiveServer, ServeTry

Answer = tuple[int, str, Any]
"""The status, the media type, and the body: decoded where it is JSON."""

JSON = "application/json; charset=utf-8"
GRAPHQL_JSON = "application/graphql-response+json"
TEXT = "text/plain; charset=utf-8"
HELLO = b'{"query":"{hello}"}'


def post(
    body: bytes = HELLO,
    *more: str,
    type: str | None = "application/json",
    length: str | None = "",
    target: str = "/graphql",
    version: str = "1.1",
) -> bytes:
    """A POST; `more` are lines of its head. An empty length is the true one, None is none."""
    lines = [f"POST {target} HTTP/{version}", "Host: 127.0.0.1", *more]
    if type is not None:
        lines.append(f"Content-Type: {type}")
    if length is not None:
        lines.append(f"Content-Length: {length or len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def get(target: str, *more: str, method: str = "GET", host: str | None = "127.0.0.1") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", *([] if host is None else [f"Host: {host}"]), *more]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + end


CHUNKED = "Transfer-Encoding: chunked"


def hello(times: int, media_type: str = "application/json") -> Answer:
    return 200, f"{media_type}; charset=utf-8", {"data": {"hello": "hello" * times}}


HELLOED = hello(1)
INVALID: Answer = (400, TEXT, "Invalid HTTP request received.")
CONTINUE: Answer = (100, "", "")


def _error(message: str, code: str | None, at: tuple[int, int] | None) -> dict[str, Any]:
    error: dict[str, Any] = {"message": message}
    if at is not None:
        error["locations"] = [{"line": at[0], "column": at[1]}]
    if code is not None:
        error["extensions"] = {"code": code}
    return {"errors": [error]}


def refused(status: int, message: str, *, code: str | None = None) -> Answer:
    """The answer to what is no request of GraphQL."""
    return status, "application/json", _error(message, code, None)


def no_request(problem: str) -> Answer:
    return refused(400, f"the body is no GraphQL request: {problem}")


NOT_ACCEPTABLE = refused(
    406,
    "answers are application/graphql-response+json, application/json or text/event-stream; accept one"
    " of them",
)


def failed(message: str, *, at: tuple[int, int] | None = None) -> Answer:
    """The answer to an operation that cannot be executed."""
    return 200, JSON, _error(message, None, at)


PROBES: dict[str, tuple[bytes, list[Answer], bool]] = {
    # heads
    "a post": (post(), [HELLOED], False),
    "two pipelined": (post() + post(b'{"query":"{hello(n:2)}"}'), [HELLOED, hello(2)], False),
    "three pipelined, the second refused": (
        post() + post(b"{") + post(),
        [
            HELLOED,
            no_request(
                "it is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
            ),
            HELLOED,
        ],
        False,
    ),
    "pipelined after a path that there is not": (
        get("/nothing") + post(),
        [(404, "text/plain; charset=utf-8", "Not Found"), HELLOED],
        False,
    ),
    "HTTP/1.0": (post(version="1.0"), [HELLOED], True),
    "HTTP/1.0 that stays": (
        post(b'{"query":"{hello}"}', "Connection: keep-alive", version="1.0"),
        [HELLOED],
        True,
    ),
    "HTTP/1.1 that does not stay": (post(HELLO, "Connection: close"), [HELLOED], True),
    "HTTP/3.0": (post(version="3.0"), [INVALID], True),
    "no version": (
        b"POST /graphql\r\n\r\n",
        [refused(403, "the Host header is not one: None", code="FORBIDDEN")],
        True,
    ),
    "nothing but blanks": (b"\r\n\r\n" + post(), [HELLOED], False),
    "no HTTP": (b"hello\r\n\r\n", [INVALID], True),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [INVALID], True),
    "TLS": (bytes.fromhex("16030100c8010000c40303") + b"\x00" * 50 + b"\r\n\r\n", [INVALID], True),
    "a method in small letters": (get("/graphql?query={hello}", method="get"), [INVALID], True),
    "a method that nobody knows": (get("/graphql", method="BREW"), [INVALID], True),
    "CONNECT": (get("127.0.0.1:80", method="CONNECT"), [INVALID], True),
    "TRACE": (
        get("/graphql", method="TRACE"),
        [refused(405, "operations are sent by POST, queries by GET as well")],
        False,
    ),
    "HEAD": (get("/graphql?query={hello}", method="HEAD"), [(405, "application/json", "")], False),
    "OPTIONS": (
        get("/graphql", method="OPTIONS"),
        [refused(405, "operations are sent by POST, queries by GET as well")],
        False,
    ),
    "OPTIONS of the whole": (
        get("*", method="OPTIONS"),
        [(404, "text/plain; charset=utf-8", "Not Found")],
        False,
    ),
    "no Host": (
        get("/graphql?query={hello}", host=None),
        [refused(403, "the Host header is not one: None", code="FORBIDDEN")],
        False,
    ),
    "two Hosts": (
        get("/graphql?query={hello}", "Host: other.example"),
        [refused(400, "a request has one Host header")],
        False,
    ),
    "another Host": (
        get("/graphql?query={hello}", host="other.example"),
        [
            refused(
                403,
                "the Host 'other.example' is not answered; call the server by a loopback address, or add the host"
                " to server.allowed_hosts",
                code="FORBIDDEN",
            )
        ],
        False,
    ),
    "an address in full": (get("http://127.0.0.1/graphql?query={hello}"), [HELLOED], False),
    "a header without a colon": (get("/graphql?query={hello}", "Nonsense"), [INVALID], True),
    "a header with a blank before the colon": (
        get("/graphql?query={hello}", "X-A : 1"),
        [INVALID],
        True,
    ),
    "a header that is folded": (get("/graphql?query={hello}", "X-A: 1", "  2"), [INVALID], True),
    "a null byte in a header": (get("/graphql?query={hello}", "X-A: \x00"), [INVALID], True),
    "bytes beyond ASCII in a header": (
        get("/graphql?query={hello}", "Accept: \xff\xfe", "X-A: \xe4"),
        [NOT_ACCEPTABLE],
        False,
    ),
    "lines that end with LF only": (
        b"GET /graphql?query={hello} HTTP/1.1\nHost: 127.0.0.1\n\n",
        [INVALID],
        True,
    ),
    "an Upgrade that nobody speaks": (
        get("/graphql?query={hello}", "Connection: Upgrade", "Upgrade: h2c"),
        [HELLOED],
        False,
    ),
    "Expect": (post(HELLO, "Expect: 100-continue"), [CONTINUE, HELLOED], False),
    # bodies
    "no length": (
        post(b"", length=None),
        [
            no_request(
                "it is not JSON: Expecting value: line 1 column 1 (char 0)",
            )
        ],
        False,
    ),
    "a length of nothing": (
        post(b""),
        [
            no_request(
                "it is not JSON: Expecting value: line 1 column 1 (char 0)",
            )
        ],
        False,
    ),
    "a length that is too short": (post(HELLO, length="5"), [INVALID], True),
    "a length that is none": (post(HELLO, length="abc"), [INVALID], True),
    "a length below zero": (post(HELLO, length="-1"), [INVALID], True),
    "a length with a sign": (post(HELLO, length="+19"), [INVALID], True),
    "a length beyond all bounds": (post(HELLO, length="9" * 30), [INVALID], True),
    "a length of 3 GiB": (
        post(b"", length=str(3 << 30)),
        [refused(413, "the body is larger than 2097152 bytes")],
        True,
    ),
    "two lengths that differ": (post(HELLO, "Content-Length: 5"), [INVALID], True),
    "two lengths that agree": (post(HELLO, "Content-Length: 19"), [INVALID], True),
    "a length and chunks": (post(chunked(HELLO), CHUNKED), [INVALID], True),
    "chunks": (post(chunked(HELLO[:7], HELLO[7:]), CHUNKED, length=None), [HELLOED], False),
    "chunks of a byte": (
        post(chunked(*(bytes([b]) for b in HELLO)), CHUNKED, length=None),
        [HELLOED],
        False,
    ),
    "chunks with extensions and trailers": (
        post(b"13;a=b\r\n" + HELLO + b"\r\n0\r\nX-A: 1\r\n\r\n", CHUNKED, length=None),
        [HELLOED],
        False,
    ),
    "a chunk whose size is none": (post(b"xyz\r\n" + HELLO, CHUNKED, length=None), [INVALID], True),
    "a chunk that is longer than it says": (
        post(b"5\r\n" + HELLO + b"\r\n0\r\n\r\n", CHUNKED, length=None),
        [INVALID],
        True,
    ),
    "chunks, then another request": (
        post(chunked(HELLO), CHUNKED, length=None) + post(),
        [HELLOED, HELLOED],
        False,
    ),
    "another coding": (post(HELLO, "Transfer-Encoding: gzip", length=None), [INVALID], True),
    "a body that is compressed": (
        post(gzip.compress(HELLO, mtime=0), "Content-Encoding: gzip"),
        [
            no_request(
                "it is not JSON: 'utf-8' codec can't decode byte 0x8b in position 1: invalid start byte",
            )
        ],
        False,
    ),
    "a byte order mark": (
        post(b"\xef\xbb\xbf" + HELLO),
        [
            no_request(
                "it is not JSON: Unexpected UTF-8 BOM (decode using utf-8-sig): line 1 column 1 (char 0)",
            )
        ],
        False,
    ),
    "blanks around": (post(b" \r\n\t" + HELLO + b"\n "), [HELLOED], False),
    "two members of one name": (post(b'{"query":"{nothing}","query":"{hello}"}'), [HELLOED], False),
    "a query in UTF-16 escapes": (post(b'{"query":"\\u007bhello}"}'), [HELLOED], False),
    "a null byte in the query": (
        post(b'{"query":"{hello}\\u0000"}'),
        [failed("Syntax Error: Unexpected character: U+0000.", at=(1, 8))],
        False,
    ),
    "a file after a form": (
        post(
            b'--x\r\nContent-Disposition: form-data; name="operations"\r\n\r\n{"query":"{hello}"}\r\n--x--\r\n',
            type="multipart/form-data; boundary=x",
        ),
        [refused(415, "send the operation as Content-Type: application/json, in UTF-8")],
        False,
    ),
    "two operations and no name": (
        post(b'{"query":"query A{hello} query B{hello}"}'),
        [failed("the document has not exactly one operation; name one of them as operationName")],
        False,
    ),
    "two operations, one named": (
        post(b'{"query":"query A{hello} query B{hello(n:2)}","operationName":"B"}'),
        [hello(2)],
        False,
    ),
    "an empty operation name": (
        post(b'{"query":"query A{hello}","operationName":""}'),
        [failed("the document has no operation ''")],
        False,
    ),
    "a batch": (
        post(b'[{"query":"{hello}"},{"query":"{hello}"}]'),
        [no_request("Expected `object`, got `array`")],
        False,
    ),
    "an empty batch": (
        post(b"[]"),
        [no_request("Expected `object`, got `array`")],
        False,
    ),
    "only a hash": (
        post(b'{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"00"}}}'),
        [no_request("Object missing required field `query`")],
        False,
    ),
    # types
    "no type": (
        post(type=None),
        [refused(415, "send the operation as Content-Type: application/json, in UTF-8")],
        False,
    ),
    "two types": (
        post(HELLO, "Content-Type: text/plain"),
        [refused(415, "send the operation as Content-Type: application/json, in UTF-8")],
        False,
    ),
    "a type with a parameter that nobody knows": (
        post(type="application/json; profile=x"),
        [HELLOED],
        False,
    ),
    "a type in UTF-16": (
        post(type="application/json; charset=utf-16"),
        [refused(415, "send the operation as Content-Type: application/json, in UTF-8")],
        False,
    ),
    "a type with blanks": (post(type="  application/json ; charset = utf-8"), [HELLOED], False),
    "a charset in quotes": (post(type='application/json; charset="UTF-8"'), [HELLOED], False),
    "graphql+json": (
        post(type="application/graphql+json"),
        [refused(415, "send the operation as Content-Type: application/json, in UTF-8")],
        False,
    ),
    "two Accepts": (
        post(HELLO, "Accept: text/html", f"Accept: {GRAPHQL_JSON}"),
        [hello(1, GRAPHQL_JSON)],
        False,
    ),
    "a weight that is none": (
        post(HELLO, f"Accept: {GRAPHQL_JSON};q=high, application/json;q=0.1"),
        [HELLOED],
        False,
    ),
    "a weight above one": (
        post(HELLO, f"Accept: application/json, {GRAPHQL_JSON};q=5"),
        [hello(1, GRAPHQL_JSON)],
        False,
    ),
    "an Accept of commas": (
        post(HELLO, "Accept: ,,,"),
        [NOT_ACCEPTABLE],
        False,
    ),
    "an Accept that is empty": (post(HELLO, "Accept:"), [HELLOED], False),
    "an Accept of 30 KB": (
        post(HELLO, "Accept: " + "text/x," * 4000 + GRAPHQL_JSON),
        [hello(1, GRAPHQL_JSON)],
        False,
    ),
    # addresses
    "a percent sign alone": (
        get("/graphql?query=%"),
        [failed("Syntax Error: Unexpected character: '%'.", at=(1, 1))],
        False,
    ),
    "an escape that is none": (
        get("/graphql?query=%zz{hello}"),
        [failed("Syntax Error: Unexpected character: '%'.", at=(1, 1))],
        False,
    ),
    "an escape that is not UTF-8": (get("/graphql?query={hello}%23%ff"), [HELLOED], False),
    "an escape in the path": (get("/%67raphql?query={hello}"), [HELLOED], False),
    "a plus as a blank": (get("/graphql?query=query+A{hello}"), [HELLOED], False),
    "two queries in the address": (get("/graphql?query={nothing}&query={hello}"), [HELLOED], False),
    "a semicolon between": (
        get("/graphql?query={hello};operationName=A"),
        [failed("Syntax Error: Unexpected character: ';'.", at=(1, 8))],
        False,
    ),
    "a query and a body": (
        get("/graphql?query={hello}", "Content-Length: 2") + b"{}",
        [HELLOED],
        False,
    ),
    "a query in the address of a post": (
        post(b"{}", target="/graphql?query={hello}"),
        [no_request("Object missing required field `query`")],
        False,
    ),
    "a mutation by GET": (
        get("/graphql?query=mutation{touch}"),
        [refused(405, "a GET executes queries only; send this operation by POST")],
        False,
    ),
    "a mutation beside a query by GET": (
        get("/graphql?query=query+A{hello}mutation+B{touch}&operationName=B"),
        [refused(405, "a GET executes queries only; send this operation by POST")],
        False,
    ),
    "a mutation by GET with another method named": (
        get("/graphql?query=mutation{touch}", "X-HTTP-Method-Override: POST"),
        [refused(405, "a GET executes queries only; send this operation by POST")],
        False,
    ),
    "variables that are null": (get("/graphql?query={hello}&variables=null"), [HELLOED], False),
    "variables that are a list": (
        get("/graphql?query={hello}&variables=[]", f"Accept: {GRAPHQL_JSON}"),
        [
            refused(
                400,
                "variables and extensions of the address are JSON objects: Expected `object | null`, got `array`",
            )
        ],
        False,
    ),
    "variables that are too deep": (
        get("/graphql?query={hello}&variables=" + '{"a":' + "[" * 3000),
        [
            refused(
                400,
                "variables and extensions of the address are JSON objects: it is nested too deeply",
            )
        ],
        False,
    ),
    "a path with a slash more": (get("/graphql/?query={hello}"), [(307, "", "")], False),
    "a path upwards": (
        get("/../graphql?query={hello}"),
        [(404, "text/plain; charset=utf-8", "Not Found")],
        False,
    ),
    "a fragment": (get("/graphql?query={hello}#x"), [HELLOED], False),
    "an address of 70 KB": (get("/graphql?query={hello}&x=" + "x" * 70_000), [INVALID], True),
}
"""What is sent, what is answered, and whether the server closes the connection then."""


@pytest.fixture(scope="module")
def probed(serve_once: ServeTry) -> LiveServer:
    return serve_once()


@pytest.mark.parametrize("name", PROBES)
def test_a_probe_is_answered_to_the_letter(
    probed: LiveServer, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    sent, answers, closes = PROBES[name]
    host, port = probed.authority.split(":")
    with socket.create_connection((host, int(port)), timeout=60) as client:
        client.sendall(sent)
        with client.makefile("rb") as received:
            is_head = sent.startswith(b"HEAD ")
            assert [read_answer(received, is_head) for _ in answers] == answers
            if closes:
                assert received.read() == b""
            else:
                # What follows is understood as well: nothing was left over, and nothing too much taken.
                client.sendall(post(b'{"query":"{hello(n:3)}"}'))
                assert read_answer(received) == hello(3)
    assert "Traceback" not in caplog.text


def read_answer(received: IO[bytes], is_head: bool = False) -> Answer:
    status = int(received.readline().split()[1])
    headers: dict[str, str] = {}
    while line := received.readline().decode().strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = b"" if is_head else received.read(int(headers.get("content-length", "0")))
    media_type = headers.get("content-type", "")
    return status, media_type, json.loads(body) if body and "json" in media_type else body.decode()


def test_there_are_as_many_as_were_asked_for() -> None:
    assert len(PROBES) >= 30
