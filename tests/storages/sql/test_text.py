"""Prefixes as ranges."""

from __future__ import annotations

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, create_engine, insert, select

from runwire.storages.sql.text import begins_with

TEXTS = ["", "a", "ab", "abc", "Ab", "a%", "a_b", "b", "é", "\ud7ff", "\ud7ffx", "\ue000"]
TEXTS += ["\U0010ffff", "\U0010ffffa", "\\udc80"]


@pytest.mark.parametrize(
    "prefix", ["", "a", "ab", "A", "a%", "_", "é", "\ud7ff", "\U0010ffff", "a\U0010ffff", "zz"]
)
def test_a_range_holds_the_texts_that_begin_with_a_prefix(prefix: str) -> None:
    table = Table("texts", MetaData(), Column("id", Integer, primary_key=True), Column("t", Text))
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        table.create(connection)
        connection.execute(insert(table), [{"t": text} for text in TEXTS])
        found = connection.execute(select(table.c.t).where(begins_with(table.c.t, prefix)))
        assert sorted(found.scalars()) == sorted(t for t in TEXTS if t.startswith(prefix))
    engine.dispose()
