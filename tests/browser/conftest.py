"""A real Chromium on a real server. What a page asks for, logs and refuses is watched, and must be nothing unexpected."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.calls import Server
from tests.e2e.test_demo_line import DemoProcess

REPORTS = Path(__file__).parents[2] / "reports" / "browser"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
)
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING_PLAYWRIGHT = "Playwright is not installed. `make browser` installs it beside the other packages."
MISSING_CHROMIUM = (
    "No Chromium is on PATH. Install one: apt-get install chromium, or brew install --cask chromium."
)

Start = Callable[..., Awaitable[Server]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this folder is a browser test, on the loop that the browser lives in."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def chromium() -> AsyncIterator[Any]:
    """The browser."""
    try:
        # By name: the package is not among those of `make test`, so nothing is known of its types.
        playwright: Any = importlib.import_module("playwright.async_api")
    except ImportError:
        pytest.fail(MISSING_PLAYWRIGHT, pytrace=False)
    path = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if path is None:
        pytest.fail(MISSING_CHROMIUM, pytrace=False)
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        await browser.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a server of the test's own: the demo, or what is named."""
    made: list[DemoProcess] = []

    async def make(*targets: Path) -> Server:
        process = DemoProcess(*targets, folder=tmp_path)
        made.append(process)
        await process.start()
        return Server(process)

    yield make
    for process in made:
        process.kill()


class Tab:
    """A page of the server, and all that it asked for or complained about."""

    def __init__(self, page: Any, server: Server) -> None:
        self.page, self.server = page, server
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", self._asked)
        page.on("console", self._heard)
        page.on("pageerror", self._failed)

    def _asked(self, request: Any) -> None:
        self.requests.append(request.url)

    def _failed(self, error: Any) -> None:
        self.complaints.append(str(error))

    def _heard(self, message: Any) -> None:
        # A server that goes away is part of what is tested, and the browser logs each cut and each try.
        if message.type in ("error", "warning") and "net::ERR_" not in message.text:
            self.complaints.append(message.text)

    @property
    def foreign(self) -> list[str]:
        """The requests that left this server."""
        own = (self.server.process.url + "/", "data:")
        return [url for url in self.requests if not url.startswith(own)]

    async def open(self, path: str = "/simple") -> None:
        await self.page.goto(self.server.process.url + path)
        if path == "/simple":
            await self.page.wait_for_selector("#agent option", state="attached")

    async def choose(self, agent: str) -> None:
        await self.page.select_option("#agent", agent)

    async def say(self, text: str) -> None:
        await self.page.fill("#text", text)
        await self.page.press("#text", "Enter")

    async def see(self, selector: str, text: str) -> Any:
        """Wait until an element shows this text, and return it."""
        found = self.page.locator(selector, has_text=text).first
        await found.wait_for(timeout=15_000)
        return found

    async def idle(self) -> None:
        """Wait until the page can send again."""
        await self.page.wait_for_selector("#send:not([disabled])")

    async def shown(self) -> str:
        return str(await self.page.inner_text("#log"))

    async def picture(self, name: str) -> None:
        REPORTS.mkdir(parents=True, exist_ok=True)
        await self.page.screenshot(path=REPORTS / f"{name}.png")

    async def overflow(self) -> int:
        """Return by how many pixels the page is wider than its window."""
        return int(
            await self.page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
        )


Open = Callable[..., Awaitable[Tab]]


@pytest_asyncio.fixture(loop_scope="session")
async def tab(chromium: Any) -> AsyncIterator[Open]:
    """Open a tab in a profile of its own. At the end it must have stayed at home and have had nothing to complain about."""
    made: list[Tab] = []

    async def open_tab(server: Server, path: str = "/simple", **profile: Any) -> Tab:
        context = await chromium.new_context(**{"viewport": {"width": 1000, "height": 760}, **profile})
        context.set_default_timeout(15_000)
        one = Tab(await context.new_page(), server)
        made.append(one)
        await one.open(path)
        return one

    yield open_tab
    for one in made:
        await one.page.context.close()
        assert one.foreign == []
        assert one.complaints == []
