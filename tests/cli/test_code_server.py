"""``runwire code-server``."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest

from tests.cli.conftest import Invoke
from tests.cli.served import JOBS, PATIENCE_SECONDS, free_port, serving
from tests.cli.test_serve import lines_until, started

TOKEN = "a-token-of-16-or-more"


@pytest.fixture(autouse=True)
def no_token_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNWIRE_CODE_SERVER_TOKEN", raising=False)


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    file = tmp_path / "jobs.py"
    file.write_text(JOBS, encoding="utf-8")
    return file


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_is_and_ends_when_told(jobs: Path, number: signal.Signals) -> None:
    port = free_port()
    with started(jobs.parent, "code-server", "-f", jobs.name, "--port", str(port)) as process:
        said = lines_until(process, "code server on ")
        process.send_signal(number)
        assert process.wait(PATIENCE_SECONDS) == 0
    assert said == [f"code server on 127.0.0.1:{port}"]


def test_its_socket_is_for_this_user_only_and_goes_with_it(jobs: Path) -> None:
    path = jobs.parent / "s"
    with started(jobs.parent, "code-server", "-m", "jobs", "--socket", "s") as process:
        assert lines_until(process, "code server on ") == [f"code server on unix:{path}"]
        assert path.stat().st_mode & 0o077 == 0
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0
    assert not path.exists()


def test_a_socket_that_a_killed_server_left_is_taken_over(jobs: Path) -> None:
    path = jobs.parent / "s"
    for _ in range(2):
        with started(jobs.parent, "code-server", "-f", "jobs.py", "--socket", "s") as process:
            lines_until(process, "code server on ")
            process.kill()
            process.wait(PATIENCE_SECONDS)
        assert path.is_socket()


def test_definitions_that_do_not_load_are_told_and_served(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("1 / 0\n", encoding="utf-8")
    with started(tmp_path, "code-server", "-f", "bad.py", "--port", "0") as process:
        said = lines_until(process, "code server on ")
    assert said[-2] == (
        f"the definitions did not load: {tmp_path / 'bad.py'}:1:"
        " loading the definitions raised ZeroDivisionError: division by zero"
    )


def test_a_server_elsewhere_runs_its_jobs(jobs: Path, tmp_path: Path, invoke: Invoke) -> None:
    port = free_port()
    variables = {"RUNWIRE_CODE_SERVER_TOKEN": TOKEN}
    place = tmp_path / "elsewhere"
    place.mkdir()
    (place / "workspace.yaml").write_text(
        f"load_from: [grpc_server: {{port: {port}, token: {TOKEN}, location_name: shop}}]\n",
        encoding="utf-8",
    )
    arguments = ("code-server", "-f", jobs.name, "--port", str(port))
    with started(tmp_path, *arguments, variables=variables) as process:
        lines_until(process, "code server on ")
        with serving(place, "-w", "workspace.yaml") as server:
            result = invoke("run", "submit", "good", "--follow", "--url", server.url)
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0
    assert result.exit_code == 0, result.stderr


# -------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-f", "jobs.py"], "name where to listen: --port or --socket"),
        (
            ["-f", "jobs.py", "--port", "1", "--socket", "s"],
            "name where to listen: --port or --socket",
        ),
        (["--port", "1"], "name what to serve: -f FILE or -m MODULE"),
        (
            ["-f", "jobs.py", "-m", "jobs", "--port", "1"],
            "name what to serve: -f FILE or -m MODULE",
        ),
        (["-f", "no.py", "--port", "1"], "there is no file no.py"),
    ],
)
def test_what_is_not_one_place_and_one_source_is_refused(
    invoke: Invoke,
    jobs: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(jobs.parent)
    result = invoke("code-server", *arguments)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"error: {message}\n")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "example.org"])
def test_beyond_loopback_a_token_is_demanded(invoke: Invoke, jobs: Path, host: str) -> None:
    result = invoke("code-server", "-f", str(jobs), "--host", host, "--port", "0")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"error: to listen on '{host}', set RUNWIRE_CODE_SERVER_TOKEN: whoever can call a code server"
        " can run code on this machine\n"
    )


def test_beyond_loopback_it_listens_with_a_token(jobs: Path) -> None:
    variables = {"RUNWIRE_CODE_SERVER_TOKEN": TOKEN}
    arguments = ("code-server", "-f", "jobs.py", "--host", "0.0.0.0", "--port", "0")
    with started(jobs.parent, *arguments, variables=variables) as process:
        said = lines_until(process, "code server on ")
    assert said[-1].startswith("code server on 0.0.0.0:")


def test_a_token_that_is_too_short_is_refused_and_not_repeated(
    invoke: Invoke, jobs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNWIRE_CODE_SERVER_TOKEN", "hush")
    result = invoke("code-server", "-f", str(jobs), "--port", "0")
    assert result.exit_code == 2
    assert result.stderr == (
        "error: RUNWIRE_CODE_SERVER_TOKEN is not valid:\n"
        "  token: a token has at least 16 characters, all of them printable ASCII\n"
    )


def test_a_port_in_use_is_one_line(invoke: Invoke, jobs: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = invoke("code-server", "-f", str(jobs), "--port", str(port))
    assert result.exit_code == 69
    assert result.stderr == (
        f"error: cannot listen on 127.0.0.1 port {port}: address already in use;"
        " choose another host or port\n"
    )


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("jobs.py", "there is something else"),
        ("listening", "another server does"),
        ("no/s", "there is no folder {folder}/no"),
        ("x" * 120, "its path is longer than 100 characters"),
    ],
)
def test_a_socket_that_cannot_be_listened_on_is_one_line(
    invoke: Invoke,
    jobs: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    problem: str,
) -> None:
    folder = jobs.parent
    monkeypatch.chdir(folder)
    before = signal.getsignal(signal.SIGTERM)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind("listening")
        other.listen()
        result = invoke("code-server", "-f", "jobs.py", "--socket", name)
    assert result.exit_code == 69
    assert result.stderr == (
        f"error: cannot listen on the socket {folder / name}:"
        f" {problem.format(folder=folder)}; choose another path\n"
    )
    assert signal.getsignal(signal.SIGTERM) == before
