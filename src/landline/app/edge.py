"""The edge that the settings ask for: names, origins, sizes, times, and who is asked at it."""

from starlette.requests import Request
from starlette.responses import RedirectResponse

from landline.app.identity import stream_tokens_of
from landline.app.settings import Settings
from landline.ports.audit import Audit
from landline.ports.authenticator import Authenticator
from landline.ports.clock import Clock
from landline.ports.limits import RequestLimits
from landline.ports.page_sign_in import PageSignIn
from landline.web.client import Proxies
from landline.web.cors import Origins
from landline.web.door import Door
from landline.web.drain import Drain
from landline.web.hosts import ANY_ADDRESS, LOOPBACK_HOSTS, Hosts

__all__ = ["door_of", "home"]

MULTIPART_BYTES = 64 * 1024
"""What the frame of a multipart upload may add to its file."""


def door_of(  # noqa: PLR0913 - the composition root hands over what the edge asks
    settings: Settings,
    *,
    authenticator: Authenticator,
    drain: Drain,
    limits: RequestLimits | None,
    audit: Audit,
    pages: PageSignIn | None,
    clock: Clock,
) -> Door:
    """Return the edge, as every face gets it."""
    # A page cannot be rebound to an address, only to a name: bound to all addresses, any of them may be asked for.
    bound = ANY_ADDRESS if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104 - compared, not bound
    return Door(
        authenticator=authenticator,
        drain=drain,
        hosts=Hosts([*LOOPBACK_HOSTS, bound, *settings.allowed_hosts]),
        heartbeat_s=settings.heartbeat_s,
        send_timeout_s=settings.slow_reader_s,
        max_body_bytes=settings.max_body_bytes,
        max_upload_bytes=settings.max_upload_bytes + MULTIPART_BYTES,
        public_url=settings.public_url,
        limits=limits,
        proxies=Proxies(settings.trusted_proxies),
        origins=Origins(settings.cors_origins, credentials=settings.cors_credentials),
        tls=settings.over_tls,
        audit=audit if settings.audit != "off" else None,
        pages=pages,
        stream_tokens=stream_tokens_of(settings, authenticator, clock),
    )


async def home(request: Request) -> RedirectResponse:
    """Whoever opens the address that the start-up prints finds the page."""
    return RedirectResponse("simple")
