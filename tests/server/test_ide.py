"""GraphiQL's page and files, as a browser would ask for them."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from runwire.documents import operation_names
from runwire.server.auth import AcceptedToken
from runwire.server.http.negotiation import takes_gzip
from runwire.server.ide.assets import Assets
from runwire.server.ide.pages import GraphiQL, starter_tabs
from tests.server.conftest import LiveServer, ServeTry

BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def page(server: LiveServer) -> str:
    answer = server.request("GET", headers=BROWSER)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer.text


def config(text: str) -> Any:
    found = re.search(r'<script type="application/json" id="config">(.*?)</script>', text)
    assert found is not None
    return json.loads(found[1])


def test_a_browser_gets_the_page(server: LiveServer) -> None:
    answer = server.request("GET", headers=BROWSER)
    assert answer.headers["cache-control"] == "no-store"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert not re.search(r"https?:|\*|unsafe-eval", policy)


def test_the_page_and_its_script_name_no_other_host(server: LiveServer) -> None:
    text = page(server)
    assert not re.search(r"https?://|\ssrc=\"//", text)
    script = server.request("GET", f"{config(text)['assets']}/start.js").text
    assert not re.search(r"https?://", script)


def test_every_file_of_the_page_is_there_and_may_be_kept_for_ever(server: LiveServer) -> None:
    text = page(server)
    urls = re.findall(r'(?:src|href)="(/[^"]+)"', text)
    base = config(text)["assets"]
    urls += [f"{base}/{name}.worker.js" for name in ("editor", "graphql", "json")]
    assert len(urls) == 6
    for url in urls:
        answer = server.request("GET", url, headers={"accept-encoding": "identity"})
        assert answer.status_code == 200
        kind = "text/css" if url.endswith(".css") else "text/javascript"
        assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "content-encoding" not in answer.headers


def test_a_file_is_sent_packed_to_who_takes_it(server: LiveServer) -> None:
    url = f"{config(page(server))['assets']}/graphiql.css"
    plain = server.request("GET", url, headers={"accept-encoding": "identity"})
    packed = server.request("GET", url, headers={"accept-encoding": "br, gzip;q=0.5"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["vary"] == "Accept-Encoding"
    assert packed.content == plain.content
    assert int(packed.headers["content-length"]) < len(plain.content)


@pytest.mark.parametrize(
    ("accept_encoding", "taken"),
    [
        ("gzip", True),
        ("deflate, GZIP;q=1.0", True),
        ("*", True),
        ("gzip;q=0", False),
        ("br", False),
        ("", False),
        (None, False),
    ],
)
def test_gzip_is_taken_by_who_says_so(accept_encoding: str | None, taken: bool) -> None:
    assert takes_gzip(accept_encoding) is taken


@pytest.mark.parametrize(
    "path", ["{base}/manifest.json", "{base}/LICENSE", "{base}/..%2Fapp.py", "/graphiql/0/start.js"]
)
def test_nothing_else_is_served(server: LiveServer, path: str) -> None:
    base = config(page(server))["assets"]
    assert server.request("GET", path.format(base=base)).status_code == 404


def test_the_tabs_are_documents_of_ours() -> None:
    tabs = starter_tabs()
    named = [
        re.search(r"^(?:query|mutation|subscription) (\w+)", t["query"], re.MULTILINE) for t in tabs
    ]
    assert len(tabs) >= 3
    assert {name[1] for name in named if name} <= set(operation_names())
    assert all(isinstance(json.loads(tab["variables"]), dict) for tab in tabs)


def test_what_the_page_is_told_cannot_end_its_script_element(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tabs = [{"query": "# </script><script>alert(1)</script> $config", "variables": "{}"}]
    monkeypatch.setattr("runwire.server.ide.pages.starter_tabs", lambda: tabs)
    assert config(page(server))["tabs"] == tabs
    assert "alert(1)</script>" not in page(server)


def test_the_page_knows_whether_a_token_is_demanded(
    server: LiveServer, serve_try: ServeTry
) -> None:
    assert config(page(server))["demandsToken"] is False
    assert (
        config(page(serve_try(tokens=(AcceptedToken.of("a-token-of-some-length"),))))[
            "demandsToken"
        ]
        is True
    )


def built(folder: Path, content: bytes) -> Path:
    folder.mkdir()
    (folder / "graphiql.js").write_bytes(content)
    (folder / "graphiql.js.gz").write_bytes(gzip.compress(content))
    files = dict.fromkeys(["LICENSE", "graphiql.js", "graphiql.js.gz"], content.hex())
    (folder / "manifest.json").write_text(json.dumps({"files": files}))
    return folder


def test_the_address_of_files_changes_with_what_is_built(tmp_path: Path) -> None:
    one, other = (Assets.load(built(tmp_path / name, name.encode())) for name in ("one", "other"))
    assert one is not None
    assert other is not None
    assert one.version != other.version
    found = one.find(one.version, "graphiql.js")
    assert found is not None
    assert found.gzip_path == tmp_path / "one/graphiql.js.gz"
    assert one.find(other.version, "graphiql.js") is None
    assert one.find(one.version, "LICENSE") is None


def test_without_the_files_the_page_tells_how_to_build_them(tmp_path: Path) -> None:
    assets = Assets.load(tmp_path)
    assert assets is None
    answer = GraphiQL("/graphql", False, assets).page()
    assert answer.status_code == 200
    assert b"make install" in answer.body
