"""Chromium without a window, driven over its DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

CHROMIUM = Path("/usr/bin/chromium")

_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--window-size=1400,900",
    "--remote-debugging-port=0",
]
_PATIENCE_SECONDS = 60


class Page:
    """One page of a browser, what it asked the network for, and what went wrong in it."""

    def __init__(self, socket: ClientConnection) -> None:
        self.urls: list[str] = []
        self.problems: list[str] = []
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}

    async def open(self, url: str) -> None:
        """Goes to an address and waits until it is loaded."""
        await self.command("Page.navigate", url=url)
        await self.until(
            f"location.href === {json.dumps(url)} && document.readyState === 'complete'"
        )

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        answer = await self.command(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def until(self, expression: str) -> Any:
        """Waits until an expression is true in the page; its value."""
        # The page has its own clock and nothing to wait on, so it is asked again and again.
        watch = f"""new Promise(done => {{
            const look = () => {{
                const value = {expression};
                value ? done(value) : setTimeout(look, 50);
            }};
            look();
        }})"""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                try:
                    return await self.evaluate(watch)
                except NavigatedError:
                    continue

    async def screenshot(self, *paths: Path) -> None:
        """What it looks like, as PNG."""
        answer = await self.command("Page.captureScreenshot")
        for path in paths:
            path.write_bytes(base64.b64decode(answer["data"]))

    async def command(self, method: str, **params: Any) -> Any:
        """Sends a command and waits for its answer."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await answer

    async def listen(self) -> None:
        """Takes in answers and events until the browser goes away."""
        try:
            async for text in self._socket:
                self._take(json.loads(text))
        except ConnectionClosed:
            pass

    def _take(self, message: Any) -> None:
        if "id" in message:
            answer = self._answers.pop(message["id"])
            if answer.done():
                return
            if "error" in message:
                problem = message["error"]["message"]
                lost = "navigated" in problem or "context" in problem
                answer.set_exception(NavigatedError() if lost else AssertionError(problem))
            else:
                answer.set_result(message["result"])
            return
        params = message["params"]
        match message["method"]:
            case "Network.requestWillBeSent":
                self.urls.append(params["request"]["url"][:200])
            case "Network.webSocketCreated":
                self.urls.append(params["url"])
            case "Log.entryAdded" if params["entry"]["level"] == "error":
                self.problems.append(params["entry"]["text"])
            case "Runtime.exceptionThrown":
                self.problems.append(json.dumps(params["exceptionDetails"])[:500])
            case "Runtime.consoleAPICalled" if params["type"] == "error":
                self.problems.append(json.dumps(params["args"])[:500])
            case _:
                pass


class NavigatedError(Exception):
    """The page went elsewhere while a command was under way."""


@asynccontextmanager
async def browse(profile: Path) -> AsyncIterator[Page]:
    """A page of a new browser with a profile of its own."""
    process = await asyncio.create_subprocess_exec(
        str(CHROMIUM),
        *_FLAGS,
        f"--user-data-dir={profile}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        address = await _address(process)
        async with connect(address, max_size=None, proxy=None) as socket:
            page = Page(socket)
            listening = asyncio.create_task(page.listen())
            for domain in ("Network", "Log", "Runtime", "Page"):
                await page.command(f"{domain}.enable")
            yield page
            listening.cancel()
    finally:
        process.terminate()
        await process.communicate()


async def _address(process: asyncio.subprocess.Process) -> str:
    """Where the first page can be driven: the browser says on stderr where it listens."""
    assert process.stderr is not None
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while line := (await process.stderr.readline()).decode():
            if line.startswith("DevTools listening on "):
                return await _page_of(line.split()[-1])
    raise AssertionError("the browser did not start")


async def _page_of(browser: str) -> str:
    base, _, _ = browser.partition("/devtools/")
    async with connect(browser, max_size=None, proxy=None) as socket:
        await socket.send(json.dumps({"id": 1, "method": "Target.getTargets"}))
        while True:
            message = json.loads(await socket.recv())
            if message.get("id") == 1:
                break
    pages = [t for t in message["result"]["targetInfos"] if t["type"] == "page"]
    return f"{base}/devtools/page/{pages[0]['targetId']}"
