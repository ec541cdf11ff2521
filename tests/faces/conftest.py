"""What tests of the native face share: a world of fakes, and clients in front of it."""

from collections.abc import AsyncIterator

import httpx
import pytest

from landline.web.door import Door
from tests.faces.fakes import FakeAuthenticator, World, native_ports
from tests.faces.serving import build_app, served


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the face without a socket in between."""
    _, app = build_app(native_ports(world))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as found:
        yield found


@pytest.fixture
async def keyed(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a face that wants keys."""
    _, app = build_app(native_ports(world, door=Door(authenticator=FakeAuthenticator(open_=False))))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as found:
        yield found


@pytest.fixture
async def live(world: World) -> AsyncIterator[tuple[str, Door]]:
    """A real server: its address, and its door, with which to drain it."""
    door = Door(authenticator=FakeAuthenticator(), heartbeat_s=0.2, send_timeout_s=2)
    _, app = build_app(native_ports(world, door=door))
    async with served(app) as address:
        yield address, door
