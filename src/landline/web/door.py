"""What every face is given of the edge, in one frozen object: who authenticates, what is allowed in, when it closes."""

from dataclasses import dataclass, field

from landline.ports.audit import Audit
from landline.ports.authenticator import Authenticator
from landline.ports.limits import RequestLimits
from landline.ports.page_sign_in import PageSignIn
from landline.ports.stream_tokens import StreamTokens
from landline.web.client import Proxies
from landline.web.cors import Origins
from landline.web.drain import Drain
from landline.web.hosts import LOOPBACK_HOSTS, Hosts
from landline.web.leases import Leases

__all__ = ["MAX_BODY_BYTES", "MAX_UPLOAD_BYTES", "Door"]

MAX_BODY_BYTES = 4 * 1024 * 1024
"""200,000 characters of input at their worst JSON escaping, and room for settings and metadata."""

MAX_UPLOAD_BYTES = 50 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Door:
    """The edge as faces and the guard see it.

    A stream sends a comment after `heartbeat_s` of silence; a reader that takes nothing for `send_timeout_s` is dropped
    (REL-10). Routes marked as uploads may take `max_upload_bytes`, all others `max_body_bytes`. `public_url` is where the
    owner says that clients reach the server, `tls` that they do so over TLS. Pages of `origins` may call it too. `limits`
    counts what comes in, by addresses that `proxies` may tell. `audit` is told of sign-ins and refusals.
    """

    authenticator: Authenticator
    drain: Drain = field(default_factory=Drain)
    leases: Leases = field(default_factory=Leases)
    stream_tokens: StreamTokens | None = None
    pages: PageSignIn | None = None
    hosts: Hosts = field(default_factory=lambda: Hosts(LOOPBACK_HOSTS))
    heartbeat_s: float = 15.0
    send_timeout_s: float = 30.0
    max_body_bytes: int = MAX_BODY_BYTES
    max_upload_bytes: int = MAX_UPLOAD_BYTES
    public_url: str | None = None
    origins: Origins = field(default_factory=Origins)
    tls: bool = False
    limits: RequestLimits | None = None
    proxies: Proxies = field(default_factory=Proxies)
    audit: Audit | None = None
