"""``runwire dev`` and ``runwire serve``."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from runwire.cli import serving
from runwire.client import NotAuthorizedError, RunwireClient
from runwire.workspace import CodeLocationStatus
from tests.cli.conftest import Invoke
from tests.cli.served import JOBS, PATIENCE_SECONDS, Served, command, environment, free_port

TOKEN = "a-token-of-16-or-more"


@contextmanager
def started(
    folder: Path, *arguments: str, variables: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command(*arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        env={**environment(), **(variables or {})},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def lines_until(process: subprocess.Popen[str], beginning: str) -> list[str]:
    """What a process says up to the line that begins so."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if line.startswith(beginning):
            return lines
    raise AssertionError(f"it ended: {lines}")


def test_dev_keeps_its_data_where_it_stands_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "jobs.py").write_text(JOBS, encoding="utf-8")
    port = free_port()
    with started(tmp_path, "dev", "-f", "jobs.py", "--port", str(port)) as process:
        said = lines_until(process, "location")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 0
    assert said[1:] == [
        f"home      {tmp_path / '.runwire'} (RUNWIRE_HOME is not set)",
        f"GraphiQL  http://127.0.0.1:{port}/graphql",
        "Ctrl-C stops the server.",
        "location  jobs: LOADED, jobs: bad, gated, good",
    ]
    assert (tmp_path / ".runwire" / ".gitignore").read_text(encoding="utf-8") == "*\n"


def test_dev_uses_the_home_that_the_environment_names(tmp_path: Path) -> None:
    (tmp_path / "jobs.py").write_text(JOBS, encoding="utf-8")
    variables = {"RUNWIRE_HOME": str(tmp_path / "home")}
    with started(tmp_path, "dev", "-m", "jobs", "--port", "0", variables=variables) as process:
        said = lines_until(process, "location")
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0
    assert said[1] == f"home      {tmp_path / 'home'}"
    assert said[-1] == "location  jobs: LOADED, jobs: bad, gated, good"
    assert not (tmp_path / ".runwire").exists()


def test_dev_goes_on_when_a_file_raises_and_shows_why(tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "jobs.py").write_text(JOBS, encoding="utf-8")
    (tmp_path / "broken.py").write_text("import runwire\n\n1 / 0\n", encoding="utf-8")
    served = Served(tmp_path, ("-f", "broken.py", "-f", "jobs.py"))
    try:
        broken, jobs = served.start()
        result = invoke("run", "submit", "good", "--follow", "--url", served.url)
        info = invoke("instance", "info", "--url", served.url)
    finally:
        served.stop()
    assert (broken.name, broken.status) == ("broken", CodeLocationStatus.FAILED)
    assert (jobs.name, jobs.status) == ("jobs", CodeLocationStatus.LOADED)
    assert result.exit_code == 0
    told = dict(re.split(r" {2,}", line, maxsplit=1) for line in info.stdout.splitlines())
    assert told["location jobs"] == "LOADED"
    assert told["location broken"].startswith("FAILED: ")
    assert told["location broken"].endswith("ZeroDivisionError: division by zero")
    said = served.log.read_text(encoding="utf-8")
    failed = said[said.index("location  broken: FAILED: ") :]
    assert "ZeroDivisionError" in failed
    assert 'broken.py", line 3' in failed


def test_dev_wants_something_to_serve(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke("dev")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "error: name what to serve: -f FILE, -m MODULE or -w FILE; or write workspace.yaml here\n"
    )
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------- workspace files


def _write_workspace(folder: Path, name: str = "workspace.yaml") -> Path:
    (folder / "jobs.py").write_text(JOBS, encoding="utf-8")
    file = folder / name
    file.write_text(
        "load_from: [python_file: {relative_path: jobs.py, location_name: shop}]", encoding="utf-8"
    )
    return file


@pytest.mark.parametrize("command_name", ["dev", "serve"])
def test_the_workspace_file_here_is_served_unless_another_is_named(
    tmp_path: Path, command_name: str
) -> None:
    (tmp_path / "home").mkdir()
    _write_workspace(tmp_path)
    (tmp_path / "other").mkdir()
    other = _write_workspace(tmp_path / "other", "mine.yaml")
    other.write_text(other.read_text().replace("shop", "store"), encoding="utf-8")
    base = (command_name, "--home", "home", "--port", "0")
    for arguments, line in (
        (base, "location  shop: LOADED, jobs: bad, gated, good"),
        ((*base, "-w", str(other)), "location  store: LOADED, jobs: bad, gated, good"),
        ((*base, "-f", "jobs.py"), "location  jobs: LOADED, jobs: bad, gated, good"),
    ):
        with started(tmp_path, *arguments) as process:
            assert lines_until(process, "location")[-1] == line


@pytest.mark.parametrize("command_name", ["dev", "serve"])
def test_code_locations_are_named_in_one_way(
    invoke: Invoke, tmp_path: Path, command_name: str
) -> None:
    file = _write_workspace(tmp_path)
    home = tmp_path / "home"
    result = invoke(command_name, "-w", str(file), "-m", "jobs", "--home", str(home))
    assert result.exit_code == 2
    assert result.stderr == "error: name code locations by -w, or by -f and -m\n"
    assert not home.exists()


def test_a_workspace_file_is_refused_with_every_key_path(invoke: Invoke, tmp_path: Path) -> None:
    file = tmp_path / "workspace.yaml"
    file.write_text("load_from: [{python_flie: a.py}, {grpc_server: {}}]", encoding="utf-8")
    result = invoke("dev", "-w", str(file), "--home", str(tmp_path / "home"))
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        f"error: {file} is not valid:",
        "  load_from.0.python_flie: there is no such key; remove it or mend its name",
        "  load_from.1.grpc_server: name exactly one of port and socket",
    ]
    missing = invoke("dev", "-w", str(tmp_path / "no.yaml"))
    assert missing.exit_code == 2
    assert missing.stderr == (
        f"error: {tmp_path / 'no.yaml'} is not valid:\n  (top level): there is no such file\n"
    )


# --------------------------------------------------------------------------------------- changes


def test_dev_loads_a_file_anew_when_it_changes(tmp_path: Path) -> None:
    jobs = tmp_path / "jobs.py"
    jobs.write_text(JOBS, encoding="utf-8")
    with started(tmp_path, "dev", "-f", "jobs.py", "--port", "0") as process:
        lines_until(process, "location  jobs: LOADED, jobs: bad, gated, good")
        jobs.write_text("1 / 0\n", encoding="utf-8")
        lines_until(process, f"location  jobs: FAILED: {jobs}:1: loading the definitions raised")
        jobs.write_text(JOBS.replace("def good", "def better"), encoding="utf-8")
        lines_until(process, "location  jobs: LOADED, jobs: bad, better, gated")


def test_only_dev_watches_files_and_only_unless_told(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def run_server(*_: object, reloads_on_change: bool = False, **_options: object) -> None:
        asked.append(reloads_on_change)

    monkeypatch.setattr(serving, "run_server", run_server)
    _write_workspace(tmp_path)
    monkeypatch.chdir(tmp_path)
    for arguments in (["dev"], ["dev", "--no-reload"], ["serve"]):
        assert invoke(*arguments, "--home", str(tmp_path)).exit_code == 0
    assert asked == [True, False, False]


def test_a_code_server_that_is_killed_is_told_and_started_again(tmp_path: Path) -> None:
    (tmp_path / "jobs.py").write_text(JOBS, encoding="utf-8")
    arguments = ("serve", "-f", "jobs.py", "--home", str(tmp_path), "--port", "0")
    with started(tmp_path, *arguments) as process:
        lines_until(process, "location  jobs: LOADED, jobs: bad, gated, good")
        pid = _code_server_of(process.pid)
        os.kill(pid, signal.SIGKILL)
        told = lines_until(process, "location  jobs: LOADED, jobs: bad, gated, good")
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0
    assert told[0].endswith(
        f"code location jobs is started again: its process (pid {pid}) was killed by SIGKILL"
    )


def _code_server_of(pid: int) -> int:
    """The pid of the code server that a process has started."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            if parent == str(pid) and b"code_server" in (folder / "cmdline").read_bytes():
                return int(folder.name)
    raise AssertionError("there is none")


def test_dev_wants_a_file_that_is_there(invoke: Invoke, tmp_path: Path) -> None:
    file = tmp_path / "no.py"
    result = invoke("dev", "-f", str(file), "--home", str(tmp_path / "home"))
    assert result.exit_code == 2
    assert result.stderr == f"error: there is no file {file}\n"


def test_serve_wants_a_home(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("serve")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: name the instance's home: --home or RUNWIRE_HOME;")
    missing = invoke("serve", "--home", str(tmp_path / "no"))
    assert missing.exit_code == 2
    assert missing.stderr == (
        f"error: the home {tmp_path / 'no'} is not a folder; make it, or name another\n"
    )
    assert not (tmp_path / "no").exists()


def test_a_home_that_cannot_be_made_is_one_line(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "jobs.py").touch()
    home = tmp_path / "jobs.py" / "home"
    result = invoke("dev", "-f", str(tmp_path / "jobs.py"), "--home", str(home))
    assert result.exit_code == 2
    assert result.stderr == (
        f"error: the home {home} cannot be made or written: Not a directory;"
        " name another with --home\n"
    )


def test_a_home_that_cannot_be_written_is_one_line(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() == 0:  # root may write everywhere
        monkeypatch.setattr(os, "access", lambda *_: False)
    tmp_path.chmod(0o500)
    result = invoke("serve", "--home", str(tmp_path))
    tmp_path.chmod(0o700)
    assert result.exit_code == 2
    assert result.stderr == f"error: the home {tmp_path} cannot be written; mend its permissions\n"


def test_a_corrupt_configuration_is_told_with_every_key_path(
    invoke: Invoke, tmp_path: Path
) -> None:
    (tmp_path / "runwire.yaml").write_text(
        "name: ''\nserver: {port: many, hots: x}\nauth: {token: {env: NOT_SET_ANYWHERE}}\n",
        encoding="utf-8",
    )
    result = invoke("serve", "--home", str(tmp_path))
    assert result.exit_code == 2
    head, *problems = result.stderr.splitlines()
    assert head == f"error: {tmp_path / 'runwire.yaml'} is not valid:"
    assert sorted(line.partition(": ")[0] for line in problems) == [
        "  auth.token",
        "  name",
        "  server.hots",
        "  server.port",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["runwire.yaml"]


def test_a_configuration_that_is_no_yaml_is_told(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "runwire.yaml").write_text("server: [", encoding="utf-8")
    result = invoke("serve", "--home", str(tmp_path))
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {tmp_path / 'runwire.yaml'} is not valid:\n")


def test_a_port_in_use_is_one_line(invoke: Invoke, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = invoke("serve", "--home", str(tmp_path), "--port", str(port))
    assert (result.exit_code, result.stderr.count("\n")) == (69, 1)
    assert result.stderr.startswith(
        f"error: cannot listen on 127.0.0.1 port {port}: address already in use; "
    )


def test_beyond_loopback_a_token_is_demanded(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("serve", "--home", str(tmp_path), "--host", "0.0.0.0", "--port", "0")
    assert result.exit_code == 2
    assert result.stderr.startswith(
        "error: to listen on '0.0.0.0', set RUNWIRE_TOKEN, auth.token, auth.tokens or auth.jwt"
    )


def test_a_key_without_a_certificate_is_refused(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("serve", "--home", str(tmp_path), "--tls-key", "key.pem")
    assert (result.exit_code, result.stderr) == (
        2,
        "error: --tls-key goes with --tls-certificate; name both\n",
    )


def test_two_files_of_one_name_are_refused(invoke: Invoke, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "jobs.py").touch()
    files = ["-f", str(tmp_path / "a" / "jobs.py"), "-f", str(tmp_path / "b" / "jobs.py")]
    result = invoke("serve", "--home", str(tmp_path), *files)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: two code locations are named 'jobs';")


def test_serve_listens_where_the_configuration_says_and_asks_for_its_token(
    tmp_path: Path, invoke: Invoke
) -> None:
    port = free_port()
    (tmp_path / "runwire.yaml").write_text(
        f"name: mine\nserver: {{port: {port}}}\nauth: {{token: {TOKEN}}}\n", encoding="utf-8"
    )
    url = f"http://127.0.0.1:{port}/graphql"
    with started(tmp_path, "serve", "--home", str(tmp_path)) as process:
        said = lines_until(process, "GraphiQL")
        without = invoke("run", "list", "--url", url)
        wrong = invoke("run", "list", "--url", url, "--token", "another-token")
        right = invoke("instance", "info", "--url", url, "--token", TOKEN)
        with RunwireClient(url, TOKEN) as client:
            run_id = client.create_run("outside", managed=True).run.run_id
            client.report_events(run_id, [{"eventType": "RUN_SUCCESS", "message": "done"}])
            statuses = [batch.run.status.value for batch in client.follow_run(run_id)]
        with (
            RunwireClient(url, "another-token") as stranger,
            pytest.raises(NotAuthorizedError),
        ):
            next(stranger.follow_run(run_id))
    assert said[-1] == f"GraphiQL  {url}"
    for refused in (without, wrong):
        assert (refused.exit_code, refused.stdout) == (77, "")
        assert refused.stderr.endswith("; give its token with --token or RUNWIRE_TOKEN\n")
        assert refused.stderr.count("\n") == 1
    assert right.exit_code == 0
    assert right.stdout.splitlines()[0].split() == ["instance", "mine"]
    assert statuses[-1] == "SUCCESS"
