"""The command line as a whole: help, version, and servers that are not there."""

from __future__ import annotations

import subprocess

import pytest

from runwire import __version__
from tests.cli.conftest import Invoke
from tests.cli.served import command, environment, free_port

CLIENT_COMMANDS = [
    ["run", "submit", "job"],
    ["run", "list"],
    ["run", "show", "a"],
    ["run", "tail", "a"],
    ["run", "terminate", "a"],
    ["run", "delete", "a", "--yes"],
    ["instance", "info"],
]


def test_the_version_is_the_packages(invoke: Invoke) -> None:
    result = invoke("--version")
    assert (result.exit_code, result.stdout) == (0, f"runwire {__version__}\n")


@pytest.mark.parametrize("arguments", [[], ["run"], ["instance"], ["schema"]])
def test_a_group_alone_shows_its_help(invoke: Invoke, arguments: list[str]) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert "Usage: " in result.output


def test_the_help_tells_the_exit_codes(invoke: Invoke) -> None:
    result = invoke("--help")
    words = " ".join(result.stdout.split())
    assert result.exit_code == 0
    assert "Exit codes: 0 done, or the run ended in SUCCESS; 1 failed" in words


def test_the_help_starts_without_the_server_and_without_gql() -> None:
    heavy = {"strawberry", "starlette", "uvicorn", "sqlalchemy", "grpc", "gql", "aiohttp"}
    program = (
        "import sys\n"
        "from runwire.cli.app import app\n"
        "app(['--help'], standalone_mode=False)\n"
        f"print(sorted({heavy!r} & set(sys.modules)))"
    )
    [python, *_] = command()
    done = subprocess.run(
        [python, "-c", program], capture_output=True, text=True, env=environment(), check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("arguments", CLIENT_COMMANDS)
def test_a_server_that_is_not_there_is_one_line_and_69(
    invoke: Invoke, arguments: list[str]
) -> None:
    url = f"http://127.0.0.1:{free_port()}/graphql"
    result = invoke(*arguments, "--url", url)
    assert (result.exit_code, result.stdout) == (69, "")
    assert result.stderr == (
        f"error: no runwire server answers at {url}: connection refused;"
        " start one with `runwire dev`, or name another with --url\n"
    )


@pytest.mark.parametrize("url", ["", "nonsense", "ftp://x/graphql", "http://", "http://x:99999/"])
def test_an_address_that_is_none_is_one_line_and_2(invoke: Invoke, url: str) -> None:
    result = invoke("run", "list", f"--url={url}")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"error: {url!r} is no address of a server; write it like http://127.0.0.1:3333/graphql\n"
    )
