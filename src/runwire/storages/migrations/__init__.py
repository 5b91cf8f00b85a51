"""The one chain of migrations of the stored schema."""

HEAD_REVISION = "0004"
"""The newest revision of the chain. Revisions are numbers of four digits, in order.

It is written here, and compared with the chain by a test, because reading the chain costs the import of
Alembic, which nothing but a migration needs.
"""

LOG_REVISION = "0001"
"""The newest revision that changes the event logs of runs where each has a file of its own: the one that they have.

Those after it leave such logs as they are, however many there are.
"""

MIGRATE_COMMAND = "python -m runwire.storages.migrations"
"""What migrates the databases of a base folder; the folder follows."""
