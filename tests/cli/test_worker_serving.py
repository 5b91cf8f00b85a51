"""``runwire serve --workers``: several processes behind one address, kept alive and ended together."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from runwire.client import RunwireClient
from runwire.instance import Instance
from runwire.workspace import CodeLocationStatus
from tests.cli.conftest import Invoke
from tests.cli.served import JOBS, PATIENCE_SECONDS, free_port
from tests.cli.test_serve import lines_until, started
from tests.server.conftest import closed, greet


@pytest.fixture
def home(tmp_path: Path, postgres_url: str) -> Path:
    """A home on PostgreSQL, whose workers have ports of their own."""
    made = tmp_path / "home"
    made.mkdir()
    first = free_port_pair()
    (made / "runwire.yaml").write_text(
        f"storage: {{postgres: {{postgres_url: '{postgres_url}'}}}}\n"
        f"server: {{worker_ports_from: {first}}}\nlogging: {{format: json}}\n",
        encoding="utf-8",
    )
    (tmp_path / "ports").write_text(str(first))
    return made


def free_port_pair() -> int:
    """The first of two ports in a row that were free a moment ago."""
    while True:
        first = free_port()
        with suppress(OSError, OverflowError), socket.create_server(("127.0.0.1", first + 1)):
            return first


@contextmanager
def serving(home: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    """The process, its URL, and those of its two workers."""
    first = int((home.parent / "ports").read_text())
    command = ["serve", "--home", str(home), "--port", "0", "--workers", "2", *arguments]
    with started(home.parent, *command) as process:
        url = lines_until(process, "GraphiQL")[-1].split()[-1].removesuffix("/graphql")
        own = [f"http://127.0.0.1:{first + number}" for number in range(2)]
        for each in own:
            eventually(partial(get, each, "/livez"))
        yield process, url, own


def get(url: str, path: str) -> httpx.Response | None:
    with httpx.Client(trust_env=False, timeout=30) as client, suppress(httpx.TransportError):
        return client.get(f"{url}{path}")
    return None


def eventually(find: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE_SECONDS
    while not (found := find()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def workers_of(pid: int) -> list[int]:
    """The pids of the workers that a process has started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            if parent == str(pid) and b"spawn_main" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return sorted(found)


def is_gone(pid: int) -> bool:
    """Whether a process has ended, whoever has to take note of it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


async def test_workers_serve_one_instance_and_end_together(home: Path) -> None:
    folder = home.parent
    (folder / "jobs.py").write_text(JOBS, encoding="utf-8")
    (folder / "workspace.yaml").write_text(
        "load_from: [grpc_server: {socket: s, location_name: jobs}]", encoding="utf-8"
    )
    with (
        started(folder, "code-server", "-f", "jobs.py", "--socket", "s") as code,
        serving(home, "--daemons") as (process, url, own),
    ):
        lines_until(code, "code server on ")
        lines_until(process, "location  jobs: LOADED")
        for each in own:
            with RunwireClient(f"{each}/graphql") as client:
                (location,) = client.wait_until_ready(PATIENCE_SECONDS)
                assert location.status is CodeLocationStatus.LOADED
            ready = eventually(partial(get, each, "/readyz"))
            assert ready.json()["checks"]["codeLocations"]["loaded"] == 1
        with RunwireClient(f"{url}/graphql") as client:
            run_id = client.submit_run("good").run.run_id
            statuses = [batch.run.status.value for batch in client.follow_run(run_id)]
        assert statuses[-1] == "SUCCESS"
        with Instance.from_home(home) as instance:
            beats = eventually(instance.storage.run_storage.list_daemon_heartbeats)
        assert len({beat.daemon_id for beat in beats}) == 1
        pids = workers_of(process.pid)
        assert len(pids) == 2
        protocols = [Subprotocol("graphql-transport-ws")]
        sockets = [
            await connect(
                each.replace("http", "ws") + "/graphql", proxy=None, subprotocols=protocols
            )
            for each in own
        ]
        for opened in sockets:
            await greet(opened)
        process.terminate()
        for opened in sockets:
            assert (await closed(opened))[0] == 1012
        assert process.wait(PATIENCE_SECONDS) == 0
        assert all(is_gone(pid) for pid in pids)


def test_a_worker_that_dies_is_started_again(home: Path) -> None:
    with serving(home) as (process, url, own):
        before = workers_of(process.pid)
        os.kill(before[0], signal.SIGKILL)
        told = lines_until(process, '{"time"')[-1]
        assert f"(pid {before[0]}) was killed by SIGKILL; another is started in 0 s" in told
        after = eventually(lambda: pids if len(pids := workers_of(process.pid)) == 2 else None)
        assert len({*before, *after}) == 3
        for each in (*own, url):
            eventually(partial(get, each, "/livez"))


def test_workers_end_when_nobody_is_left_to_end_them(home: Path) -> None:
    with serving(home) as (process, _, _):
        pids = workers_of(process.pid)
        process.kill()
        process.wait(PATIENCE_SECONDS)
        eventually(lambda: all(is_gone(pid) for pid in pids))


def test_what_is_not_for_several_processes_is_refused(
    invoke: Invoke, tmp_path: Path, home: Path
) -> None:
    result = invoke("serve", "--home", str(tmp_path), "--workers", "2")
    assert result.exit_code == 2
    assert result.stderr == (
        "error: --workers 2 needs PostgreSQL as the storage: set storage.postgres in runwire.yaml, or"
        " leave --workers out\n"
    )
    (tmp_path / "jobs.py").write_text(JOBS, encoding="utf-8")
    arguments = ["-f", str(tmp_path / "jobs.py"), "--port", "0", "--workers", "2"]
    result = invoke("serve", "--home", str(home), *arguments)
    assert result.exit_code == 2
    assert result.stderr == (
        "error: with --workers, code locations are code servers, loaded once for all workers: start jobs"
        " by `runwire code-server`, and name it in workspace.yaml as grpc_server\n"
    )
