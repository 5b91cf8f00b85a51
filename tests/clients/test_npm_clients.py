"""graphql-ws and graphql-sse as anybody would use them: what docs/graphql.md does not show of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.clients.conftest import Node
from tests.clients.guarded import BRIEF, LASTING, Guarded, guarded
from tests.clients.test_gql import CREATE, FOLLOW, NEW_RUN, STATUS

__all__ = ["guarded"]

MAKE = {
    "graphql-ws": """
import { createClient } from "graphql-ws";
import WebSocket from "ws";
const connect = (token) => createClient({
  url: url.replace("http", "ws"), webSocketImpl: WebSocket, retryAttempts: 0,
  connectionParams: { authorization: `Bearer ${token}` },
});
const code = (error) => error.code ?? null;
""",
    "graphql-sse": """
import { createClient } from "graphql-sse";
const connect = (token) => createClient({
  url, retryAttempts: 0, headers: { authorization: `Bearer ${token}` },
});
const code = (error) => error.response?.status ?? null;
""",
}
MAKE["subscriptions-transport-ws"] = """
import { SubscriptionClient } from "subscriptions-transport-ws/dist/index.js";
import WebSocket from "ws";
const connect = (token) => {
  const client = new SubscriptionClient(url.replace("http", "ws"), {
    reconnect: false, connectionParams: { authorization: `Bearer ${token}` },
    connectionCallback: (error) => error && client.close(),
  }, WebSocket);
  return { iterate: (operation) => (async function* () {
    const told = []; let wake, ended = false, failure = null;
    const done = (error) => { ended = true; failure ??= error; wake?.(); };
    client.client.addEventListener("close", (event) => done(event));
    client.request(operation).subscribe({
      next: (answer) => { told.push(answer); wake?.(); }, error: done, complete: () => done(null),
    });
    while (true) {
      while (told.length) yield told.shift();
      if (failure) throw failure;
      if (ended) return;
      await new Promise((resolve) => (wake = resolve));
    }
  })() };
};
const code = (error) => error.code ?? null;
"""
TELL = """
async function ask(token, query, variables) {
  const told = [];
  try {
    for await (const answer of connect(token).iterate({ query, variables })) told.push(answer);
    return { told };
  } catch (error) {
    const errors = Array.isArray(error) ? error : null;
    return { told, errors, code: code(error), problem: String(error.message ?? error.reason ?? error) };
  }
}
const results = [];
for (const [token, query, variables] of JSON.parse(asked)) results.push(await ask(token, query, variables));
console.log(JSON.stringify(results));
process.exit(0);
"""

pytestmark = pytest.mark.parametrize("client", MAKE)

Asked = tuple[str, str, dict[str, Any]]


def ask(node: Node, client: str, url: str, *asked: Asked) -> list[dict[str, Any]]:
    """What comes of each operation, one after another, each with a token of its own."""
    output, errors = node(MAKE[client] + TELL, url=url, asked=json.dumps(asked)).communicate(
        timeout=100
    )
    assert output, errors
    results: list[dict[str, Any]] = json.loads(output)
    return results


def test_queries_mutations_and_subscriptions_are_answered(
    guarded: Guarded, node: Node, client: str
) -> None:
    run_id = guarded.create_run("one")
    guarded.report(run_id, end=True)
    created, status, followed = ask(
        node,
        client,
        guarded.url,
        (LASTING, CREATE, {"input": NEW_RUN}),
        (LASTING, STATUS, {"runId": run_id}),
        (LASTING, FOLLOW, {"runId": run_id}),
    )
    assert created["told"][0]["data"]["createRun"]["__typename"] == "CreateRunSuccess"
    assert status == {"told": [{"data": {"run": {"status": "SUCCESS"}}}]}
    batches = [each["data"]["runEvents"] for each in followed["told"]]
    assert [record["message"] for each in batches for record in each["records"]] == ["one", "done"]


def test_errors_are_told(guarded: Guarded, node: Node, client: str) -> None:
    [wrong, refused] = ask(
        node,
        client,
        guarded.url,
        (LASTING, "{ nothing }", {}),
        (BRIEF, CREATE, {"input": NEW_RUN}),
    )
    # graphql-ws raises the errors of a refused operation, subscriptions-transport-ws the first of them, and
    # graphql-sse has them as a result.
    told = wrong["told"][0] if wrong["told"] else wrong
    problem = told["errors"][0]["message"] if told["errors"] else told["problem"]
    assert "Cannot query field 'nothing'" in problem
    [answer] = refused["told"]
    assert answer["data"]["createRun"]["__typename"] == "Forbidden"


def test_another_token_is_refused(guarded: Guarded, node: Node, client: str) -> None:
    [refused] = ask(node, client, guarded.url, ("another", STATUS, {"runId": "nothing"}))
    assert refused["told"] == []
    assert refused["code"] == 401 if client == "graphql-sse" else 4403


def test_a_token_that_expires_ends_the_stream_and_the_next_one_resumes(
    guarded: Guarded, node: Node, client: str
) -> None:
    run_id = guarded.create_run("one")
    [ended] = ask(node, client, guarded.url, (BRIEF, FOLLOW, {"runId": run_id}))
    batches = [each["data"]["runEvents"] for each in ended["told"]]
    assert [record["message"] for each in batches for record in each["records"]] == ["one"]
    if client != "graphql-sse":
        assert (ended["code"], ended["problem"]) == (4403, "Forbidden: the token has expired")
    guarded.report(run_id, "two", end=True)
    after = batches[-1]["endCursor"]
    [on] = ask(node, client, guarded.url, (LASTING, FOLLOW, {"runId": run_id, "after": after}))
    batches = [each["data"]["runEvents"] for each in on["told"]]
    assert [record["message"] for each in batches for record in each["records"]] == ["two", "done"]
