"""Ops: what the decorator reads of a function, and what it refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from runwire import AssetMaterialization, In, OpContext, Out, Output, op
from runwire.definitions import InputDefinition, OpKind, OutputDefinition
from runwire.errors import InvalidDefinitionError
from runwire.events.metadata import MetadataEntry, TextMetadata


class Config(BaseModel):
    path: str = "here"


def test_a_bare_op_has_the_name_the_docstring_and_the_types_of_its_function() -> None:
    @op
    def load(context: OpContext, config: Config, rows: list[int], limit: int | None = 5) -> float:
        """Loads
        rows.
        """
        return 1.0

    assert load.name == "load"
    assert load.description == "Loads\nrows."
    assert load.takes_context is True
    assert load.config_model is Config
    assert load.kind is OpKind.FUNCTION
    assert load.inputs == {
        "rows": InputDefinition("rows", list[int], "list[int]"),
        "limit": InputDefinition("limit", int | None, "int | None", has_default=True, default=5),
    }
    assert load.outputs == {"result": OutputDefinition("result", float, "float")}
    assert (load.tags, load.required_resource_keys) == ({}, frozenset())
    file, _, line = load.source.rpartition(":")
    assert (file, int(line)) == (__file__, load.fn.__code__.co_firstlineno)


def test_what_the_decorator_is_given_wins_over_the_function() -> None:
    @op(
        name="load_rows",
        description="Loads.",
        ins={"rows": In("The rows.", default=[], type=list)},
        out=Out(str, "The text.", is_required=False, metadata={"kind": "text"}),
        tags={"team": "sales"},
        required_resource_keys=["db"],
    )
    def load(rows: int) -> int:
        """Not this."""
        return rows

    assert load.name == "load_rows"
    assert load.description == "Loads."
    assert load.inputs == {
        "rows": InputDefinition("rows", list, "list", True, [], "The rows."),
    }
    kind = MetadataEntry("kind", TextMetadata("text"))
    assert load.outputs == {
        "result": OutputDefinition("result", str, "str", False, "The text.", (kind,))
    }
    assert load.tags == {"team": "sales"}
    assert load.required_resource_keys == {"db"}


def test_a_function_without_annotations_has_inputs_and_an_output_of_any_type() -> None:
    @op
    def load(rows):  # type: ignore[no-untyped-def]
        return rows

    assert load.inputs == {"rows": InputDefinition("rows", Any, "Any")}
    assert load.outputs == {"result": OutputDefinition("result", Any, "Any")}
    assert load.config_model is None
    assert load.takes_context is False


def test_the_kind_is_how_the_function_is_written() -> None:
    @op
    async def coroutine() -> int:
        return 1

    @op
    def generator() -> Iterator[Output[int]]:
        yield Output(1)

    @op
    async def async_generator() -> AsyncIterator[Output[int]]:
        yield Output(1)

    assert coroutine.kind is OpKind.COROUTINE
    assert generator.kind is OpKind.GENERATOR
    assert async_generator.kind is OpKind.ASYNC_GENERATOR


def _type_names(fn: Callable[..., Any], out: Any) -> list[str]:
    return [output.type_name for output in op(out=out)(fn).outputs.values()]


def test_the_type_of_one_output_is_that_of_the_value() -> None:
    def plain() -> list[int]: ...  # type: ignore[empty-body]
    def wrapped() -> Output[list[int]]: ...  # type: ignore[empty-body]
    def bare() -> Output: ...  # type: ignore[type-arg, empty-body]
    def nothing() -> None: ...
    async def awaited() -> str: ...  # type: ignore[empty-body]
    def yielded() -> Iterator[Output[int] | AssetMaterialization]:
        yield Output(1)

    def yielded_values() -> Iterator[int]:
        yield 1

    def yielded_several() -> Iterator[Output[int] | Output[str]]:
        yield Output(1)

    functions = [plain, wrapped, bare, nothing, awaited, yielded, yielded_values, yielded_several]
    assert [_type_names(fn, None) for fn in functions] == [
        ["list[int]"],
        ["list[int]"],
        ["Any"],
        ["None"],
        ["str"],
        ["int"],
        ["Any"],
        ["Any"],
    ]


def test_the_types_of_several_outputs_are_those_of_the_tuple() -> None:
    def pair() -> tuple[int, Output[str]]: ...  # type: ignore[empty-body]
    def three() -> tuple[int, int, int]: ...  # type: ignore[empty-body]
    def any_number() -> tuple[int, ...]: ...  # type: ignore[empty-body]

    two = {"a": Out(), "b": Out()}
    assert _type_names(pair, two) == ["int", "str"]
    assert _type_names(pair, {"a": Out(bytes), "b": Out()}) == ["bytes", "str"]
    assert _type_names(three, two) == ["Any", "Any"]
    assert _type_names(any_number, two) == ["Any", "Any"]
    assert _type_names(pair, {"rows": Out()}) == ["tuple[int, Output[str]]"]


def test_annotations_may_be_text_that_names_a_local_class() -> None:
    class Local(BaseModel):
        path: str

    @op
    def load(config: "Local", row: "Local | None" = None) -> "Local":  # noqa: UP037
        return config

    assert load.config_model is Local
    assert load.inputs["row"].type == Local | None
    assert load.outputs["result"].type is Local


def test_a_context_imported_for_type_checking_only_is_a_context() -> None:
    @op
    def load(context: runwire.OpContext) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    assert load.takes_context is True


def test_tags_and_inputs_are_copies() -> None:
    tags = {"a": "b"}

    @op(tags=tags)
    def load() -> None: ...

    tags["c"] = "d"
    assert load.tags == {"a": "b"}


def test_an_op_is_not_called_outside_a_job() -> None:
    @op
    def load() -> int:
        return 3

    with pytest.raises(InvalidDefinitionError) as caught:
        load()
    place, _, message = str(caught.value).partition(": ")
    assert place.rpartition(":")[0] == __file__
    assert message == (
        "op 'load': it is called outside the body of a job;"
        " call it in a function decorated with @job; load.fn(...) runs its function"
    )
    assert load.fn() == 3


NAME_MEND = "use 1 to 128 of the letters a-z, A-Z, digits and _, with no digit first"

REFUSED = {
    "config without annotation": (
        """
        @op  # HERE
        def load(config): ...
        """,
        (
            "op 'load': parameter 'config' is not annotated, but is given the config as a Pydantic"
            " model; annotate it with a subclass of pydantic.BaseModel, or give the input another name"
        ),
    ),
    "config of another type": (
        """
        @op  # HERE
        def load(config: dict[str, int]): ...
        """,
        (
            "op 'load': parameter 'config' is annotated dict[str, int], but is given the config as a"
            " Pydantic model; annotate it with a subclass of pydantic.BaseModel, or give the input"
            " another name"
        ),
    ),
    "config that may be None": (
        """
        class Config(BaseModel): ...
        @op  # HERE
        def load(config: Config | None): ...
        """,
        (
            "op 'load': parameter 'config' is annotated jobs.Config | None, but is given the config as"
            " a Pydantic model; annotate it with a subclass of pydantic.BaseModel, or give the input"
            " another name"
        ),
    ),
    "config with a default": (
        """
        class Config(BaseModel): ...
        @op  # HERE
        def load(config: Config = Config()): ...
        """,
        "op 'load': parameter 'config' has a default; give the fields of Config defaults instead",
    ),
    "config model without keys": (
        """
        class Config(RootModel[list[int]]): ...
        @op  # HERE
        def load(config: Config): ...
        """,
        (
            "op 'load': the config model Config is a RootModel, which has no keys; use a model with"
            " fields"
        ),
    ),
    "config model that allows extra keys": (
        """
        class Config(BaseModel):
            model_config = ConfigDict(extra="allow")
        @op  # HERE
        def load(config: Config): ...
        """,
        (
            "op 'load': the config model Config allows extra keys, but run config refuses keys that"
            " are not declared; declare a field of type dict for free keys"
        ),
    ),
    "config model that JSON cannot hold": (
        """
        class Config(BaseModel):
            fn: Callable[[], int]
        @op  # HERE
        def load(config: Config): ...
        """,
        (
            "op 'load': the config model Config cannot be given as JSON: Cannot generate a"
            " JsonSchema for core_schema.CallableSchema; use types that JSON can hold"
        ),
    ),
    "config model whose schema is not JSON": (
        """
        class Config(BaseModel):
            path: str = Field(json_schema_extra={"x": object})
        @op  # HERE
        def load(config: Config): ...
        """,
        (
            "op 'load': the config model Config cannot be given as JSON: Unable to serialize"
            " unknown type: <class 'type'>; use types that JSON can hold"
        ),
    ),
    "config model that makes its schema no JSON": (
        """
        class Config(BaseModel):
            path: str = Field(json_schema_extra=lambda schema: schema.update(x=object()))
        @op  # HERE
        def load(config: Config): ...
        """,
        (
            "op 'load': the config model Config cannot be given as JSON: Encoding objects of type"
            " object is unsupported; use types that JSON can hold"
        ),
    ),
    "context that is not first": (
        """
        @op  # HERE
        def load(rows: int, context: OpContext): ...
        """,
        (
            "op 'load': parameter 'context' is not the first; put it first, or give the parameter"
            " another name"
        ),
    ),
    "context of another type": (
        """
        @op  # HERE
        def load(context: int): ...
        """,
        (
            "op 'load': parameter 'context' is annotated int, but is given the OpContext; annotate it"
            " OpContext, or give the parameter another name"
        ),
    ),
    "an input named config in ins": (
        """
        @op(ins={"config": In(type=int)})  # HERE
        def load(rows: int): ...
        """,
        (
            "op 'load': ins names 'config', a parameter that is never an input; give the input another"
            " name"
        ),
    ),
    "ins for no parameter": (
        """
        @op(ins={"rowz": In(type=int)})  # HERE
        def load(rows: int, more: int): ...
        """,
        (
            "op 'load': ins names 'rowz', which is no parameter of the function; its inputs are: rows,"
            " more"
        ),
    ),
    "ins with a bare type": (
        """
        @op(ins={"rows": int})  # HERE
        def load(rows): ...
        """,
        "op 'load': ins gives a type for 'rows'; write In(...), such as In(type=int)",
    ),
    "ins that is a list": (
        """
        @op(ins=["rows"])  # HERE
        def load(rows): ...
        """,
        "op 'load': ins is a list; write ins={\"name\": In(...)}",
    ),
    "*args": (
        """
        @op  # HERE
        def load(*rows: int): ...
        """,
        (
            "op 'load': parameter \"*rows: 'int'\" cannot be given by its name; write out each"
            " parameter, without *args, **kwargs and /"
        ),
    ),
    "**kwargs": (
        """
        @op  # HERE
        def load(**rows): ...
        """,
        (
            "op 'load': parameter '**rows' cannot be given by its name; write out each parameter,"
            " without *args, **kwargs and /"
        ),
    ),
    "a parameter before /": (
        """
        @op  # HERE
        def load(rows, /): ...
        """,
        (
            "op 'load': parameter 'rows' cannot be given by its name; write out each parameter,"
            " without *args, **kwargs and /"
        ),
    ),
    "a default of another type": (
        """
        @op  # HERE
        def load(rows: int = None): ...
        """,
        (
            "op 'load': the default of input 'rows' does not have its type: expected int, got None;"
            " change the default or the type"
        ),
    ),
    "an annotation that names nothing": (
        """
        @op  # HERE
        def load(rows: Rows): ...
        """,
        (
            "op 'load': the annotation 'Rows' of input 'rows' cannot be read: name 'Rows' is not"
            " defined; define or import its names above the function, not only for type checking"
        ),
    ),
    "a return annotation that names nothing": (
        """
        @op  # HERE
        def load() -> Rows: ...
        """,
        (
            "op 'load': the annotation 'Rows' of the return value cannot be read: name 'Rows' is not"
            " defined; define or import its names above the function, not only for type checking"
        ),
    ),
    "a tag that is not text": (
        """
        @op(tags={"cpus": 4})  # HERE
        def load(): ...
        """,
        "op 'load': tag 'cpus' is 4, which is not text; write 'cpus': '4'",
    ),
    "a tag of the system": (
        """
        @op(tags={"runwire/mine": "x"})  # HERE
        def load(): ...
        """,
        (
            "op 'load': tag 'runwire/mine' is the system's; of runwire/ you may set"
            " runwire/max_retries, runwire/max_runtime_seconds, runwire/priority,"
            " runwire/retry_on_asset_or_op_failure, runwire/retry_strategy"
        ),
    ),
    "a pool that cannot be one": (
        """
        @op(pool="our db")  # HERE
        def load(): ...
        """,
        (
            "op 'load': pool is 'our db'; give 1 to 128 of the letters a-z, A-Z, digits, _, ., / and -,"
            " beginning with a letter, digit or _"
        ),
    ),
    "a priority that is no number": (
        """
        @op(tags={"runwire/priority": "high"})  # HERE
        def load(): ...
        """,
        "op 'load': tag 'runwire/priority' is 'high'; give a whole number, such as '10'",
    ),
    "tags that are no mapping": (
        """
        @op(tags=["x"])  # HERE
        def load(): ...
        """,
        "op 'load': tags are a list; give a mapping of texts to texts",
    ),
    "an output name with a dash": (
        """
        @op(out={"good-rows": Out()})  # HERE
        def load(): ...
        """,
        f"op 'load': output 'good-rows': this cannot be a name; {NAME_MEND}",
    ),
    "a bare type as an output": (
        """
        @op(out={"rows": int})  # HERE
        def load(): ...
        """,
        "op 'load': out gives int for 'rows'; write Out(...), such as Out(type=int)",
    ),
    "a bare type as out": (
        """
        @op(out=int)  # HERE
        def load(): ...
        """,
        "op 'load': out is int; write out=Out(...) or out={\"name\": Out(...)}",
    ),
    "no output": (
        """
        @op(out={})  # HERE
        def load(): ...
        """,
        "op 'load': out is empty; leave it out for the one output 'result'",
    ),
    "output metadata that is no metadata": (
        """
        @op(out=Out(metadata={"x": object()}))  # HERE
        def load(): ...
        """,
        (
            "op 'load': output 'result', metadata 'x': a object cannot be metadata; give a text,"
            " number, path, JSON value, or one of MetadataValue's"
        ),
    ),
    "a name with a space": (
        """
        @op(name="load rows")  # HERE
        def load(): ...
        """,
        f"op 'load rows': this cannot be a name; {NAME_MEND}",
    ),
    "a lambda": (
        """
        load = op(lambda: 1)  # HERE
        """,
        f"op '<lambda>': this cannot be a name; {NAME_MEND}",
    ),
    "a class": (
        """
        @op  # HERE
        class Load: ...
        """,
        "@op: it was given a type; decorate a function that is written with def or async def",
    ),
    "a text": (
        """
        @op("load")  # HERE
        def load(): ...
        """,
        "@op: it was given the text 'load'; write @op(name='load')",
    ),
    "required resources as a text": (
        """
        @op(required_resource_keys="db")  # HERE
        def load(): ...
        """,
        "op 'load': required_resource_keys is 'db'; give a list of keys, such as ['db']",
    ),
    "a resource key that is no name": (
        """
        @op(required_resource_keys=["my db"])  # HERE
        def load(): ...
        """,
        f"op 'load': resource key 'my db': this cannot be a name; {NAME_MEND}",
    ),
}


@pytest.mark.parametrize(("source", "message"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_op_is_refused_with_place_name_and_mend(
    refusal: Callable[[str], str], source: str, message: str
) -> None:
    assert refusal(source) == message
