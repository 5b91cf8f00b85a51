"""Resources: what the decorator reads of a function, which a job uses, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pydantic import BaseModel

from runwire import ResourceContext, resource
from runwire.definitions import JobDefinition


class Config(BaseModel):
    url: str = "here"


def test_a_resource_is_what_its_function_tells() -> None:
    @resource
    def db(context: ResourceContext, config: Config) -> Iterator[str]:
        """The database."""
        yield config.url

    assert (db.name, db.description) == ("db", "The database.")
    assert (db.config_model, db.takes_context, db.is_generator) == (Config, True, True)
    assert db.required_resource_keys == frozenset()
    assert db.source.startswith(f"{__file__}:")


def test_a_resource_may_take_nothing_and_require_others() -> None:
    @resource(description="A number.", required_resource_keys=["db"])
    def number() -> int:
        return 3

    assert (number.description, set(number.required_resource_keys)) == ("A number.", {"db"})
    assert (number.config_model, number.takes_context, number.is_generator) == (None, False, False)


RESOURCES = """
class UrlConfig(BaseModel):
    url: str

@resource
def file(): ...

@resource(required_resource_keys=["file"])
def db(config: UrlConfig): ...

@resource(required_resource_keys=["left"])
def right(): ...

@resource(required_resource_keys=["right"])
def left(): ...

@op(required_resource_keys=["db"])
def load(): ...

@op(required_resource_keys=["left"])
def turn(): ...

ALL = {"unused": db, "db": db, "file": file, "left": left, "right": right}
"""


def test_a_job_has_the_resources_that_its_ops_use_each_after_those_it_uses(
    load_job: Callable[[str], JobDefinition],
) -> None:
    made = load_job(
        RESOURCES
        + """
@job(resource_defs=ALL)
def etl():
    load()
"""
    )
    assert [(key, d.name) for key, d in made.resource_defs.items()] == [
        ("file", "file"),
        ("db", "db"),
    ]


REFUSED = {
    "another parameter": (
        """
@resource  # HERE
def pool(size): ...
""",
        (
            "resource 'pool': parameter 'size' is neither 'context' nor 'config'; make it a field of"
            " the config's model, or a resource that this one requires"
        ),
    ),
    "config without a model": (
        """
@resource  # HERE
def pool(config): ...
""",
        (
            "resource 'pool': parameter 'config' is not annotated, but is given the config as a"
            " Pydantic model; annotate it with a subclass of pydantic.BaseModel, or give the input"
            " another name"
        ),
    ),
    "the context of an op": (
        """
@resource  # HERE
def pool(context: OpContext): ...
""",
        (
            "resource 'pool': parameter 'context' is annotated OpContext, but is given the"
            " ResourceContext; annotate it ResourceContext, or give the parameter another name"
        ),
    ),
    "an async function": (
        """
@resource  # HERE
async def pool(): ...
""",
        "resource 'pool': it is an async function; write it with def",
    ),
    "keys as a text": (
        """
@resource(required_resource_keys="db")  # HERE
def pool(): ...
""",
        "resource 'pool': required_resource_keys is 'db'; give a list of keys, such as ['db']",
    ),
    "a resource that requires itself through another": (
        """
@job(resource_defs=ALL)  # HERE
def etl():
    turn()
""",
        (
            "job 'etl': resource 'left' requires itself: left -> right -> left; take one of them out of"
            " required_resource_keys"
        ),
    ),
    "a resource whose resource is missing": (
        """
@job(resource_defs={"db": db})  # HERE
def etl():
    load()
""",
        (
            "job 'etl': resource 'db' requires resource 'file', which the job does not define; add it:"
            " @job(resource_defs={'file': ...})"
        ),
    ),
}


@pytest.mark.parametrize(("source", "message"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_resource_is_refused_with_place_name_and_mend(
    refusal: Callable[[str], str], source: str, message: str
) -> None:
    assert refusal(RESOURCES + source) == message
