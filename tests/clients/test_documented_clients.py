"""What docs/graphql.md shows works as it stands there, with the clients that people use."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import runwire
from tests.clients.conftest import Node
from tests.end_to_end.conftest import Server, report

DOCUMENT = (Path(__file__).parents[2] / "docs" / "graphql.md").read_text()


def blocks(language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", DOCUMENT, re.DOTALL | re.MULTILINE)
    return [text for name, text in fenced if name == language]


WEBSOCKET, EVENTS = blocks("js")
ASK, FOLLOW = blocks("sh")
IN_THREE_LINES, ERRORS, INSTANCE = blocks("python")

CLIENTS = {"graphql-ws": WEBSOCKET, "graphql-sse": EVENTS}


def shell(script: str, **variables: str) -> str:
    done = subprocess.run(
        ["/bin/sh", "-euc", script],
        env=variables,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_curl_asks_by_post_and_by_get(server: Server) -> None:
    server.start()
    run_id = server.create_managed_run()
    decoder, answers = json.JSONDecoder(), shell(ASK, url=server.url)
    first, end = decoder.raw_decode(answers)
    second, _ = decoder.raw_decode(answers[end:])
    assert first["data"]["instance"]["version"]
    assert second == {"data": {"runs": {"nodes": [{"runId": run_id}]}}}


def test_curl_follows_a_run(server: Server) -> None:
    server.start()
    run_id = server.create_managed_run()
    report(server, run_id, [{"message": "hello"}], "lines")
    report(server, run_id, [{"message": "bye", "eventType": "RUN_SUCCESS"}], "end")
    events = shell(FOLLOW, url=server.url, run=run_id)
    assert "hello" in events
    assert '"status":"SUCCESS"' in events
    assert events.endswith("event: complete\ndata: \n\n")


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_resumes_where_it_was_when_the_server_is_killed(
    server: Server, node: Node, client: str
) -> None:
    server.start()
    run_id = server.create_managed_run()
    report(server, run_id, [{"message": f"line {n}"} for n in range(3)], "first")
    script = node(CLIENTS[client], url=server.url, token=None, runId=run_id)
    assert script.stdout is not None
    lines = [script.stdout.readline() for _ in range(3)]
    server.kill()
    server.start()
    report(server, run_id, [{"message": f"line {n}"} for n in range(3, 6)], "second")
    report(server, run_id, [{"message": "done", "eventType": "RUN_SUCCESS"}], "end")
    rest, errors = script.communicate(timeout=100)
    assert script.returncode == 0, errors
    positions = [int(line.split()[0]) for line in [*lines, *rest.splitlines()]]
    assert positions == list(range(1, 8))
    assert rest.splitlines()[-1].endswith("done")


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_is_told_what_is_wrong(server: Server, node: Node, client: str) -> None:
    server.start()
    script = node(CLIENTS[client], url=server.url, token=None, runId="nothing")
    _, errors = script.communicate(timeout=100)
    assert script.returncode != 0
    assert "no run 'nothing'" in errors


JOBS = """
from pydantic import BaseModel
from runwire import job, op

class Rows(BaseModel):
    rows: int = 3

@op
def load(context, config: Rows):
    context.log.info("%d rows", config.rows)

@job
def daily_report():
    load()
"""


def python(script: str, *imports: str, **variables: str) -> subprocess.CompletedProcess[str]:
    given = [f"{name} = {value!r}" for name, value in variables.items()]
    return subprocess.run(
        [sys.executable, "-c", "\n".join([*imports, *given, script])],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_python_submits_follows_and_is_told_what_is_wrong(server: Server) -> None:
    (server.home / "jobs.py").write_text(JOBS)
    server.environ["RUNWIRE_TOKEN"] = TOKEN
    server.start("dev", "-f", str(server.home / "jobs.py"))
    with runwire.connect(server.url, TOKEN) as client:
        client.wait_until_ready()
    done = python(IN_THREE_LINES, url=server.url, token=TOKEN)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [str(n) for n in range(1, len(lines) + 1)]
    assert [line for line in lines if line.endswith(" [load] 3 rows")]

    told = python(ERRORS, "import runwire", url=server.url, token=TOKEN).stdout.splitlines()
    assert told[0].startswith("ops.load.config.rows ")
    assert "no run 'no-such-run'" in told[1]
    refused = python(ERRORS, "import runwire", url=server.url, token="another").stdout
    assert refused.startswith("no token, or not this one: ")

    seen = python(INSTANCE, "import runwire", url=server.url, token=TOKEN)
    assert seen.returncode == 0, seen.stderr
    assert seen.stdout == "1 runs have ended\n"
    server.kill()
    gone = python(ERRORS, "import runwire", url=server.url, token=TOKEN).stdout
    assert gone.startswith("is it running? no runwire server answers at ")


TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_presents_its_token(server: Server, node: Node, client: str) -> None:
    server.environ["RUNWIRE_TOKEN"] = TOKEN
    server.start()
    with_token = node(CLIENTS[client], url=server.url, token=TOKEN, runId="nothing")
    assert "no run 'nothing'" in with_token.communicate(timeout=100)[1]
    without = node(
        CLIENTS[client].replace("Infinity", "0").replace("() => true", "() => false"),
        url=server.url,
        token=None,
        runId="nothing",
    )
    _, errors = without.communicate(timeout=100)
    assert without.returncode != 0
    assert "no run" not in errors
    told = {"graphql-ws": "Bearer <token>", "graphql-sse": "401"}
    assert told[client] in errors
