"""Run config: its schema, its defaults, and every problem of a wrong one with its path."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from runwire.definitions import JobDefinition, OpRunConfig, ResolvedRunConfig
from runwire.errors import ConfigProblem, RunConfigInvalidError

SOURCE = """
from datetime import date

class Page(BaseModel):
    size: int
    number: int = 1

class LoadConfig(BaseModel):
    path: str
    since: date = date(2024, 1, 2)
    page: Page
    tags: set[str] = {"b", "a", "c"}
    stamp: float = Field(default_factory=lambda: 1.0)
    copy_: bool = Field(False, alias="copy", description="Whether to copy.")
    options: dict[str, int] = {}

class DbConfig(BaseModel):
    url: str = "sqlite://"

@resource
def db(config: DbConfig):
    "The database."
    return config.url

@resource
def clock(): ...

@op(required_resource_keys=["db", "clock"])
def load(config: LoadConfig) -> list[int]:
    "Loads."

@op(ins={"start": In("Where to start.")})
def total(rows: list[int], start: int, end: int = 9, anything: Any = print) -> int: ...

RESOURCES = {"db": db, "clock": clock}
"""

PLAIN = (
    SOURCE
    + """
@job(resource_defs=RESOURCES)
def etl():
    total(load())
"""
)

PRESET = (
    SOURCE
    + """
@job(
    resource_defs=RESOURCES,
    config={
        "ops": {
            "load": {"config": {"path": "here", "page": {"size": 5}, "options": {"a": 1}}},
            "total": {"inputs": {"start": 2}},
        },
        "resources": {"db": {"config": {"url": "mine://"}}},
    },
)
def etl():
    total(load())
"""
)

LoadJob = Callable[[str], JobDefinition]


@pytest.fixture
def plain(load_job: LoadJob) -> JobDefinition:
    """A job with config, inputs and resources."""
    return load_job(PLAIN)


@pytest.fixture
def preset(load_job: LoadJob) -> JobDefinition:
    """The job with a config of its own."""
    return load_job(PRESET)


def test_the_schema_tells_all_that_can_be_given(plain: JobDefinition) -> None:
    schema = plain.run_config_schema()
    definitions = schema.pop("$defs")
    closed = {"type": "object", "additionalProperties": False}
    assert schema == closed | {
        "title": "RunConfig",
        "properties": {
            "ops": {"$ref": "#/$defs/Ops", "description": "What ops are told, by handle."},
            "resources": {
                "$ref": "#/$defs/Resources",
                "description": "What resources are told, by key.",
            },
        },
        "required": ["ops"],
    }
    assert definitions == {
        "Ops": closed
        | {
            "title": "Ops",
            "properties": {
                "load": {"$ref": "#/$defs/Op_load", "description": "Loads."},
                "total": {"$ref": "#/$defs/Op_total"},
            },
            "required": ["load", "total"],
        },
        "Op_load": closed
        | {
            "title": "Op_load",
            "properties": {"config": {"$ref": "#/$defs/LoadConfig"}},
            "required": ["config"],
        },
        "LoadConfig": closed
        | {
            "title": "LoadConfig",
            "properties": {
                "path": {"title": "Path", "type": "string"},
                "since": {
                    "default": "2024-01-02",
                    "format": "date",
                    "title": "Since",
                    "type": "string",
                },
                "page": {"$ref": "#/$defs/Page"},
                "tags": {
                    "default": ["a", "b", "c"],
                    "items": {"type": "string"},
                    "title": "Tags",
                    "type": "array",
                    "uniqueItems": True,
                },
                "stamp": {"title": "Stamp", "type": "number"},
                "copy": {
                    "default": False,
                    "description": "Whether to copy.",
                    "title": "Copy",
                    "type": "boolean",
                },
                "options": {
                    "additionalProperties": {"type": "integer"},
                    "default": {},
                    "title": "Options",
                    "type": "object",
                },
            },
            "required": ["path", "page"],
        },
        "Page": closed
        | {
            "title": "Page",
            "properties": {
                "size": {"title": "Size", "type": "integer"},
                "number": {"default": 1, "title": "Number", "type": "integer"},
            },
            "required": ["size"],
        },
        "Op_total": closed
        | {
            "title": "Op_total",
            "properties": {"inputs": {"$ref": "#/$defs/Inputs_total"}},
            "required": ["inputs"],
        },
        "Inputs_total": closed
        | {
            "title": "Inputs_total",
            "properties": {
                "start": {"description": "Where to start.", "title": "Start", "type": "integer"},
                "end": {"default": 9, "title": "End", "type": "integer"},
                "anything": {"title": "Anything"},
            },
            "required": ["start"],
        },
        "Resources": closed
        | {
            "title": "Resources",
            "properties": {
                "clock": {"$ref": "#/$defs/Resource_clock"},
                "db": {"$ref": "#/$defs/Resource_db", "description": "The database."},
            },
        },
        "Resource_clock": closed | {"title": "Resource_clock", "properties": {}},
        "Resource_db": closed
        | {"title": "Resource_db", "properties": {"config": {"$ref": "#/$defs/DbConfig"}}},
        "DbConfig": closed
        | {
            "title": "DbConfig",
            "properties": {"url": {"default": "sqlite://", "title": "Url", "type": "string"}},
        },
    }


def test_the_default_has_defaults_and_null_for_what_is_required(plain: JobDefinition) -> None:
    assert plain.default_run_config() == {
        "ops": {
            "load": {
                "config": {
                    "path": None,
                    "since": "2024-01-02",
                    "page": {"size": None, "number": 1},
                    "tags": ["a", "b", "c"],
                    "copy": False,
                    "options": {},
                }
            },
            "total": {"inputs": {"start": None, "end": 9}},
        },
        "resources": {"db": {"config": {"url": "sqlite://"}}},
    }


def test_the_config_of_the_job_fills_the_default_and_frees_the_schema(
    preset: JobDefinition,
) -> None:
    default = preset.default_run_config()
    assert default["ops"]["load"]["config"] == {
        "path": "here",
        "since": "2024-01-02",
        "page": {"size": 5, "number": 1},
        "tags": ["a", "b", "c"],
        "copy": False,
        "options": {"a": 1},
    }
    assert default["ops"]["total"] == {"inputs": {"start": 2, "end": 9}}
    assert default["resources"] == {"db": {"config": {"url": "mine://"}}}
    schema = preset.run_config_schema()
    assert "required" not in schema
    config = schema["properties"]["ops"]["properties"]["load"]["properties"]["config"]
    assert "required" not in config
    assert config["properties"]["path"] == {"default": "here", "title": "Path", "type": "string"}
    assert "required" not in config["properties"]["page"]
    assert config["properties"]["page"]["properties"]["size"]["default"] == 5


def test_a_job_that_needs_nothing_takes_an_empty_run_config(load_job: LoadJob) -> None:
    made = load_job("""
@op
def load(): ...

@job
def etl():
    load()
""")
    resolved = ResolvedRunConfig({"load": OpRunConfig()}, {})
    assert made.default_run_config() == {"ops": {}, "resources": {}}
    assert made.resolve_run_config({}) == resolved
    assert made.resolve_run_config({"ops": {"load": {}}, "resources": {}}) == resolved


def _config(resolved: ResolvedRunConfig, handle: str) -> dict[str, Any]:
    config = resolved.ops[handle].config
    assert config is not None
    return config.model_dump()


def test_a_run_config_resolves_to_the_models_of_ops_and_resources(plain: JobDefinition) -> None:
    resolved = plain.resolve_run_config(
        {
            "ops": {
                "load": {"config": {"path": "x", "page": {"size": 2}, "since": "2025-02-03"}},
                "total": {"inputs": {"start": 4}},
            }
        }
    )
    assert _config(resolved, "load") == {
        "path": "x",
        "since": date(2025, 2, 3),
        "page": {"size": 2, "number": 1},
        "tags": {"a", "b", "c"},
        "stamp": 1.0,
        "copy_": False,
        "options": {},
    }
    assert type(resolved.ops["load"].config) is plain.node("load").op.config_model
    assert resolved.ops["load"].inputs == {}
    assert resolved.ops["total"] == OpRunConfig(None, {"start": 4})
    url = resolved.resources.pop("db")  # type: ignore[attr-defined]
    assert url.model_dump() == {"url": "sqlite://"}
    assert resolved.resources == {"clock": None}


def test_the_config_of_the_job_lies_under_what_is_given(preset: JobDefinition) -> None:
    resolved = preset.resolve_run_config(
        {
            "ops": {"load": {"config": {"page": {"number": 7}, "options": {"b": 2}}}},
            "resources": {"db": {"config": {"url": "yours://"}}},
        }
    )
    config = _config(resolved, "load")
    assert (config["path"], config["page"]) == ("here", {"size": 5, "number": 7})
    assert config["options"] == {"a": 1, "b": 2}
    assert resolved.ops["total"].inputs == {"start": 2}
    database = resolved.resources["db"]
    assert database is not None
    assert database.model_dump() == {"url": "yours://"}
    again = _config(preset.resolve_run_config({}), "load")
    assert (again["page"], again["options"]) == ({"size": 5, "number": 1}, {"a": 1})


def test_the_default_of_a_job_with_all_values_resolves(preset: JobDefinition) -> None:
    default = preset.default_run_config()
    resolved = preset.resolve_run_config(default)
    assert _config(resolved, "load") == _config(preset.resolve_run_config({}), "load")
    assert resolved.ops["total"].inputs == {"start": 2, "end": 9}


def test_an_input_that_an_op_feeds_cannot_be_given(plain: JobDefinition) -> None:
    assert ConfigProblem(
        ("ops", "total", "inputs", "rows"),
        "'rows' cannot be set here; what can: start, end, anything",
        "extra_forbidden",
    ) in _problems(plain, {"ops": {"total": {"inputs": {"rows": [1]}}}})


def test_the_schema_and_the_default_are_copies(plain: JobDefinition) -> None:
    plain.run_config_schema()["properties"].clear()
    plain.default_run_config()["ops"].clear()
    assert plain.run_config_schema()["properties"].keys() == {"ops", "resources"}
    assert plain.default_run_config()["ops"].keys() == {"load", "total"}


# -------------------------------------------------------------------------------- problems


def _problems(job: JobDefinition, run_config: Any) -> tuple[ConfigProblem, ...]:
    with pytest.raises(RunConfigInvalidError) as caught:
        job.resolve_run_config(run_config)
    assert caught.value.job_name == "etl"
    return caught.value.problems


def _required(*path: str) -> ConfigProblem:
    return ConfigProblem(path, "Field required", "missing")


LOAD = ("ops", "load", "config")
START = ("ops", "total", "inputs", "start")


def test_an_empty_run_config_misses_each_required_value_at_its_path(plain: JobDefinition) -> None:
    missing = (_required(*LOAD, "path"), _required(*LOAD, "page"), _required(*START))
    assert _problems(plain, {}) == missing
    assert _problems(plain, {"ops": {}}) == missing
    assert _problems(plain, {"ops": {"load": {"config": {}}}}) == missing
    assert _problems(plain, {"ops": {"load": {"config": {"page": {}}}}}) == (
        _required(*LOAD, "path"),
        _required(*LOAD, "page", "size"),
        _required(*START),
    )


def test_every_problem_is_told_at_once(plain: JobDefinition) -> None:
    assert _problems(
        plain,
        {
            "ops": {
                "load": {
                    "config": {
                        "path": 5,
                        "page": {"size": "x", "colour": 1},
                        "options": {"a": None},
                        "copy_": True,
                    },
                    "inputs": {},
                },
                "total": {"config": {}, "inputs": {"start": 1.5}},
                "totl": {},
            },
            "resources": {"db": {"config": {"ur": ""}}, "clock": {"config": {}}},
            "execution": {},
        },
    ) == (
        ConfigProblem((*LOAD, "path"), "Input should be a valid string", "string_type"),
        ConfigProblem(
            (*LOAD, "page", "size"),
            "Input should be a valid integer, unable to parse string as an integer",
            "int_parsing",
        ),
        ConfigProblem(
            (*LOAD, "page", "colour"),
            "'colour' cannot be set here; what can: size, number",
            "extra_forbidden",
        ),
        ConfigProblem((*LOAD, "options", "a"), "Input should be a valid integer", "int_type"),
        ConfigProblem(
            (*LOAD, "copy_"),
            "'copy_' cannot be set here; what can: path, since, page, tags, stamp, copy, options",
            "extra_forbidden",
        ),
        ConfigProblem(
            ("ops", "load", "inputs"),
            "'inputs' cannot be set here; what can: config",
            "extra_forbidden",
        ),
        ConfigProblem(
            START,
            "Input should be a valid integer, got a number with a fractional part",
            "int_from_float",
        ),
        ConfigProblem(
            ("ops", "total", "config"),
            "'config' cannot be set here; what can: inputs",
            "extra_forbidden",
        ),
        ConfigProblem(
            ("ops", "totl"), "'totl' cannot be set here; what can: load, total", "extra_forbidden"
        ),
        ConfigProblem(
            ("resources", "clock", "config"),
            "'config' cannot be set here; nothing can",
            "extra_forbidden",
        ),
        ConfigProblem(
            ("resources", "db", "config", "ur"),
            "'ur' cannot be set here; what can: url",
            "extra_forbidden",
        ),
        ConfigProblem(
            ("execution",),
            "'execution' cannot be set here; what can: ops, resources",
            "extra_forbidden",
        ),
    )


@pytest.mark.parametrize("wrong", [None, [], "x", 5])
def test_what_is_no_mapping_is_refused_where_it_stands(plain: JobDefinition, wrong: Any) -> None:
    def refused(*path: str) -> ConfigProblem:
        return ConfigProblem(path, "Input should be an object", "model_type")

    assert _problems(plain, wrong) == (refused(),)
    assert _problems(plain, {"ops": wrong}) == (refused("ops"),)
    assert refused(*LOAD) in _problems(plain, {"ops": {"load": {"config": wrong}}})
    assert refused(*LOAD, "page") in _problems(
        plain, {"ops": {"load": {"config": {"page": wrong}}}}
    )


def test_null_for_a_required_value_is_refused(plain: JobDefinition) -> None:
    assert [problem.path for problem in _problems(plain, plain.default_run_config())] == [
        (*LOAD, "path"),
        (*LOAD, "page", "size"),
        START,
    ]


@pytest.mark.parametrize("value", [object(), "\udc80", {"x": object()}])
def test_what_is_not_json_is_refused(plain: JobDefinition, value: Any) -> None:
    (problem,) = _problems(plain, {"ops": {"load": {"config": {"path": value}}}})
    assert (problem.path, problem.code) == ((), "json_invalid")
    assert problem.message.startswith("it is not JSON: ")


def test_a_run_config_without_end_is_refused(plain: JobDefinition) -> None:
    deep: Any = {}
    for _ in range(100_000):
        deep = {"ops": deep}
    circular: dict[str, Any] = {}
    circular["ops"] = circular
    for run_config in (deep, {"ops": {"load": {"config": {"page": deep}}}}, circular):
        (problem, *_) = _problems(plain, run_config)
        assert problem.code in ("json_invalid", "recursion_loop", "extra_forbidden")


def test_a_validator_that_raises_is_a_problem_and_its_error_the_cause(load_job: LoadJob) -> None:
    made = load_job("""
from pydantic import field_validator

class Config(BaseModel):
    path: str

    @field_validator("path")
    def exists(cls, value):
        if value == "wrong":
            raise ValueError("no such path")
        return {}[value]

@op
def load(config: Config): ...

@job
def etl():
    load()
""")
    assert _problems(made, {"ops": {"load": {"config": {"path": "wrong"}}}}) == (
        ConfigProblem((*LOAD, "path"), "no such path", "value_error"),
    )
    with pytest.raises(RunConfigInvalidError) as caught:
        made.resolve_run_config({"ops": {"load": {"config": {"path": "x"}}}})
    assert caught.value.problems == (
        ConfigProblem((), "a validator raised KeyError: 'x'", "validator_raised"),
    )
    assert isinstance(caught.value.__cause__, KeyError)


def test_paths_through_lists_and_unions_are_texts(load_job: LoadJob) -> None:
    made = load_job("""
class Item(BaseModel):
    n: int

class Config(BaseModel):
    items: list[Item]
    either: int | Item = 1

@op
def load(config: Config): ...

@job
def etl():
    load()
""")
    run_config = {"ops": {"load": {"config": {"items": [{"n": 1}, {"m": 2}], "either": "x"}}}}
    assert [(problem.path[3:], problem.message) for problem in _problems(made, run_config)] == [
        (("items", "1", "n"), "Field required"),
        (("items", "1", "m"), "'m' cannot be set here; what can: n"),
        (
            ("either", "int"),
            "Input should be a valid integer, unable to parse string as an integer",
        ),
        (("either", "Item"), "Input should be an object"),
    ]


def test_models_that_are_strict_take_json_forms(load_job: LoadJob) -> None:
    made = load_job("""
from datetime import date

class Config(BaseModel):
    model_config = ConfigDict(strict=True)
    since: date

@op
def load(config: Config): ...

@job
def etl():
    load()
""")
    resolved = made.resolve_run_config({"ops": {"load": {"config": {"since": "2024-05-06"}}}})
    assert _config(resolved, "load") == {"since": date(2024, 5, 6)}


def test_handles_and_keys_that_are_names_of_model_methods_work(load_job: LoadJob) -> None:
    made = load_job("""
class Config(BaseModel):
    x: int

@op
def copy(config: Config, json: int, model_config: int = 1): ...

@resource
def schema(config: Config): ...

@op(required_resource_keys=["schema"])
def _private(): ...

@job(resource_defs={"schema": schema})
def etl():
    copy()
    _private()
""")
    resolved = made.resolve_run_config(
        {
            "ops": {"copy": {"config": {"x": 1}, "inputs": {"json": 2}}, "_private": {}},
            "resources": {"schema": {"config": {"x": 3}}},
        }
    )
    assert _config(resolved, "copy") == {"x": 1}
    assert resolved.ops["copy"].inputs == {"json": 2}
    assert made.default_run_config() == {
        "ops": {"copy": {"config": {"x": None}, "inputs": {"json": None, "model_config": 1}}},
        "resources": {"schema": {"config": {"x": None}}},
    }


def test_defaults_that_json_cannot_hold_or_show_are_not_told(load_job: LoadJob) -> None:
    made = load_job("""
from pathlib import Path
from pydantic import SecretStr

class Inner(BaseModel):
    names: frozenset[str] = frozenset({"z", "y"})
    limit: float = float("inf")

class Config(BaseModel):
    token: SecretStr = SecretStr("hush")
    folder: Path = Path("a/b")
    inner: Inner = Inner()

@op
def load(config: Config, at: Any = object()): ...

@job
def etl():
    load()
""")
    assert made.default_run_config() == {
        "ops": {
            "load": {
                "config": {
                    "folder": str(Path("a/b")),
                    "inner": {"names": ["y", "z"], "limit": "Infinity"},
                },
                "inputs": {},
            }
        },
        "resources": {},
    }
    resolved = made.resolve_run_config(made.default_run_config())
    assert _config(resolved, "load")["inner"] == {
        "names": frozenset({"y", "z"}),
        "limit": float("inf"),
    }


GIVEN = {
    "ops": {
        "load": {"config": {"path": "there", "options": {"b": 2}}},
        "total": {"inputs": {"end": 3}},
    },
    "resources": {"db": {"config": {}}},
}


def test_the_part_of_one_op_is_the_same_as_in_the_whole(preset: JobDefinition) -> None:
    whole = preset.resolve_run_config(GIVEN)
    assert preset.resolve_op_config(GIVEN, "load", ["db", "clock"]) == ResolvedRunConfig(
        {"load": whole.ops["load"]}, whole.resources
    )
    assert preset.resolve_op_config(GIVEN, "total", []) == ResolvedRunConfig(
        {"total": whole.ops["total"]}, {}
    )
    nothing = preset.resolve_op_config({}, "load", ["db"])
    assert nothing == ResolvedRunConfig(
        {"load": preset.resolve_run_config({}).ops["load"]},
        {"db": preset.resolve_run_config({}).resources["db"]},
    )


def test_a_problem_of_the_part_has_its_path_in_the_whole(plain: JobDefinition) -> None:
    wrong: dict[str, Any] = {"ops": {"load": {"config": {"path": 1, "page": {}, "nope": 2}}}}
    with pytest.raises(RunConfigInvalidError) as whole:
        plain.resolve_run_config({"ops": {**wrong["ops"], "total": {"inputs": {"start": 1}}}})
    with pytest.raises(RunConfigInvalidError) as part:
        plain.resolve_op_config(wrong, "load", [])
    assert part.value.problems == whole.value.problems
    assert [problem.path[:2] for problem in part.value.problems] == [("ops", "load")] * 3
