"""Ninety ways to write an address of this machine or its network, through every way out: the server behind is never reached
(TRU-14).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from ipaddress import ip_address

import httpx
import pytest

from landline.ports.egress import EgressRefused
from landline.upstream import EgressPolicy
from landline.upstream.egress import resolve

Refused = (EgressRefused, httpx.HTTPError, httpx.InvalidURL, OSError, ValueError)
"""Refused by the policy, or no address that anything can be connected to."""


class Trap:
    """Listens on loopback, on both families where there are two, and counts who connects."""

    def __init__(self) -> None:
        self.hits = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.hits += 1
        writer.close()


@pytest.fixture
async def trap() -> AsyncIterator[Trap]:
    made = Trap()
    first = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = first.sockets[0].getsockname()[1]
    servers = [first]
    for host in ("::1", "127.0.0.2"):
        with suppress(OSError):  # a machine without the one or the other
            servers.append(await asyncio.start_server(made.serve, host, made.port))
    yield made
    for server in servers:
        server.close()


async def hostile(host: str, port: int) -> Sequence[str]:
    """Resolve what is a number by the system's rules, and every name to this machine, as its owner could."""
    try:
        socket.inet_aton(host)
    except OSError:
        if ":" not in host and host.rstrip(".") not in ("localhost", "ip6-localhost"):
            return ["127.0.0.1"]
    return await resolve(host, port)


V4 = (
    "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7F.0x0.0x0.0x1", "0x7f.1", "0177.0.0.01", "017700000001",
    "0000177.0.0.1", "127.0.0.2", "127.255.255.254", "127.0.0.1.", "0", "0.0.0.0", "0x0", "00", "0.0.0.1", "169.254.169.254",
    "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518", "100.64.0.1", "100.127.255.254", "10.0.0.1", "167772161",
    "172.16.0.1", "172.31.255.255", "192.168.1.1", "192.168.257", "192.0.0.192", "198.18.0.1", "192.0.2.1", "192.88.99.1",
    "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "4294967295", "168.63.129.16",
)  # fmt: skip
V6 = (
    "::1", "0:0:0:0:0:0:0:1", "0000:0000:0000:0000:0000:0000:0000:0001", "::", "::ffff:127.0.0.1", "::ffff:7f00:1",
    "::FFFF:169.254.169.254", "::ffff:0:127.0.0.1", "::127.0.0.1", "::7f00:1", "64:ff9b::127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b:1::7f00:1", "2002:7f00:0001::", "2002:a9fe:a9fe::1", "2001:0:7f00:1::", "2001:0000:4136:e378:8000:63bf:80ff:fffe",
    "2a00:1450::5efe:7f00:1", "2a00:1450::200:5efe:7f00:1", "fe80::1", "fe80::1%25lo", "::1%25lo", "fe80::5efe:127.0.0.1",
    "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "ff01::1", "100::1", "2001:db8::1", "3fff::1", "5f00::1",
)  # fmt: skip
NAMES = (
    "localhost", "LOCALHOST", "localhost.", "ip6-localhost", "anything.localhost", "localhost.localdomain", "metadata.google.internal",
    "127.0.0.1.nip.test", "１２７.0.0.1", "127。0。0。1", "127．0．0．1", "127｡0｡0｡1", "①②⑦.⓪.⓪.①", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
    "xn--localhost-.test", "a" * 63 + ".test",
)  # fmt: skip
SHAPES = (
    "http://example.com@127.0.0.1:{port}/", "http://127.0.0.1:{port}@127.0.0.1:{port}/", "http://user:pass@localhost:{port}/",
    "http://127.0.0.1:{port}#@example.com/", "http://127.0.0.1:{port}?@example.com/", "http://127.0.0.1:{port}\\@example.com/",
    "http://example.com\\@127.0.0.1:{port}/", "http://%31%32%37.0.0.1:{port}/", "http://127.0.0.1%00.example.com:{port}/",
    "http://127.0.0.1%2f@example.test:{port}/", "http:127.0.0.1:{port}/", "http:/127.0.0.1:{port}/", "http:///127.0.0.1:{port}/",
    "//127.0.0.1:{port}/", "HTTP://127.0.0.1:{port}/", " http://127.0.0.1:{port}/", "http://127.0.0.1:{port}\t/", "ht\ntp://127.0.0.1:{port}/",
    "ftp://127.0.0.1:{port}/", "gopher://127.0.0.1:{port}/_x", "file:///etc/passwd", "unix:///tmp/x", "ws://127.0.0.1:{port}/",
    "data:text/plain,x", "jar:http://127.0.0.1:{port}/!/x", "dict://127.0.0.1:{port}/", "[::1]:{port}", "127.0.0.1:{port}",
)  # fmt: skip

FORMS = [
    *(f"http://{form}:{{port}}/" for form in (*V4, *NAMES)),
    *(f"http://[{form}]:{{port}}/" for form in V6),
    *SHAPES,
]


@pytest.mark.contract("TRU-14")
async def test_no_form_reaches_this_machine_through_any_way_out(trap: Trap) -> None:
    policy, reached = EgressPolicy(resolver=hostile), list[str]()
    async with policy.client() as client:
        ways: dict[str, Callable[[str], Awaitable[object]]] = {
            "fetch": policy.fetch,
            "client": client.get,
            "connect": policy.connect,
        }
        for form in FORMS:
            url = form.replace("{port}", str(trap.port))
            for name, way in ways.items():
                try:
                    async with asyncio.timeout(5):
                        await way(url)
                except Refused:
                    continue
                reached.append(f"{name} {url}")
    assert len(FORMS) > 100
    assert reached == []
    assert trap.hits == 0


@pytest.mark.contract("TRU-14")
@pytest.mark.parametrize(
    "form", [f"http://{form}:80/" for form in V4] + [f"http://[{form}]:80/" for form in V6]
)
async def test_each_address_is_refused_by_what_it_is_and_not_for_want_of_a_line(form: str) -> None:
    with pytest.raises((EgressRefused, httpx.ConnectError, httpx.InvalidURL)) as refused:
        await EgressPolicy(resolver=hostile).fetch(form)
    if isinstance(refused.value, httpx.ConnectError):
        assert "resolve" in str(refused.value), "nobody may have tried to connect"


@pytest.mark.contract("TRU-14")
async def test_no_redirect_leads_to_this_machine(trap: Trap) -> None:
    """From a place that may be called, by every kind of redirect, to every form."""
    target = ""
    kinds = (301, 302, 303, 307, 308)
    asked = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        with suppress(OSError, EOFError):
            await reader.readuntil(b"\r\n\r\n")
            status = kinds[asked % len(kinds)]
            asked += 1
            location = target.encode("utf-8").replace(b"\n", b"").replace(b"\t", b"")
            writer.write(
                b"HTTP/1.1 %d Moved\r\nLocation: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                % (status, location)
            )
            await writer.drain()
        writer.close()

    outer = await asyncio.start_server(serve, "127.0.0.1", 0)
    place = f"127.0.0.1:{outer.sockets[0].getsockname()[1]}"
    policy, reached = EgressPolicy(allow=[place], resolver=hostile), list[str]()
    for form in (
        *FORMS,
        "//127.0.0.1:{port}/",
        "\\\\127.0.0.1:{port}\\",
        "/\\127.0.0.1:{port}/",
        "https://[::1]:{port}/",
    ):
        target = form.replace("{port}", str(trap.port))
        try:
            async with asyncio.timeout(10):
                answer = await policy.fetch(f"http://{place}/")
        except Refused:
            continue
        reached.append(f"{target}: {answer.status}")
    outer.close()
    assert asked >= len(FORMS)
    assert reached == []
    assert trap.hits == 0


@pytest.mark.contract("TRU-14")
@pytest.mark.parametrize(
    "answers",
    [
        ["127.0.0.1"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["8.8.8.8", "127.0.0.1"],
        ["127.0.0.1", "8.8.8.8"],
        ["2a00:1450:4001::200e", "::1"],
        ["169.254.169.254"],
        ["fe80::1%lo"],
        ["not an address"],
        [],
    ],
)
async def test_a_name_is_judged_by_every_address_it_has_now(trap: Trap, answers: list[str]) -> None:
    async def owned(_: str, __: int) -> Sequence[str]:
        return answers

    with pytest.raises((EgressRefused, httpx.ConnectError)):
        await EgressPolicy(resolver=owned).fetch(f"http://steered.test:{trap.port}/")
    assert trap.hits == 0


@pytest.mark.contract("TRU-14")
async def test_what_a_name_says_after_it_was_judged_is_not_asked_again(
    trap: Trap, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rebinding: public when it is judged, this machine when it would be connected to."""
    asked, tried = list[str](), list[str]()

    async def rebinding(host: str, _: int) -> Sequence[str]:
        asked.append(host)
        return ["8.8.8.8"] if len(asked) % 2 else ["127.0.0.1"]

    async def noted(_: object, sock: object, address: tuple[str, int]) -> None:
        tried.append(address[0])
        raise ConnectionRefusedError  # nothing leaves this machine

    monkeypatch.setattr(type(asyncio.get_running_loop()), "sock_connect", noted)
    policy = EgressPolicy(resolver=rebinding)
    for number in range(6):
        with pytest.raises((EgressRefused, ConnectionRefusedError)) as refused:
            await policy.connect(f"http://rebind.test:{trap.port}/")
        assert isinstance(refused.value, EgressRefused) is bool(number % 2)
    assert len(asked) == 6, "once for each connection"
    assert {ip_address(address).is_global for address in tried} == {True}
    assert trap.hits == 0
