"""A provider on loopback whose every write a test decides, in the clear or under TLS."""

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

__all__ = ["Answer", "Provider", "provider", "say_all"]

HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)


class Answer:
    """The answer to one request, written piece by piece."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.sent = 0

    async def start(self, head: bytes = HEAD) -> None:
        await self.raw(head)

    async def say(self, *events: bytes) -> None:
        """Write each event as a chunk of its own, in a TLS record of its own."""
        for event in events:
            await self.raw(b"%x\r\n%b\r\n" % (len(event), event))

    async def end(self) -> None:
        await self.raw(b"0\r\n\r\n")

    async def raw(self, data: bytes) -> None:
        self.writer.write(data)
        self.sent += len(data)
        await self.writer.drain()

    async def hung_up(self) -> bool:
        """Return once the client has closed the connection."""
        try:
            return await self.reader.read(1) == b""
        except ConnectionError:
            return True


Script = Callable[[Answer], Awaitable[None]]


class Provider:
    """Answers each request by the script; counts what it saw."""

    def __init__(self, script: Script, *, tls: bool) -> None:
        self.script = script
        self.tls = tls
        self.url = ""
        self.connections = 0
        self.requests = 0
        self.open: dict[asyncio.Task[None] | None, asyncio.StreamWriter] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open[asyncio.current_task()] = writer
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.lower().split(b"\r\n")
                length = next(
                    (int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length")), 0
                )
                await reader.readexactly(length)
                self.requests += 1
                await self.script(Answer(reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            del self.open[asyncio.current_task()]


@asynccontextmanager
async def provider(script: Script, *, tls: bool = False) -> AsyncGenerator[Provider]:
    """Serve until the end of the block."""
    made = Provider(script, tls=tls)
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "both.pem"
            path.write_bytes(_certificate())
            context.load_cert_chain(path)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=context)
    made.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield made
    finally:
        server.close()
        for writer in made.open.values():
            writer.close()
        if left := [task for task in made.open if task is not None]:
            await asyncio.wait(left, timeout=5)


def say_all(events: Sequence[bytes], *, together: bool = True) -> Script:
    """Return a script that writes the events at once, or each alone with a turn of the loop between."""

    async def script(answer: Answer) -> None:
        await answer.start()
        if together:
            await answer.raw(b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in events))
        else:
            for event in events:
                await answer.say(event)
                await asyncio.sleep(0)
        await answer.end()

    return script


@cache
def _certificate() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "provider")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    form, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(form, private, serialization.NoEncryption()) + made.public_bytes(form)
