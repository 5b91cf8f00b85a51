from __future__ import annotations

import time

import pytest
from graphql import (
    GraphQLError,
    GraphQLObjectType,
    OperationDefinitionNode,
    get_introspection_query,
    get_named_type,
    is_leaf_type,
    parse,
    validate,
)

from runwire.api.schema import schema
from runwire.documents import load_document, operation_names
from runwire.server import document_limits
from runwire.server.document_check import Documents
from runwire.server.document_limits import DocumentLimits, numbers_of, rows_of
from runwire.server.settings import Limits
from tests.server.conftest import LiveServer, ServeTry, greet, hear, subscribe

INTROSPECTION = get_introspection_query(
    specified_by_url=True,
    directive_is_repeatable=True,
    input_value_deprecation=True,
    schema_description=True,
)


def problems(text: str, *, depth: int = 15, aliases: int = 50) -> list[str]:
    return [error.message for error in DocumentLimits(depth, aliases).check(parse(text))]


def rows(text: str, **variables: object) -> int:
    document = parse(text)
    (operation,) = (n for n in document.definitions if isinstance(n, OperationDefinitionNode))
    return rows_of(document, operation, numbers_of(operation, variables))


def test_each_list_that_is_paged_is_known_with_its_length() -> None:
    """What is not there would count as one object, however long the page is."""
    paged = {
        name
        for kind in schema._schema.type_map.values()
        if isinstance(kind, GraphQLObjectType)
        for name, field in kind.fields.items()
        if "first" in field.args and not is_leaf_type(get_named_type(field.type))
    }
    assert paged == set(document_limits._PAGES)


@pytest.mark.parametrize("name", operation_names())
def test_every_document_of_ours_is_admitted(name: str) -> None:
    document = Documents(Limits(), schema._schema).read(load_document(name))
    assert validate(schema._schema, document.parsed) == []
    (operation,) = (
        n for n in document.parsed.definitions if isinstance(n, OperationDefinitionNode)
    )
    assert document.rows(operation, {}) <= Limits().rows


def test_the_introspection_of_graphiql_is_admitted() -> None:
    document = Documents(Limits(), schema._schema).read(INTROSPECTION)
    (operation,) = (
        n for n in document.parsed.definitions if isinstance(n, OperationDefinitionNode)
    )
    assert document.rows(operation, {}) <= Limits().rows


@pytest.mark.parametrize(
    "text",
    [
        "{a{b{c}}}",
        "{a{...F}} fragment F on X{b{c}}",
        "{a{... on X{b{... {c}}}}}",
        "{...F} fragment F on X{a{...G}} fragment G on X{b{c}}",
        "{x} query B {a{b{c}}}",
    ],
)
def test_depth_counts_fields_through_fragments(text: str) -> None:
    assert problems(text, depth=3) == []
    (problem,) = problems(text, depth=2)
    assert problem.startswith("the operation nests deeper than 2 levels")


@pytest.mark.parametrize(
    "text",
    [
        "{x:a y:a z:a}",
        "{x:a{y:b{z:c}}}",
        "{...F ...F ...F} fragment F on X{x:a}",
        "{x:a{...F} ... on X{...F}} fragment F on X{x:a}",
    ],
)
def test_aliases_are_counted_as_often_as_their_fragment_is_spread(text: str) -> None:
    assert problems(text, aliases=3) == []
    (problem,) = problems(text, aliases=2)
    assert problem.startswith("the operation has more than 2 aliases")


def limited(text: str, **limits: int) -> list[str]:
    whole = DocumentLimits(**{"depth": 15, "aliases": 50, **limits})
    return [error.message for error in whole.check(parse(text))]


@pytest.mark.parametrize(
    "text",
    [
        "{a @x @x @x}",
        "query @x {a @x {b @x}}",
        "{...F @x ... @x {a} b @x}  fragment F on X{c}",
        "{...F ...F ...F} fragment F on X{a @x}",
    ],
)
def test_directives_are_counted_wherever_they_stand(text: str) -> None:
    assert limited(text, directives=3) == []
    told = "the operation has more than 2 directives; ask for less at once"
    assert limited(text, directives=2) == [told]


@pytest.mark.parametrize(
    "text",
    [
        "{a b c{d e f g}}",
        "{...F ... on X{c}} fragment F on X{a b}",
        "{...F ...F ...F} fragment F on X{a}",
    ],
)
def test_the_fields_that_an_operation_begins_with_are_counted(text: str) -> None:
    assert limited(text, root_fields=3) == []
    told = "the operation begins with more than 2 fields; ask for less at once"
    assert limited(text, root_fields=2) == [told]


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("{viewer}", 0),
        ("{viewer{name}}", 1),
        ("{runs(first:10){runId}}", 10),
        ("{runs(first:10){steps{key}}}", 10_010),
        ("{...F ...F} fragment F on X{runs(first:10){runId}}", 20),
        ("{a" * 200 + "}" * 200, 0),
    ],
)
def test_what_an_operation_may_give_is_counted(text: str, most: int) -> None:
    assert rows(text) == most


@pytest.mark.parametrize(
    ("definition", "variables", "most"),
    [
        ("$n: Int", {"n": 3}, 3),
        ("$n: Int", {"n": 3000}, 100),
        ("$n: Int", {"n": -3}, 0),
        ("$n: Int", {"n": "3"}, 100),
        ("$n: Int", {"n": True}, 100),
        ("$n: Int", {"n": None}, 25),
        ("$n: Int", {}, 25),
        ("$n: Int = 4", {}, 4),
        ("$n: Int = 4", {"n": 3}, 3),
        ("$n: Int! = 4", {}, 4),
        ("$n: Int = 99999999999999", {}, 100),
        ("$n: Float", {"n": 3}, 100),
        ("$m: Int", {"m": 3}, 100),
    ],
)
def test_a_page_is_as_long_as_the_variable_says(
    definition: str, variables: dict[str, object], most: int
) -> None:
    assert rows(f"query ({definition}) {{runs(first: $n){{runId}}}}", **variables) == most


def test_a_document_forgets_what_it_counted_for_many_variables() -> None:
    document = Documents(Limits()).read("query ($n: Int) {events(first: $n){position}}")
    (operation,) = document.parsed.definitions
    assert isinstance(operation, OperationDefinitionNode)
    assert [document.rows(operation, {"n": n}) for n in range(600)] == list(range(600))
    assert len(document._rows) < 600


def test_each_operation_counts_for_itself() -> None:
    assert problems("query A{x:a y:a} query B{x:a y:a}", aliases=2) == []


@pytest.mark.parametrize("text", ["{...F} fragment F on X{...F}", "{...Gone}"])
def test_what_validation_refuses_is_measured_without_end_or_error(text: str) -> None:
    assert problems(text) == []


def test_doubling_fragments_is_measured_at_once() -> None:
    """Ninety fragments that spread the next one twice: 2**90 fields."""
    count = 90
    fragments = [f"fragment F{n} on X{{...F{n + 1} ...F{n + 1}}}" for n in range(count)]
    document = parse(f"{{...F0}} {' '.join(fragments)} fragment F{count} on X{{x:a}}")
    started = time.process_time()
    (error,) = DocumentLimits(10, 10).check(document)
    assert time.process_time() - started < 5
    assert error.message.startswith("the operation has more than 10 aliases")


@pytest.mark.parametrize(
    "text",
    [
        "{a" * 150 + "}" * 150,
        "{...F0}" + " ".join(f"fragment F{n} on X{{...F{n + 1}}}" for n in range(900)),
        "{a" * 50 + "{x ...F}" + "}" * 50 + "fragment F on X" + "{a" * 60 + "}" * 60,
    ],
)
def test_no_nesting_is_too_deep_to_be_refused(text: str) -> None:
    assert problems(text) == ["the operation nests deeper than 15 levels; ask for less at once"]


def test_an_operation_beside_one_that_nests_too_deeply_is_admitted() -> None:
    errors = DocumentLimits(15, 50).check(parse("query A" + "{a" * 200 + "}" * 200 + "query B{a}"))
    assert len(errors) == 1


def test_too_many_tokens_are_refused() -> None:
    documents = Documents(Limits(tokens=10))
    documents.read("{a b c d e f g}")
    with pytest.raises(GraphQLError, match="more than 10 tokens"):
        documents.read("{a b c d e f g h i}")


def test_a_document_is_parsed_once_and_forgotten_when_many_others_came() -> None:
    documents = Documents(Limits())
    first = documents.read("{a}")
    assert documents.read("{a}") is first
    for n in range(300):
        documents.read(f"{{a{n}}}")
    assert documents.read("{a}") is not first


@pytest.mark.parametrize(
    ("limits", "document", "problem"),
    [
        (Limits(depth=2), "{me{me{hello}}}", "nests deeper than 2 levels"),
        (Limits(aliases=1), "{a:hello b:hello}", "more than 1 aliases"),
        (Limits(tokens=5), "{hello me{hello}}", "more than 5 tokens"),
        (Limits(rows=1), "{me{me{hello}}}", "may give more than 1 objects, lists"),
    ],
)
async def test_limits_hold_for_every_transport(
    serve_try: ServeTry, limits: Limits, document: str, problem: str
) -> None:
    server: LiveServer = serve_try(limits)
    for _ in range(2):  # the second time it is remembered
        answer = server.post(document, headers={"accept": "application/graphql-response+json"})
        assert answer.status_code == 400
        (error,) = answer.json()["errors"]
        assert problem in error["message"]
    async with server.connect() as socket:
        await greet(socket)
        await subscribe(socket, document)
        message = await hear(socket)
        assert message["type"] == "error"
        assert problem in message["payload"][0]["message"]
    assert server.post("{hello}").json() == {"data": {"hello": "hello"}}


def test_an_invalid_document_stays_invalid_when_it_is_remembered(server: LiveServer) -> None:
    answers = [server.post("{nothing}").json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0]["errors"][0]["message"] == "Cannot query field 'nothing' on type 'Query'."


EVENTS = "events(first: 1000) { nodes { %s } }"


def test_pages_within_pages_multiply() -> None:
    once = '{ run(runId: "r") { %s } }' % (EVENTS % "position")
    twice = '{ run(runId: "r") { %s } }' % (EVENTS % ("run { %s }" % (EVENTS % "position")))
    assert rows(once) == 1 + 2000
    assert rows(twice) == 1_000_000  # where counting stops


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("{ a { b { c } } }", 2),
        ("{ runs { nodes { runId } } }", 50),
        ("{ runs(first: 3) { nodes { runId } } }", 6),
        ("{ runs(first: 3000000000000) { nodes { runId } } }", 200),
        ("query ($n: Int) { runs(last: $n) { nodes { runId } } }", 50),
        (
            "{ runs(first: 2) { nodes { ...F } } } fragment F on Run { events(last: 5) { nodes { level } } }",
            24,
        ),
        ("{ codeLocations { repositories { jobs { name } } } }", 5 * (1 + 5 * (1 + 25))),
    ],
)
def test_rows_are_those_that_an_operation_may_give(text: str, most: int) -> None:
    assert rows(text) == most
