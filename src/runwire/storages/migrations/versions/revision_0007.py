"""How far webhooks were delivered to, and what could not be delivered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0007"
down_revision = "0006"

_COUNTER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Adds the tables of webhooks. Logs stay as they are."""
    if context.config.attributes["scope"] == "log":
        return
    op.create_table(
        "webhooks",
        sa.Column("name", _TEXT, primary_key=True),
        sa.Column("log_id", _TEXT, nullable=False),
        sa.Column("position", _COUNTER, nullable=False),
        sa.Column("status", _TEXT, nullable=False),
        sa.Column("reason", _TEXT),
        sa.Column("delivered", _COUNTER, nullable=False),
        sa.Column("failures", _COUNTER, nullable=False),
        sa.Column("missed", _COUNTER, nullable=False),
        sa.Column("last_attempt", _TEXT),
        sa.Column("trouble", _TEXT),
        sa.Column("updated_at", sa.Double, nullable=False),
        sa.Column("version", _COUNTER, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "dead_letters",
        sa.Column("letter_id", _COUNTER, primary_key=True, autoincrement=True),
        sa.Column("webhook", _TEXT, nullable=False),
        sa.Column("event_id", _TEXT, nullable=False),
        sa.Column("run_id", _TEXT, nullable=False),
        sa.Column("event_type", _TEXT, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("failed_at", sa.Double, nullable=False),
        sa.Column("status_code", sa.Integer),
        sa.Column("error", _TEXT, nullable=False),
        sa.Column("is_requested", sa.Boolean, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("dead_letters_event", "dead_letters", ["webhook", "event_id"], unique=True)
    op.create_index(
        "dead_letters_requested", "dead_letters", ["webhook", "is_requested", "letter_id"]
    )
