"""Fitting the wire into a client of httpx or httpx2 that somebody else made, and taking it out again.

A client's transports hold a pool that opens connections by a network backend. The pool's backend is public where a pool
is made and private where one is found (`_pool._network_backend`); a test holds the names. What is built otherwise, such as
a transport of a test, is left as it is.
"""

import logging
from collections.abc import Iterator
from typing import Any

from landline.upstream.streams.network import MergingBackend

__all__ = ["Fitting", "fit"]

logger = logging.getLogger(__name__)

_INSIDE = ("wrapped", "_wrapped", "transport", "_transport", "_inner")
"""Where transports keep the one they wrap, such as Pydantic AI's that tries again."""
_DEEPEST = 5


class Fitting:
    """What `fit` did to one client. `fitted` is False when there was nothing to fit."""

    def __init__(self, pools: list[Any]) -> None:
        self._pools = pools
        self.fitted = bool(pools)

    def undo(self) -> None:
        """Give the client its own backend back once nobody else wants it fitted; connections that are open stay."""
        pools, self._pools = self._pools, []
        for pool in pools:
            backend = pool._network_backend
            if isinstance(backend, MergingBackend) and backend.release():
                pool._network_backend = backend.inner


def fit(client: Any) -> Fitting:
    """Have an asynchronous client of httpx or httpx2 merge what providers stream, from its next connection on.

    Fitting a client twice changes nothing; it is undone when each fitting is. Nothing that the client returns changes but
    the number of events in a stream: see `landline.upstream.http_client`.
    """
    pools: list[Any] = []
    mounts: dict[Any, Any] = getattr(client, "_mounts", {})
    transports: list[Any] = [getattr(client, "_transport", None), *mounts.values()]
    for pool in map(_pool, transports):
        if pool is None or any(pool is other for other in pools):
            continue
        backend = pool._network_backend
        if isinstance(backend, MergingBackend):
            backend.claim()
        else:
            pool._network_backend = MergingBackend(backend)
        pools.append(pool)
    if not pools:
        logger.debug("left as it is: no connection pool in %s", type(client).__qualname__)
    return Fitting(pools)


def _pool(transport: Any) -> Any:
    for layer in _layers(transport):
        pool = getattr(layer, "_pool", None)
        if callable(getattr(getattr(pool, "_network_backend", None), "connect_tcp", None)):
            return pool
    return None


def _layers(transport: Any) -> Iterator[Any]:
    """Yield a transport and those inside it, the outermost first."""
    for _ in range(_DEEPEST):
        if transport is None:
            return
        yield transport
        own: dict[str, Any] = getattr(transport, "__dict__", {})
        transport = next((own[name] for name in _INSIDE if name in own), None)
