"""Processes that are kept alive are ended whatever becomes of who keeps them."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from multiprocessing.process import BaseProcess

import pytest

from runwire.cli.supervising import end, keep_alive
from runwire.processes.ending import Ending


def _finish(processes: Sequence[BaseProcess]) -> None:
    end(processes, 30.0)


def test_those_that_live_are_ended_when_one_cannot_be_started() -> None:
    started: list[BaseProcess] = []

    def start(number: int) -> BaseProcess:
        if number == 1:
            raise OSError("no more processes")
        process = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(300,))
        process.start()
        started.append(process)
        return process

    try:
        with pytest.raises(OSError, match="no more processes"):
            keep_alive(2, start, Ending(), lambda: None, _finish)
        assert [process.exitcode is None for process in started] == [False]
    finally:
        end(started, 30.0)
