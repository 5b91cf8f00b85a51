"""What nobody would ask, asked of the real application: no 5xx, nothing masked, no traceback in the log.

Short by default, always with the same seeds; RUNWIRE_TORTURE=full goes on for RUNWIRE_FUZZ_SECONDS in all, ten minutes
unless it says otherwise, with seeds that it prints. RUNWIRE_FUZZ_SEED repeats one.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import hypothesis_graphql
import pytest
from graphql import (
    DocumentNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    IntValueNode,
    ObjectFieldNode,
    ObjectValueNode,
    OperationDefinitionNode,
    StringValueNode,
    build_schema,
    parse,
    type_from_ast,
)
from graphql.language import NameNode
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis_graphql import Mode
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from runwire.api.schema import print_schema
from runwire.documents import load_document, operation_names
from tests.server.fuzzed import RUNS
from tests.torture import FULL

SECONDS = float(os.environ.get("RUNWIRE_FUZZ_SECONDS", "600"))
SEED = os.environ.get("RUNWIRE_FUZZ_SEED")
FUZZERS = 7
EXAMPLES = 60

pytestmark = [pytest.mark.torture, pytest.mark.timeout(2 * SECONDS)]

SCHEMA = build_schema(print_schema())
INSTANTS = ["2026-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999-12:00"]
CLOSES = {1000, 1002, 1003, 1007, 1009, 4400, 4401, 4403, 4406, 4408, 4409, 4429}

# ------------------------------------------------------------ what is asked

texts = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["", "HEAD", "etl", "here", "\ud800", "\x00", *RUNS, *INSTANTS]),
)
numbers = st.one_of(
    st.integers(1, 5),
    st.integers(),
    st.sampled_from([0, 1, -1, 2**31 - 1, 2**31, 2**53, -(2**63), 2**63]),
    st.floats(allow_nan=False, allow_infinity=False),
)
leaves = st.one_of(st.none(), st.booleans(), numbers, texts)
anything = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)
text_nodes = st.one_of(st.text(max_size=8), st.sampled_from(["HEAD", "etl", *RUNS])).map(
    lambda text: StringValueNode(value=text)
)
SCALARS: dict[str, Any] = {
    "Int": st.one_of(st.integers(1, 5), st.integers(-(2**31), 2**31 - 1)).map(
        lambda number: IntValueNode(value=str(number))
    ),
    "ID": text_nodes,
    "DateTime": st.sampled_from([*INSTANTS, "no", ""]).map(
        lambda text: StringValueNode(value=text)
    ),
    "Long": st.integers(-(2**64), 2**64).map(lambda number: IntValueNode(value=str(number))),
    "JSON": st.one_of(
        text_nodes,
        text_nodes.map(
            lambda node: ObjectValueNode(
                fields=(ObjectFieldNode(name=NameNode(value="a"), value=node),)
            )
        ),
    ),
}


def given_for(type: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values for a variable of a type: mostly such as it takes, sometimes not at all."""
    match type:
        case GraphQLNonNull():
            return given_for(type.of_type, depth)
        case GraphQLList():
            fitting: st.SearchStrategy[Any] = st.lists(given_for(type.of_type, depth), max_size=3)
        case GraphQLEnumType():
            fitting = st.sampled_from(sorted(type.values))
        case GraphQLInputObjectType() if depth < 5:
            fields = {name: given_for(each.type, depth + 1) for name, each in type.fields.items()}
            required = {
                n: s for n, s in fields.items() if isinstance(type.fields[n].type, GraphQLNonNull)
            }
            others = {n: s for n, s in fields.items() if n not in required}
            fitting = st.fixed_dictionaries(required, optional=others)
            if type.is_one_of:
                fitting = st.one_of([st.fixed_dictionaries({n: s}) for n, s in fields.items()])
        case _:
            fitting = {
                "Boolean": st.booleans(),
                "Int": numbers,
                "Long": numbers,
                "Float": numbers,
            }.get(str(type), texts)
    return st.integers(0, 15).flatmap(
        lambda chance: fitting if chance else st.one_of(st.none(), anything)
    )


def of_documents(*kinds: str) -> st.SearchStrategy[dict[str, Any]]:
    """The documents of graphql/ of some kinds, with variables."""
    operations = [(name, _operation(parse(load_document(name)))) for name in operation_names()]
    return st.one_of(
        [
            st.fixed_dictionaries(
                {"query": st.just(load_document(name)), "variables": _variables(operation)}
            )
            for name, operation in operations
            if operation.operation.value in kinds
        ]
    )


def _variables(operation: OperationDefinitionNode) -> st.SearchStrategy[dict[str, Any]]:
    values = {
        each.variable.name.value: given_for(type_from_ast(SCHEMA, each.type))
        for each in operation.variable_definitions or ()
    }
    return st.fixed_dictionaries({}, optional=values)


def _operation(document: DocumentNode) -> OperationDefinitionNode:
    [operation] = [
        each for each in document.definitions if isinstance(each, OperationDefinitionNode)
    ]
    return operation


def queries(document: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return document.map(lambda text: {"query": text})


def _subscriptions() -> st.SearchStrategy[dict[str, Any]]:
    """Made as queries of a schema whose queries are our subscriptions."""
    as_queries = f"schema {{ query: Subscription }}\n{print_schema()}"
    [subscription] = [SCHEMA.subscription_type]
    assert subscription is not None
    return st.one_of(
        [
            hypothesis_graphql.queries(as_queries, fields=[name], custom_scalars=SCALARS).map(
                lambda text: {"query": f"subscription {text}"}
            )
            for name in subscription.fields
        ]
    )


members = st.sampled_from(["query", "variables", "operationName", "extensions", "id", "type", "x"])
bodies = st.one_of(
    st.binary(max_size=64),
    anything.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(members, anything, max_size=4).map(lambda value: json.dumps(value).encode()),
    st.dictionaries(members, anything).map(
        lambda value: json.dumps({"query": "{viewer{id}}", **value}).encode()
    ),
)
messages = st.one_of(
    st.just({"type": "connection_init"}),
    st.fixed_dictionaries(
        {
            "type": st.one_of(
                st.sampled_from(
                    ["subscribe", "subscribe", "complete", "ping", "pong", "connection_init"]
                ),
                anything,
            )
        },
        optional={
            "id": st.one_of(st.sampled_from(["1", "2", ""]), anything),
            "payload": st.one_of(
                st.fixed_dictionaries(
                    {
                        "query": st.sampled_from(
                            ["{viewer{id}}", "subscription{daemonHeartbeats{id}}", "{", ""]
                        )
                    },
                    optional={
                        "variables": anything,
                        "operationName": anything,
                        "extensions": anything,
                    },
                ),
                anything,
            ),
        },
    ),
)
frames = st.lists(
    st.one_of(
        messages.map(json.dumps),
        st.text(max_size=20),
        st.binary(max_size=20),
        anything.map(json.dumps),
    ),
    max_size=8,
)

# ------------------------------------------------------------ who is asked


@dataclass(frozen=True)
class Fuzzed:
    """A server in a process of its own: Hypothesis minds who else in its process uses random numbers."""

    url: str
    log: Path


@pytest.fixture
def fuzzed(tmp_path: Path) -> Iterator[Fuzzed]:
    log = tmp_path / "log"
    command = [sys.executable, "-m", "tests.server.fuzzed", str(tmp_path)]
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=Path(__file__).parents[2],
        ) as process,
    ):
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            assert url, log.read_text()
            yield Fuzzed(url, log)
        finally:
            process.terminate()
    assert "Traceback" not in log.read_text()
    assert process.returncode == 0, log.read_text()


@pytest.fixture
def client(fuzzed: Fuzzed) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=fuzzed.url, trust_env=False, timeout=60) as client:
        yield client


def fuzz(
    strategy: st.SearchStrategy[Any], check: Callable[[Any], None], examples: int = EXAMPLES
) -> None:
    """Has a check look at so many examples, of each seed."""
    for number in _seeds():
        print(f"RUNWIRE_FUZZ_SEED={number}")  # noqa: T201 - pytest shows it when the check fails
        configured = settings(
            max_examples=examples,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink],
        )
        seed(number)(configured(given(strategy)(check)))()


def _seeds() -> Iterator[int]:
    if SEED is not None or not FULL:
        yield int(SEED or 0)
        return
    end = time.monotonic() + SECONDS / FUZZERS
    while time.monotonic() < end:
        yield random.SystemRandom().randrange(2**32)


def post(client: httpx.Client, request: Any, **headers: str) -> None:
    """Asks, and sees that what comes back is an answer."""
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    answer = client.post(
        "/graphql", content=body, headers={"content-type": "application/json", **headers}
    )
    assert answer.status_code < 500, answer.text
    assert_is_sound(answer.json())


def assert_is_sound(answer: Any) -> None:
    """Nothing is masked: a fault of ours would be."""
    for error in answer.get("errors", ()):
        assert error.get("extensions", {}).get("code") != "INTERNAL", answer


@pytest.mark.parametrize(
    "strategy",
    [
        pytest.param(
            queries(hypothesis_graphql.queries(SCHEMA, custom_scalars=SCALARS)), id="queries"
        ),
        pytest.param(
            queries(hypothesis_graphql.mutations(SCHEMA, custom_scalars=SCALARS)), id="mutations"
        ),
        pytest.param(
            queries(
                hypothesis_graphql.from_schema(SCHEMA, custom_scalars=SCALARS, mode=Mode.NEGATIVE)
            ),
            id="wrong documents",
        ),
        pytest.param(of_documents("query", "mutation"), id="our documents with any variables"),
        pytest.param(bodies, id="any body"),
    ],
)
def test_whatever_is_posted_is_answered(client: httpx.Client, strategy: Any) -> None:
    fuzz(strategy, lambda request: post(client, request))


def test_whatever_is_subscribed_to_is_answered(fuzzed: Fuzzed) -> None:
    with _connected(fuzzed.url) as socket:
        socket.send('{"type":"connection_init"}')
        assert json.loads(socket.recv(60)) == {"type": "connection_ack"}
        ids = iter(range(10**9))

        def check(request: Any) -> None:
            wanted = str(next(ids))
            socket.send(json.dumps({"type": "subscribe", "id": wanted, "payload": request}))
            # What came before and was not read yet may still come.
            while (message := json.loads(socket.recv(60)))["id"] != wanted:
                pass
            if message["type"] == "error":
                assert_is_sound({"errors": message["payload"]})
                return
            if message["type"] == "next":
                assert_is_sound(message["payload"])
            socket.send(json.dumps({"type": "complete", "id": wanted}))

        fuzz(st.one_of(_subscriptions(), of_documents("subscription")), check)


def test_whatever_is_said_on_a_websocket_is_answered_or_closes_it(fuzzed: Fuzzed) -> None:
    def check(said: list[str | bytes]) -> None:
        with _connected(fuzzed.url) as socket:
            try:
                for frame in said:
                    socket.send(frame)
                socket.send('{"type":"ping","payload":{"is":"the end"}}')
                while json.loads(socket.recv(60)) != {"type": "pong", "payload": {"is": "the end"}}:
                    pass
            except ConnectionClosed:
                assert socket.close_code in CLOSES

    fuzz(frames, check, 5 * EXAMPLES)


def _connected(url: str) -> ClientConnection:
    return connect(
        f"{url.replace('http', 'ws')}/graphql",
        subprotocols=["graphql-transport-ws"],  # type: ignore[list-item]
        compression=None,
        proxy=None,
        max_size=None,
        # The client's own pings take random numbers, which Hypothesis would notice.
        ping_interval=None,
    )
