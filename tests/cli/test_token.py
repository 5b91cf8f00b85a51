"""``runwire token …``, with the server that accepts what it made."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from runwire import clock
from runwire.instance.settings import read_settings
from runwire.server.auth import digest_of
from tests.cli.conftest import Invoke


def test_what_is_told_to_be_written_accepts_the_token(invoke: Invoke, tmp_path: Path) -> None:
    made = invoke("token", "create", "o'neill", "--role", "operator", "--days", "90")
    assert made.exit_code == 0
    first, _, written = made.stdout.partition(
        "\n\nIn runwire.yaml of the server, beside other tokens:\n\n"
    )
    token = first.removeprefix("token: ")
    assert len(token) >= 43
    (tmp_path / "runwire.yaml").write_text(written)
    settings, *_ = read_settings(tmp_path)
    (accepted,) = settings.auth.tokens
    assert (accepted.name, accepted.role) == ("o'neill", "operator")
    assert accepted.sha256 == digest_of(token.encode())
    assert token not in written
    left = accepted.expires_at - clock.now() if accepted.expires_at else timedelta()
    assert timedelta(days=89) < left <= timedelta(days=90)


def test_a_token_may_read_for_ever_unless_more_is_said(invoke: Invoke, tmp_path: Path) -> None:
    made = invoke("token", "create", "eve")
    (tmp_path / "runwire.yaml").write_text(made.stdout[made.stdout.index("auth:") :])
    settings, *_ = read_settings(tmp_path)
    (accepted,) = settings.auth.tokens
    assert (accepted.role, accepted.expires_at) == ("viewer", None)


def test_no_two_tokens_are_the_same(invoke: Invoke) -> None:
    assert invoke("token", "create", "a").stdout != invoke("token", "create", "a").stdout
