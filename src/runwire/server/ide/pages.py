"""The page of GraphiQL and its files as answers to requests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from string import Template
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response

from runwire.documents import load_document, operation_names
from runwire.server.http.negotiation import takes_gzip
from runwire.server.ide.assets import Assets, text_of

ASSETS_PATH = "/graphiql"

_STARTERS: Mapping[str, Mapping[str, Any]] = {
    "InstanceHealth": {},
    "SubmitRun": {"input": {"target": {"newRun": {"job": {"jobName": "the name of a job"}}}}},
    "RunsPage": {"first": 10},
    "FollowRun": {"runId": "the id of a run"},
    "WatchDaemons": {},
}
"""The documents that a new visitor finds, and variables to begin with."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self' data:;"
    " img-src 'self' data:; worker-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
"""All that the page does stays here. Monaco and React set styles of elements, hence 'unsafe-inline'."""

_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_PAGE_HEADERS = {**_HEADERS, "Cache-Control": "no-store"}
_FILE_HEADERS = {
    **_HEADERS,
    "Cache-Control": "public, max-age=31536000, immutable",
    "Vary": "Accept-Encoding",
}


class GraphiQL:
    """Serves GraphiQL for an endpoint.

    Args:
        endpoint: the path of the GraphQL endpoint.
        demands_token: whether callers must present a token, so that the page asks for it.
        assets: the files; None when they are not built.
    """

    def __init__(self, endpoint: str, demands_token: bool, assets: Assets | None) -> None:
        self._endpoint = endpoint
        self._demands_token = demands_token
        self._assets = assets

    def page(self) -> Response:
        """The page."""
        if self._assets is None:
            return HTMLResponse(text_of("not_built.html"), 200, _PAGE_HEADERS)
        base = f"{ASSETS_PATH}/{self._assets.version}"
        config = {
            "assets": base,
            "endpoint": self._endpoint,
            "tabs": starter_tabs(),
            "demandsToken": self._demands_token,
        }
        page = Template(text_of("page.html")).substitute(assets=base, config=_data_block(config))
        return HTMLResponse(page, 200, _PAGE_HEADERS)

    async def file(self, request: Request) -> Response:
        """One of the page's files."""
        params = request.path_params
        assets = self._assets
        asset = None if assets is None else assets.find(params["version"], params["name"])
        if asset is None:
            return PlainTextResponse("there is no such file\n", 404)
        if asset.gzip_path is not None and takes_gzip(request.headers.get("accept-encoding")):
            headers = {**_FILE_HEADERS, "Content-Encoding": "gzip"}
            return FileResponse(asset.gzip_path, 200, headers, asset.content_type)
        return FileResponse(asset.path, 200, _FILE_HEADERS, asset.content_type)


def starter_tabs() -> Sequence[Mapping[str, str]]:
    """The tabs that a new visitor finds: documents of graphql/, with variables."""
    known = set(operation_names())
    return [
        {"query": load_document(name), "variables": json.dumps(variables, indent=2)}
        for name, variables in _STARTERS.items()
        if name in known
    ]


def _data_block(value: object) -> str:
    """JSON that cannot end the script element that it stands in."""
    return json.dumps(value).replace("<", "\\u003c")
