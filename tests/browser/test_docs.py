"""/docs in a real browser, with nothing but this server to load from."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Open, Start


@pytest.mark.contract("FACE-1")
async def test_the_docs_show_the_operations_and_try_one_without_another_host(start: Start, tab: Open) -> None:
    page = await tab(await start(), "/docs")
    await page.page.wait_for_selector(".opblock")
    assert await page.page.locator(".opblock").count() > 20
    await page.picture("docs")
    operation = page.page.locator(".opblock-get", has_text="/api/v1/agents").first
    await operation.locator(".opblock-summary-control").click()
    await operation.locator("button.execute").click()
    answer = operation.locator(".live-responses-table")
    await answer.wait_for()
    text = await answer.inner_text()
    assert "200" in text
    assert "bank_support" in text
    await page.picture("docs-tried")
