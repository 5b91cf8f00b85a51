"""Sending one request to a webhook, to no address but an allowed one."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from runwire import __version__, clock
from runwire.instance.webhook_settings import WebhookSettings
from runwire.webhooks.addresses import public_socket
from runwire.webhooks.signature import signed_headers

MAX_ANSWER_BYTES = 64 * 1024
"""How much of an answer is read, so that its connection can be used again. What it says is not looked at."""

MAX_RETRY_AFTER_SECONDS = 86400.0
"""The longest that a receiver may ask to be left alone."""

_TRY_AGAIN = frozenset({408, 425, 429})
_GONE = 410


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How a request ended.

    Attributes:
        duration_seconds: how long it took.
        status_code: what was answered; None when nothing was.
        error: why it does not count as delivered; None when it does.
        retry_after_seconds: for how long the receiver wants to be left alone; None when it does not say.
    """

    duration_seconds: float
    status_code: int | None = None
    error: str | None = None
    retry_after_seconds: float | None = None

    @property
    def is_delivered(self) -> bool:
        """Whether the receiver has it."""
        return self.error is None

    @property
    def is_gone(self) -> bool:
        """Whether the receiver wants nothing any more."""
        return self.status_code == _GONE

    @property
    def is_refusal(self) -> bool:
        """Whether the receiver would rather not have this event: trying it again is not likely to help."""
        code = self.status_code
        return code is not None and 300 <= code < 500 and code not in _TRY_AGAIN


class Sender:
    """Sends to one webhook, over connections that it keeps. It belongs to one event loop.

    Names are resolved once for each connection, and the address that is connected to is the one that was checked.
    Redirects are not followed, no proxy is used, and nothing of an answer is kept.

    Args:
        settings: the webhook.
        now: tells the time, in epoch seconds.
    """

    def __init__(
        self, settings: WebhookSettings, now: Callable[[], float] = clock.timestamp
    ) -> None:
        self._settings = settings
        self._url = URL(settings.url, encoded=True)
        self._keys = settings.signing_keys
        self._now = now
        self._headers = {
            "content-type": "application/json",
            "user-agent": f"runwire/{__version__}",
            **{name: value.get_secret_value() for name, value in settings.headers.items()},
        }
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        settings = self._settings
        connector = aiohttp.TCPConnector(
            limit=settings.max_in_flight + 1,
            use_dns_cache=False,
            socket_factory=None if settings.allow_private_networks else public_socket,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=settings.timeout_seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, event_id: str, body: bytes) -> Answer:
        """Sends an event; whatever goes wrong is told by the answer.

        Args:
            event_id: its id.
            body: what is sent.
        """
        if self._session is None:
            raise RuntimeError("enter the sender first")
        begun = time.monotonic()
        signed = signed_headers(self._keys, event_id, int(self._now()), body)
        try:
            async with self._session.post(
                self._url, data=body, headers={**self._headers, **signed}, allow_redirects=False
            ) as response:
                await _read(response)
                code, after = response.status, response.headers.get("retry-after")
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError, ssl.SSLError) as error:
            return Answer(duration_seconds=time.monotonic() - begun, error=self._problem(error))
        return Answer(
            duration_seconds=time.monotonic() - begun,
            status_code=code,
            error=None if 200 <= code < 300 else f"it answered {code}",
            retry_after_seconds=retry_after(after, self._now()),
        )

    def _problem(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"it did not answer within {self._settings.timeout_seconds:g} s"
        if isinstance(error, aiohttp.ClientConnectorError):
            return f"it cannot be connected to: {error.os_error}"
        return f"the request failed: {type(error).__name__}: {error}"


async def _read(response: aiohttp.ClientResponse) -> None:
    """Reads an answer to its end, unless it is long; its connection is given up then."""
    count = 0
    async for chunk in response.content.iter_any():
        count += len(chunk)
        if count > MAX_ANSWER_BYTES:
            response.close()
            return


def retry_after(value: str | None, now: float) -> float | None:
    """What a header Retry-After asks for, in seconds from now; None when there is none that makes sense.

    Args:
        value: its value, a number of seconds or a date.
        now: the instant, in epoch seconds.
    """
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        seconds = float(value[:10])
    else:
        try:
            date = parsedate_to_datetime(value)
        except (ValueError, OverflowError):
            return None
        seconds = _epoch(date) - now
    return min(max(0.0, seconds), MAX_RETRY_AFTER_SECONDS)


def _epoch(date: datetime) -> float:
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
