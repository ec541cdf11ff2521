"""Opening a connection: addresses of a name, tried one after the other without waiting long for any, and TLS."""

import asyncio
import socket
import ssl
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any

from landline.upstream.streams.connection import Connection

__all__ = ["addresses", "connect", "dial", "reach"]

_STAGGER_S = 0.25
"""Before the next address is tried beside one that has not answered: what RFC 8305 (section 5) recommends."""

_Address = tuple[int, Any]
"""The family of an address, and the address as a socket takes it."""


async def dial(
    core: Any,
    connection: Connection,
    context: ssl.SSLContext,
    options: Iterable[Any],
    within: float | None,
) -> None:
    """Connect to the connection's origin.

    Args:
        core: The HTTP core, for its errors.
        connection: One that is not connected yet.
        context: What https is spoken with.
        options: What the socket's `setsockopt` is called with, each a tuple.
        within: Seconds for reaching a peer, and as many for agreeing on TLS.

    Raises:
        ConnectError, ConnectTimeout: of the core.
    """
    scheme, host, port = connection.origin
    name = host.decode("ascii")
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(within):
            reached = await reach(name, port)
        try:
            for option in ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), *options):
                reached.setsockopt(*option)
        except BaseException:  # whatever it is: nobody else has the socket yet
            reached.close()
            raise
        # From here on the socket is the transport's, which closes it whatever happens: its number may soon be another's.
        async with asyncio.timeout(within):
            if scheme == b"https":
                context.set_alpn_protocols(["http/1.1"])
                # The loop's own limit for the handshake is 60 s; ours is the one that counts.
                patience = 60.0 if within is None else within + 1.0
                await loop.create_connection(
                    lambda: connection,
                    sock=reached,
                    ssl=context,
                    server_hostname=name,
                    ssl_handshake_timeout=patience,
                )
            else:
                await loop.create_connection(lambda: connection, sock=reached)
    except TimeoutError as error:
        raise core.ConnectTimeout(str(error)) from error
    except OSError as error:
        raise core.ConnectError(str(error)) from error


async def reach(host: str, port: int) -> socket.socket:
    """Return a socket that is connected to the first address that answers.

    Raises:
        OSError: The name has no address, or none can be reached.
    """
    waiting = await addresses(host, port)
    if len(waiting) == 1:
        try:
            return await connect(waiting[0])
        except OSError as error:
            raise _nobody(error) from error
    tries: set[asyncio.Task[socket.socket]] = set()
    refused: OSError | None = None
    try:
        while waiting or tries:
            if waiting:
                tries.add(asyncio.create_task(connect(waiting.pop(0)), name="landline-dial"))
            done, tries = await asyncio.wait(
                tries, timeout=_STAGGER_S if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            while done:
                one = done.pop()
                if one.exception() is None:
                    tries |= done
                    return one.result()
                refused = _refusal(one)
        raise _nobody(refused) from refused
    finally:
        for late in tries:
            late.cancel()
            late.add_done_callback(_close)


async def addresses(host: str, port: int) -> list[_Address]:
    """Return the addresses of a name in the system's order, but with two families among the first two where it has two.

    Raises:
        OSError: It has none.
    """
    try:
        family = socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET
    except ValueError:
        pass
    else:
        return [(family, (host, port))]
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    ordered: list[_Address] = [(family, address) for family, _, _, _, address in found]
    other = next((at for at, each in enumerate(ordered) if each[0] != ordered[0][0]), 0)
    if other > 1:
        ordered.insert(1, ordered.pop(other))
    return ordered


async def connect(address: _Address) -> socket.socket:
    """Return a socket that is connected to one address.

    Raises:
        OSError: It cannot be reached.
    """
    made = socket.socket(address[0], socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        await asyncio.get_running_loop().sock_connect(made, address[1])
    except BaseException:  # whatever it is, a cancellation above all: nobody else has the socket
        made.close()
        raise
    return made


def _close(late: asyncio.Task[socket.socket]) -> None:
    if not late.cancelled() and late.exception() is None:
        late.result().close()


def _refusal(ended: asyncio.Task[socket.socket]) -> OSError:
    try:
        ended.result()
    except OSError as error:
        return error
    raise AssertionError("it was reached")


def _nobody(cause: OSError | None) -> OSError:
    # A refusal by the peer and a time that is over on the way there are told apart by those who try again.
    if isinstance(cause, TimeoutError):
        return cause
    return OSError("All connection attempts failed")
