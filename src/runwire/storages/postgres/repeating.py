"""Doing again what another transaction, or the loss of a connection, kept from being stored."""

from __future__ import annotations

import functools
import inspect
import logging
import random
import time
from collections.abc import Callable, Collection
from typing import ParamSpec, TypeVar

from runwire.errors import StorageUnavailableError
from runwire.storages.postgres.errors import RepeatableError

logger = logging.getLogger(__name__)

REPEATS = 5
"""How often what failed is done again."""

_PAUSE_SECONDS = 0.02
"""About how long to wait before the first time; twice as long before each that follows."""

P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C", bound=type)


def repeated(method: Callable[P, T]) -> Callable[P, T]:
    """Does all of it again when its last transaction stored nothing and may go well the next time.

    Earlier transactions of the method, if there are any, must not mind. One that is called in somebody else's
    transaction raises what the driver raised, and is so done again by whoever began that.

    Raises:
        StorageUnavailableError: besides what the method raises, when it failed each time.
    """

    @functools.wraps(method)
    def doing(*args: P.args, **kwargs: P.kwargs) -> T:
        for turn in range(REPEATS):
            try:
                return method(*args, **kwargs)
            except RepeatableError as error:
                logger.info("%s; doing it again", error)
            pause = _PAUSE_SECONDS * 2**turn
            time.sleep(random.uniform(0.5, 1.5) * pause)  # noqa: S311 - jitter
        try:
            return method(*args, **kwargs)
        except RepeatableError as error:
            raise StorageUnavailableError(f"{error}; it was tried {REPEATS + 1} times") from error

    return doing


def repeating(contract: type, *, apart_from: Collection[str]) -> Callable[[C], C]:
    """Makes the methods that a contract asks for repeat themselves, apart from some. Properties stay as they are.

    Args:
        contract: a class with abstract methods.
        apart_from: those that are no transaction as a whole, such as contexts and iterators.
    """
    names: frozenset[str] = contract.__abstractmethods__  # type: ignore[attr-defined]

    def made(made_class: C) -> C:
        for name in sorted(names - set(apart_from)):
            method = getattr(made_class, name)
            if inspect.isfunction(method):
                setattr(made_class, name, repeated(method))
        return made_class

    return made
