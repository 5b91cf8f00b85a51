"""Repositories: named sets of jobs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from runwire import job, op, repository
from runwire.definitions import JobDefinition, load_file


@op
def load() -> None: ...


@job
def second() -> None:
    load()


@job
def first() -> None:
    load()


def test_a_repository_has_the_jobs_that_its_function_returns() -> None:
    @repository
    def shop() -> list[JobDefinition]:
        return [second, first, second]

    assert (shop.name, shop.jobs) == ("shop", {"second": second, "first": first})

    @repository(name="other")
    def empty() -> list[JobDefinition]:
        return []

    assert (empty.name, empty.jobs) == ("other", {})


def test_the_snapshot_has_the_jobs_by_name() -> None:
    @repository
    def shop() -> list[JobDefinition]:
        return [second, first]

    snapshot = shop.snapshot()
    assert snapshot.name == "shop"
    assert snapshot.jobs == (first.snapshot(), second.snapshot())


JOBS = """
@op
def load(): ...

@job
def etl():
    load()
"""

REFUSED = {
    "an op in it": (
        """
@repository  # HERE
def shop():
    return [etl, load]
""",
        "repository 'shop': it has load, a OpDefinition; give only what @job, @schedule, @sensor and the like make",
    ),
    "a function that is no job": (
        """
@repository  # HERE
def shop():
    return [3]
""",
        "repository 'shop': it has 3, a int; give only what @job, @schedule, @sensor and the like make",
    ),
    "no list": (
        """
@repository  # HERE
def shop():
    return etl
""",
        "repository 'shop': it returns a JobDefinition; return a list of jobs",
    ),
    "parameters": (
        """
@repository  # HERE
def shop(n):
    return [etl]
""",
        "repository 'shop': it takes parameters; a repository takes none",
    ),
    "a name with a space": (
        """
@repository(name="my shop")  # HERE
def shop():
    return [etl]
""",
        (
            "repository 'my shop': this cannot be a name; use 1 to 128 of the letters a-z, A-Z, digits"
            " and _, with no digit first"
        ),
    ),
}


@pytest.mark.parametrize(("source", "message"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_repository_is_refused_with_place_name_and_mend(
    refusal: Callable[[str], str], source: str, message: str
) -> None:
    assert refusal(JOBS + source) == message


def test_two_jobs_of_one_name_are_refused_with_both_places(refusal: Callable[[str], str]) -> None:
    told = refusal(
        JOBS
        + """
@job(name="etl")
def other():
    load()

@repository  # HERE
def shop():
    return [etl, other]
"""
    )
    assert told.startswith("repository 'shop': two jobs are named 'etl', one at ")
    assert told.count("jobs.py:") == 2
    assert told.endswith("; rename one with @job(name=...)")


def test_repositories_hide_the_jobs_that_stand_beside_them(write: Callable[..., object]) -> None:
    file = write(
        JOBS
        + """
@job
def alone():
    load()

@repository
def shop():
    return [etl]

@repository
def books():
    return [etl]
"""
    )
    found = load_file(str(file))
    assert [(r.name, list(r.jobs)) for r in found] == [("books", ["etl"]), ("shop", ["etl"])]
