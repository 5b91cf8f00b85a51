"""What mutations of many runs share: how they work through them, and how they tell of failures."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from itertools import islice

import strawberry
from strawberry import ID

from runwire.api.context import ApiContext
from runwire.api.rows import result
from runwire.api.runs.errors import RunStateConflict, TerminateFailed
from runwire.api.user_errors import MESSAGE, UserError
from runwire.control import BulkFailure as FailureRow
from runwire.control import BulkOutcome
from runwire.errors import RunStateConflictError, TerminateFailedError
from runwire.events.entry import storable_text
from runwire.runs.run import RunRecord

DEFAULT_BULK_RUNS = 1000

CHUNK = 50
"""How many runs are dealt with in one go: so long a server that stops, or a caller that is gone, is waited for."""


@result("What the storage keeps of the run cannot be read; nothing was changed.")
class RunDamaged(UserError):
    """What the storage keeps of the run cannot be read; nothing was changed."""

    message: str = strawberry.field(description=MESSAGE)


@result("A run that a bulk mutation could not deal with.")
class BulkFailure:
    """A run that a bulk mutation could not deal with."""

    run_id: ID = strawberry.field(description="The id of the run.")
    error: UserError = strawberry.field(description="Why not.")


async def in_chunks(
    records: Sequence[RunRecord],
    act: Callable[[list[RunRecord]], Awaitable[BulkOutcome]],
) -> BulkOutcome:
    """Does something with runs, some at a time."""
    whole, rest = BulkOutcome(), iter(records)
    while chunk := list(islice(rest, CHUNK)):
        outcome = await act(chunk)
        whole.records.extend(outcome.records)
        whole.failures.extend(outcome.failures)
    return whole


async def tell_failures(failures: Sequence[FailureRow], context: ApiContext) -> list[BulkFailure]:
    """Tells of failures."""
    return [
        BulkFailure(run_id=ID(failure.run_id), error=await _tell(failure.error, context))
        for failure in failures
    ]


async def _tell(error: Exception, context: ApiContext) -> UserError:
    match error:
        case RunStateConflictError():
            return await RunStateConflict.of(error, context)
        case TerminateFailedError():
            return await TerminateFailed.of(error, context)
        case _:
            return RunDamaged(message=storable_text(str(error)))
