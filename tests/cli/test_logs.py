"""The log of a process that serves: its formats, what each line tells of its request, and what no line tells."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from runwire.cli.logs import JsonLines, TextLines, configure_logging
from runwire.server.log_context import begin_request, operation_id, operation_name
from tests.cli.served import PATIENCE_SECONDS, free_port
from tests.cli.test_serve import TOKEN, lines_until, started


def record(message: str, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("runwire.x", logging.ERROR, "x.py", 1, message, (), None)
    made.__dict__.update(extra)
    return made


@pytest.fixture
def request_id() -> Iterator[str]:
    given = begin_request("from-a-proxy")
    yield given
    begin_request(None)


def test_lines_of_text_tell_their_request(request_id: str) -> None:
    operation_name.set("Runs")
    operation_id.set("1\nforged" + "x" * 1000)
    line = TextLines().format(record("it broke"))
    assert line.endswith(
        r"ERROR runwire.x: it broke [request_id=from-a-proxy operation=Runs operation_id=1\nforged"
        + "x" * 120
        + "]"
    )


def test_lines_of_json_tell_their_request_and_what_else_is_known(request_id: str) -> None:
    try:
        raise ZeroDivisionError("nothing")
    except ZeroDivisionError:
        made = record("it broke \udc80", error_id="abc", exc_info=sys.exc_info())
    line = json.loads(JsonLines().format(made))
    assert line.pop("time").endswith("+00:00")
    assert line.pop("exception").endswith("ZeroDivisionError: nothing")
    assert line == {
        "level": "error",
        "logger": "runwire.x",
        "message": "it broke \udc80",
        "request_id": "from-a-proxy",
        "error_id": "abc",
    }


@pytest.mark.parametrize("presented", [None, "", "a b", "x" * 129, "new\nline", "-dash", "ü"])
def test_an_id_that_may_not_stand_in_a_log_is_replaced(presented: str | None) -> None:
    given = begin_request(presented)
    assert given != presented
    assert len(given) == 32
    assert begin_request("a-b.c:1/2+3=") == "a-b.c:1/2+3="


def test_others_are_logged_from_warnings_on(monkeypatch: pytest.MonkeyPatch) -> None:
    root, ours = logging.getLogger(), logging.getLogger("runwire")
    before = root.level, ours.level
    try:
        monkeypatch.setattr(root, "handlers", [])
        configure_logging("text", "debug")
        configure_logging("json", "debug")
        (handler,) = root.handlers
        assert isinstance(handler.formatter, JsonLines)
        assert (root.level, ours.level) == (logging.WARNING, logging.DEBUG)
        configure_logging("text", "error")
        assert (root.level, ours.level) == (logging.ERROR, logging.ERROR)
        own = logging.NullHandler()
        root.handlers[:] = [own]
        configure_logging("text", "warning")
        assert root.handlers == [own]
    finally:
        root.setLevel(before[0])
        ours.setLevel(before[1])


@pytest.mark.parametrize("written", [True, False])
def test_a_server_logs_json_with_ids_and_no_tokens(tmp_path: Path, written: bool) -> None:
    port = free_port()
    configured = "logging: {format: json, level: info}" if written else "logging: {level: info}"
    (tmp_path / "runwire.yaml").write_text(
        f"auth: {{token: {TOKEN}}}\n{configured}\n", encoding="utf-8"
    )
    arguments = ["serve", "--home", str(tmp_path), "--port", str(port)]
    if not written:
        arguments += ["--log-format", "json"]
    url, headers = f"http://127.0.0.1:{port}/graphql", {"Authorization": f"Bearer {TOKEN}"}
    with started(tmp_path, *arguments) as process:
        lines_until(process, "GraphiQL")
        with httpx.Client(trust_env=False, headers=headers) as client:
            document = {"query": "query Version { instance { version } }"}
            chosen = client.post(url, json=document, headers={"X-Request-Id": "mine-1"})
            made = client.post(url, json=document, headers={"X-Request-Id": "not this one"})
            with client.stream("POST", url, content=b"{", headers={"Host": "\x01"}) as odd:
                odd.read()
        process.terminate()
        assert process.stdout is not None
        said = process.stdout.read()
        assert process.wait(PATIENCE_SECONDS) == 0
    assert chosen.headers["x-request-id"] == "mine-1"
    assert len(made.headers["x-request-id"]) == 32
    assert TOKEN not in said
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    operations = [line for line in lines if line["logger"] == "runwire.operations"]
    assert [line["request_id"] for line in operations] == [
        "mine-1",
        made.headers["x-request-id"],
    ]
    assert {line["operation"] for line in operations} == {"Version"}
    assert {line["outcome"] for line in operations} == {"ok"}
    # What uvicorn itself has to say looks the same.
    assert [line["message"] for line in lines if line["logger"] == "uvicorn.error"] == [
        "Invalid HTTP request received."
    ]
