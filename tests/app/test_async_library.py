"""Libraries are told which async library runs, in the loop's thread and only while a server is up (PRF-1, PRF-3)."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
import sniffio

import landline
from landline import Landline
from landline.app.async_library import told_asyncio

pytestmark = pytest.mark.contract("PRF-3")


def echo(text: str) -> str:
    return text


async def test_it_is_told_in_the_loops_thread_while_a_server_is_up(tmp_path: Path) -> None:
    async with Landline([landline.agent(echo, name="echo")], open=True, data=tmp_path).started():
        assert sniffio.thread_local.name == "asyncio"
        with anyio.CancelScope():
            await anyio.lowlevel.checkpoint()
    assert sniffio.thread_local.name is None


async def test_a_thread_of_a_tool_may_run_a_loop_of_its_own() -> None:
    async def inner() -> str:
        await anyio.lowlevel.checkpoint()
        return sniffio.current_async_library()

    with told_asyncio():
        assert await asyncio.to_thread(anyio.run, inner) == "asyncio"
        assert await anyio.to_thread.run_sync(anyio.run, inner) == "asyncio"
        assert await asyncio.to_thread(lambda: sniffio.thread_local.name) is None


async def test_the_last_of_several_servers_takes_it_back_in_whatever_order_they_stop(tmp_path: Path) -> None:
    async with AsyncExitStack() as first, AsyncExitStack() as second:
        first.enter_context(told_asyncio())
        second.enter_context(told_asyncio())
        await first.aclose()
        assert sniffio.thread_local.name == "asyncio"
        await second.aclose()
        assert sniffio.thread_local.name is None


async def test_what_somebody_else_told_is_put_back() -> None:
    sniffio.thread_local.name = "asyncio"
    try:
        with told_asyncio():
            pass
        assert sniffio.thread_local.name == "asyncio"
    finally:
        sniffio.thread_local.name = None
