"""``runwire webhook``: what becomes of webhooks, and what is done about them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runwire.client import RunwireClient
from tests.cli.conftest import Invoke
from tests.cli.served import Served, serving
from tests.webhooks.receiver import SECRET, Receiver, Reply, a_receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with a_receiver() as receiver:
        yield receiver


def configure(home: Path, receiver: Receiver, **fields: object) -> None:
    webhook = {
        "name": "hook",
        "url": receiver.url,
        "secret": SECRET,
        "allow_private_networks": True,
        "events": ["RUN_SUCCESS"],
        "retry": {"initial_seconds": 0.05, "max_seconds": 0.1, "max_refusals": 2},
        **fields,
    }
    home.mkdir(exist_ok=True)
    (home / "runwire.yaml").write_text(json.dumps({"webhooks": [webhook]}))


@pytest.fixture
def served(tmp_path: Path, receiver: Receiver) -> Iterator[Served]:
    """A server with its daemons, and a webhook."""
    configure(tmp_path / "home", receiver)
    with serving(tmp_path) as running:
        yield running


def test_events_are_given_up_listed_and_sent_again(
    served: Served, receiver: Receiver, invoke: Invoke
) -> None:
    receiver.reply = lambda got: Reply(422)
    with RunwireClient(served.url) as client:
        while client.list_webhooks()[0].cursor is None:
            time.sleep(0.02)
        client.submit("good")
    receiver.wait_for(lambda: len(receiver.requests) >= 2)
    letters: list[str] = []
    while not letters:
        found = invoke("webhook", "dead-letters", "hook", "--json", "--url", served.url)
        letters = found.stdout.splitlines()
    (letter,) = map(json.loads, letters)
    assert (letter["eventType"], letter["statusCode"]) == ("RUN_SUCCESS", 422)
    shown = invoke("webhook", "dead-letters", "hook", "--url", served.url)
    assert letter["eventId"] in shown.stdout

    listed = invoke("webhook", "list", "--url", served.url)
    head, line = listed.stdout.splitlines()
    assert head.split() == ["NAME", "URL", "STATUS", "LAG", "TAKEN", "DEAD", "LAST"]
    assert line.split()[:2] == ["hook", f"http://127.0.0.1:{receiver.port}"]
    assert line.split()[4:6] == ["0", "1"]
    assert "it answered 422" in line

    receiver.reply = lambda got: Reply()
    refused = invoke("webhook", "redeliver", "hook", "--url", served.url)
    assert (refused.exit_code, refused.stdout) == (2, "")
    again = invoke("webhook", "redeliver", "hook", letter["eventId"], "--url", served.url)
    assert again.stdout == "1 to be sent again\n"
    receiver.wait_for_accepted(1)
    assert receiver.ids() == [letter["eventId"]]
    for got in receiver.accepted:
        got.verify()
    every = invoke("webhook", "redeliver", "hook", "--all", "--url", served.url)
    assert every.exit_code == 0


def test_it_is_paused_and_resumed(served: Served, invoke: Invoke) -> None:
    url = ("--url", served.url)
    assert invoke("webhook", "pause", "hook", *url).stdout == "hook is PAUSED\n"
    (line,) = invoke("webhook", "list", "--json", *url).stdout.splitlines()
    assert json.loads(line)["status"] == "PAUSED"
    assert invoke("webhook", "resume", "hook", *url).stdout == "hook is RUNNING\n"
    for command in ("pause", "resume", "dead-letters"):
        wrong = invoke("webhook", command, "hok", *url)
        assert wrong.exit_code == 2
        assert wrong.stderr == "error: there is no webhook 'hok'; there are: hook\n"


def test_a_test_is_sent_from_here(tmp_path: Path, receiver: Receiver, invoke: Invoke) -> None:
    configure(tmp_path, receiver)
    home = ("--home", str(tmp_path))
    sent = invoke("webhook", "test", "hook", *home)
    assert sent.stdout.startswith("it answered 200 after ")
    (got,) = receiver.accepted
    got.verify()
    assert (got.event.type, got.event.data) == ("TEST", None)

    receiver.reply = lambda got: Reply(500)
    failed = invoke("webhook", "test", "hook", *home)
    assert (failed.exit_code, failed.stderr) == (1, "error: it answered 500\n")

    configure(tmp_path, receiver, allow_private_networks=False)
    kept = invoke("webhook", "test", "hook", *home)
    assert kept.exit_code == 1
    assert "127.0.0.1 is not an address of the public internet" in kept.stderr
    assert len(receiver.requests) == 2

    assert "there is no webhook 'hok'" in invoke("webhook", "test", "hok", *home).stderr
    assert "name the instance's home" in invoke("webhook", "test", "hook").stderr
