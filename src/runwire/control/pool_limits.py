"""Setting and taking away the limits of concurrency pools."""

from __future__ import annotations

from runwire.errors import InputInvalidError, PoolNotFoundError
from runwire.runs.pools import MAX_POOL_LIMIT, POOL_NAME, POOL_NAME_RULE
from runwire.storage.instance_storage import InstanceStorage
from runwire.storage.pool_storage import Pool


def set_pool_limit(storage: InstanceStorage, name: str, limit: int) -> Pool:
    """Sets how many steps may hold slots of a pool at once; returns the pool. Steps that have slots keep them.

    Raises:
        InputInvalidError: the name or the limit is refused; its path is ``name`` or ``limit``.
    """
    if not POOL_NAME.fullmatch(name):
        raise InputInvalidError(f"a pool's name has {POOL_NAME_RULE}", ["name"])
    if not 0 <= limit <= MAX_POOL_LIMIT:
        raise InputInvalidError(f"the limit is {limit}; give 0 to {MAX_POOL_LIMIT:,}", ["limit"])
    storage.pool_storage.set_pool_limit(name, limit)
    return find_pool(storage, name) or Pool(name=name, limit=limit)


def delete_pool_limit(storage: InstanceStorage, name: str) -> Pool:
    """Takes away the limit of a pool, so that the default limit holds; returns the pool as it is then.

    Raises:
        PoolNotFoundError: no limit was set for a pool of this name.
    """
    if not storage.pool_storage.delete_pool_limit(name):
        raise PoolNotFoundError(name)
    return find_pool(storage, name) or Pool(name=name, limit=None)


def find_pool(storage: InstanceStorage, name: str) -> Pool | None:
    """A pool; None when it has no limit of its own, and no step uses it or waits for it."""
    return next(iter(storage.pool_storage.get_pools([name])), None)
