from __future__ import annotations

import pytest

from runwire.client.inputs import endpoint, new_run_input, tag_filters
from runwire.errors import InputInvalidError


@pytest.mark.parametrize(
    ("url", "used"),
    [
        ("http://127.0.0.1:3333", "http://127.0.0.1:3333/graphql"),
        ("https://runs.example.org/", "https://runs.example.org/graphql"),
        ("http://[::1]:3333/graphql", "http://[::1]:3333/graphql"),
        ("https://example.org/behind/a/proxy", "https://example.org/behind/a/proxy"),
    ],
)
def test_an_address_without_a_path_means_the_endpoint(url: str, used: str) -> None:
    assert endpoint(url) == used


@pytest.mark.parametrize(
    "url",
    ["", "x", "localhost:3333", "ws://x/graphql", "http:///graphql", "http://x:y", "http://["],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InputInvalidError) as refused:
        endpoint(url)
    assert str(refused.value).startswith(f"{url!r} is no address of a server; ")


def test_what_is_not_given_is_not_sent() -> None:
    assert new_run_input("j", None, None, None, None, None, None) == {"job": {"jobName": "j"}}
    assert new_run_input("j", {}, {}, "r", "l", "id", "key") == {
        "job": {"jobName": "j", "repositoryName": "r", "locationName": "l"},
        "runId": "id",
        "runConfig": {},
        "tags": [],
        "idempotencyKey": "key",
    }


def test_values_of_the_same_tag_are_alternatives() -> None:
    assert tag_filters([("a", "1"), ("b", "x"), ("a", "2")]) == [
        {"key": "a", "values": ["1", "2"]},
        {"key": "b", "values": ["x"]},
    ]
