"""Reads of a storage that may not answer for a moment."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar

from runwire.errors import StorageDamagedError, StorageUnavailableError
from runwire.lanes import Lanes

logger = logging.getLogger(__name__)

T = TypeVar("T")

_FIRST_PAUSE_SECONDS = 0.05
_MAX_PAUSE_SECONDS = 2.0


class PatientReads:
    """Reads in the lane for streams; asks again, for a while, where a storage does not answer.

    Args:
        lanes: where it reads.
        give_up_seconds: for how long it asks again.
        waits: whether the reads wait for news, for which there is another lane.
    """

    def __init__(self, lanes: Lanes, give_up_seconds: float, *, waits: bool = False) -> None:
        self._run = lanes.watch if waits else lanes.catch_up
        self._give_up_seconds = give_up_seconds

    async def read(self, read: Callable[[], T]) -> T:
        """What a function reads.

        Raises:
            StorageUnavailableError: there was no good answer for too long; a damaged storage is not asked
                again.
        """
        loop = asyncio.get_running_loop()
        give_up_at, pause = loop.time() + self._give_up_seconds, _FIRST_PAUSE_SECONDS
        while True:
            try:
                return await self._run(read)
            except StorageDamagedError:
                raise
            except StorageUnavailableError as error:
                if loop.time() + pause > give_up_at:
                    raise
                logger.warning("trying again in %s s: %s", pause, error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _MAX_PAUSE_SECONDS)
