"""A server that plays S3, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

SERVER = """
import sys
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True)
print(server.server_port, flush=True)
server.serve_forever()
"""


@contextmanager
def s3_server() -> Iterator[Mapping[str, Any]]:
    """Plays S3; gives the options by which fsspec reaches it."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        yield {
            "key": "somebody",
            "secret": "nothing",
            "endpoint_url": f"http://127.0.0.1:{port}",
        }
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
