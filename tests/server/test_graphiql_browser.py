"""GraphiQL in a real browser that can resolve no foreign host."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from runwire.instance import Instance
from runwire.server.auth import AcceptedToken
from tests.server.browser import CHROMIUM, Page, browse
from tests.server.conftest import LiveServer
from tests.server.test_app import DONE, Caller, line, serving

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

TOKEN = "a-token-of-some-length"

FOLLOW = """subscription Live($runId: ID!) {
  runEvents(runId: $runId, after: "HEAD") {
    ... on RunEventBatch { toPosition records { position message } run { status } }
  }
}"""

RUN_BUTTON = "document.querySelector('.graphiql-execute-button')"
# Monaco writes blanks as no-break spaces, and only the lines that are in view.
RESPONSE = (
    "[...document.querySelectorAll('.graphiql-response .view-line')]"
    ".map(e => e.textContent.replaceAll('\\u00a0', ' ')).join('\\n')"
)


def shows(text: str) -> str:
    return f"{RESPONSE}.includes({json.dumps(text)})"


@pytest.fixture(autouse=True)
def _needs_chromium() -> None:
    if CHROMIUM.exists():
        return
    if os.environ.get("RUNWIRE_REQUIRE_ALL") == "1":
        pytest.fail(f"{CHROMIUM} is not there, and RUNWIRE_REQUIRE_ALL=1 demands it")
    pytest.skip(f"{CHROMIUM} is not there")


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    async with browse(tmp_path / "profile") as made:
        yield made


async def picture(page: Page, tmp_path: Path, name: str) -> None:
    folders = [tmp_path, *map(Path, filter(None, [os.environ.get("RUNWIRE_SCREENSHOT_DIR")]))]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    await page.screenshot(*(folder / f"{name}.png" for folder in folders))


def assert_stayed_home(page: Page, server: LiveServer) -> None:
    homes = (server.url, server.url.replace("http:", "ws:"), "data:", "about:")
    assert [url for url in page.urls if not url.startswith(homes)] == []
    assert page.problems == []


async def test_a_query_and_a_live_subscription_without_any_foreign_host(
    page: Page, tmp_path: Path
) -> None:
    with Instance.from_home(tmp_path) as instance, serving(instance) as server:
        caller = Caller(server)
        run_id = await asyncio.to_thread(caller.create)

        await page.open(server.endpoint)
        await page.until(f"!!{RUN_BUTTON}")
        tabs = "[...document.querySelectorAll('.graphiql-tab-button')].map(e => e.textContent)"
        assert "FollowRun" in await page.until(f"({tabs}).length > 1 && {tabs}")
        await page.evaluate(f"{RUN_BUTTON}.click()")
        await page.until(shows('"version": '))
        await picture(page, tmp_path, "graphiql-query")

        place = urlencode({"query": FOLLOW, "variables": json.dumps({"runId": run_id})})
        await page.open(f"{server.endpoint}?{place}")
        await page.until(f"!!{RUN_BUTTON}")
        await page.evaluate(f"{RUN_BUTTON}.click()")
        await page.until(shows('"status": "MANAGED"'))
        for number in (1, 2):
            await asyncio.to_thread(caller.report, run_id, line(f"event number {number}"))
            await page.until(shows(f'"message": "event number {number}"'))
        await picture(page, tmp_path, "graphiql-subscription")
        await asyncio.to_thread(caller.report, run_id, DONE)
        await page.until(shows('"status": "SUCCESS"'))
        assert_stayed_home(page, server)


async def test_a_token_is_asked_for_and_used_for_queries_and_subscriptions(
    page: Page, tmp_path: Path
) -> None:
    with (
        Instance.from_home(tmp_path) as instance,
        serving(instance, tokens=(AcceptedToken.of(TOKEN),)) as server,
    ):
        place = urlencode({"query": 'subscription { runEvents(runId: "x") { __typename } }'})
        await page.open(f"{server.endpoint}?{place}")
        await page.until("!document.getElementById('login').hidden")
        await page.evaluate(enter("wrong"))
        await page.until("document.getElementById('problem').textContent !== ''")
        await picture(page, tmp_path, "graphiql-token")
        assert not await page.evaluate(f"!!{RUN_BUTTON}")
        await page.evaluate(enter(TOKEN))
        await page.until(f"!!{RUN_BUTTON}")
        await page.evaluate(f"{RUN_BUTTON}.click()")
        await page.until(shows('"__typename": "RunNotFound"'))
        assert TOKEN not in await page.evaluate("JSON.stringify({...localStorage})")
        # The browser notes each 401 that the page asked for.
        page.problems = [p for p in page.problems if "401" not in p]
        assert_stayed_home(page, server)


def enter(token: str) -> str:
    return (
        f"document.querySelector('#login input').value = {json.dumps(token)},"
        "document.querySelector('#login').requestSubmit(), true"
    )
