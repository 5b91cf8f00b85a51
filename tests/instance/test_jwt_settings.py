from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from runwire.instance.jwt_settings import JwtSettings

WHOLE = {
    "issuer": "https://issuer.example",
    "audience": "runwire",
    "jwks_url": "https://issuer.example/keys",
    "default_role": "viewer",
}


@pytest.mark.parametrize(
    "url",
    [
        "https://issuer.example/keys",
        "http://127.0.0.1:8080/keys",
        "http://[::1]/keys",
        "http://localhost/k",
    ],
)
def test_keys_are_fetched_in_safety(url: str) -> None:
    assert JwtSettings.model_validate({**WHOLE, "jwks_url": url}).jwks_url == url


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"jwks_url": "http://issuer.example/keys"}, "must be an https address"),
        ({"jwks_url": "file:///etc/passwd"}, "must be an https address"),
        ({"jwks_url": "https://"}, "must be an https address"),
        ({"jwks_url": None}, "name one of jwks_url and jwks_file"),
        ({"jwks_file": "keys.json"}, "name one of jwks_url and jwks_file"),
        ({"algorithms": ["none"]}, "Input should be"),
        ({"algorithms": ["HS256"]}, "Input should be"),
        ({"algorithms": []}, "at least 1 item"),
        ({"default_role": None}, "name roles or default_role"),
        ({"default_role": "owner"}, "Input should be"),
        ({"roles": {"ops": "owner"}}, "Input should be"),
        ({"leeway_seconds": 301}, "less than or equal to 300"),
        ({"secret": "x"}, "Extra inputs are not permitted"),
    ],
)
def test_what_is_not_safe_is_refused(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        JwtSettings.model_validate({**WHOLE, **change})
