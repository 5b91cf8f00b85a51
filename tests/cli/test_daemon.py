"""``runwire daemon`` as processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import Popen

import pytest

from runwire import __version__, clock
from runwire.error_info import ErrorInfo
from runwire.instance import Instance
from runwire.storage import DaemonHeartbeat
from runwire.testing.left_behind import pause
from tests.cli.conftest import Invoke
from tests.daemons.ticks_off import NO_TICKS

PATIENCE = 60.0

YAML = """
daemons:
  heartbeat_interval_seconds: 0.2
  heartbeat_tolerance_seconds: 2
  lease_seconds: 1
"""

DAEMONS = ["BACKFILLS", "MONITORING", "SCHEDULER", "SENSORS"]

NEVER = "".join(
    f"{daemon} is NOT_RUNNING: it never beat; start it with `runwire daemon`\n"
    for daemon in DAEMONS
)

Start = Callable[..., "Popen[str]"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "runwire.yaml").write_text(YAML)
    return tmp_path


@pytest.fixture
def start(home: Path) -> Iterator[Start]:
    """Starts a process that runs daemons, in which nothing else is known of the home."""
    started: list[Popen[str]] = []

    def start(*command: str, **variables: str) -> Popen[str]:
        command = command or ("daemon", "run")
        process = Popen(
            [sys.executable, "-m", "runwire.cli", *command, "--home", str(home)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=home,
            env={**os.environ, **variables},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def wait_for_line(process: Popen[str], wanted: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == wanted:
            return
    raise AssertionError(f"it ended without saying {wanted!r}")


def check_liveness(home: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "runwire.cli", "daemon", "liveness-check", "--home", str(home)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


WORKING, STANDING_BY = "daemon    SENSORS: working", "daemon    SENSORS: standing by"
"""What is told last."""


def test_a_stand_by_takes_over_from_one_that_was_killed(home: Path, start: Start) -> None:
    first = start()
    wait_for_line(first, WORKING)
    second = start()
    wait_for_line(second, STANDING_BY)
    first.send_signal(signal.SIGKILL)
    wait_for_line(second, WORKING)
    assert check_liveness(home) == (0, "every required daemon is live\n")


def test_one_that_dies_with_a_fresh_lease_is_replaced(home: Path, start: Start) -> None:
    first = start(RUNWIRE_FAULT_POINT=f"daemon.after_lease:{home / 'died'}")
    assert first.wait(PATIENCE) == -signal.SIGKILL
    assert check_liveness(home)[0] == 1
    wait_for_line(start(), WORKING)
    assert check_liveness(home)[0] == 0


def test_it_ends_in_order_and_the_liveness_check_tells(home: Path, start: Start) -> None:
    before = sorted(home.rglob("*"))
    for _ in range(2):  # who looks makes nothing
        assert check_liveness(home) == (
            1,
            NEVER,
        )
        assert sorted(home.rglob("*")) == before
    Instance.from_home(home).dispose()
    code, said = check_liveness(home)
    assert (code, said) == (
        1,
        NEVER,
    )
    process = start()
    wait_for_line(process, WORKING)
    assert check_liveness(home)[0] == 0
    process.terminate()
    assert process.wait(PATIENCE) == 0
    code, said = check_liveness(home)
    assert code == 1
    told = re.findall(r"^(\w+) is NOT_RUNNING: its last heartbeat is of 20", said, re.MULTILINE)
    assert told == DAEMONS


def test_one_that_fell_silent_is_stale(home: Path, start: Start) -> None:
    process = start()
    wait_for_line(process, WORKING)
    pause(process.pid)
    end = time.monotonic() + PATIENCE
    while "MONITORING is STALE" not in check_liveness(home)[1]:
        assert time.monotonic() < end, "it was not found to be stale"


def test_without_a_command_it_runs_them_and_says_where(home: Path, start: Start) -> None:
    process = start("daemon")
    assert process.stdout is not None
    said = [process.stdout.readline().rstrip("\n") for _ in range(2 + len(DAEMONS))]
    working = [f"daemon    {each}: working" for each in DAEMONS]
    assert said == [f"runwire {__version__}", f"home      {home}", *working]
    assert working[-1] == WORKING
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize(("option", "code"), [((), 1), (("--daemons",), 0)])
def test_serve_runs_them_only_when_it_is_asked(
    home: Path, start: Start, option: tuple[str, ...], code: int
) -> None:
    process = start("serve", "--port", "0", *option)
    wait_for_line(process, "Ctrl-C stops the server.")
    end = time.monotonic() + PATIENCE
    while check_liveness(home)[0] != code:
        assert time.monotonic() < end, "they do not beat"
    process.terminate()
    assert process.wait(PATIENCE) == 0
    assert check_liveness(home)[0] == 1


def test_with_no_daemon_enabled_it_says_so_and_waits(home: Path, start: Start) -> None:
    (home / "runwire.yaml").write_text(f"run_monitoring: {{enabled: false}}{NO_TICKS}")
    assert check_liveness(home) == (0, "every required daemon is live\n")
    process = start()
    wait_for_line(process, "runwire.yaml enables no daemon; Ctrl-C ends this process.")
    assert process.poll() is None
    process.terminate()
    assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize(
    ("seconds_ago", "code", "said"),
    [
        (0, 0, "every required daemon is live\n"),
        (61, 1, "MONITORING is STUCK: it has made no progress since 20"),
    ],
)
def test_errors_alone_do_not_fail_the_liveness_check(
    tmp_path: Path, invoke: Invoke, seconds_ago: float, code: int, said: str
) -> None:
    (tmp_path / "runwire.yaml").write_text(NO_TICKS)
    now = clock.timestamp()
    with Instance.from_home(tmp_path) as instance:
        instance.add_daemon_heartbeat(
            DaemonHeartbeat(
                daemon_type="MONITORING",
                daemon_id="one",
                hostname="box",
                timestamp=now,
                progress_at=now - seconds_ago,
                errors=(ErrorInfo("locked"),),
            )
        )
    result = invoke("daemon", "liveness-check", "--home", str(tmp_path))
    assert (result.exit_code, result.output[: len(said)]) == (code, said)


def test_without_a_home_it_says_what_is_missing(home: Path) -> None:
    environ = {key: value for key, value in os.environ.items() if key != "RUNWIRE_HOME"}
    done = subprocess.run(
        [sys.executable, "-m", "runwire.cli", "daemon"],
        capture_output=True,
        text=True,
        check=False,
        env=environ,
    )
    assert done.returncode != 0
    assert "name the instance's home: --home or RUNWIRE_HOME" in done.stderr


def test_daemons_need_nothing_of_the_server() -> None:
    heavy = "{'strawberry', 'graphql', 'starlette', 'uvicorn'}"
    code = f"import sys, runwire.cli.daemon_running; print({heavy} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout == "set()\n"
