"""/simple signs in at a provider and out again, in a real browser; so does the script of docs/sign-in.md."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.browser.conftest import Tab
from tests.e2e.calls import Server
from tests.e2e.test_demo_line import DemoProcess
from tests.gates.provider import CLIENT, SECRET, OpenIdProvider, providing

SCRIPTS = re.findall(
    r"```js\n(.*?)```",
    (Path(__file__).parents[2] / "docs" / "sign-in.md").read_text(encoding="utf-8"),
    re.DOTALL,
)


@pytest_asyncio.fixture(loop_scope="session")
async def provider() -> AsyncIterator[OpenIdProvider]:
    async with providing() as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def page(chromium: Any, provider: OpenIdProvider, tmp_path: Path) -> AsyncIterator[Tab]:
    """A tab on a server whose pages sign in at the provider; nobody is signed in yet."""
    environ = {
        "LANDLINE_OIDC_ISSUER": provider.issuer,
        "LANDLINE_OIDC_CLIENT_ID": CLIENT,
        "LANDLINE_OIDC_CLIENT_SECRET": SECRET,
    }
    process = DemoProcess(folder=tmp_path, environ=environ, warm=None)
    await process.start()
    context = await chromium.new_context()
    context.set_default_timeout(15_000)
    tab = Tab(await context.new_page(), Server(process))
    await tab.page.goto(f"{process.url}/simple")
    yield tab
    await context.close()
    process.kill()
    own = (f"{process.url}/", f"{provider.issuer}/", "data:")
    assert [url for url in tab.requests if not url.startswith(own)] == []
    # The browser itself logs each answer that is no success: those before the sign-in.
    assert [said for said in tab.complaints if "401" not in said] == []


@pytest.mark.contract("UI-8", "TRU-3", "TRU-13")
async def test_the_page_signs_in_talks_and_signs_out_at_the_provider(
    page: Tab, provider: OpenIdProvider
) -> None:
    await page.page.wait_for_selector("#key-form:visible")
    assert not await page.page.is_visible("#sign-out")
    await page.page.click("#sign-in")
    await page.page.wait_for_selector("#sign-out:visible")
    await page.page.wait_for_selector("#agent option", state="attached")
    assert not await page.page.is_visible("#sign-in")
    assert not await page.page.is_visible("#key-form")
    await page.say("create a note titled Milk: two bottles")
    await page.see(".assistant", "Created note [1] Milk.")
    await page.idle()
    await page.page.click("#sign-out")
    await page.page.wait_for_selector("#sign-in:visible")
    assert page.page.url.endswith("/simple")
    assert [url for url in page.requests if url.startswith(f"{provider.issuer}/end?")]


@pytest.mark.contract("TRU-3", "TRU-7")
async def test_the_scripts_of_the_guide_run(page: Tab) -> None:
    """A stream and a socket open with the token in their address; and the page signs out."""
    leaves, streams = SCRIPTS
    await page.page.click("#sign-in")
    await page.page.wait_for_selector("#sign-out:visible")
    await page.page.wait_for_selector("#agent option", state="attached")
    run, token = await page.page.evaluate(
        """async () => {
            const post = async (path, body) => (await fetch("/api/v1/" + path, {
                method: "POST", body: JSON.stringify(body),
                headers: { "Content-Type": "application/json", "X-Landline-CSRF": "1" },
            })).json();
            const run = await post("runs", { input: "hi", agent: document.getElementById("agent").value });
            return [run.id, (await post("stream-tokens", { thread_id: run.thread_id })).stream_token];
        }"""
    )
    events, socket = streams.replace("wss:", "ws:").strip().splitlines()
    opened = await page.page.evaluate(
        f"""async ([run, token]) => {{
            const events = {events}, socket = {socket};
            const first = new Promise((tell) => events.addEventListener("run.created", (one) => tell(one.type)));
            const open = new Promise((tell, not) => {{ socket.onopen = () => tell("open"); socket.onerror = not; }});
            const told = [await first, await open];
            events.close(); socket.close();
            return told;
        }}""",
        [run, token],
    )
    assert opened == ["run.created", "open"]
    await page.page.evaluate(f"(async () => {{ {leaves} }})()")
    await page.page.wait_for_selector("#sign-in:visible")
    assert page.page.url.endswith("/simple")
