"""A receiver of webhooks: an HTTP server on loopback that does as it is told, and keeps what it got."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

from runwire import clock
from runwire.webhooks.event import WebhookEvent
from runwire.webhooks.signature import ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, sign

KEY = b"a key of thirty-two random bytes"
SECRET = "whsec_" + base64.b64encode(KEY).decode()


@dataclass
class Reply:
    """What is answered."""

    code: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    after_seconds: float = 0.0


@dataclass
class Got:
    """A request."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def event(self) -> WebhookEvent:
        return msgspec.json.decode(self.body, type=WebhookEvent)

    @property
    def run_id(self) -> str:
        data = self.event.data
        assert data is not None
        return data.run_id

    def verify(self, key: bytes = KEY) -> None:
        event_id, timestamp = self.headers[ID_HEADER], int(self.headers[TIMESTAMP_HEADER])
        signatures = self.headers[SIGNATURE_HEADER].split(" ")
        assert sign(key, event_id, timestamp, self.body) in signatures
        assert abs(clock.timestamp() - timestamp) < 300
        assert self.event.id == event_id


class Receiver:
    """Keeps all requests, and those that it answered with 2xx."""

    def __init__(self) -> None:
        self.requests: list[Got] = []
        self.accepted: list[Got] = []
        self.reply: Callable[[Got], Reply] = lambda got: Reply()
        self.most_at_once = 0
        self._at_once = 0
        self._changed = threading.Condition()
        self.port = 0
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def ids(self) -> list[str]:
        """The ids of the accepted events, each once, in the order in which they came first."""
        with self._changed:
            return list(dict.fromkeys(got.event.id for got in self.accepted))

    def types(self) -> list[str]:
        with self._changed:
            return [got.event.type for got in self.accepted]

    def wait_for(self, is_so: Callable[[], bool], seconds: float = 60.0) -> None:
        with self._changed:
            assert self._changed.wait_for(is_so, seconds), f"{len(self.accepted)} were accepted"

    def wait_for_accepted(self, count: int, seconds: float = 60.0) -> None:
        self.wait_for(lambda: len({got.event.id for got in self.accepted}) >= count, seconds)

    def up(self) -> None:
        """Begins to listen, at the port of before if there was one."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers["content-length"])
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver._answer(
                    self, Got(self.path, headers, self.rfile.read(length), clock.timestamp())
                )

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_: Any) -> None:
                pass  # the sender has gone

        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def down(self) -> None:
        """Stops to listen."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _answer(self, handler: BaseHTTPRequestHandler, got: Got) -> None:
        with self._changed:
            self.requests.append(got)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            reply = self.reply(got)
        time.sleep(reply.after_seconds)
        with self._changed:
            self._at_once -= 1
            if 200 <= reply.code < 300:
                self.accepted.append(got)
            self._changed.notify_all()
        handler.send_response(reply.code)
        for name, value in {"content-length": str(len(reply.body)), **reply.headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(reply.body)


@contextmanager
def a_receiver() -> Iterator[Receiver]:
    """A receiver that listens."""
    receiver = Receiver()
    receiver.up()
    try:
        yield receiver
    finally:
        receiver.down()
