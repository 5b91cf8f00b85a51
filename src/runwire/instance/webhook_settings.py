"""The section `webhooks` of `runwire.yaml`: where events of runs are sent, which, and how."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from runwire.config import PositiveSeconds, Section, WholeNumber

SECRET_PREFIX = "whsec_"  # noqa: S105 - what all secrets begin with
MAX_WEBHOOKS = 50

WebhookEventType = Literal[
    "RUN_ENQUEUED",
    "RUN_DEQUEUED",
    "RUN_STARTING",
    "RUN_START",
    "RUN_SUCCESS",
    "RUN_FAILURE",
    "RUN_CANCELING",
    "RUN_CANCELED",
    "RUN_WORKER_LOST",
    "STEP_FAILURE",
]
WEBHOOK_EVENT_TYPES: tuple[WebhookEventType, ...] = get_args(WebhookEventType)

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_OWN_HEADERS = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "transfer-encoding",
        "upgrade",
    }
)


def _check_url(url: str) -> str:
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("a URL has printable ASCII only; encode the rest, as %20 for a blank")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("a webhook is at a URL such as https://example.org/hooks")
    if parts.username is not None or parts.password is not None:
        raise ValueError("the URL names a user; write an Authorization header into headers instead")
    if parts.fragment:
        raise ValueError(
            "the URL has a fragment, which is never sent; leave out what follows the #"
        )
    if parts.port == 0:  # one that is no port raises a ValueError by itself
        raise ValueError("0 is no port to connect to")
    return url


def signing_key(secret: SecretStr) -> bytes:
    """The key that a secret stands for: what follows ``whsec_``, as base64.

    Raises:
        ValueError: it is none.
    """
    text = secret.get_secret_value()
    try:
        key = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(SECRET_PREFIX) or not 24 <= len(key) <= 64:
        raise ValueError(f"a secret is {SECRET_PREFIX} and 24 to 64 random bytes as base64")
    return key


def _check_secret(secret: SecretStr) -> SecretStr:
    signing_key(secret)
    return secret


def _check_headers(headers: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
    for name, value in headers.items():
        low = name.lower()
        if _HEADER_NAME.fullmatch(name) is None:
            raise ValueError(f"{name!r} is no name of a header")
        if low in _OWN_HEADERS or low.startswith("webhook-"):
            raise ValueError(f"runwire sets the header {name} itself; leave it out")
        text = value.get_secret_value()
        if not text.isascii() or not text.isprintable() or text != text.strip():
            raise ValueError(
                f"the value of the header {name} is not printable ASCII without blanks around"
            )
    if len({name.lower() for name in headers}) < len(headers):
        raise ValueError("a header is named twice; capitals make no difference")
    return headers


Secret = Annotated[SecretStr, AfterValidator(_check_secret)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WebhookRetrySettings(_Strict):
    """When what could not be delivered is tried again.

    Attributes:
        initial_seconds: about how long to wait after the first failure; twice as long after each that follows.
        max_seconds: how long to wait at most, unless the receiver asks for more by Retry-After.
        max_refusals: how often an event may be refused (any answer of 3xx or 4xx but 408, 425 and 429) until it is
            given up.
        give_up_after_seconds: for how long an event is tried, whatever fails, until it is given up.
    """

    initial_seconds: PositiveSeconds = 1.0
    max_seconds: PositiveSeconds = 300.0
    max_refusals: WholeNumber = Field(default=5, ge=1, le=1000)
    give_up_after_seconds: PositiveSeconds = 86400.0

    @model_validator(mode="after")
    def _grows(self) -> WebhookRetrySettings:
        if self.max_seconds < self.initial_seconds:
            raise ValueError("max_seconds must not be less than initial_seconds")
        return self


class WebhookSettings(_Strict):
    """A receiver of events.

    Attributes:
        name: its name, by which its place in the log is kept.
        url: where events are posted.
        secret: signs them; ``whsec_`` and 24 to 64 bytes as base64.
        previous_secret: signs them as well, while receivers change over to `secret`.
        events: the types of events that are sent; all that can be by default.
        jobs: only events of runs of these jobs.
        tags: only events of runs that have all of these tags.
        headers: sent with each request; their values are not shown.
        timeout_seconds: for how long a request may last.
        max_in_flight: how many requests are made at once, never two of one run.
        allow_private_networks: whether addresses may be connected to that are not of the public internet.
        retry: when what could not be delivered is tried again.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,100}$")
    url: Annotated[str, AfterValidator(_check_url)]
    secret: Secret
    previous_secret: Secret | None = None
    events: tuple[WebhookEventType, ...] = Field(default=WEBHOOK_EVENT_TYPES, min_length=1)
    jobs: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    tags: Section[dict[str, str]] = {}
    headers: Annotated[Section[dict[str, SecretStr]], AfterValidator(_check_headers)] = {}
    timeout_seconds: PositiveSeconds = Field(default=10.0, le=300.0)
    max_in_flight: WholeNumber = Field(default=4, ge=1, le=64)
    allow_private_networks: bool = False
    retry: Section[WebhookRetrySettings] = WebhookRetrySettings()

    @property
    def signing_keys(self) -> tuple[bytes, ...]:
        """The keys that sign: the secret's, and the previous one's while there is one."""
        secrets = (self.secret, self.previous_secret)
        return tuple(signing_key(each) for each in secrets if each is not None)

    @property
    def origin(self) -> str:
        """Where it is, without the path and the query, in which receivers often have something secret."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


def check_webhooks(webhooks: tuple[WebhookSettings, ...]) -> tuple[WebhookSettings, ...]:
    """Checks that each has a name of its own.

    Raises:
        ValueError: two have the same.
    """
    names = [each.name for each in webhooks]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"webhooks have the name {twice[0]!r} twice; each has its own")
    return webhooks
