"""PostgreSQL's errors, translated once: which database, what is wrong, what mends it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from runwire.errors import StorageUnavailableError

_PROBLEMS = {
    "28P01": "it refuses the user; check username and password",
    "28000": "it refuses the user; check username, password and pg_hba.conf",
    "3D000": "there is no such database; create it",
    "42501": "the user lacks a privilege; grant it what is in its schema",
    "53100": "its disk is full; free some space",
    "53300": "it has no connection left; raise max_connections, or lower pool_size",
    "55P03": "another transaction holds a lock for too long; find out which, then try again",
    "57014": "a statement took longer than statement_timeout_seconds; ask for less, or raise it",
    "57P01": "it was shut down; start it again",
    "57P02": "it crashed; see its log",
    "57P03": "it is starting or stopping; try again soon",
    "25006": "it takes no writes; is it a standby?",
    "40P01": "two transactions waited for each other; try again",
    "40001": "a transaction came in the way; try again",
}

_COMES_AND_GOES = frozenset({"57P01", "57P02", "57P03", "53300"})
"""It is stopping, has crashed, is starting, or has no connection left for the moment."""

_CONFLICTS = frozenset({"40001", "40P01"})
"""Its transaction was rolled back in favour of another one."""

_REFUSALS = ("authentication failed", "does not exist", "no pg_hba.conf entry")
"""What it says when it was reached; the driver gives no code with what it says while connecting."""


class RepeatableError(StorageUnavailableError):
    """Nothing of a transaction was stored, and it may go well when all of it is done again."""


class OutcomeUnknownError(StorageUnavailableError):
    """The connection was lost while a transaction committed, so it may have been stored or not."""


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Raises what the driver raises as StorageUnavailableError.

    Args:
        place: the database as users know it, without its password.

    Raises:
        StorageUnavailableError: the database cannot be read or written.
    """
    try:
        yield
    except PoolTimeoutError as error:
        raise StorageUnavailableError(
            f"{place}: all connections are in use; raise pool_size"
        ) from error
    except (DBAPIError, psycopg.Error) as error:
        raise translation(_cause(error), place) from error


@contextmanager
def repeatable_told(place: str) -> Iterator[None]:
    """For a transaction before it commits: what came in its way, and that its connection was lost, is repeatable.

    Raises:
        RepeatableError: nothing was stored.
    """
    try:
        yield
    except (DBAPIError, psycopg.Error) as error:
        cause = _cause(error)
        if is_unreachable(cause) or _is_conflict(cause):
            raise RepeatableError(str(translation(cause, place))) from error
        raise


@contextmanager
def outcome_told(place: str) -> Iterator[None]:
    """For a commit: only what the database itself refused was certainly not stored.

    Raises:
        RepeatableError: nothing was stored.
        OutcomeUnknownError: the connection was lost.
    """
    try:
        yield
    except (DBAPIError, psycopg.Error) as error:
        cause = _cause(error)
        if _is_conflict(cause):
            raise RepeatableError(str(translation(cause, place))) from error
        if is_unreachable(cause):
            told = " ".join(str(cause).split())
            raise OutcomeUnknownError(
                f"{place}: the connection was lost while a transaction committed, so it may have been stored or"
                f" not; look before you do it again ({told})"
            ) from error
        raise


def is_unreachable(error: BaseException) -> bool:
    """Whether no connection was had, or it was lost, and trying again may help."""
    cause = _cause(error)
    if not isinstance(cause, psycopg.OperationalError):
        return False
    if cause.sqlstate is not None:
        return cause.sqlstate in _COMES_AND_GOES
    told = str(cause)
    return not any(refusal in told for refusal in _REFUSALS)


def _cause(error: BaseException) -> BaseException:
    """What the driver raised, if SQLAlchemy has wrapped it."""
    return error.orig or error if isinstance(error, DBAPIError) else error


def _is_conflict(cause: BaseException) -> bool:
    return isinstance(cause, psycopg.Error) and cause.sqlstate in _CONFLICTS


def translation(error: BaseException, place: str) -> StorageUnavailableError:
    """What an error of the driver means."""
    state = getattr(error, "sqlstate", None)
    told = " ".join(str(error).split())
    if state in _PROBLEMS:
        problem = _PROBLEMS[state]
    elif "password authentication failed" in told:
        problem = _PROBLEMS["28P01"]
    elif '" does not exist' in told and 'database "' in told:
        problem = _PROBLEMS["3D000"]
    elif state is None and isinstance(error, psycopg.OperationalError):
        problem = "it cannot be reached, or the connection was lost; is it running?"
    else:
        problem = "PostgreSQL refused"
    return StorageUnavailableError(f"{place}: {problem} ({told})")
