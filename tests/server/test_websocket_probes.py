"""Raw probes of graphql-transport-ws: what is sent, frame by frame, and what must come back, to the letter.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md and RFC 6455.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from runwire.server.settings import Limits
from tests.server.conftest import LiveServer, ServeTry, closed

INIT = '{"type":"connection_init"}'
PING = '{"type":"ping"}'
ACK = {"type": "connection_ack"}
PONG = {"type": "pong"}


@dataclass(frozen=True)
class Wire:
    """A frame as it goes over the wire, lawful or not."""

    opcode: Opcode = Opcode.TEXT
    data: bytes = b""
    fin: bool = True
    masked: bool = True

    def encode(self) -> bytes:
        frame = Frame(self.opcode, self.data, fin=self.fin)
        return bytes(frame.serialize(mask=self.masked))


@dataclass(frozen=True)
class Bytes:
    """What is no frame that any library would send."""

    data: bytes

    def encode(self) -> bytes:
        return self.data


Step = str | bytes | Wire | Bytes | dict[str, Any]
Probe = tuple[list[Step], tuple[int, str] | None]
"""What is sent and, as dicts, what must be heard next; then how the server closes, None when all goes on."""


def subscribe(payload: Any, id: Any = "1", **members: Any) -> str:
    return json.dumps({"type": "subscribe", "id": id, "payload": payload, **members})


def ask(query: str, **members: Any) -> str:
    return subscribe({"query": query, **members})


def result(data: Any, id: str = "1") -> list[Any]:
    return [
        {"id": id, "type": "next", "payload": {"data": data}},
        {"id": id, "type": "complete"},
    ]


def refused(message: str, *, at: tuple[int, int] | None = None, code: str | None = None) -> Any:
    error: dict[str, Any] = {"message": message}
    if at is not None:
        error["locations"] = [{"line": at[0], "column": at[1]}]
    if code is not None:
        error["extensions"] = {"code": code}
    return {"id": "1", "type": "error", "payload": [error]}


def malformed(problem: str) -> tuple[int, str]:
    return 4400, f"this is no message of graphql-transport-ws: {problem}"


HELLO = ask("{hello}")
HELLOED = result({"hello": "hello"})
FOREVER = ask("subscription{forever}")
COMPLETE = '{"type":"complete","id":"1"}'
BEGUN = {"id": "1", "type": "next", "payload": {"data": {"forever": 0}}}

T, C, P = Opcode.TEXT, Opcode.CONT, Opcode.PING

BEFORE_INIT: dict[str, Probe] = {
    "binary before init": ([b"\x00"], (4400, "messages of graphql-transport-ws are text")),
    "init": ([INIT, ACK], None),
    "init with null": (['{"type":"connection_init","payload":null}', ACK], None),
    "init with more than it needs": (
        ['{"type":"connection_init","id":"1","payload":{"a":{"b":[]}}}', ACK],
        None,
    ),
    "init with blanks around": ([' \n{ "type" : "connection_init" }\t', ACK], None),
    "a list as payload of init": (
        ['{"type":"connection_init","payload":[]}'],
        malformed("Expected `object | null`, got `array` - at `$.payload`"),
    ),
    "a text as payload of init": (
        ['{"type":"connection_init","payload":"x"}'],
        malformed("Expected `object | null`, got `str` - at `$.payload`"),
    ),
    "init again": ([INIT, ACK, INIT], (4429, "Too many initialisation requests")),
    "subscribe before init": ([HELLO], (4401, "Unauthorized: send connection_init first")),
    "ping before init": ([PING, PONG], None),
    "pong before init": (['{"type":"pong"}', PING, PONG], None),
    "complete before init": (['{"type":"complete","id":"1"}', PING, PONG], None),
}

AFTER_INIT: dict[str, Probe] = {
    # no message
    "no JSON": (
        ["{"],
        malformed(
            "it is not JSON: Expecting property name enclosed in double quotes: line 1 colum"
        ),
    ),
    "nothing": ([""], malformed("it is not JSON: Expecting value: line 1 column 1 (char 0)")),
    "blank": ([" "], malformed("it is not JSON: Expecting value: line 1 column 2 (char 1)")),
    "a number": (["1"], malformed("Expected `object`, got `int`")),
    "null": (["null"], malformed("Expected `object`, got `null`")),
    "a text": (['"ping"'], malformed("Expected `object`, got `str`")),
    "a list": (['[{"type":"ping"}]'], malformed("Expected `object`, got `array`")),
    "binary": ([b'{"type":"ping"}'], (4400, "messages of graphql-transport-ws are text")),
    "no type": (["{}"], malformed("Object missing required field `type`")),
    "null as type": (['{"type":null}'], malformed("Expected `str` - at `$.type`")),
    "a type that is no text": (['{"type":1}'], malformed("Expected `str` - at `$.type`")),
    "a type in capitals": (['{"type":"PING"}'], malformed("Invalid value 'PING' - at `$.type`")),
    "start, of the protocol before": (
        ['{"type":"start","id":"1","payload":{"query":"{hello}"}}'],
        malformed("Invalid value 'start' - at `$.type`"),
    ),
    "what only servers say: connection_ack": (
        ['{"type":"connection_ack"}'],
        malformed("Invalid value 'connection_ack' - at `$.type`"),
    ),
    "what only servers say: next": (
        ['{"type":"next","id":"1","payload":{}}'],
        malformed("Invalid value 'next' - at `$.type`"),
    ),
    "what only servers say: error": (
        ['{"type":"error","id":"1","payload":[]}'],
        malformed("Invalid value 'error' - at `$.type`"),
    ),
    "a byte order mark": (
        ["\ufeff" + PING],
        malformed(
            "it is not JSON: Unexpected UTF-8 BOM (decode using utf-8-sig): line 1 column 1 "
        ),
    ),
    "two in one": (
        [PING + PING],
        malformed("it is not JSON: Extra data: line 1 column 16 (char 15)"),
    ),
    "not a number": (
        ['{"type":"ping","payload":{"a":NaN}}'],
        malformed("it is not JSON: NaN is not a number"),
    ),
    "nested deeply": (
        ['{"type":"ping","payload":{"a":' + "[" * 50_000],
        malformed("it is nested too deeply"),
    ),
    "nested deeply, whole": (
        ['{"type":"ping","payload":{"a":' + "[" * 20_000 + "]" * 20_000 + "}}"],
        malformed("it is nested too deeply"),
    ),
    "nested deeply in a list": (["[" * 50_000], malformed("Expected `object`, got `array`")),
    # ping
    "ping": ([PING, PONG], None),
    "ping with null": (['{"type":"ping","payload":null}', PONG], None),
    "ping with an empty payload": (
        ['{"type":"ping","payload":{}}', {"type": "pong", "payload": {}}],
        None,
    ),
    "ping with a payload": (
        [
            '{"type":"ping","payload":{"n":[1,{"ä":null}]}}',
            {"type": "pong", "payload": {"n": [1, {"ä": None}]}},
        ],
        None,
    ),
    "ping with a lone surrogate": (
        ['{"type":"ping","payload":{"a":"\\ud800"}}', {"type": "pong", "payload": {"a": "\ud800"}}],
        None,
    ),
    "ping with large numbers": (
        [
            '{"type":"ping","payload":{"a":123456789012345678901234567890,"b":-0.0}}',
            {"type": "pong", "payload": {"a": 123456789012345678901234567890, "b": -0.0}},
        ],
        None,
    ),
    "ping with an overflow": (
        ['{"type":"ping","payload":{"a":1e400}}'],
        malformed("Number out of range - at `$.payload[...]`"),
    ),
    "a text as payload of ping": (
        ['{"type":"ping","payload":"x"}'],
        malformed("Expected `object | null`, got `str` - at `$.payload`"),
    ),
    "a list as payload of pong": (
        ['{"type":"pong","payload":[]}'],
        malformed("Expected `object | null`, got `array` - at `$.payload`"),
    ),
    "pong unasked": (['{"type":"pong","payload":{"a":1}}', PING, PONG], None),
    "two types": (
        ['{"type":"pong","type":"ping"}'],
        malformed("Invalid value 'ping' - at `$.type`"),
    ),
    # complete
    "complete of what does not run": (['{"type":"complete","id":"unknown"}', PING, PONG], None),
    "complete without id": (
        ['{"type":"complete"}'],
        malformed("Object missing required field `id`"),
    ),
    "complete with an empty id": (
        ['{"type":"complete","id":""}'],
        malformed("Expected `str` of length >= 1 - at `$.id`"),
    ),
    "complete with a number": (
        ['{"type":"complete","id":1}'],
        malformed("Expected `str`, got `int` - at `$.id`"),
    ),
    "complete twice": ([FOREVER, BEGUN, COMPLETE, COMPLETE, PING, PONG], None),
    "complete with a payload": (['{"type":"complete","id":"1","payload":{}}', PING, PONG], None),
    # ids
    "no id": (
        ['{"type":"subscribe","payload":{"query":"{hello}"}}'],
        malformed("Object missing required field `id`"),
    ),
    "null as id": (
        [subscribe({"query": "{hello}"}, id=None)],
        malformed("Expected `str`, got `null` - at `$.id`"),
    ),
    "an empty id": (
        [subscribe({"query": "{hello}"}, id="")],
        malformed("Expected `str` of length >= 1 - at `$.id`"),
    ),
    "a number as id": (
        [subscribe({"query": "{hello}"}, id=1)],
        malformed("Expected `str`, got `int` - at `$.id`"),
    ),
    "an object as id": (
        [subscribe({"query": "{hello}"}, id={})],
        malformed("Expected `str`, got `object` - at `$.id`"),
    ),
    "an id of 256 characters": (
        [subscribe({"query": "{hello}"}, id="ü" * 256), *result({"hello": "hello"}, "ü" * 256)],
        None,
    ),
    "an id of 257 characters": (
        [subscribe({"query": "{hello}"}, id="ü" * 257)],
        malformed("Expected `str` of length <= 256 - at `$.id`"),
    ),
    "an id with quotes": (
        [subscribe({"query": "{hello}"}, id='"},\\\n'), *result({"hello": "hello"}, id='"},\\\n')],
        None,
    ),
    "an id with a lone surrogate": (
        [
            '{"type":"subscribe","id":"\\ud800","payload":{"query":"{hello}"}}',
            *result({"hello": "hello"}, id="\ud800"),
        ],
        None,
    ),
    "an id in use": ([FOREVER, BEGUN, HELLO], (4409, "Subscriber for 1 already exists")),
    "a long id in use": (
        [
            subscribe({"query": "subscription{forever}"}, id="ü" * 200),
            {**BEGUN, "id": "ü" * 200},
            subscribe({"query": "{hello}"}, id="ü" * 200),
        ],
        (4409, "Subscriber for üüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüü"),
    ),
    "an id that is free again": ([HELLO, *HELLOED, HELLO, *HELLOED], None),
    # payloads
    "no payload": (
        ['{"type":"subscribe","id":"1"}'],
        malformed("Object missing required field `payload`"),
    ),
    "null as payload": (
        [subscribe(None)],
        malformed("Expected `object`, got `null` - at `$.payload`"),
    ),
    "a list as payload": (
        [subscribe([])],
        malformed("Expected `object`, got `array` - at `$.payload`"),
    ),
    "no query": (
        [subscribe({})],
        malformed("Object missing required field `query` - at `$.payload`"),
    ),
    "null as query": (
        [subscribe({"query": None})],
        malformed("Expected `str`, got `null` - at `$.payload.query`"),
    ),
    "an empty query": (
        [subscribe({"query": ""})],
        malformed("Expected `str` of length >= 1 - at `$.payload.query`"),
    ),
    "a number as query": (
        [subscribe({"query": 1})],
        malformed("Expected `str`, got `int` - at `$.payload.query`"),
    ),
    "a list as variables": (
        [ask("{hello}", variables=[])],
        malformed("Expected `object | null`, got `array` - at `$.payload.variables`"),
    ),
    "a text as variables": (
        [ask("{hello}", variables="{}")],
        malformed("Expected `object | null`, got `str` - at `$.payload.variables`"),
    ),
    "a number as operation name": (
        [ask("{hello}", operationName=1)],
        malformed("Expected `str | null`, got `int` - at `$.payload.operationName`"),
    ),
    "a list as extensions": (
        [ask("{hello}", extensions=[])],
        malformed("Expected `object | null`, got `array` - at `$.payload.extensions`"),
    ),
    "null for all that may be": (
        [ask("{hello}", variables=None, operationName=None, extensions=None), *HELLOED],
        None,
    ),
    "members that nobody knows": ([ask("{hello}", more=1), *HELLOED], None),
    # operations that are refused
    "a syntax error": (
        [
            ask("{"),
            refused("Syntax Error: Expected Name, found <EOF>.", at=(1, 2)),
            HELLO,
            *HELLOED,
        ],
        None,
    ),
    "only a comment": (
        [ask("# nothing"), refused("Syntax Error: Unexpected <EOF>.", at=(1, 10))],
        None,
    ),
    "a field that there is not": (
        [
            ask("{nothing}"),
            refused("Cannot query field 'nothing' on type 'Query'.", at=(1, 2)),
            HELLO,
            *HELLOED,
        ],
        None,
    ),
    "an operation that there is not": (
        [
            ask("query A{hello}", operationName="B"),
            refused("the document has no operation 'B'"),
            HELLO,
            *HELLOED,
        ],
        None,
    ),
    "an empty operation name": (
        [ask("query A{hello}", operationName=""), refused("the document has no operation ''")],
        None,
    ),
    "two operations and no name": (
        [
            ask("query A{hello} query B{hello}"),
            refused(
                "the document has not exactly one operation; name one of them as operationName"
            ),
        ],
        None,
    ),
    "no operation": (
        [
            ask("fragment F on Query{hello}"),
            refused("the document has no operation"),
        ],
        None,
    ),
    "a variable that is missing": (
        [
            ask("query($n:Int!){hello(n:$n)}"),
            refused(
                "Variable '$n' has invalid value: Expected a value of non-null type 'Int!' to be provided.",
                at=(1, 7),
                code="INVALID_ARGUMENT",
            ),
        ],
        None,
    ),
    "a variable of another type": (
        [
            ask("query($n:Int!){hello(n:$n)}", variables={"n": "1"}),
            refused(
                "Variable '$n' has invalid value: Int cannot represent non-integer value: '1'",
                at=(1, 7),
                code="INVALID_ARGUMENT",
            ),
        ],
        None,
    ),
    "a variable that is too large": (
        [
            ask("query($n:Int!){hello(n:$n)}", variables={"n": 2**31}),
            refused(
                "Variable '$n' has invalid value: Int cannot represent non 32-bit signed integer value: 2147483648",
                at=(1, 7),
                code="INVALID_ARGUMENT",
            ),
        ],
        None,
    ),
    "a variable of a subscription": (
        [
            ask("subscription($n:Int!){count(to:$n)}", variables={"n": []}),
            refused(
                "Variable '$n' has invalid value: Int cannot represent non-integer value: []",
                at=(1, 14),
                code="INVALID_ARGUMENT",
            ),
        ],
        None,
    ),
    "a variable that nobody asked for": ([ask("{hello}", variables={"n": 1}), *HELLOED], None),
    "two root fields of a subscription": (
        [
            ask("subscription{a:count(to:1) b:count(to:1)}"),
            refused("Anonymous Subscription must select only one top level field.", at=(1, 28)),
        ],
        None,
    ),
    "too deep": (
        [
            ask("{" + "me{" * 20 + "hello" + "}" * 20 + "}"),
            refused("the operation nests deeper than 15 levels; ask for less at once", at=(1, 1)),
        ],
        None,
    ),
    "too many aliases": (
        [
            ask("{" + " ".join(f"a{n}:hello" for n in range(51)) + "}"),
            refused("the operation has more than 50 aliases; ask for less at once", at=(1, 1)),
        ],
        None,
    ),
    "too many tokens": (
        [
            ask("{" + "hello " * 2000 + "}"),
            refused(
                "Syntax Error: Document contains more than 2000 tokens. Parsing aborted.",
                at=(1, 11996),
            ),
        ],
        None,
    ),
    "a mutation": ([ask("mutation{touch}"), *result({"touch": "touched"})], None),
    "a subscription": (
        [
            ask("subscription{count(to:2)}"),
            {"id": "1", "type": "next", "payload": {"data": {"count": 0}}},
            *result({"count": 1}),
        ],
        None,
    ),
    "a subscription of nothing": (
        [ask("subscription{count(to:0)}"), {"id": "1", "type": "complete"}],
        None,
    ),
    # frames
    "a message in fragments": (
        [Wire(T, b'{"ty', fin=False), Wire(C, b'pe":"pi', fin=False), Wire(C, b'ng"}'), PONG],
        None,
    ),
    "fragments with a ping between": (
        [Wire(T, b'{"type":', fin=False), Wire(P, b"?"), Wire(C, b'"ping"}'), PONG],
        None,
    ),
    "a character in two fragments": (
        [
            Wire(T, b'{"type":"ping","payload":{"a":"\xc3', fin=False),
            Wire(C, b'\xbc"}}'),
            {"type": "pong", "payload": {"a": "ü"}},
        ],
        None,
    ),
    "fragments of nothing": ([Wire(T, b"", fin=False), Wire(C, PING.encode()), PONG], None),
    "text that is not UTF-8": ([Wire(T, b'{"type":"\xff"}')], (1007, "a text is not UTF-8")),
    "a surrogate in UTF-8": ([Wire(T, b'{"type":"\xed\xa0\x80"}')], (1007, "a text is not UTF-8")),
    "a fragment that continues nothing": ([Wire(C, b"x")], (1002, "unexpected continuation frame")),
    "a text within fragments": (
        [Wire(T, b"{", fin=False), Wire(T, b"}")],
        (1002, "expected a continuation frame"),
    ),
    "a frame that is not masked": (
        [Wire(T, PING.encode(), masked=False)],
        (1002, "incorrect masking"),
    ),
    "a reserved bit": ([Bytes(b"\xc1\x80\x00\x00\x00\x00")], (1002, "reserved bits must be 0")),
    "a reserved opcode": ([Bytes(b"\x83\x80\x00\x00\x00\x00")], (1002, "invalid opcode")),
    "a ping in fragments": (
        [Bytes(b"\x09\x80\x00\x00\x00\x00")],
        (1002, "fragmented control frame"),
    ),
    "a ping of 126 bytes": (
        [Bytes(b"\x89\xfe\x00\x7e\x00\x00\x00\x00" + b"x" * 126)],
        (1002, "control frame too long"),
    ),
    "a message just small enough": (
        ['{"type":"ping","x":"' + "x" * (65_536 - 22) + '"}', PONG],
        None,
    ),
    "a message that is too large": (
        ['{"type":"ping","x":"' + "x" * (65_536 - 21) + '"}'],
        (1009, "frame with 65537 bytes exceeds limit of 65536 bytes"),
    ),
    "fragments that are too large together": (
        [*[Wire(T if n == 0 else C, b" " * 20_000, fin=n == 4) for n in range(5)]],
        (1009, "frame with 20000 bytes after reading 60000 bytes exceeds limit of 65536 bytes"),
    ),
    "a length of 2^62": (
        [Bytes(b"\x81\xff\x40" + b"\x00" * 7 + b"\x00" * 4)],
        (1009, "frame with 4611686018427387904 bytes exceeds limit of 65536 bytes"),
    ),
    "a length with its highest bit set": (
        [Bytes(b"\x81\xff\xff" + b"\xff" * 7 + b"\x00" * 4)],
        (1009, "frame with 18446744073709551615 bytes exceeds limit of 65536 bytes"),
    ),
    "close": ([Bytes(b"\x88\x82\x00\x00\x00\x00\x03\xe8")], (1000, "")),
    "close without a code": ([Bytes(b"\x88\x80\x00\x00\x00\x00")], (1005, "")),
    "close with half a code": (
        [Bytes(b"\x88\x81\x00\x00\x00\x00\x03")],
        (1002, "close frame too short"),
    ),
    "close with a code that nobody may send": (
        [Bytes(b"\x88\x82\x00\x00\x00\x00\x03\xed")],
        (1002, "invalid status code"),
    ),
    "close with a reason that is not UTF-8": (
        [Bytes(b"\x88\x83\x00\x00\x00\x00\x03\xe8\xff")],
        (1007, "invalid start byte at position 0"),
    ),
    "close with a code of one's own": ([Bytes(b"\x88\x82\x00\x00\x00\x00\x10\x68")], (4200, "")),
}


@pytest.fixture(scope="module")
def probed(serve_once: ServeTry) -> LiveServer:
    return serve_once(Limits(init_seconds=60))


@pytest.mark.parametrize("name", BEFORE_INIT)
async def test_what_comes_before_init(
    probed: LiveServer, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    await converse(probed, *BEFORE_INIT[name])
    assert caplog.text == ""


@pytest.mark.parametrize("name", AFTER_INIT)
async def test_what_comes_after_init(
    probed: LiveServer, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    steps, close = AFTER_INIT[name]
    await converse(probed, [INIT, ACK, *steps], close)
    assert caplog.text == ""


async def converse(server: LiveServer, steps: list[Step], close: tuple[int, str] | None) -> None:
    async with server.connect() as socket, asyncio.timeout(60):
        for step in steps:
            match step:
                case dict():
                    assert json.loads(await socket.recv()) == step
                case str() | bytes():
                    await socket.send(step)
                case Wire() | Bytes():
                    socket.transport.write(step.encode())
        if close is None:
            await socket.send('{"type":"ping","payload":{"is":"the end"}}')
            assert json.loads(await socket.recv()) == {"type": "pong", "payload": {"is": "the end"}}
            return
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert (socket.close_code, socket.close_reason) == close


TRANSPORT_WS = "graphql-transport-ws"
NOT_SPOKEN = (4406, "Subprotocol not acceptable: speak graphql-transport-ws")


@pytest.mark.parametrize(
    "offered",
    [None, ["graphql-ws"], ["other"], ["GRAPHQL-TRANSPORT-WS"], ["graphql-transport-ws2"]],
)
async def test_no_other_subprotocol_is_spoken(probed: LiveServer, offered: Any) -> None:
    async with probed.connect(subprotocols=offered) as socket:
        assert socket.subprotocol is None
        assert await closed(socket) == NOT_SPOKEN


@pytest.mark.parametrize("offered", [["graphql-ws", TRANSPORT_WS], [TRANSPORT_WS, "graphql-ws"]])
async def test_of_several_subprotocols_ours_is_spoken(probed: LiveServer, offered: Any) -> None:
    async with probed.connect(subprotocols=offered) as socket:
        assert socket.subprotocol == TRANSPORT_WS


def test_there_are_as_many_as_were_asked_for() -> None:
    assert len(BEFORE_INIT) + len(AFTER_INIT) >= 40
