"""The asset index counts materializations by partition, and remembers wipes."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa
from alembic import context, op

revision = "0006"
down_revision = "0005"

_CHUNK = 500
"""How many counts are in memory at once."""

_COUNTER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Counts what the instance-wide log has. Logs stay as they are."""
    if context.config.attributes["scope"] == "log":
        return
    op.rename_table("assets", "assets_0005")
    op.create_table(
        "assets",
        sa.Column("asset_key", _TEXT, primary_key=True),
        sa.Column("last_materialization", _COUNTER),
        sa.Column("last_observation", _COUNTER),
        sa.Column("last_planned", _COUNTER),
        sa.Column("wiped_position", _COUNTER, nullable=False),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO assets SELECT asset_key, last_materialization, last_observation, last_planned, 0"
        " FROM assets_0005"
    )
    op.drop_table("assets_0005")
    partitions = op.create_table(
        "asset_partitions",
        sa.Column("asset_key", _TEXT, primary_key=True),
        sa.Column("partition", _TEXT, primary_key=True),
        sa.Column("materializations", _COUNTER, nullable=False),
        sa.Column("purged_materializations", _COUNTER, nullable=False),
        sqlite_with_rowid=False,
    )
    _count(partitions)


def _count(partitions: sa.Table) -> None:
    log = sa.table(
        "instance_log", *map(sa.column, ("asset_key", "partition", "event_type", "applied"))
    )
    counted = (
        sa.select(log.c.asset_key, log.c.partition, sa.func.count())
        .where(
            log.c.asset_key.is_not(None),
            log.c.event_type == "ASSET_MATERIALIZATION",
            log.c.applied.is_(sa.true()),
        )
        .group_by(log.c.asset_key, log.c.partition)
    )
    connection = op.get_bind()
    found = connection.execute(counted, execution_options={"yield_per": _CHUNK})
    for rows in found.partitions():
        values = [
            {
                "asset_key": asset_key,
                "partition": msgspec.json.encode(partition).decode(),
                "materializations": count,
                "purged_materializations": 0,
            }
            for asset_key, partition, count in rows
        ]
        connection.execute(sa.insert(partitions), values)
