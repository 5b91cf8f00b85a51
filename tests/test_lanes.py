"""What lanes tell of their calls."""

from __future__ import annotations

import asyncio
import threading

from runwire.lanes import Lanes


def test_a_call_whose_caller_left_is_pending_until_it_has_ended() -> None:
    lanes, runs, may_end = Lanes(), threading.Event(), threading.Event()

    def work() -> None:
        runs.set()
        may_end.wait(30)

    async def leave() -> None:
        caller = asyncio.create_task(lanes.write(work))
        await asyncio.to_thread(runs.wait, 30)
        caller.cancel()
        await asyncio.wait([caller])
        assert caller.cancelled()

    try:
        asyncio.run(leave())
        assert lanes.times["writer"].pending == 1
    finally:
        may_end.set()
        lanes.close()
    assert lanes.times["writer"].pending == 0
    assert sum(lanes.times["writer"].counts) == 1
