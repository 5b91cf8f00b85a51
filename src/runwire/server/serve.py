"""Runs the server until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import cast

import uvicorn
from pydantic import ValidationError
from starlette.applications import Starlette

from runwire import clock
from runwire.api.access import Role
from runwire.config import pydantic_problems
from runwire.errors import ConfigProblem, InvalidConfigurationError
from runwire.instance import Instance
from runwire.instance.settings import AuthSettings, ServerSettings, Settings
from runwire.server.address import check_address, listen, url_of
from runwire.server.app import create_app
from runwire.server.auth import AcceptedToken
from runwire.server.http.connection import http_protocol
from runwire.server.origins import OriginRules, is_loopback
from runwire.server.settings import AppSettings, Limits
from runwire.server.telemetry import Tracer
from runwire.server.tls import TlsFiles, tls_context, tls_files
from runwire.server.trusted import TrustedDocuments, documents_in, packaged_documents
from runwire.server.websocket.transport import socket_protocol
from runwire.workspace import Workspace

TOKEN_VARIABLE = "RUNWIRE_TOKEN"  # noqa: S105 - its name, not its value

MAX_DESCRIPTORS = 65_536

SWITCH_SECONDS = 0.0005
"""How long the event loop waits for a thread that computes, such as one that reads documents, each time it goes on."""

_LOOK_SECONDS = 0.1


def serve(
    instance: Instance,
    workspace: Workspace,
    host: str,
    port: int,
    *,
    token: str | None = None,
    ready: Callable[[str], None] | None = None,
    tls: TlsFiles | None = None,
    listeners: Sequence[socket.socket] = (),
) -> None:
    """Serves an instance until SIGINT or SIGTERM, then stops as `server.shutdown_seconds` says.

    Args:
        instance: the instance; the caller disposes of it.
        workspace: its code locations; the caller disposes of them.
        host: a name or address to listen on.
        port: a port; 0 for any that is free.
        token: what callers may present, beside `auth.tokens`; by default what RUNWIRE_TOKEN or `auth.token` says.
        ready: is called with the server's URL, which has no path, once it answers.
        tls: the certificate; by default what `server.tls` says.
        listeners: listen already, the first of them on that host and port; closed in the end.

    Raises:
        OpenAddressError: the host is not loopback, and there is no token.
        AddressUnavailableError: the address cannot be listened on.
        InvalidConfigurationError: an allowed host or origin is none.
        TlsInvalidError: the certificate or its key cannot be used.
        StorageUnavailableError: the storage cannot be repaired.
    """
    settings, encryption = checked_settings(instance, host, token=token, tls=tls)
    with ExitStack() as stack:
        if instance.settings.tracing.enabled:
            settings = replace(settings, tracer=stack.enter_context(_tracing()))
        app = create_app(instance, workspace, settings=settings)
        sockets = [stack.enter_context(each) for each in listeners or [listen(host, port)]]
        instance.storage.repair()
        _raise_descriptor_limit()
        _spare_collector()
        sys.setswitchinterval(SWITCH_SECONDS)
        url = url_of(host, sockets[0], "http" if encryption is None else "https")
        chosen = instance.settings.server
        config = _config(app, settings.limits, chosen.shutdown_seconds, encryption)
        _Server(config, lambda: ready and ready(url), chosen.drain_seconds).run(sockets)


def checked_settings(
    instance: Instance, host: str, *, token: str | None = None, tls: TlsFiles | None = None
) -> tuple[AppSettings, ssl.SSLContext | None]:
    """What an instance is to be served with; nothing is opened.

    Raises:
        OpenAddressError: the host is not loopback, and there is no token.
        InvalidConfigurationError: an allowed host or origin is none, or what traces is not installed.
        TlsInvalidError: the certificate or its key cannot be used.
    """
    settings = _app_settings(instance.settings, instance.root_directory, host, token)
    check_address(host, demands_token=settings.demands_token)
    try:
        OriginRules(settings.on_loopback, settings.allowed_hosts, settings.allowed_origins)
    except ValueError as error:
        problem = ConfigProblem(("server",), str(error), "value_error")
        raise InvalidConfigurationError("the configuration", [problem]) from None
    if instance.settings.tracing.enabled:
        _tracing()
    files = tls_files(instance.settings.server.tls, instance.root_directory, tls)
    return settings, None if files is None else tls_context(files)


def _tracing() -> AbstractContextManager[Tracer]:
    """What traces operations, not begun yet."""
    try:
        from runwire.server.tracing import exporting  # noqa: PLC0415 -- an extra, and slow to import
    except ImportError:
        message = "needs OpenTelemetry: pip install 'runwire[otel]', or set it to false"
        problem = ConfigProblem(("tracing", "enabled"), message, "unsupported")
        raise InvalidConfigurationError("the configuration", [problem]) from None
    return exporting()


def _raise_descriptor_limit() -> None:
    """Lets the process have as many files open as it may: logs, followers and clients take some each."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _spare_collector() -> None:
    """Has the garbage collector look less often, and never again at what is there from the start.

    Executing an operation makes many objects that are gone when it ends; looking for cycles among them, by
    the defaults every few hundred, takes a quarter of the time. What a connection leaves behind is such cycles,
    of some ten kilobytes, and old by then: all that is old is looked at after a million objects, or some ten
    thousand connections.
    """
    gc.freeze()
    gc.set_threshold(50_000, 5, 5)


def configured_token(settings: Settings) -> str | None:
    """The token that callers must present; None when none is set.

    Raises:
        InvalidConfigurationError: RUNWIRE_TOKEN is not what `auth.token` may be.
    """
    token = os.environ.get(TOKEN_VARIABLE)
    if token:
        return _checked(token)
    return None if settings.auth.token is None else settings.auth.token.get_secret_value()


def _checked(token: str) -> str:
    try:
        AuthSettings.model_validate({"token": token})
    except ValidationError as error:
        raise InvalidConfigurationError(TOKEN_VARIABLE, pydantic_problems(error)) from None
    return token


def _app_settings(settings: Settings, home: Path, host: str, token: str | None) -> AppSettings:
    signed_tokens = None
    if settings.auth.jwt is not None:
        # Who takes no signed tokens loads no cryptography.
        from runwire.server.jwt_auth import JwtAuth  # noqa: PLC0415

        signed_tokens = JwtAuth.of(settings.auth.jwt, home)
    return AppSettings(
        tokens=_accepted_tokens(settings, token or configured_token(settings)),
        signed_tokens=signed_tokens,
        on_loopback=is_loopback(host),
        allowed_hosts=settings.server.allowed_hosts,
        allowed_origins=settings.server.allowed_origins,
        limits=settings.server.limits,
        introspection=settings.server.introspection,
        documents=_trusted(settings.server, home),
        legacy_graphql_ws=settings.server.legacy_graphql_ws,
        metrics=settings.server.metrics,
    )


def _trusted(settings: ServerSettings, home: Path) -> TrustedDocuments:
    """The documents that are known.

    Raises:
        InvalidConfigurationError: the folder has none, or what it has are none.
    """
    if settings.documents == "off":
        return TrustedDocuments()
    texts = list(packaged_documents().values())
    if settings.documents_folder is not None:
        try:
            texts += documents_in(home / settings.documents_folder).values()
        except ValueError as error:
            problem = ConfigProblem(("server", "documents_folder"), str(error), "value_error")
            raise InvalidConfigurationError("the configuration", [problem]) from None
    return TrustedDocuments(settings.documents, texts)


def _accepted_tokens(settings: Settings, token: str | None) -> tuple[AcceptedToken, ...]:
    named = tuple(
        AcceptedToken(
            each.name,
            each.sha256,
            Role[each.role.upper()],
            None if each.expires_at is None else clock.to_timestamp(each.expires_at),
        )
        for each in settings.auth.tokens
    )
    return named if token is None else (AcceptedToken.of(token), *named)


def _config(
    app: Starlette,
    limits: Limits,
    shutdown_seconds: int = ServerSettings().shutdown_seconds,
    encryption: ssl.SSLContext | None = None,
) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=http_protocol(limits, app.state.metrics),
        ws=socket_protocol(limits.stall_seconds, app.state.metrics),
        ws_max_size=limits.message_bytes,
        ws_per_message_deflate=False,
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        # Longer than clients keep idle connections, so that none is closed as it is used again.
        timeout_keep_alive=60,
        timeout_graceful_shutdown=shutdown_seconds,
        ssl_context_factory=None if encryption is None else lambda *_: encryption,
    )


class _Server(uvicorn.Server):
    """Tells when it answers, and ends normally when it is told to stop by a signal.

    Args:
        config: what it serves, and how.
        on_started: is called when it answers.
        drain_seconds: for how long it goes on as before, but says that it is not ready, when it is told to stop.
    """

    def __init__(
        self, config: uvicorn.Config, on_started: Callable[[], object], drain_seconds: float = 0
    ) -> None:
        super().__init__(config)
        self._on_started = on_started
        self._drain_seconds = drain_seconds

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        state = cast(Starlette, self.config.app).state
        state.draining.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._drain_seconds):
                while not self.force_exit:  # noqa: ASYNC110 - the handler of a signal sets it
                    await asyncio.sleep(_LOOK_SECONDS)
        # Streams of events would be waited for: nothing else tells them.
        state.stopping.set()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True
