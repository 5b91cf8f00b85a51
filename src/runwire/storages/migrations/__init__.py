"""The one chain of migrations of the stored schema."""

HEAD_REVISION = "0009"
"""The newest revision of the chain. Revisions are numbers of four digits, in order.

It is written here, and compared with the chain by a test, because reading the chain costs the import of
Alembic, which nothing but a migration needs.
"""

LOG_REVISION = "0001"
"""The newest revision that changes the event logs of runs where each has a file of its own: the one that they have.

Those after it leave such logs as they are, however many there are.
"""

OLDEST_READABLE_LOG = "0001"
"""The oldest revision of such logs that this version reads.

An older log is migrated when it is written to; until then it is read as it is. A revision that adds what
reading asks for raises this to itself, and `runwire instance migrate` is needed before such logs are read.
"""

MIGRATE_COMMAND = "runwire instance migrate"
"""What migrates the stored data of an instance."""


def mend_of(found: str | None, newest: str) -> str:
    """What to do about a database whose revision is not the newest.

    Args:
        found: the revision that it has; None for none.
        newest: the one that this version reads and writes.
    """
    if found is None:
        return "it is no database of runwire; move it away, or name another place"
    if found > newest:
        return "a newer version of runwire wrote it; install that version or a newer one"
    return f"stop all processes of runwire that use it, make a copy, and run `{MIGRATE_COMMAND}`"
