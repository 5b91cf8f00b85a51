"""Starts a server with the example jobs, submits a run over GraphQL and prints its events as they come.

python examples/demo.py           then serves until Ctrl-C, with GraphiQL to look around
python examples/demo.py --once    ends after the run: exit code 0 if it ended in SUCCESS
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from runwire.client import RunEvent, RunwireClient

CHECKOUT = Path(__file__).resolve().parents[1]
JOBS = CHECKOUT / "examples" / "clock_changes.py"
JOB = "clock_changes"
FIRST_PORT = 3333
PORT_TAKEN = 69  # the exit code of `runwire dev` then

say = partial(print, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs one of the example jobs and shows it live.")
    parser.add_argument("--once", action="store_true", help="end after the run")
    once = parser.parse_args().once
    with (
        home(temporary=once) as folder,
        server(folder) as (process, url),
        RunwireClient(url) as client,
    ):
        succeeded = run_and_watch(client)
        if once:
            return 0 if succeeded else 1
        say(f"\nGraphiQL: {client.url}   (Ctrl-C ends)")
        process.wait()
    return 0


def run_and_watch(client: RunwireClient) -> bool:
    """Submits a run (GraphQL over HTTP) and prints its events (a GraphQL subscription)."""
    client.wait_until_ready()
    run = client.submit_run(JOB, tags={"from": "demo"}).run
    say(f"\nrun {run.run_id} of {run.job_name} is submitted; its events, as they come:\n")
    for batch in client.follow_run(run.run_id):
        for event in batch.records:
            say(told(event))
        run = batch.run
    say(f"\nrun {run.run_id} ended in {run.status.value}")
    return run.status.value == "SUCCESS"


def told(event: RunEvent) -> str:
    """An event of a run in a line."""
    kind = event.event_type or event.level
    time = event.timestamp.astimezone()
    return f"{event.position:>4}  {time:%H:%M:%S.%f}  {event.step_key or '':<16}  {kind:<22}  {event.message}"


@contextmanager
def server(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`runwire dev` on the example jobs, and where it answers."""
    process, url = start_server(folder)
    try:
        yield process, url
    finally:
        process.terminate()
        process.communicate()


def start_server(folder: Path) -> tuple[subprocess.Popen[str], str]:
    """Starts it on its usual port, or on the next one that is free."""
    for port in filter(is_free, range(FIRST_PORT, FIRST_PORT + 100)):
        command = [sys.executable, "-m", "runwire.cli", "dev", "--file", str(JOBS)]
        place = ["--home", str(folder), "--host", "127.0.0.1", "--port", str(port)]
        process = subprocess.Popen([*command, *place], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("GraphiQL"):
                if port != FIRST_PORT:
                    say(f"port {FIRST_PORT} is taken, so this takes {port}")
                return process, line.split()[1]
        if process.wait() != PORT_TAKEN:
            raise SystemExit("the server did not start")
    raise SystemExit(f"ports {FIRST_PORT} to {FIRST_PORT + 99} are all taken")


def is_free(port: int) -> bool:
    """Whether nobody listens on a port of this machine."""
    with suppress(OSError), socket.create_server(("127.0.0.1", port)):
        return True
    return False


@contextmanager
def home(*, temporary: bool) -> Iterator[Path]:
    """Where the server keeps runs and events: `.runwire` in this checkout, or a folder that goes away."""
    if temporary:
        with tempfile.TemporaryDirectory(prefix="runwire-demo-") as folder:
            say(f"home: {folder} (temporary)")
            yield Path(folder)
    else:
        say(f"home: {CHECKOUT / '.runwire'}")
        yield CHECKOUT / ".runwire"


if __name__ == "__main__":
    os.environ.pop("RUNWIRE_TOKEN", None)  # A server of our own, for us alone.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with suppress(KeyboardInterrupt):
        sys.exit(main())
