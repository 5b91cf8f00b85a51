"""Children, forked and spawned: what they get, how their end is told, and what goes with them."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from runwire.processes.exits import UNKNOWN_EXIT
from runwire.processes.forking import ForkingStarter
from runwire.processes.spawning import SpawningStarter
from runwire.processes.starter import Child, ChildStarter
from tests.processes.conftest import Refusing, Request, fork_server

PATIENCE = 30.0


def is_gone(pid: int) -> bool:
    """Whether a process has ended; a zombie whose parent does not look has."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_gone(pid):
        assert time.monotonic() < deadline, f"process {pid} lives on"
        time.sleep(0.01)


def read_pid(file: Path) -> int:
    deadline = time.monotonic() + PATIENCE
    while not (file.exists() and file.read_text().endswith("\n")):
        assert time.monotonic() < deadline, f"{file} was not written"
        time.sleep(0.01)
    return int(file.read_text())


def test_runs_its_entry_with_payload_output_and_directory(
    starter: ChildStarter, request_of: Request, folder: Path
) -> None:
    code = "print(os.getcwd(), len(payload)); print('bad', file=sys.stderr)"
    with starter.start(request_of(code)) as child:
        assert child.wait(PATIENCE) == 0
    assert (folder / "out").read_text() == f"{folder} {len(code)}\n"
    assert (folder / "err").read_text() == "bad\n"


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        ("pass", 0),
        ("sys.exit(3)", 3),
        ("os._exit(7)", 7),
        ("raise ValueError", 1),
        ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
    ],
)
def test_its_end_is_told_once_it_has_ended(
    starter: ChildStarter, request_of: Request, code: str, exit_code: int
) -> None:
    with starter.start(request_of(code)) as child:
        readable, _, _ = select.select([child.fileno()], [], [], PATIENCE)
        assert readable == [child.fileno()]
        assert child.wait(0) == exit_code
        assert child.wait() == exit_code


def test_waiting_for_one_that_lives_ends_with_the_time(
    starter: ChildStarter, request_of: Request
) -> None:
    with starter.start(request_of("time.sleep(600)")) as child:
        assert child.wait(0.05) is None
        child.send_signal(signal.SIGKILL)
        assert child.wait(PATIENCE) == -signal.SIGKILL


def test_large_payloads_arrive_whole(starter: ChildStarter, request_of: Request) -> None:
    code = "assert len(payload) > 5_000_000 and payload.endswith(b'#end')\n" + "#" * 5_000_000
    with starter.start(request_of(code + "#end")) as child:
        assert child.wait(PATIENCE) == 0


def test_a_channel_joins_both_ends(starter: ChildStarter, request_of: Request) -> None:
    ours, theirs = socket.socketpair()
    ours.settimeout(PATIENCE)
    code = "os.write(channel, os.read(channel, 5)[::-1])"
    with ours, starter.start(request_of(code, channel=theirs.fileno())) as child:
        theirs.close()
        ours.sendall(b"abcde")
        assert ours.recv(5) == b"edcba"
        assert child.wait(PATIENCE) == 0
        assert ours.recv(5) == b""


def test_it_leads_a_group_of_its_own_which_ends_with_it(
    starter: ChildStarter, request_of: Request, folder: Path
) -> None:
    """What a child leaves running in its group is killed at its end."""
    code = (
        "assert os.getpgrp() == os.getpid()\n"
        "left = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "open('left', 'w').write(f'{left.pid}\\n')"
    )
    with starter.start(request_of(code)) as child:
        assert child.wait(PATIENCE) == 0
    wait_until_gone(read_pid(folder / "left"))


def test_it_joins_the_group_that_it_is_told(starter: ChildStarter, request_of: Request) -> None:
    with starter.start(request_of("time.sleep(600)")) as leader:
        with starter.start(
            request_of(f"sys.exit(0 if os.getpgrp() == {leader.pid} else 1)", group=leader.pid)
        ) as member:
            assert member.wait(PATIENCE) == 0
        assert leader.wait(0) is None
        leader.send_signal(signal.SIGKILL)
        leader.wait(PATIENCE)


def test_a_bound_child_is_killed_with_the_hold_on_it(
    starter: ChildStarter, request_of: Request
) -> None:
    child = starter.start(request_of("time.sleep(600)", bound=True))
    child.close()
    child.close()
    wait_until_gone(child.pid)


def test_others_outlive_the_hold_on_them(
    starter: ChildStarter, request_of: Request, folder: Path
) -> None:
    code = "open('alive', 'w').write(f'{os.getpid()}\\n')\ntime.sleep(600)"
    child = starter.start(request_of(code))
    child.close()
    pid = read_pid(folder / "alive")
    assert pid == child.pid
    assert not is_gone(pid)
    os.kill(pid, signal.SIGKILL)


def test_user_code_reads_an_empty_standard_input(
    starter: ChildStarter, request_of: Request
) -> None:
    with starter.start(request_of("sys.exit(len(os.read(0, 10)))")) as child:
        assert child.wait(PATIENCE) == 0


def descriptors_of(code_output: str) -> set[str]:
    return set(code_output.split())


needs_forks = pytest.mark.skipif(sys.platform != "linux", reason="forks are for Linux")


@needs_forks
def test_forks_keep_no_descriptor_of_the_server(request_of: Request, folder: Path) -> None:
    """However many live, each has its standard streams and nothing of another's."""
    refused = SpawningStarter()
    with fork_server(folder) as (path, _):
        starter = ForkingStarter(path, refused)
        first = starter.start(request_of("time.sleep(600)", bound=True))
        with starter.start(request_of("print(*os.listdir('/proc/self/fd'))")) as second:
            assert second.wait(PATIENCE) == 0
        with starter.start(request_of("print(*os.listdir('/proc/self/fd'))")) as third:
            assert third.wait(PATIENCE) == 0
        first.close()
    before, after = (folder / "out").read_text().splitlines()
    # Their own folder is listed by a descriptor, whose number is any that is free.
    assert len(descriptors_of(before)) == len(descriptors_of(after))


@needs_forks
def test_forks_draw_other_random_numbers(request_of: Request, folder: Path) -> None:
    with fork_server(folder) as (path, _):
        starter = ForkingStarter(path, SpawningStarter())
        for _ in range(2):
            with starter.start(request_of("print(random.random())")) as child:
                assert child.wait(PATIENCE) == 0
    first, second = (folder / "out").read_text().split()
    assert first != second


@needs_forks
def test_without_its_fork_server_children_are_spawned(request_of: Request, folder: Path) -> None:
    spawning = SpawningStarter(environment={"PYTHONPATH": str(folder)})
    with fork_server(folder) as (path, pid):
        starter = ForkingStarter(path, spawning)
        os.kill(pid, signal.SIGKILL)
        wait_until_gone(pid)
        with starter.start(request_of("sys.exit(5)")) as child:
            assert child.wait(PATIENCE) == 5


@needs_forks
def test_a_child_outlives_its_fork_server_and_its_end_is_still_seen(
    request_of: Request, folder: Path
) -> None:
    """With which exit code nobody can tell any more."""
    with fork_server(folder) as (path, pid):
        child: Child = ForkingStarter(path, SpawningStarter()).start(
            request_of("open('alive', 'w').write(f'{os.getpid()}\\n')\ntime.sleep(600)", bound=True)
        )
        alive = read_pid(folder / "alive")
        os.kill(pid, signal.SIGKILL)
        wait_until_gone(pid)
        assert child.wait(0.05) is None
        assert not is_gone(alive)
        child.send_signal(signal.SIGTERM)
        assert child.wait(PATIENCE) == UNKNOWN_EXIT
        child.close()


@needs_forks
def test_a_bound_child_goes_with_the_hold_also_without_its_fork_server(
    request_of: Request, folder: Path
) -> None:
    with fork_server(folder) as (path, pid):
        child = ForkingStarter(path, SpawningStarter()).start(
            request_of("open('alive', 'w').write(f'{os.getpid()}\\n')\ntime.sleep(600)", bound=True)
        )
        alive = read_pid(folder / "alive")
        os.kill(pid, signal.SIGKILL)
        wait_until_gone(pid)
        child.close()
        wait_until_gone(alive)


@needs_forks
def test_a_request_that_breaks_off_does_not_stop_the_server(
    request_of: Request, folder: Path
) -> None:
    with fork_server(folder) as (path, _):
        for garbage in (
            b"",
            b"nonsense\n",
            b'{"size": 10}\nabc',
            b"{}\n",
            b"[]\n",
            b'{"size": null}\n',
            b'{"size": 0}\n',
        ):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as broken:
                broken.connect(path)
                broken.sendall(garbage)
        starter = ForkingStarter(path, SpawningStarter())
        with starter.start(request_of("sys.exit(5)")) as child:
            assert child.wait(PATIENCE) == 5


@needs_forks
def test_a_request_that_is_slow_does_not_hold_up_others(
    request_of: Request, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runwire.processes.fork_server.REQUEST_SECONDS", 0.3)
    over = threading.Event()

    def drip(slow: socket.socket) -> None:
        with suppress(OSError):  # it is given up
            while not over.wait(0.05):
                slow.send(b"x")

    with fork_server(folder) as (path, _), socket.socket(socket.AF_UNIX) as slow:
        slow.connect(path)
        slow.send(b"x")
        thread = threading.Thread(target=drip, args=(slow,))
        thread.start()
        try:
            with ForkingStarter(path, Refusing()).start(request_of("sys.exit(5)")) as child:
                assert child.wait(PATIENCE) == 5
        finally:
            over.set()
            thread.join()


def test_a_thread_that_does_not_end_keeps_no_child(
    starter: ChildStarter, request_of: Request, folder: Path
) -> None:
    """Functions that were registered for the exit are called, though."""
    code = (
        "import atexit\n"
        "threading.Thread(target=time.sleep, args=(600,)).start()\n"
        "atexit.register(lambda: open('called', 'w').close())"
    )
    with starter.start(request_of(code)) as child:
        assert child.wait(PATIENCE) == 0
    assert (folder / "called").exists()


def test_a_function_for_the_exit_that_does_not_end_keeps_no_child(
    starter: ChildStarter, request_of: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import atexit, runwire.processes.entry as entry\n"
        "entry.EXIT_SECONDS = 0.1\n"
        "atexit.register(time.sleep, 600)\n"
        "sys.exit(3)"
    )
    with starter.start(request_of(code)) as child:
        assert child.wait(PATIENCE) == 3


@needs_forks
def test_a_signal_that_comes_at_once_is_the_child_s_own(request_of: Request, folder: Path) -> None:
    """It does not run what the fork server does at signals."""
    with fork_server(folder, handles_signals=True) as (path, _):
        starter = ForkingStarter(path, SpawningStarter())
        for _ in range(40):
            with starter.start(request_of("time.sleep(600)", bound=True)) as child:
                child.send_signal(signal.SIGTERM)
                assert child.wait(PATIENCE) == -signal.SIGTERM
    assert not (folder / "handled").exists()


@needs_forks
def test_a_child_of_which_nobody_was_told_does_not_begin(request_of: Request, folder: Path) -> None:
    """The fork server dies after the fork: whoever asked asks elsewhere, and it would be there twice."""
    spawning = SpawningStarter(environment={"PYTHONPATH": str(folder)})
    code = "open('begun', 'a').write('x'); time.sleep(0.5)"
    with fork_server(folder, fault="fork_server.after_fork") as (path, pid):
        with ForkingStarter(path, spawning).start(request_of(code)) as child:
            assert child.wait(PATIENCE) == 0
        wait_until_gone(pid)
    assert (folder / "begun").read_text() == "x"
