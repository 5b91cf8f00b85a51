"""Documents by id, and the schema that is not shown, on every transport."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from graphql import get_introspection_query, parse, print_ast
from typer.testing import CliRunner

from runwire.api.access import Role
from runwire.cli.app import app
from runwire.documents import load_document, operation_names
from runwire.server.auth import AcceptedToken, digest_of
from runwire.server.requests import GraphQLRequest
from runwire.server.trusted import (
    TrustedDocuments,
    document_id,
    documents_in,
    packaged_documents,
)
from tests.server.conftest import ServeTry, greet, hear, say, subscribe

HELLO = "query Hello { hello }"
ID = document_id(HELLO)
STRICT = {"accept": "application/graphql-response+json"}
NOT_TRUSTED = {
    "message": "this server executes trusted documents only; send the documentId of one",
    "extensions": {"code": "DOCUMENT_NOT_TRUSTED"},
}
UNKNOWN = {
    "message": "there is no document with this documentId",
    "extensions": {"code": "DOCUMENT_NOT_FOUND"},
}


def trusted(mode: Any) -> TrustedDocuments:
    return TrustedDocuments(mode, [HELLO])


def test_an_id_is_the_hash_of_the_text() -> None:
    assert document_id("") == (
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )


@pytest.mark.parametrize("mode", ["prefer", "only"])
async def test_a_document_is_taken_by_its_id(serve_try: ServeTry, mode: str) -> None:
    server = serve_try(documents=trusted(mode))
    told = {"data": {"hello": "hello"}}
    assert server.request("POST", json={"documentId": ID}, headers=STRICT).json() == told
    assert server.request("GET", params={"documentId": ID}).json() == told
    assert server.post(HELLO).json() == told
    assert server.post(print_ast(parse(HELLO))).json() == told
    async with server.connect() as socket:
        await greet(socket)
        await say(socket, {"type": "subscribe", "id": "1", "payload": {"documentId": ID}})
        assert (await hear(socket))["payload"] == told


async def test_no_other_document_is_taken(serve_try: ServeTry) -> None:
    server = serve_try(documents=trusted("only"))
    for text in ("{ hello }", HELLO + " ", "{", "{__typename}"):
        answer = server.post(text, headers=STRICT)
        assert (answer.status_code, answer.json()) == (400, {"errors": [NOT_TRUSTED]})
    async with server.connect() as socket:
        await greet(socket)
        await subscribe(socket, "subscription { forever }")
        assert await hear(socket) == {"id": "1", "type": "error", "payload": [NOT_TRUSTED]}
    headers = {"accept": "text/event-stream"}
    answer = await asyncio.to_thread(server.post, "{ hello }", headers=headers)
    assert "DOCUMENT_NOT_TRUSTED" in answer.text
    assert server.contexts == []


def test_others_are_taken_beside_ids(serve_try: ServeTry) -> None:
    server = serve_try(documents=trusted("prefer"))
    assert server.post("{ hello }").json() == {"data": {"hello": "hello"}}
    answer = server.request("POST", json={"documentId": "sha256:0"}, headers=STRICT)
    assert (answer.status_code, answer.json()) == (400, {"errors": [UNKNOWN]})


def test_without_documents_an_id_is_refused(serve_try: ServeTry) -> None:
    (error,) = serve_try().request("POST", json={"documentId": ID}).json()["errors"]
    assert error["extensions"] == {"code": "DOCUMENT_NOT_FOUND"}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({}, "missing required field `query`"),
        ({"query": ""}, "length >= 1 - at `$.query`"),
        ({"documentId": ""}, "`$.documentId`"),
        ({"documentId": 7}, "`$.documentId`"),
        ({"documentId": ID, "query": HELLO}, "has both `query` and `documentId`"),
    ],
)
def test_a_request_has_one_of_both(serve_try: ServeTry, body: Any, problem: str) -> None:
    answer = serve_try(documents=trusted("prefer")).request("POST", json=body)
    assert answer.status_code == 400
    assert problem in answer.json()["errors"][0]["message"]


def test_all_packaged_documents_are_known_and_printed() -> None:
    known = TrustedDocuments("only", packaged_documents().values())
    printed = CliRunner().invoke(app, ["schema", "documents"])
    assert printed.exit_code == 0
    lines = dict(line.split()[::-1] for line in printed.stdout.splitlines())
    assert lines.keys() == set(operation_names())
    for name, its_id in lines.items():
        assert known.text_of(GraphQLRequest(document_id=its_id)) == load_document(name)


def test_a_folder_has_documents_or_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no file"):
        documents_in(tmp_path)
    (tmp_path / "a.graphql").write_text("{a}")
    assert documents_in(tmp_path) == {"a.graphql": "{a}"}
    (tmp_path / "b.graphql").write_text("{")
    with pytest.raises(ValueError, match=r"b\.graphql is no document: Syntax Error"):
        documents_in(tmp_path)


HIDDEN = {
    "message": "the schema is not shown here: introspection is off",
    "extensions": {"code": "INTROSPECTION_OFF"},
}
ASKING = [
    get_introspection_query(),
    "{x: __schema {types {name}}}",
    '{me {hello} ...F} fragment F on Query {__type(name: "Query") {name}}',
]


@pytest.mark.parametrize("text", ASKING)
async def test_the_schema_is_hidden(serve_try: ServeTry, text: str) -> None:
    server = serve_try(introspection="off")
    answer = server.post(text, headers=STRICT)
    assert (answer.status_code, answer.json()) == (400, {"errors": [HIDDEN]})
    async with server.connect() as socket:
        await greet(socket)
        await subscribe(socket, text)
        assert (await hear(socket))["payload"] == [HIDDEN]
    assert server.post("{__typename}").json() == {"data": {"__typename": "Query"}}


def test_suggestions_are_hidden_with_it(serve_try: ServeTry) -> None:
    for query, variables in (("{helo}", None), ("{hello(m: 1)}", None), ("{hello {x}}", None)):
        shown = serve_try().post(query, variables=variables).text
        hidden = serve_try(introspection="off").post(query, variables=variables).text
        assert "Did you mean" in shown or query == "{hello {x}}"
        assert "Did you mean" not in hidden
    (error,) = serve_try(introspection="off").post("{helo}").json()["errors"]
    assert error["message"] == "Cannot query field 'helo' on type 'Query'."


def test_only_admins_are_shown_it(serve_try: ServeTry) -> None:
    tokens = tuple(
        AcceptedToken(role.name, digest_of(f"the-token-of-{role.name}".encode()), role)
        for role in Role
    )
    server = serve_try(introspection="admin", tokens=tokens)
    for role in Role:
        headers = {"authorization": f"Bearer the-token-of-{role.name}"}
        answer = server.post(ASKING[1], headers=headers).json()
        assert ("data" in answer) is (role is Role.ADMIN)
