"""Opaque texts survive the way to a client and back, and nothing else is taken for one."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from runwire.api.nodes import global_id, numbered_id, parse_global_id
from runwire.api.opaque import pack, unpack
from runwire.errors import InputInvalidError


def test_a_number_is_packed_as_its_digits() -> None:
    for number in (0, 7, 12345678901234567):
        assert numbered_id(number, "Job", "ü", 'a"b') == global_id("Job", "ü", 'a"b', str(number))


def test_parts_come_back_as_they_were_given() -> None:
    parts: list[Any] = ["Job", "here:there", 'a"b', "ü\U0001f600", 1.25, 7, None, True]
    assert unpack(pack(*parts)) == parts


def test_the_text_is_safe_in_a_url() -> None:
    text = pack("~~~???ÿÿÿ", "ü" * 20)
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "HEAD",
        "ä",
        "!!!",
        "\ud800",
        base64.urlsafe_b64encode(b'{"a": 1}').decode(),
        base64.urlsafe_b64encode(b"[NaN]").decode(),
        base64.urlsafe_b64encode(b"[1").decode(),
        base64.urlsafe_b64encode(b"\xff\xfe").decode(),
        base64.urlsafe_b64encode(b"[" * 100_000).decode(),
    ],
)
def test_what_was_not_packed_has_no_parts(text: str) -> None:
    assert unpack(text) is None


def test_a_global_id_names_its_type_and_its_key() -> None:
    assert parse_global_id(global_id("Job", "here", "main", "etl")) == (
        "Job",
        ["here", "main", "etl"],
    )


@pytest.mark.parametrize(
    "text", ["", "run-1", pack(), pack("Run", 1), pack(1, "Run"), pack("Run", None)]
)
def test_what_is_no_global_id_is_refused(text: str) -> None:
    with pytest.raises(InputInvalidError, match="is no global id") as caught:
        parse_global_id(text)
    assert caught.value.path == ("id",)


def test_a_lone_surrogate_in_a_global_id_reaches_no_store() -> None:
    text = base64.urlsafe_b64encode(b'["Run", "\\ud800"]').decode()
    assert parse_global_id(text) == ("Run", ["\\ud800"])
