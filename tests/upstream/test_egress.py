"""The egress policy against hostile names, addresses, redirects and bodies (TRU-14)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address

import httpx
import pytest

from landline.ports.egress import EgressRefused, EgressTimedOut, EgressTooLarge
from landline.upstream import EgressPolicy
from landline.upstream.addresses import Allowed, is_public, origin_of, place_of

Respond = Callable[[str, dict[str, str]], Awaitable[bytes] | bytes]


class Server:
    """A raw HTTP server: what it answers is bytes, what it heard is kept."""

    def __init__(self, respond: Respond) -> None:
        self.heard: list[tuple[str, dict[str, str]]] = []
        self.connections = 0
        self._respond = respond
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode().rstrip().split("\r\n")
                headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines)}
                path = first.split(" ")[1]
                self.heard.append((path, headers))
                answer = self._respond(path, headers)
                data = answer if isinstance(answer, bytes) else await answer
                if data == b"slow":
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                    for _ in range(1000):
                        writer.write(b".")
                        await writer.drain()
                        await asyncio.sleep(0.02)
                writer.write(data)
                await writer.drain()
        except (OSError, EOFError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(respond: Respond) -> AsyncGenerator[Server]:
    server = Server(respond)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()


def ok(body: bytes = b"hello", *extra: str) -> bytes:
    lines = "".join(f"{line}\r\n" for line in extra)
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n{lines}\r\n".encode() + body


def moved(to: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode()


def always(answer: bytes) -> Respond:
    return lambda _path, _headers: answer


def resolver(**names: str) -> Callable[[str, int], Awaitable[Sequence[str]]]:
    async def resolve(host: str, _: int) -> Sequence[str]:
        found = names.get(host.replace(".", "_"))
        return found.split() if found else [host]

    return resolve


PRIVATE = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.0.9",
    "169.254.169.254",
    "168.63.129.16",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::127.0.0.1",
    "::8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "2a00:1450::5efe:7f00:1",
    "2a00:1450::200:5efe:808:808",
]


@pytest.mark.parametrize("text", PRIVATE)
@pytest.mark.contract("TRU-14")
def test_no_private_special_or_transitional_address_is_public(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", ["1.1.1.1", "8.8.8.8", "172.15.0.1", "172.32.0.1", "2a00:1450:4001::200e"])
@pytest.mark.contract("TRU-14")
def test_public_addresses_are(text: str) -> None:
    assert is_public(ip_address(text))


SPELLINGS = [
    "http://127.0.0.1:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f000001:{port}/",
    "http://0x7f.1:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://127.1:{port}/",
    "http://localhost:{port}/",
    "http://LOCALHOST.:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[::1]:{port}/",
    "http://[0:0:0:0:0:0:0:1]:{port}/",
    "http://[fe80::1%25lo]:{port}/",
    "http://0:{port}/",
    "http://example.com@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}@127.0.0.1:{port}/",
    "http://１２７.0.0.1:{port}/",
    "http://127。0。0。1:{port}/",
    "http://ⓛocalhost:{port}/",
    "http://xn--7f-.invalid:{port}/",
    "ftp://127.0.0.1:{port}/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/",
    "http:///nowhere",
    "http://127.0.0.1:{port}\\@8.8.8.8/",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.contract("TRU-14")
async def test_no_spelling_of_loopback_reaches_it(spelling: str) -> None:
    async with serving(always(ok())) as server:
        with pytest.raises((EgressRefused, httpx.ConnectError, httpx.UnsupportedProtocol)):
            await EgressPolicy().fetch(spelling.format(port=server.port))
        assert server.connections == 0


@pytest.mark.contract("TRU-14")
async def test_a_name_is_resolved_once_and_its_first_answer_is_connected_to() -> None:
    asked: list[str] = []

    async def rebinding(host: str, _: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.2"] if len(asked) == 1 else ["127.0.0.1"]

    async with serving(always(ok())) as server:
        # 127.0.0.1 is where the server is: a second resolution would reach it.
        policy = EgressPolicy(allow=["rebind.test"], resolver=rebinding)
        with pytest.raises(httpx.ConnectError):
            await policy.fetch(f"http://rebind.test:{server.port}/")
        assert (asked, server.connections) == (["rebind.test"], 0)


@pytest.mark.contract("TRU-14")
async def test_a_name_with_one_private_address_among_public_ones_is_refused() -> None:
    policy = EgressPolicy(resolver=resolver(mixed_test="8.8.8.8 127.0.0.1"))
    with pytest.raises(EgressRefused) as refused:
        await policy.fetch("http://mixed.test/")
    assert "127.0.0.1" not in refused.value.detail


@pytest.mark.contract("TRU-14")
async def test_a_name_that_resolves_to_loopback_later_is_judged_again() -> None:
    answers = iter([["8.8.8.8"], ["127.0.0.1"]])

    async def rebinding(_: str, __: int) -> Sequence[str]:
        return next(answers)

    policy = EgressPolicy(resolver=rebinding)
    assert await policy.addresses(place_of("rebind.test", 80)) == [ip_address("8.8.8.8")]
    with pytest.raises(EgressRefused):
        await policy.addresses(place_of("rebind.test", 80))


@pytest.mark.contract("TRU-14")
async def test_the_owner_opens_a_host_and_port_and_no_other() -> None:
    async with serving(always(ok())) as server, serving(always(ok())) as other:
        policy = EgressPolicy(allow=[f"127.0.0.1:{server.port}"])
        assert (await policy.fetch(f"http://127.0.0.1:{server.port}/")).body == b"hello"
        with pytest.raises(EgressRefused):
            await policy.fetch(f"http://127.0.0.1:{other.port}/")
        assert other.connections == 0


@pytest.mark.contract("TRU-14")
async def test_a_trusted_origin_is_allowed_for_its_own_client_only() -> None:
    async with serving(always(ok())) as server:
        policy, origin = EgressPolicy(), f"http://127.0.0.1:{server.port}"
        async with policy.client(trusted=[origin]) as client:
            assert (await client.get(f"{origin}/x")).text == "hello"
        async with policy.client() as client:
            with pytest.raises(EgressRefused):
                await client.get(f"{origin}/x")
        (await policy.connect(origin, trusted=[origin])).close()
        with pytest.raises(EgressRefused):
            await policy.connect(origin)


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "0.0.0.0", "224.0.0.1", "::ffff:127.0.0.1", "fe80::1"]
)
@pytest.mark.contract("TRU-14")
async def test_an_allowed_name_never_leads_to_metadata_or_link_local(address: str) -> None:
    policy = EgressPolicy(allow=["inside.test"], resolver=resolver(inside_test=address))
    with pytest.raises(EgressRefused):
        await policy.addresses(place_of("inside.test", 80))
    literal = EgressPolicy(allow=["169.254.169.254:80"])
    assert await literal.addresses(place_of("169.254.169.254", 80))


@pytest.mark.contract("TRU-14")
async def test_a_redirect_to_a_private_address_is_refused() -> None:
    async with serving(always(ok())) as inner:
        async with serving(always(moved(f"http://127.0.0.1:{inner.port}/secret"))) as outer:
            with pytest.raises(EgressRefused):
                await EgressPolicy(allow=[f"127.0.0.1:{outer.port}"]).fetch(f"http://127.0.0.1:{outer.port}/")
        assert inner.connections == 0


@pytest.mark.contract("TRU-14")
async def test_no_credential_follows_a_redirect_to_another_origin() -> None:
    async with serving(always(ok())) as inner:

        def first(path: str, _: dict[str, str]) -> bytes:
            return moved("/again") if path == "/" else moved(f"http://127.0.0.1:{inner.port}/")

        async with serving(first) as outer:
            fetched = await EgressPolicy(allow=["127.0.0.1"]).fetch(
                f"http://127.0.0.1:{outer.port}/",
                headers={"X-API-Key": "canary", "Authorization": "Bearer canary"},
            )
            assert fetched.body == b"hello"
            assert [heard["x-api-key"] for _, heard in outer.heard] == ["canary", "canary"]
        ((_, heard),) = inner.heard
        assert "canary" not in str(heard)


@pytest.mark.contract("TRU-14")
async def test_redirects_end() -> None:
    async with serving(always(moved("/again"))) as server:
        with pytest.raises(EgressRefused) as refused:
            await EgressPolicy(allow=["127.0.0.1"]).fetch(f"http://127.0.0.1:{server.port}/")
        assert (refused.value.code, len(server.heard)) == ("egress_redirects", 6)


@pytest.mark.contract("TRU-14")
async def test_a_client_follows_no_redirect() -> None:
    async with serving(always(moved("/again"))) as server:
        origin = f"http://127.0.0.1:{server.port}"
        async with EgressPolicy().client(trusted=[origin]) as client:
            assert (await client.get(origin)).status_code == 302
        assert len(server.heard) == 1


@pytest.mark.contract("TRU-14")
async def test_a_large_body_is_cut_off_though_it_names_no_length() -> None:
    async with serving(always(ok(b"x" * 5000))) as server:
        policy, url = EgressPolicy(allow=["127.0.0.1"]), f"http://127.0.0.1:{server.port}/"
        with pytest.raises(EgressTooLarge):
            await policy.fetch(url, max_bytes=4999)
        assert len((await policy.fetch(url, max_bytes=5000)).body) == 5000


@pytest.mark.contract("TRU-14")
async def test_a_body_that_drips_ends_with_the_time_for_all_of_it() -> None:
    async with serving(always(b"slow")) as server:
        policy, url = EgressPolicy(allow=["127.0.0.1"], total_s=0.3), f"http://127.0.0.1:{server.port}/"
        async with asyncio.timeout(5):
            with pytest.raises(EgressTimedOut):
                await policy.fetch(url)


@pytest.mark.contract("TRU-14")
async def test_a_packed_body_is_not_unpacked() -> None:
    async with serving(always(ok(b"xxx", "Content-Encoding: gzip"))) as server:
        with pytest.raises(EgressRefused) as refused:
            await EgressPolicy(allow=["127.0.0.1"]).fetch(f"http://127.0.0.1:{server.port}/")
        assert refused.value.code == "egress_encoded"
        assert server.heard[0][1]["accept-encoding"] == "identity"


@pytest.mark.contract("TRU-14")
async def test_the_environments_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(always(ok(b"proxied"))) as proxy, serving(always(ok(b"direct"))) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        fetched = await EgressPolicy(allow=["127.0.0.1"]).fetch(f"http://127.0.0.1:{server.port}/")
        assert (fetched.body, proxy.connections) == (b"direct", 0)


@pytest.mark.parametrize(
    "entry", ["", "http://a", "a/b", "a:0", "a:99999", "a:b", "a@b", "*.x", "[::1", "1:2:3", "a:"]
)
@pytest.mark.contract("TRU-14")
def test_an_entry_that_is_no_place_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match=r"host|port|address"):
        Allowed.of([entry])


@pytest.mark.contract("TRU-14")
def test_entries_are_hosts_with_or_without_a_port() -> None:
    allowed = Allowed.of(["Inside.Example.", "10.0.0.1:80", "[::1]:8080", "::1"])
    assert allowed.names(place_of("inside.example", 1))
    assert allowed.names(place_of("10.0.0.1", 80))
    assert not allowed.names(place_of("10.0.0.1", 81))
    assert allowed.names(place_of("::1", 8080))


@pytest.mark.contract("TRU-14")
def test_an_origin_carries_no_user() -> None:
    assert origin_of("https://Example.com/path") == place_of("example.com", 443)
    for url in ("https://user:pass@example.com", "ftp://example.com", "example.com"):
        with pytest.raises(ValueError, match="address"):
            origin_of(url)
