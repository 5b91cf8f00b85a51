"""Jobs: what the decorator makes of a function, and what it refuses."""

from __future__ import annotations

import textwrap
from collections.abc import Callable

import pytest

from runwire import job, op, resource
from runwire.definitions import JobDefinition
from runwire.errors import InvalidDefinitionError

OPS = """
class LoadConfig(BaseModel):
    path: str
    limit: int = 5

@op
def load(config: LoadConfig) -> list[int]: ...

@op(required_resource_keys=["db"])
def store(rows: list[int]): ...
"""


def test_a_bare_job_has_the_name_and_docstring_of_its_function() -> None:
    @op
    def load() -> None: ...

    @job
    def etl() -> None:
        """Loads."""
        load()

    assert (etl.name, etl.description, etl.tags, etl.config) == ("etl", "Loads.", {}, {})
    assert etl.node("load").op is load
    assert etl.source.startswith(f"{__file__}:")
    with pytest.raises(KeyError):
        etl.node("other")


def test_what_the_decorator_is_given_wins_over_the_function() -> None:
    @resource
    def db() -> int:
        return 1

    @op(required_resource_keys=["db"])
    def load() -> None: ...

    @job(name="other", description="Else.", tags={"a": "b"}, resource_defs={"db": db})
    def etl() -> None:
        """Not this."""
        load()

    assert (etl.name, etl.description, etl.tags) == ("other", "Else.", {"a": "b"})
    assert etl.resource_defs == {"db": db}


def test_a_body_may_call_plain_functions_that_call_ops() -> None:
    @op
    def load() -> int:
        return 1

    def both() -> None:
        load()
        load()

    @job
    def etl() -> None:
        both()

    assert [node.handle for node in etl.nodes] == ["load", "load_2"]


def test_a_job_inside_the_body_of_a_job_is_a_job_of_its_own() -> None:
    made: list[JobDefinition] = []

    @op
    def load() -> int:
        return 1

    @job
    def outer() -> None:
        load()

        @job
        def inner() -> None:
            load()

        made.append(inner)
        load()

    assert [node.handle for node in outer.nodes] == ["load", "load_2"]
    assert [node.handle for node in made[0].nodes] == ["load"]


def test_a_job_is_not_called() -> None:
    @op
    def load() -> None: ...

    @job
    def etl() -> None:
        load()

    with pytest.raises(InvalidDefinitionError) as caught:
        etl()
    place, _, message = str(caught.value).partition(": ")
    assert place.rpartition(":")[0] == __file__
    assert message == (
        "job 'etl': it is called; a job is run by submitting it; to share ops between jobs, call"
        " them in a plain function"
    )


REFUSED = {
    "a body that returns": (
        """
        @job  # HERE
        def etl():
            return load()
        """,
        (
            "job 'etl': its body returns <outputs result of op 'load', not values yet>, but has no"
            " values to return; take the return out; what an op gives is kept without it"
        ),
    ),
    "a body without ops": (
        """
        @job  # HERE
        def etl():
            load
        """,
        "job 'etl': its body calls no op; call at least one: load()",
    ),
    "parameters": (
        """
        @job  # HERE
        def etl(path, limit=1):
            load()
        """,
        (
            "job 'etl': it takes parameters: path, limit; a job takes none; give ops their values in"
            " the run config"
        ),
    ),
    "an async body": (
        """
        @job  # HERE
        async def etl():
            load()
        """,
        "job 'etl': its body is async or yields; write it with def; only ops may be async",
    ),
    "a body that yields": (
        """
        @job  # HERE
        def etl():
            yield load()
        """,
        "job 'etl': its body is async or yields; write it with def; only ops may be async",
    ),
    "a missing resource": (
        """
        @job  # HERE
        def etl():
            store(load())
        """,
        (
            "job 'etl': op 'store' requires resource 'db', which the job does not define; add it:"
            " @job(resource_defs={'db': ...})"
        ),
    ),
    "a resource that is a plain value": (
        """
        @job(resource_defs={"db": 3})  # HERE
        def etl():
            store(load())
        """,
        (
            "job 'etl': resource 'db' is a int; give what @resource makes; a function that returns the"
            " value is enough"
        ),
    ),
    "a resource key that is no name": (
        """
        @job(resource_defs={"my db": 3})  # HERE
        def etl():
            store(load())
        """,
        (
            "job 'etl': resource key 'my db': this cannot be a name; use 1 to 128 of the letters a-z,"
            " A-Z, digits and _, with no digit first"
        ),
    ),
    "resources that are no mapping": (
        """
        @job(resource_defs=["db"])  # HERE
        def etl():
            store(load())
        """,
        "job 'etl': resource_defs is a list; write resource_defs={\"key\": ...}",
    ),
    "a tag that is not text": (
        """
        @job(tags={"n": None})  # HERE
        def etl():
            load()
        """,
        "job 'etl': tag 'n' is None, which is not text; write 'n': 'None'",
    ),
    "config that does not fit": (
        """
        @job(config={"ops": {"load": {"config": {"limit": "x", "pth": ""}}}, "resource": {}})  # HERE
        def etl():
            load()
        """,
        (
            "job 'etl': its config does not fit: ops.load.config.limit: Input should be a valid"
            " integer, unable to parse string as an integer, ops.load.config.pth: 'pth' cannot be set"
            " here; what can: path, limit, resource: 'resource' cannot be set here; what can: ops,"
            " resources; change @job(config=...)"
        ),
    ),
    "config that is no mapping": (
        """
        @job(config=[1])  # HERE
        def etl():
            load()
        """,
        'job \'etl\': config is a list; write config={"ops": {...}, "resources": {...}}',
    ),
    "config that is not JSON": (
        """
        @job(config={"ops": {"load": {"config": {"path": object()}}}})  # HERE
        def etl():
            load()
        """,
        (
            "job 'etl': its config is not JSON: Unable to serialize unknown type: <class 'object'>; use"
            " values that JSON can hold"
        ),
    ),
    "config of a wrong shape": (
        """
        @job(config={"ops": {"load": {"config": 5}}})  # HERE
        def etl():
            load()
        """,
        (
            "job 'etl': its config does not fit: ops.load.config: Input should be an object; change"
            " @job(config=...)"
        ),
    ),
    "a name with a dot": (
        """
        @job(name="a.b")  # HERE
        def etl():
            load()
        """,
        (
            "job 'a.b': this cannot be a name; use 1 to 128 of the letters a-z, A-Z, digits and _, with"
            " no digit first"
        ),
    ),
    "an op": (
        """
        etl = job(load)  # HERE
        """,
        (
            "@job: it was given a OpDefinition; decorate a function that is written with def or async"
            " def"
        ),
    ),
    "a job that is called in another": (
        """
        @job
        def inner():
            load()
        @job
        def etl():
            inner()  # HERE
        """,
        (
            "job 'inner': it is called; a job is run by submitting it; to share ops between jobs, call"
            " them in a plain function"
        ),
    ),
}


@pytest.mark.parametrize(("source", "message"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_job_is_refused_with_place_name_and_mend(
    refusal: Callable[[str], str], source: str, message: str
) -> None:
    assert refusal(OPS + textwrap.dedent(source)) == message


def test_config_may_leave_to_the_run_what_it_does_not_know(
    load_job: Callable[[str], JobDefinition],
) -> None:
    """A required key may be missing, and a validator may yet be content with the whole."""
    made = load_job("""
from pydantic import model_validator

class Config(BaseModel):
    low: int
    high: int = 0
    inner: dict[str, int] = {}

    @model_validator(mode="after")
    def ordered(self):
        if self.low > self.high:
            raise ValueError("low is over high")
        return self

@op
def load(config: Config): ...

@job(config={"ops": {"load": {"config": {"low": 5}}}})
def etl():
    load()
""")
    resolved = made.resolve_run_config({"ops": {"load": {"config": {"high": 9}}}})
    config = resolved.ops["load"].config
    assert config is not None
    assert config.model_dump() == {"low": 5, "high": 9, "inner": {}}
