"""The audits of GraphQL over HTTP (https://www.npmjs.com/package/graphql-http), run against a server."""

from __future__ import annotations

import json

from tests.clients.conftest import Node
from tests.end_to_end.conftest import Server

AUDIT = """
import { serverAudits } from "graphql-http";

const results = [];
for (const audit of serverAudits({ url, fetchFn: fetch })) {
  const { status, reason } = await audit.fn();
  results.push({ id: audit.id, name: audit.name, status, reason });
}
console.log(JSON.stringify(results));
"""


def test_every_audit_is_passed_without_a_warning(server: Server, node: Node) -> None:
    server.start()
    output, errors = node(AUDIT, url=server.url).communicate(timeout=100)
    results = json.loads(output or "null")
    assert results, errors
    assert [result for result in results if result["status"] != "ok"] == []
    assert len(results) == 61
