"""Where clients reach this server, for what must name itself with an absolute URL."""

from starlette.requests import Request

from landline.web.door import Door

__all__ = ["public_url"]


def public_url(request: Request, door: Door, *, below: str) -> str:
    """Return the address of the routes without a slash at its end; `below` is where the request's own path begins in it.

    The owner's setting wins. Without it the name is the request's Host where that was checked against a list of names,
    and where every name is allowed, the address the request came in at: never a name that only the client vouches for
    (TRU-13).
    """
    if door.public_url is not None:
        return door.public_url.rstrip("/")
    scope = request.scope
    mounted, _, _ = str(scope["path"]).partition(below)
    host = request.headers.get("host", "")
    if not door.hosts.names_known:
        name, port = scope.get("server") or ("localhost", None)
        host = f"[{name}]" if ":" in name else name
        host = host if port is None else f"{host}:{port}"
    return f"{scope['scheme']}://{host}{mounted.rstrip('/')}"
