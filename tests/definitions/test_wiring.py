"""The body of a job: what feeds what, under which names, and what is refused there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from runwire.definitions import JobDefinition, OutputRef

OPS = """
@op
def load() -> list[int]: ...

@op(tags={"team": "sales", "kind": "sum"})
def total(rows: list[int], start: int = 0) -> int: ...

@op(out={"even": Out(list[int]), "odd": Out(list[int], is_required=False)})
def split(rows: list[int]): ...

@op
def merge(parts: list[list[int]]) -> list[int]: ...

class Thing: ...

@op
def needs_thing(thing: Thing): ...
"""

LoadJob = Callable[[str], JobDefinition]


def _sources(job: JobDefinition) -> dict[str, dict[str, object]]:
    return {node.handle: dict(node.sources) for node in job.nodes}


def test_calls_wire_outputs_to_inputs_by_order_and_by_name(load_job: LoadJob) -> None:
    job = load_job(
        OPS
        + """
@job
def etl():
    rows = load()
    total(rows)
    total(rows=rows, start=total(start=load(), rows=rows))
"""
    )
    rows = OutputRef("load", "result")
    assert _sources(job) == {
        "load": {},
        "total": {"rows": rows},
        "load_2": {},
        "total_2": {"start": OutputRef("load_2", "result"), "rows": rows},
        "total_3": {"rows": rows, "start": OutputRef("total_2", "result")},
    }


def test_several_outputs_are_unpacked_in_order_or_picked_by_name(load_job: LoadJob) -> None:
    job = load_job(
        OPS
        + """
@job
def etl():
    even, odd = split(load())
    total(odd)
    both = split(even)
    total(both.even)
    total(load().result)
"""
    )
    assert _sources(job) == {
        "load": {},
        "split": {"rows": OutputRef("load", "result")},
        "total": {"rows": OutputRef("split", "odd")},
        "split_2": {"rows": OutputRef("split", "even")},
        "total_2": {"rows": OutputRef("split_2", "even")},
        "load_2": {},
        "total_3": {"rows": OutputRef("load_2", "result")},
    }


def test_a_list_of_outputs_fans_in_in_order(load_job: LoadJob) -> None:
    job = load_job(
        OPS
        + """
@job
def etl():
    even, odd = split(load())
    merge([odd, even, load()])
    merge((even,))
    merge(list(split(even)))
"""
    )
    odd, even = OutputRef("split", "odd"), OutputRef("split", "even")
    assert job.node("merge").sources == {"parts": (odd, even, OutputRef("load_2", "result"))}
    assert job.node("merge_2").sources == {"parts": (even,)}
    assert job.node("merge_3").sources == {
        "parts": (OutputRef("split_2", "even"), OutputRef("split_2", "odd"))
    }


def test_names_are_aliases_else_numbered_past_what_is_taken(load_job: LoadJob) -> None:
    job = load_job(
        OPS
        + """
@job
def etl():
    load.alias("load_2")()
    load()
    load()
    load.alias("other").tag({"a": "b"})()
    load.tag({"a": "b"}).alias("another")()
"""
    )
    assert [node.handle for node in job.nodes] == ["load_2", "load", "load_3", "other", "another"]
    assert {node.op.name for node in job.nodes} == {"load"}


def test_tags_of_a_use_go_over_those_of_the_op(load_job: LoadJob) -> None:
    job = load_job(
        OPS
        + """
@job
def etl():
    total.tag({"kind": "x"}).tag({"more": "y"})(load())
    total(load())
"""
    )
    assert job.node("total").tags == {"team": "sales", "kind": "x", "more": "y"}
    assert job.node("total_2").tags == {"team": "sales", "kind": "sum"}


def test_nodes_have_sources_before_what_they_feed(load_job: LoadJob) -> None:
    job = load_job(
        OPS
        + """
@job
def etl():
    merge([total.alias("z")(load.alias("y")()), load.alias("x")()])
"""
    )
    assert [node.handle for node in job.nodes] == ["y", "z", "x", "merge"]


def test_an_input_that_nothing_feeds_is_left_to_the_run_config_or_its_default(
    load_job: LoadJob,
) -> None:
    job = load_job(
        OPS
        + """
@job
def etl():
    total()
"""
    )
    assert _sources(job) == {"total": {}}


NOT_A_VALUE = "as if it were a value, but nothing has run yet; do this inside an op"
IN_JOB = "job 'etl'"

REFUSED = {
    "no such input": (
        "total(rowz=load())",
        f"{IN_JOB}, op 'total': it has no input 'rowz'; its inputs are: rows, start",
    ),
    "config as an argument": (
        "load(config={})",
        f"{IN_JOB}, op 'load': it has no input 'config'; its inputs are: none",
    ),
    "too many arguments": (
        "total(load(), load(), load())",
        f"{IN_JOB}, op 'total': it is called with 3 arguments in order; its inputs are: rows, start",
    ),
    "an input given twice": (
        "total(load(), rows=load())",
        f"{IN_JOB}, op 'total': input 'rows' is given twice; give it once",
    ),
    "a missing input that JSON cannot give": (
        "needs_thing()",
        (
            f"{IN_JOB}, op 'needs_thing': input 'thing' is missing, and a Thing cannot be given in the"
            " run config; pass an output of another op, or give the input a default"
        ),
    ),
    "a value": (
        "total([1, 2])",
        (
            f"{IN_JOB}, op 'total': input 'rows' is given a int, which is no output of an op; give"
            " values in the run config, under ops.total.inputs.rows or in its config, or as a default"
        ),
    ),
    "an op that is not called": (
        "total(load)",
        f"{IN_JOB}, op 'total': input 'rows' is given the op 'load' itself; call it: load(...)",
    ),
    "an alias that is not called": (
        "total(load.alias('x'))",
        f"{IN_JOB}, op 'total': input 'rows' is given the op 'load' itself; call it: load(...)",
    ),
    "several outputs for one input": (
        "total(split(load()))",
        (
            f"{IN_JOB}, op 'total': input 'rows' is given op 'split', which has several outputs; pick"
            " one by its name: even, odd"
        ),
    ),
    "an empty list": (
        "merge([])",
        (
            f"{IN_JOB}, op 'merge': input 'parts' is given an empty list; give outputs of ops, or leave"
            " it out"
        ),
    ),
    "a list for an input that takes none": (
        "total(load(), [load()])",
        (
            f"{IN_JOB}, op 'total': input 'start' is given a list of outputs, but its type is int;"
            " annotate it list[int], or give one output"
        ),
    ),
    "an output that does not exist": (
        "total(split(load()).evn)",
        (
            f"{IN_JOB}: the output of op 'split' is asked for 'evn', which is no output of it; its"
            " outputs are: even, odd; use values inside ops only"
        ),
    ),
    "a method of a value": (
        "load().append(3)",
        (
            f"{IN_JOB}: the output of op 'load' is asked for 'append', which is no output of it; its"
            " outputs are: result; use values inside ops only"
        ),
    ),
    "a condition": (
        "x = 1 if load() else 2",
        f"{IN_JOB}: the output of op 'load' is used as a condition {NOT_A_VALUE}",
    ),
    "a comparison": (
        "load() == 3",
        f"{IN_JOB}: the output of op 'load' is compared {NOT_A_VALUE}",
    ),
    "a loop": (
        "[row for row in load()]",
        f"{IN_JOB}: the output of op 'load' is iterated {NOT_A_VALUE}",
    ),
    "an index": (
        "load()[0]",
        f"{IN_JOB}: the output of op 'load' is indexed {NOT_A_VALUE}",
    ),
    "a sum": (
        "total(load()) + 1",
        f"{IN_JOB}: the output of op 'total' is calculated with {NOT_A_VALUE}",
    ),
    "a sum from the right": (
        "1 + total(load())",
        f"{IN_JOB}: the output of op 'total' is calculated with {NOT_A_VALUE}",
    ),
    "a length": (
        "len(load())",
        f"{IN_JOB}: the output of op 'load' is measured {NOT_A_VALUE}",
    ),
    "a conversion": (
        "int(total(load()))",
        f"{IN_JOB}: the output of op 'total' is converted {NOT_A_VALUE}",
    ),
    "a call": (
        "load()()",
        f"{IN_JOB}: the output of op 'load' is called {NOT_A_VALUE}",
    ),
    "an alias that is taken": (
        "load(), total.alias('load')(load())",
        (
            f"{IN_JOB}: the alias 'load' of op 'total' is taken by the use of op 'load' at <here>;"
            " choose another alias"
        ),
    ),
    "an alias that is no name": (
        "load.alias('my load')()",
        (
            "alias of op 'load' 'my load': this cannot be a name; use 1 to 128 of the letters a-z, A-Z,"
            " digits and _, with no digit first"
        ),
    ),
    "a tag that is not text": (
        "load.tag({'cpus': 4})()",
        "op 'load': tag 'cpus' is 4, which is not text; write 'cpus': '4'",
    ),
}


@pytest.mark.parametrize(("statement", "message"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_statement_is_refused_at_its_line(
    refusal: Callable[[str], str], statement: str, message: str
) -> None:
    told = refusal(
        OPS
        + f"""
@job
def etl():
    {statement}  # HERE
"""
    )
    place = "<here>" if "<here>" in message else ""
    assert _without_place(told) == message if place else told == message


def _without_place(told: str) -> str:
    before, _, rest = told.partition(" at ")
    return f"{before} at <here>{rest[rest.index(';') :]}"


def test_two_ops_of_one_name_are_refused(refusal: Callable[[str], str]) -> None:
    told = refusal(
        OPS
        + """
def make():
    @op
    def load(): ...
    return load

@job
def etl():
    load()
    make()()  # HERE
"""
    )
    assert told.startswith("job 'etl': two ops are named 'load', one at ")
    assert told.endswith("; rename one with @op(name=...)")


def test_an_output_of_another_job_is_refused(refusal: Callable[[str], str]) -> None:
    told = refusal(
        OPS
        + """
kept = []

@job
def first():
    kept.append(load())

@job
def etl():
    total(kept[0])  # HERE
"""
    )
    assert told == (
        "job 'etl', op 'total': input 'rows' is given an output that belongs to job 'first'; call"
        " the op that gives it in this job"
    )


def test_an_output_tells_what_it_is(load_job: LoadJob, capsys: pytest.CaptureFixture[str]) -> None:
    load_job(
        OPS
        + """
@job
def etl():
    print(split(load()), hasattr(load(), "__wrapped__"))
"""
    )
    assert capsys.readouterr().out == ("<outputs even, odd of op 'split', not values yet> False\n")
