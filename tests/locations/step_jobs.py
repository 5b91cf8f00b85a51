"""Definitions whose steps run in processes of their own, and do to these what they can."""

from __future__ import annotations

import ctypes
import os
import resource as rlimit
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from runwire import (
    AssetMaterialization,
    OpContext,
    Out,
    Output,
    ResourceContext,
    RetryPolicy,
    in_process_executor,
    job,
    multiprocess_executor,
    op,
    resource,
)

GENEROUS_SECONDS = 60.0

socket.setdefaulttimeout(
    0.3
)  # as a library may; it is for its own sockets, not for those of the engine


class Place(BaseModel):
    """Where an op leaves a mark."""

    folder: Path

    def mark(self, name: str, text: str = "") -> None:
        """Leaves it, whole."""
        part = self.folder / f".{name}"
        part.write_text(text)
        part.rename(self.folder / name)

    def await_mark(self, name: str) -> None:
        """Waits for it."""
        deadline = time.monotonic() + GENEROUS_SECONDS
        while not (self.folder / name).exists():
            assert time.monotonic() < deadline, f"no {name}"
            time.sleep(0.005)


# ---------------------------------------------------------------------------- what succeeds


@op
def one() -> int:
    return 1


@op
def be_silent() -> None:
    """For longer than the default time-out of sockets, which it finds set."""
    time.sleep(2 * (socket.getdefaulttimeout() or GENEROUS_SECONDS))


@job(executor_def=multiprocess_executor)
def silent() -> None:
    be_silent()


@op
def add(number: int) -> int:
    return number + 1


@op
def total(numbers: list[int]) -> int:
    return sum(numbers)


@job(executor_def=multiprocess_executor)
def chain() -> None:
    number = one()
    for _ in range(19):
        number = add(number)


@job(executor_def=multiprocess_executor.configured({"max_concurrent": 4}))
def fan() -> None:
    first = one()
    total([add.alias(f"add_{number}")(first) for number in range(98)])


@op(out={"left": Out(int, is_required=False), "right": Out(int, is_required=False)})
def branch() -> Iterator[Output[int]]:
    yield Output(1, "left")


@job(executor_def=multiprocess_executor)
def branches() -> None:
    left, right = branch()
    add.alias("taken")(left)
    skipped = add.alias("skipped")(right)
    total([left, skipped])


@op
def say(context: OpContext, config: Place) -> int:
    context.log.info("caf\udce9 %s", "\u2603")
    try:
        raise ValueError("no")
    except ValueError:
        context.log.exception("twice")
    context.log_event(AssetMaterialization("table", metadata={"rows": 10**30}))
    stored = context.instance
    config.mark("pid", str(os.getpid()))
    assert stored is not None
    context.log.info("run %s of %s", context.run_id, stored.settings.name)
    return os.getpid()


@job(executor_def=multiprocess_executor)
def saying() -> None:
    say()


@resource
def db(context: ResourceContext) -> Iterator[str]:
    context.log.info("open")
    yield "db"
    context.log.info("close")


@resource
def unused() -> str:
    raise AssertionError("no op of this step needs it")


@resource
def broken() -> str:
    raise ValueError("no such host")


@op(required_resource_keys=["db"])
def query(context: OpContext) -> str:
    return str(context.resources.db)


@op(required_resource_keys=["unused"])
def need_unused() -> None: ...


@op(required_resource_keys=["broken"])
def need_broken() -> None: ...


@job(executor_def=multiprocess_executor, resource_defs={"db": db})
def resources() -> None:
    query()


@job(
    executor_def=multiprocess_executor,
    resource_defs={"db": db, "unused": unused, "broken": broken},
)
def broken_resources() -> None:
    query()
    need_broken()


@resource
def dying_at_the_end() -> Iterator[int]:
    yield 1
    os.kill(os.getpid(), signal.SIGKILL)


@op(required_resource_keys=["dying"])
def use_dying() -> int:
    return 1


@job(executor_def=multiprocess_executor, resource_defs={"dying": dying_at_the_end})
def late_death() -> None:
    add(use_dying())


@job(executor_def=in_process_executor)
def here() -> None:
    one()


# ------------------------------------------------------------------------------ what does not


class Deadly:
    """Kills the process that pickles it."""

    def __reduce__(self) -> str:
        os.kill(os.getpid(), signal.SIGKILL)
        return ""


class How(BaseModel):
    """How an op ends."""

    ending: str


@op
def end(context: OpContext, config: How) -> Any:
    context.log.info("last words")
    match config.ending:
        case "exit 0":
            os._exit(0)
        case "exit 3":
            os._exit(3)
        case "segfault":
            ctypes.string_at(0)
        case "kill -9":
            os.kill(os.getpid(), signal.SIGKILL)
        case "sys.exit":
            sys.exit(4)
        case "raise":
            raise ValueError("no")
        case "disk full":
            # Files of this process cannot grow over this.
            rlimit.setrlimit(rlimit.RLIMIT_FSIZE, (4096, 4096))
            return "x" * 100_000
        case "killed while it is stored":
            return bytes(1_000_000), Deadly()
        case "printed":
            sys.stdout.write("printed after the last words\n")
            sys.stdout.flush()
            os._exit(1)
        case _:
            raise NotImplementedError(config.ending)
    return 1


@op(retry_policy=RetryPolicy(max_retries=2, delay=0.01))
def flaky(context: OpContext) -> int:
    if context.retry_number == 0:
        ctypes.string_at(0)
    if context.retry_number == 1:
        raise OSError("busy")
    return context.retry_number


@job(executor_def=multiprocess_executor)
def retried() -> None:
    add(flaky())


@job(executor_def=multiprocess_executor.configured({"retries": "disabled"}))
def not_retried() -> None:
    add(flaky())


@op
def many_lines(context: OpContext) -> int:
    for number in range(2000):
        context.log.info("line %d", number)
    os.kill(os.getpid(), signal.SIGKILL)
    return 1


@op
def unpicklable() -> Any:
    return threading.Lock()


@job(executor_def=multiprocess_executor.configured({"max_concurrent": 1}))
def ending() -> None:
    add.alias("dependant")(end())
    add.alias("independent_2")(one.alias("independent")())


@job(executor_def=multiprocess_executor)
def lines() -> None:
    many_lines()


@job(executor_def=multiprocess_executor)
def unpicklables() -> None:
    add(unpicklable())


@op
def leave_child(config: Place) -> int:
    if (pid := os.fork()) == 0:
        time.sleep(GENEROUS_SECONDS)
        os._exit(0)
    config.mark("child", str(pid))
    return 1


@op
def leave_child_and_die(config: Place) -> int:
    leave_child.fn(config)
    os._exit(5)


@job(executor_def=multiprocess_executor)
def children() -> None:
    add(leave_child())
    leave_child_and_die()


@op
def log_in_fork(context: OpContext) -> int:
    if (pid := os.fork()) == 0:
        try:
            context.log.info("a line of the fork")
            context.log_event(AssetMaterialization("table"))
        except RuntimeError:
            os._exit(7)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@op
def is_seven(number: int) -> None:
    assert number == 7


@job(executor_def=multiprocess_executor)
def forks() -> None:
    is_seven(log_in_fork())


# ------------------------------------------------------------------------- what is interrupted


def _sleep(config: Place, name: str) -> None:
    config.mark(name, str(os.getpid()))
    deadline = time.monotonic() + GENEROUS_SECONDS
    while time.monotonic() < deadline:
        time.sleep(0.1)


@op
def sleep(context: OpContext, config: Place) -> None:
    try:
        _sleep(config, context.step_key)
    finally:
        context.log.info("cleaned up")


@op
def sleep_stubbornly(context: OpContext, config: Place) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _sleep(config, context.step_key)


@job(executor_def=multiprocess_executor.configured({"max_concurrent": 3}))
def sleeping() -> None:
    sleep.alias("a")()
    sleep.alias("b")()
    sleep_stubbornly.alias("c")()
    one.alias("d")()


@op
def wait_for_go(context: OpContext, config: Place) -> int:
    config.mark("pid", str(os.getpid()))
    config.await_mark("go")
    context.log.info("went on")
    return 1


@job(executor_def=multiprocess_executor)
def waiting() -> None:
    add(wait_for_go())


@op
def work_long(context: OpContext, config: Place) -> None:
    config.mark("pid", str(os.getpid()))
    context.log.info("working")
    while True:
        sum(range(1000))


@job(executor_def=multiprocess_executor)
def working() -> None:
    work_long()


@op
def tell_when_told(context: OpContext, config: Place) -> None:
    config.mark("tell", str(os.getpid()))
    config.await_mark("go")
    context.log_event(AssetMaterialization("table"))
    config.mark("told")


@job(executor_def=multiprocess_executor.configured({"max_concurrent": 2}))
def fenced() -> None:
    sleep.alias("a")()
    tell_when_told()
