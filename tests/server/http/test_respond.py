"""GraphQL over HTTP: what is answered, with which status and media type."""

from __future__ import annotations

import json
import socket
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from runwire.server.auth import AcceptedToken
from runwire.server.settings import Limits
from tests.server.conftest import LiveServer, ServeTry

GRAPHQL_JSON = "application/graphql-response+json"


def test_a_query_is_answered(server: LiveServer) -> None:
    answer = server.post("query($n: Int!) { hello(n: $n) }", variables={"n": 2})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.json() == {"data": {"hello": "hellohello"}}


def test_a_mutation_is_answered(server: LiveServer) -> None:
    assert server.post("mutation { touch }").json() == {"data": {"touch": "touched"}}


def test_each_request_has_a_context_of_its_own(server: LiveServer) -> None:
    numbers = [server.post("{contextNumber}").json()["data"]["contextNumber"] for _ in range(2)]
    assert numbers == [0, 1]


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (GRAPHQL_JSON, GRAPHQL_JSON),
        (f"{GRAPHQL_JSON}, application/json, multipart/mixed", GRAPHQL_JSON),
        (f"application/json;q=0.5, {GRAPHQL_JSON};q=0.9", GRAPHQL_JSON),
        (f"{GRAPHQL_JSON};q=0.1, application/json", "application/json"),
        (f"{GRAPHQL_JSON}; charset=utf-8", GRAPHQL_JSON),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("", "application/json"),
    ],
)
def test_the_media_type_is_the_one_that_the_client_prefers(
    server: LiveServer, accept: str, media_type: str
) -> None:
    answer = server.post("{hello}", headers={"accept": accept})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == f"{media_type}; charset=utf-8"


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "application/json;q=0"])
def test_a_client_that_takes_no_json_is_told(server: LiveServer, accept: str) -> None:
    answer = server.post("{hello}", headers={"accept": accept})
    assert answer.status_code == 406
    assert "application/graphql-response+json" in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"query": "{"}, "Syntax Error: Expected Name, found <EOF>."),
        ({"query": "{nothing}"}, "Cannot query field 'nothing' on type 'Query'."),
        ({"query": "query A{hello}", "operationName": "B"}, "the document has no operation 'B'"),
        (
            {"query": "query($n: Int){ hello(n: $n) }", "variables": {"n": "x"}},
            "Variable '$n' has invalid value: Int cannot represent non-integer value: 'x'",
        ),
        (
            {"query": "subscription{forever}"},
            "a subscription needs Accept: text/event-stream, or a websocket that speaks graphql-transport-ws",
        ),
    ],
)
def test_what_was_never_executed_has_no_data_and_is_a_400_where_that_is_understood(
    server: LiveServer, members: dict[str, Any], message: str
) -> None:
    for accept, status in ((GRAPHQL_JSON, 400), ("application/json", 200)):
        answer = server.request("POST", json=members, headers={"accept": accept})
        assert answer.status_code == status
        assert answer.json().keys() == {"errors"}
        assert [error["message"] for error in answer.json()["errors"]] == [message]


BODIES: dict[str, bytes] = {
    "nothing": b"",
    "a number": b"1",
    "a text": b'"x"',
    "null": b"null",
    "a batch": b'[{"query":"{hello}"}]',
    "nested deeply": b"[" * 20_000,
    "variables nested deeply": b'{"query":"{hello}","variables":{"a":' + b"[" * 20_000,
    "not UTF-8": b'{"query":"\xff"}',
    "UTF-16": '{"query":"{hello}"}'.encode("utf-16"),
    "not ended": b'{"query":"{hello}"',
    "more than one": b'{"query":"{hello}"}{}',
    "no query": b"{}",
    "an empty query": b'{"query":""}',
    "a number as query": b'{"query":1}',
    "null as query": b'{"query":null}',
    "a list as variables": b'{"query":"{hello}","variables":[]}',
    "a text as variables": b'{"query":"{hello}","variables":"{}"}',
    "a number as operation name": b'{"query":"{hello}","operationName":1}',
    "a list as extensions": b'{"query":"{hello}","extensions":[]}',
    "not a number": b'{"query":"{hello}","variables":{"a":NaN}}',
    "not a number, after a surrogate": b'{"query":"{hello}","variables":{"b":"\\ud800","a":NaN}}',
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_no_request_is_a_400(
    server: LiveServer, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = server.request(
        "POST", content=BODIES[name], headers={"content-type": "application/json"}
    )
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["message"].startswith("the body is no GraphQL request: ")
    assert answer.json().keys() == {"errors"}
    assert server.contexts == []
    assert caplog.text == ""


def test_members_that_are_not_known_are_ignored(server: LiveServer) -> None:
    members: dict[str, Any] = {
        "query": "{hello}",
        "variables": None,
        "operationName": None,
        "extensions": {},
    }
    answer = server.request("POST", json={**members, "id": 1})
    assert answer.json() == {"data": {"hello": "hello"}}


def test_lone_surrogates_come_and_go_escaped(server: LiveServer) -> None:
    body = rb'{"query":"query($t: String!) { surrogate(text: $t) }","variables":{"t":"\udc80"}}'
    answer = server.request("POST", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 200
    assert b'"\\udc80"' in answer.content


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonx",
        "application/graphql",
        "text/plain; application/json",
        "application/json; charset=latin-1",
        "",
    ],
)
def test_only_json_is_taken(server: LiveServer, content_type: str) -> None:
    answer = server.request(
        "POST", content=b'{"query":"{hello}"}', headers={"content-type": content_type}
    )
    assert answer.status_code == 415
    assert server.contexts == []


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"'],
)
def test_json_may_say_that_it_is_utf8(server: LiveServer, content_type: str) -> None:
    answer = server.request(
        "POST", content=b'{"query":"{hello}"}', headers={"content-type": content_type}
    )
    assert answer.status_code == 200


NO_NAME = "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"
NO_OBJECTS = "variables and extensions of the address are JSON objects"


def get(server: LiveServer, accept: str = GRAPHQL_JSON, **parameters: str) -> httpx.Response:
    """Asks by the address."""
    address = f"/graphql?{urlencode(parameters)}"
    return server.request("GET", address, headers={"accept": accept})


@pytest.mark.parametrize("accept", [GRAPHQL_JSON, "application/json"])
def test_a_query_is_executed_by_get(server: LiveServer, accept: str) -> None:
    query = "query A { hello } query B($n: Int) { hello(n: $n) }"
    answer = get(server, accept, query=query, operationName="B", variables='{"n": 2}')
    assert answer.status_code == 200
    assert answer.headers["content-type"] == f"{accept}; charset=utf-8"
    assert answer.json() == {"data": {"hello": "hellohello"}}


@pytest.mark.parametrize("query", ["mutation { touch }", "subscription { forever }"])
def test_nothing_but_a_query_is_executed_by_get(server: LiveServer, query: str) -> None:
    answer = get(server, query=query)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["errors"][0]["message"].startswith("a GET executes queries only")
    assert server.contexts == []


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "name the operation in the address: ?query=…, or send it by POST"),
        ({"query": ""}, "name the operation in the address: ?query=…, or send it by POST"),
        (
            {"query": "{hello}", "variables": "[]"},
            f"{NO_OBJECTS}: Expected `object | null`, got `array`",
        ),
        (
            {"query": "{hello}", "extensions": "{"},
            f"{NO_OBJECTS}: it is not JSON: {NO_NAME}",
        ),
        ({"query": "{"}, "Syntax Error: Expected Name, found <EOF>."),
        ({"query": "query A{hello}", "operationName": "B"}, "the document has no operation 'B'"),
    ],
)
def test_an_address_that_is_no_request_is_a_400(
    server: LiveServer, parameters: dict[str, str], message: str
) -> None:
    answer = get(server, **parameters)
    assert answer.status_code == 400
    assert [error["message"] for error in answer.json()["errors"]] == [message]


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_of_another_site_cannot_have_an_operation_executed_by_get(
    server: LiveServer, site: str
) -> None:
    """As by an image of that address, which a browser fetches without asking anybody."""
    address = "/graphql?query={hello}"
    answer = server.request("GET", address, headers={"sec-fetch-site": site, "accept": "*/*"})
    assert answer.status_code == 403
    for own in ("same-origin", "none"):
        assert server.request("GET", address, headers={"sec-fetch-site": own}).status_code == 200
    assert len(server.contexts) == 2


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
def test_other_methods_are_not_allowed(server: LiveServer, method: str) -> None:
    answer = server.request(method)
    assert answer.status_code == 405
    assert "POST" in answer.headers["allow"]


def test_a_body_that_says_that_it_is_too_large_is_not_read(serve_try: ServeTry) -> None:
    server = serve_try(Limits(body_bytes=1000))
    host, port = server.authority.split(":")
    with socket.create_connection((host, int(port))) as connection:
        head = (
            f"POST /graphql HTTP/1.1\r\nHost: {server.authority}\r\n"
            "Content-Type: application/json\r\nContent-Length: 1001\r\n\r\n"
        )
        connection.sendall(head.encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_turns_out_too_large_is_refused(serve_try: ServeTry) -> None:
    server = serve_try(Limits(body_bytes=1000))

    def chunks() -> Any:
        yield b'{"query":"{hello}","x":"'
        yield b"x" * 1000

    answer = server.request("POST", content=chunks(), headers={"content-type": "application/json"})
    assert answer.status_code == 413
    assert "larger than 1000 bytes" in answer.json()["errors"][0]["message"]


def test_a_body_of_just_the_right_size_is_taken(serve_try: ServeTry) -> None:
    body = json.dumps({"query": "{hello}"}).encode()
    server = serve_try(Limits(body_bytes=len(body)))
    answer = server.request("POST", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 200


def test_a_body_that_does_not_arrive_is_not_waited_for(serve_try: ServeTry) -> None:
    server = serve_try(Limits(body_seconds=0.05))
    host, port = server.authority.split(":")
    with socket.create_connection((host, int(port))) as connection:
        head = (
            f"POST /graphql HTTP/1.1\r\nHost: {server.authority}\r\n"
            "Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{"
        )
        connection.sendall(head.encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_an_error_that_is_raised_on_purpose_has_a_code(server: LiveServer) -> None:
    answer = server.post("{refused}")
    assert answer.status_code == 200
    (error,) = answer.json()["errors"]
    assert error["path"] == ["refused"]
    assert error["extensions"] == {"code": "CURSOR_INVALID"}
    assert error["message"].startswith("'x' is not a cursor; ")
    assert answer.json()["data"] == {"refused": None}


@pytest.mark.parametrize(
    ("document", "data"),
    [("{hello fault}", {"hello": "hello", "fault": None}), ("{faultOfAll}", None)],
)
def test_a_fault_is_masked_and_its_id_is_in_the_log(
    server: LiveServer, document: str, data: Any, caplog: pytest.LogCaptureFixture
) -> None:
    answer = server.post(document, headers={"accept": GRAPHQL_JSON})
    assert answer.status_code == 200
    assert answer.json()["data"] == data
    (error,) = answer.json()["errors"]
    assert error["extensions"]["code"] == "INTERNAL"
    assert "a secret" not in answer.text
    assert error["extensions"]["errorId"] in caplog.text
    assert "ZeroDivisionError: a secret" in caplog.text


def test_a_fault_outside_of_any_resolver_is_masked_too(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> Any:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr("tests.server.conftest.TryContext.__init__", broken)
    answer = server.post("{hello}")
    assert answer.status_code == 500
    (error,) = answer.json()["errors"]
    assert error["extensions"]["errorId"] in caplog.text
    assert "a secret" not in answer.text


def test_the_process_tells_anybody_that_it_answers(serve_try: ServeTry) -> None:
    server = serve_try(tokens=(AcceptedToken.of("a-long-enough-token"),))
    answer = server.request("GET", "/livez", headers={"host": "anything.example"})
    assert (answer.status_code, answer.text) == (200, "ok\n")


def test_the_root_leads_to_the_endpoint(server: LiveServer) -> None:
    answer = server.request("GET", "/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/graphql")
