"""Base64url as the standard library has it, without padding."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runwire import base64url


@given(st.binary(), st.binary())
def test_a_beginning_and_an_end_are_encoded_as_one(beginning: bytes, end: bytes) -> None:
    text = base64url.Beginning(beginning).encode_with(end)
    assert text == base64.urlsafe_b64encode(beginning + end).decode().rstrip("=")
    assert base64url.encode(beginning + end) == text
    assert base64url.decode(text) == beginning + end


@pytest.mark.parametrize("text", ["a", "ä", "a b=", "!!!!", "\ud800"])
def test_what_is_no_base64url_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        base64url.decode(text)
