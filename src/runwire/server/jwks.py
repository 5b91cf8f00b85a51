"""The keys of an issuer of tokens, as it publishes them (JWKS, RFC 7517)."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jwt import PyJWK
from jwt.exceptions import PyJWTError

logger = logging.getLogger(__name__)

MAX_BYTES = 512 * 1024
"""What a set of keys may have."""

STALE_SECONDS = 3600.0
"""After so long keys are fetched again, so that one that was withdrawn is not taken for ever."""

_CHUNK = 64 * 1024


class KeysUnavailableError(Exception):
    """The keys cannot be had now."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key by which signatures are checked.

    Attributes:
        key: the key.
        algorithm: the only one that it is published for; None when its issuer does not say.
    """

    key: PyJWK
    algorithm: str | None


class KeySet:
    """Keys by their id (`kid`), fetched off the event loop and remembered. It belongs to one event loop.

    When they cannot be fetched, those that are known go on to be taken.

    Args:
        fetch: gives the set as JSON; called in a thread, may raise OSError or ValueError.
        refetch_seconds: it is not called more often than that, nor while it is at it.
        wait_seconds: whoever needs a key that is not known waits for it no longer than that.
    """

    def __init__(
        self, fetch: Callable[[], bytes], refetch_seconds: float, wait_seconds: float
    ) -> None:
        self._fetch = fetch
        self._refetch_seconds = refetch_seconds
        self._wait_seconds = wait_seconds
        self._keys: Mapping[str, PublicKey] = {}
        self._tried_at: float | None = None
        self._fetched_at: float | None = None
        self._refreshing: asyncio.Task[None] | None = None

    async def find(self, kid: str) -> PublicKey | None:
        """The key of an id; None when the issuer has none.

        Raises:
            KeysUnavailableError: no keys could be fetched yet.
        """
        key = self._keys.get(kid)
        if key is not None:
            if self._age > STALE_SECONDS:
                self._refresh()
            return key
        refreshing = self._refresh()
        if refreshing is not None:
            await asyncio.wait({refreshing}, timeout=self._wait_seconds)
        if self._fetched_at is None:
            raise KeysUnavailableError
        return self._keys.get(kid)

    @property
    def _age(self) -> float:
        return 0.0 if self._fetched_at is None else time.monotonic() - self._fetched_at

    def _refresh(self) -> asyncio.Task[None] | None:
        """Fetches the keys, once for all who want them; None when that was done a moment ago."""
        if self._refreshing is None:
            now = time.monotonic()
            if self._tried_at is not None and now - self._tried_at < self._refetch_seconds:
                return None
            self._tried_at = now
            self._refreshing = asyncio.create_task(self._load(), name="keys of the issuer")
        return self._refreshing

    async def _load(self) -> None:
        try:
            self._keys = read_keys(await asyncio.to_thread(self._fetch))
            self._fetched_at = time.monotonic()
        except (OSError, ValueError, HTTPException) as error:
            logger.warning("the keys of the issuer of tokens cannot be had: %s", error)
        finally:
            self._refreshing = None


def read_keys(data: bytes) -> dict[str, PublicKey]:
    """The keys of a set by which signatures can be checked: those that have an id and are public.

    Raises:
        ValueError: it is no set of keys.
    """
    try:
        value: Any = json.loads(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    entries = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(entries, list):
        raise ValueError("it is no set of keys: it has no list `keys`")  # noqa: TRY004 - of what came in
    found: dict[str, PublicKey] = {}
    for entry in entries:
        if isinstance(entry, dict) and _is_public(entry):
            try:
                found[entry["kid"]] = PublicKey(PyJWK.from_dict(entry), entry.get("alg"))
            except (PyJWTError, ValueError, TypeError):
                continue  # of a kind that is not known here; the others are
    return found


def _is_public(entry: Mapping[str, Any]) -> bool:
    return (
        isinstance(entry.get("kid"), str)
        and entry.get("kty") in ("RSA", "EC", "OKP")
        and "d" not in entry
        and entry.get("use", "sig") == "sig"
    )


def from_file(path: Path) -> Callable[[], bytes]:
    """Reads keys from a file."""

    def fetch() -> bytes:
        with path.open("rb") as file:
            return _whole(file.read, None)

    return fetch


def from_url(url: str, seconds: float) -> Callable[[], bytes]:
    """Fetches keys by HTTP, from that address alone: it follows no redirection.

    Args:
        url: the address.
        seconds: how long it may take in all.
    """
    handlers: list[urllib.request.BaseHandler] = [_NoRedirection()]
    if urlsplit(url).scheme == "http":  # on loopback, where no proxy is asked
        handlers.append(urllib.request.ProxyHandler({}))
    opener = urllib.request.build_opener(*handlers)

    def fetch() -> bytes:
        until = time.monotonic() + seconds
        request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 - checked
        with opener.open(request, timeout=seconds) as response:
            return _whole(response.read1, until)

    return fetch


def _whole(read: Callable[[int], bytes], until: float | None) -> bytes:
    data = bytearray()
    while chunk := read(_CHUNK):
        data += chunk
        if len(data) > MAX_BYTES:
            raise ValueError(f"they are larger than {MAX_BYTES} bytes")
        if until is not None and time.monotonic() > until:
            raise TimeoutError("they did not arrive in time")
    return bytes(data)


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None
