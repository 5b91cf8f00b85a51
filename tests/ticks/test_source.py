"""The id of a schedule or sensor follows from where it is defined, and from nothing else."""

from __future__ import annotations

from runwire.testing.samples import ESCAPED_SURROGATE, LONE_SURROGATE, an_origin
from runwire.ticks import TickSourceType


def test_the_id_is_the_same_in_every_version() -> None:
    """It is stored: another way to make it would lose all that is kept."""
    assert an_origin().source_id == "f71ca382d7988e52e259f2e32ad2d842"


def test_the_id_depends_on_every_part() -> None:
    origins = [
        an_origin(),
        an_origin(source_type=TickSourceType.SENSOR),
        an_origin(location_name="shop"),
        an_origin(repository_name="jobs.py"),
        an_origin(name="nightly2"),
        an_origin(repository_name='shop","nightly', name=""),
        an_origin(repository_name="shopnight", name="ly"),
    ]
    assert len({origin.source_id for origin in origins}) == len(origins)


def test_the_id_is_that_of_the_stored_form() -> None:
    assert an_origin(name=LONE_SURROGATE).source_id == an_origin(name=ESCAPED_SURROGATE).source_id
